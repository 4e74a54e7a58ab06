"""A host's part in a federated round: its terms, its refusals, and the participant which answers a server."""

from tactful.federation.host_round import HostRound, RoundPosition
from tactful.federation.participant import ContributionView, RoundParticipant
from tactful.federation.policy import ParticipationPolicy, check_plan
from tactful.federation.refusals import PlanRefused

__all__ = [
    "ContributionView",
    "HostRound",
    "ParticipationPolicy",
    "PlanRefused",
    "RoundParticipant",
    "RoundPosition",
    "check_plan",
]
