"""Secure aggregation: a server adds up what hosts send without seeing any one of them.

`HostSession` is a host's side, `Aggregator` the server's; both are pure and persistable. Pairwise masks and self masks
modulo 2^32, Shamir shares, and one signed survivor list per round: a sum over fewer than n_min hosts, hence with too
little noise, cannot be opened. Beyond about a hundred hosts each host pairs with the neighbours of a graph alone
(`graph`, `thresholds`), and a committee verifies the survivors' signatures for the others.
"""

from tactful_privacy.secagg.client import HostSession, SeenKeys
from tactful_privacy.secagg.errors import SecaggError
from tactful_privacy.secagg.rules import COLLECTING, WITH_COMMITTEE, stages_of
from tactful_privacy.secagg.server import Aggregator

__all__ = ["COLLECTING", "WITH_COMMITTEE", "Aggregator", "HostSession", "SecaggError", "SeenKeys", "stages_of"]
