"""What a device has spent of its privacy budget, and its own ceiling."""

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tactful.errors import InvalidInput
from tactful.vault import NewRow
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.validate import fraction, positive

if TYPE_CHECKING:
    from tactful.host import Host


@dataclass(frozen=True, slots=True)
class PrivacyBudget:
    """What a device has spent and may spend, central ε at ``delta`` over its horizon, and the exact zCDP behind it.

    ``rho_spent`` and ``rho_ceiling`` are exact; ``rounds_joined`` counts those paid for by this enrolment.
    """

    epsilon_spent: float
    epsilon_ceiling: float
    delta: float
    rho_spent: Fraction
    rho_ceiling: Fraction
    rounds_joined: int

    @property
    def exhausted(self) -> bool:
        """Whether nothing more can be paid."""
        return self.rho_spent >= self.rho_ceiling

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; exact numbers as "numerator/denominator"."""
        exact = {"rho_spent": str(self.rho_spent), "rho_ceiling": str(self.rho_ceiling)}
        return {**asdict(self), **exact, "exhausted": self.exhausted}


def of_device(host: "Host", device: int) -> PrivacyBudget:
    """Return what a device has spent, earlier enrolments included, and what it may spend."""
    epsilon, delta = host.own_budget(device) or host.default_budget
    spent = host.rounds.account(device).spent
    return PrivacyBudget(
        epsilon_spent=epsilon_of(spent, delta),
        epsilon_ceiling=epsilon,
        delta=delta,
        rho_spent=spent,
        rho_ceiling=Fraction(rho_budget(epsilon, delta)),
        rounds_joined=len(host.rounds.spends(device)),
    )


def lower(host: "Host", device: int, epsilon: float, delta: float) -> None:
    """Set a device's own ceiling; raises `InvalidInput` above the host's default."""
    positive(epsilon=epsilon)
    fraction(delta=delta)
    if rho_budget(epsilon, delta) > rho_budget(*host.default_budget):
        limit = "ε = {:g} at δ = {:g}".format(*host.default_budget)
        raise InvalidInput(f"is above the host's {limit}", field="epsilon", remedy="give less")
    host.vault.write([NewRow(device, "budget", json.dumps([epsilon, delta]).encode(), "")])
