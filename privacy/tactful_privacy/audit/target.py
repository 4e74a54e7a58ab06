"""What is audited, seen from outside: a federation in which an auditor may plant canaries, one round at a time.

The audit knows a federation only through `RoundTarget`. Who holds one (a rehearsed federation, say) registers an opener
in the entry point group ``tactful.audit_targets``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import entry_points
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.accounting.modes import DISTRIBUTED, REHEARSAL
from tactful_privacy.errors import InvalidInput, ProtocolError
from tactful_privacy.validate import at_least
from tactful_privacy.wire import RoundPlan

GROUP = "tactful.audit_targets"


class AuditRoundVoid(ProtocolError):
    """An audit round was not opened, so there is nothing to judge: too few hosts answered, or they refused."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The claim of one round, as its signed plan states it.

    The guarantee: zero-out adjacency per enrolment, ``rho``-zCDP a round, as long as at most ``colluders`` hosts side
    with the server. Worst case: exactly ``n_min - colluders`` hosts whose noise the adversary does not know.

    Attributes:
        n_hosts: hosts on the roster.
        n_min: fewest survivors with which a sum is opened.
        colluders: t.
        clip_units: C in grid units; what one canary adds at its coordinate.
        norm_bound_squared: B² in squared grid units, statistics included.
        noise_variance_units: σ² of one host in squared grid units.
        grid_exponent: j; one grid unit is 2^-j.
        sensitivity: B in model units.
        mu_round: B/(σ√(n_min − t)), the μ of Gaussian differential privacy of one round (arXiv:1905.02383, Theorem 1).
        rho: exact price of one participation; μ² = 2ρ.
    """

    n_hosts: int
    n_min: int
    colluders: int
    clip_units: int
    norm_bound_squared: int
    noise_variance_units: int
    grid_exponent: int
    sensitivity: float
    mu_round: float
    rho: Fraction

    @classmethod
    def of_plan(cls, plan: RoundPlan) -> "TargetFacts":
        """The facts of a plan; μ is infinite without noise.

        Raises:
            InvalidInput: the plan's mode counts other noise than that of n_min − t hosts.
        """
        if plan.mode not in (DISTRIBUTED, REHEARSAL):
            remedy = "audit rounds of mode 'distributed'; the noise of other modes is not that of hosts"
            raise InvalidInput(f"is {plan.mode!r}", field="mode", remedy=remedy)
        honest = plan.n_min - plan.colluders
        noise = honest * plan.noise_variance_units
        return cls(
            n_hosts=plan.n_hosts,
            n_min=plan.n_min,
            colluders=plan.colluders,
            clip_units=plan.clip_units,
            norm_bound_squared=plan.norm_bound_squared,
            noise_variance_units=plan.noise_variance_units,
            grid_exponent=plan.grid_exponent,
            sensitivity=math.sqrt(plan.norm_bound_squared) * plan.grid,
            mu_round=math.sqrt(plan.norm_bound_squared / noise) if noise else math.inf,
            rho=plan.rho,
        )

    @property
    def honest_hosts(self) -> int:
        """n_min − t, the hosts whose noise the claim counts."""
        return self.n_min - self.colluders

    def mu(self, rounds: int) -> float:
        """μ of ``rounds`` rounds with the same canaries: √T·μ_round (arXiv:1905.02383, Corollary 2)."""
        at_least(1, rounds=rounds)
        return math.sqrt(rounds) * self.mu_round

    def epsilon(self, rounds: int, delta: float) -> float:
        """ε of ``rounds`` rounds at ``delta``, as the formal claim has it: through zCDP."""
        from tactful_privacy.accounting.zcdp import epsilon

        at_least(1, rounds=rounds)
        return epsilon(rounds * self.rho, delta)


@runtime_checkable
class RoundTarget(Protocol):
    """A federation which runs audit rounds; each goes the way of every round (clip, grid, noise, mask, open)."""

    @property
    def facts(self) -> TargetFacts:
        """The claim of a round."""
        ...

    @property
    def canaries(self) -> int:
        """m, how many canary coordinates a round has."""
        ...

    @property
    def rounds(self) -> int:
        """T, over how many rounds the claim was calibrated; an audit of the whole claim runs as many."""
        ...

    def run_round(self, inserted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Run one audit round in the claim's worst case: exactly n_min − t hosts with unknown noise.

        Args:
            inserted: which canaries take part, shape (m,).

        Returns:
            The opened canary coordinates, colluders' noise taken off, in units of the clip norm: about 1 for a canary
            that is in, about 0 for one that is not. Shape (m,).

        Raises:
            AuditRoundVoid: the round was not opened.
        """
        ...

    @property
    def model_before(self) -> bytes:
        """Digest of the model that the last round started from."""
        ...

    @property
    def model_after(self) -> bytes:
        """Digest of the model that the last round released."""
        ...

    def close(self) -> None:
        """Release files and keys."""
        ...


OpenTarget = Callable[..., RoundTarget]
"""Opens a target; options are keyword arguments, at least ``canaries``, ``rounds``, ``epsilon`` and ``delta``."""


def open_target(name: str, **options: Any) -> RoundTarget:
    """Open the target which an installed package registered under ``name``.

    Raises:
        InvalidInput: nobody registered that name, or what it needs is not installed.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        remedy = f"known are {sorted(found)}" if found else "install the extra 'lab', which brings 'rehearsal'"
        raise InvalidInput(f"is {name!r}", field="target", remedy=remedy)
    try:
        opener = cast(OpenTarget, found[name].load())
    except ModuleNotFoundError as error:
        remedy = "pip install 'tactful[audit,flower,lab,server]'"
        raise InvalidInput(f"{name!r} needs {error.name}", field="target", remedy=remedy) from error
    return opener(**options)
