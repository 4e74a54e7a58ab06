"""What a device has spent of its privacy budget, its own ceiling, and the periods for which a ceiling holds.

A ceiling is the lowest of four: what the host offers, what the round's policy allows, what was agreed for the period,
and what the person lowered it to; times the device's share of it. The account is a filter with fully adaptive
composition (arXiv:2103.01379) in each period; over all periods the sums add up, and that total is always shown.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tactful._account import Period
from tactful.consent import Consent
from tactful.errors import InvalidInput, RenewalRefused
from tactful.vault import NewRow, Row
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.validate import fraction, positive

if TYPE_CHECKING:
    from tactful.host import Host

PURPOSE = "federated_learning"
_TOLERANCE = Fraction(1, 10**9)
Budget = tuple[float, float]
"""(ε, δ), both central."""


@dataclass(frozen=True, slots=True)
class PrivacyBudget:
    """What a device has spent and may spend, central ε at ``delta``, and the exact zCDP behind it.

    Attributes:
        epsilon_spent, rho_spent: in the present period, earlier enrolments included.
        epsilon_ceiling, rho_ceiling: of the present period, times ``share``.
        epsilon_total, rho_total: over all periods and enrolments; what the person has lost in all.
        delta: of every ε here.
        rounds_joined: participations which this enrolment paid for.
        period: its number, from 1.
        rounds_left: participations until the period's horizon; None where the ceiling alone ends it.
        share: which part of the ceiling is this device's; the rest is with linked devices.
        frozen: whether nothing is spent because the vault was rolled back.
    """

    epsilon_spent: float
    epsilon_ceiling: float
    delta: float
    rho_spent: Fraction
    rho_ceiling: Fraction
    rounds_joined: int
    epsilon_total: float
    rho_total: Fraction
    period: int = 1
    rounds_left: int | None = None
    share: Fraction = Fraction(1)
    frozen: bool = False

    @property
    def exhausted(self) -> bool:
        """Whether nothing more can be paid until the budget is renewed."""
        return self.rho_spent >= self.rho_ceiling or self.rounds_left == 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; exact numbers as "numerator/denominator"."""
        exact = {name: str(value) for name, value in asdict(self).items() if isinstance(value, Fraction)}
        return {**asdict(self), **exact, "exhausted": self.exhausted}


def of_device(host: "Host", device: int) -> PrivacyBudget:
    """Return what a device has spent, earlier enrolments included, and what it may spend."""
    epsilon, delta = agreed(host, device)
    account = host.rounds.account(device)
    period, ceiling = account.period, account.share * rho_of((epsilon, delta))
    left = None if period.rounds is None else max(0, period.rounds_before + period.rounds - account.rounds)
    return PrivacyBudget(
        epsilon_spent=epsilon_of(account.spent_in_period, delta),
        epsilon_ceiling=epsilon if account.share == 1 else epsilon_of(ceiling, delta),
        delta=delta,
        rho_spent=account.spent_in_period,
        rho_ceiling=ceiling,
        rounds_joined=len(host.rounds.spends(device)),
        epsilon_total=epsilon_of(account.spent, delta),
        rho_total=account.spent,
        period=period.number,
        rounds_left=left,
        share=account.share,
        frozen=host.guard.gap().rolled_back,
    )


@lru_cache(maxsize=1024)
def rho_of(budget: Budget) -> Fraction:
    """Return the ρ of (ε, δ), exact as the float that it is; a finite stand-in for an infinite ε."""
    return Fraction(2**62) if math.isinf(budget[0]) else Fraction(rho_budget(*budget))


def agreed(host: "Host", device: int) -> Budget:
    """Return a device's ceiling as (ε, δ), before its share: the lowest of the host's, the period's and its own."""
    account = host.rounds.account(device)
    known = (host.default_budget, account.period.budget, account.own)
    return min((budget for budget in known if budget is not None), key=rho_of)


def limit(
    host: "Host", device: int, policy: Budget, slack: Fraction = Fraction(0), part: Fraction = Fraction(1)
) -> Fraction:
    """Return the most ρ that a device may have spent in all its periods when it has paid its next round.

    Args:
        host: of the device.
        device: its number.
        policy: (ε, δ) of the host's terms for the federation; infinite where it sets no limit of its own.
        slack: relative tolerance for the floating point in which both sides convert (ε, δ).
        part: what the policy's ρ comes to under zero-out, in which everything is counted; a quarter of it in ``local``,
            where (ε, δ) is promised under replacement.
    """
    account = host.rounds.account(device)
    period = account.period
    if period.rounds is not None and account.rounds >= period.rounds_before + period.rounds:
        return Fraction(0)
    ceiling = min(part * rho_of(policy), rho_of(agreed(host, device)))
    return period.rho_before + account.share * ceiling * (1 + slack)


