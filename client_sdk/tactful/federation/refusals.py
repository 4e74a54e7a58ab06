"""Why a host says no to a plan. Each error has a stable ``code``, which is what the refusal on the wire carries.

::

    ProtocolError
    └── PlanRefused
        ├── PlanUnsigned        not signed by the pinned server key
        ├── WrongFederation     a plan of another federation
        ├── UnknownMode, NotARehearsal, UnknownTask, ModelMissing
        ├── WrongRoster         roster, host count or this host's own entry do not fit
        ├── ThresholdTooLow     n_min is below the host's own floor, or 2·n_min ≤ n + t
        ├── GraphUnsafe         the neighbour graph or its committee fails with more than 2^-40, as this host reckons
        ├── CollusionUnderstated  the plan assumes fewer colluding hosts than this host does
        ├── TooLittleNoise      the price of one round is above this host's ceiling, or the grid is too coarse for it
        ├── WrongPrice          ρ is not what the bound and the noise give in the plan's mode
        ├── WrongBound          clip, grid, statistics and norm bound contradict each other
        ├── WrongModulus        modulus or head-room
        ├── WrongRun            correlated noise where there can be none, or not on the run's own terms
        ├── TooLarge            more coordinates than the host agrees to
        ├── PlanExpired         its deadline has passed
        └── PlanReplayed        its (round, attempt) is not above the last one answered
"""

from typing import ClassVar

from tactful_privacy.errors import ProtocolError


class PlanRefused(ProtocolError):
    """The host does not take part under this plan."""

    code: ClassVar[str] = "plan_refused"


class PlanUnsigned(PlanRefused):
    """The plan does not carry a valid signature of the pinned server key."""

    code = "plan_unsigned"


class WrongFederation(PlanRefused):
    """The plan belongs to another federation."""

    code = "wrong_federation"


class UnknownMode(PlanRefused):
    """The host did not agree to this mode of privacy. A mode is never switched silently."""

    code = "unknown_mode"


class NotARehearsal(PlanRefused):
    """A plan without noise reached a host whose policy is not explicitly a rehearsal."""

    code = "not_a_rehearsal"


class UnknownTask(PlanRefused):
    """The host does not know this training task. It never runs code that a server sent."""

    code = "unknown_task"


class ModelMissing(PlanRefused):
    """The plan starts from a model that is not installed."""

    code = "model_missing"


class WrongRoster(PlanRefused):
    """The plan's roster is not the one at hand, or this host's entry in it is wrong."""

    code = "wrong_roster"


class ThresholdTooLow(PlanRefused):
    """So few hosts would be needed that two survivor lists could both be signed, or below the host's own floor."""

    code = "threshold_too_low"


class GraphUnsafe(PlanRefused):
    """The neighbour graph or its committee may fail with a probability above 2^-40, by this host's own reckoning."""

    code = "graph_unsafe"


class CollusionUnderstated(PlanRefused):
    """The plan counts on fewer colluding hosts than this host's policy assumes."""

    code = "collusion_understated"


class TooLittleNoise(PlanRefused):
    """One participation would cost more than this host's ceiling."""

    code = "too_little_noise"


class WrongPrice(PlanRefused):
    """The plan's price is not the one that its noise and bound give."""

    code = "wrong_price"


class WrongBound(PlanRefused):
    """The norm bound does not cover the clip norm and the statistics, or the grid is coarser than the clip norm."""

    code = "wrong_bound"


class WrongModulus(PlanRefused):
    """The sum could wrap round the modulus, or the modulus is not 2^32."""

    code = "wrong_modulus"


class WrongRun(PlanRefused):
    """The plan's run of correlated noise does not fit its mode, its round, or what is known of the run."""

    code = "wrong_run"


class TooLarge(PlanRefused):
    """The plan asks for more coordinates than the host agrees to: noise grows with their square root."""

    code = "too_large"


class PlanExpired(PlanRefused):
    """The plan's deadline has passed."""

    code = "plan_expired"


class PlanReplayed(PlanRefused):
    """The host has answered this or a later plan already."""

    code = "plan_replayed"