def exceeded(host: "Host", device: int) -> bool:
    """Return whether a device spent more in its period than its ceiling, beyond what floating point explains.

    It can be: after a replay, which charges what was spent whether it fits or not.
    """
    found = of_device(host, device)
    return found.rho_spent > found.rho_ceiling * (1 + _TOLERANCE)


def pin(host: "Host", devices: Iterable[int], policy: Budget) -> None:
    """Fix the first period's ceiling at what it is when something is spent; call inside the spend's transaction.

    A host that is opened with a higher default afterwards does not raise it.
    """
    periods = {}
    for device in devices:
        period = host.rounds.account(device).period
        if period.budget is None and not math.isinf(policy[0]):
            epsilon, delta = min(policy, agreed(host, device), key=rho_of)
            periods[device] = replace(period, epsilon=epsilon, delta=delta)
    host.rounds.set_periods(periods)


def lower(host: "Host", device: int, epsilon: float, delta: float) -> None:
    """Set a device's own ceiling; raises `InvalidInput` above the present one."""
    _check(epsilon, delta)
    if rho_of((epsilon, delta)) > rho_of(host.default_budget):
        _too_much("the host's", host.default_budget, "give less")
    if rho_of((epsilon, delta)) > rho_of(present := agreed(host, device)):
        _too_much("the present ceiling", present, "a higher one needs fresh consent: Device.renew_budget")
    with host.guard.change():
        host.rounds.set_own(device, epsilon, delta)


def renew(
    host: "Host", device: int, epsilon: float, delta: float, *, policy_version: str, rounds: int | None = None
) -> PrivacyBudget:
    """Begin a device's next period; see `Device.renew_budget`.

    Raises:
        InvalidInput: ε or δ out of range, or above what the host offers.
        RenewalRefused: the latest statement about `PURPOSE` is no consent to that text, or no newer than the period.
        VaultRolledBack: nobody knows what the present period has cost.
    """
    _check(epsilon, delta)
    if rounds is not None and (not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1):
        raise InvalidInput(f"must be a whole number from 1, not {rounds!r}", field="rounds", remedy="or leave it out")
    if rho_of((epsilon, delta)) > rho_of(host.default_budget):
        _too_much("the host's", host.default_budget, "open the host with a higher privacy_budget, or give less")
    with host.guard.change():
        host.guard.require_current()
        account = host.rounds.account(device)
        _require_consent(host, device, account.period, policy_version)
        period = Period(
            number=account.period.number + 1,
            epsilon=epsilon,
            delta=delta,
            rho_before=account.spent,
            rounds_before=account.rounds,
            rounds=rounds,
            policy_version=policy_version,
        )
        host.vault.write([NewRow(device, "renewal", json.dumps(period.to_dict()).encode())])
        host.rounds.set_own(device, epsilon, delta)
        host.rounds.set_periods({device: period})
    return of_device(host, device)


def renewals(host: "Host", device: int) -> list[Period]:
    """Return the periods that this enrolment began by renewal, in order."""
    return [Period.from_dict(json.loads(row.data)) for row in host.vault.read(device, "renewal")]


def _require_consent(host: "Host", device: int, period: Period, policy_version: str) -> None:
    said = [
        (row, statement)
        for row in host.vault.read(device, "consent")
        if (statement := Consent(**json.loads(row.data))).purpose == PURPOSE
    ]
    if not said or not said[-1][1].granted:
        raise _no_consent("there is no consent to federated learning")
    row, latest = said[-1]
    if row.id <= (period.began_at or _first_grant(said)):
        raise _no_consent(f"the latest consent is older than period {period.number}")
    if latest.policy_version != policy_version:
        raise _no_consent(f"the latest consent is to the text {latest.policy_version!r}, not {policy_version!r}")


def _first_grant(said: list[tuple[Row, Consent]]) -> int:
    """Return the row of the consent on which the first period rests, while nothing was spent in it yet."""
    return next(row.id for row, statement in said if statement.granted)


def _no_consent(message: str) -> RenewalRefused:
    remedy = "show the text that names the new budget, and record what the person says with set_consent"
    return RenewalRefused(message, field="policy_version", remedy=remedy)


def _check(epsilon: float, delta: float) -> None:
    for name, value in (("epsilon", epsilon), ("delta", delta)):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidInput(f"must be a number, not {value!r}", field=name, remedy=f"give {name} as a float")
    positive(epsilon=epsilon)
    fraction(delta=delta)


def _too_much(whose: str, budget: Budget, remedy: str) -> None:
    present = "ε = {:g} at δ = {:g}".format(*budget)
    raise InvalidInput(f"is above {whose} {present}", field="epsilon", remedy=remedy)
