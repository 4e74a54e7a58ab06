"""A device's account: exact sums that only rise, the period they are counted in, its share of a person's budget.

It outlives an erasure: a tombstone is an account under a keyed token.
"""

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

ROUND, REPLAY = "", "replay"
"""Where a spend came from: a round answered here, or a ledger that knew of it when the vault did not."""


@dataclass(frozen=True, slots=True)
class Spend:
    """One participation that a device has paid for; ``rho`` is exact zCDP, ``source`` is `ROUND` or `REPLAY`."""

    federation: str
    round_number: int
    plan_digest: bytes
    rho: Fraction
    source: str = ROUND


@dataclass(frozen=True, slots=True)
class Period:
    """The stretch over which one ceiling holds. It ends with a renewal, or after ``rounds`` participations.

    Attributes:
        number: from 1.
        epsilon, delta: its ceiling as agreed to; None until something is spent, when the host's own terms are pinned.
        rho_before: what had been spent, over all periods, when it began.
        rounds_before: how many participations had been paid for then.
        rounds: the most participations in it; None leaves it to the ceiling.
        policy_version: of the text consented to; empty for the first.
        began_at: number of the vault's row with which it began. Rows are numbered in order of writing, so that "after"
            needs no clock.
    """

    number: int = 1
    epsilon: float | None = None
    delta: float | None = None
    rho_before: Fraction = Fraction(0)
    rounds_before: int = 0
    rounds: int | None = None
    policy_version: str = ""
    began_at: int = 0

    @property
    def budget(self) -> tuple[float, float] | None:
        """(ε, δ) of the ceiling, None before it is pinned."""
        return None if self.epsilon is None or self.delta is None else (self.epsilon, self.delta)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, exact numbers as "numerator/denominator"."""
        names = ("number", "epsilon", "delta", "rounds_before", "rounds", "policy_version", "began_at")
        return {"rho_before": str(self.rho_before)} | {name: getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Period":
        """Undo `to_dict`."""
        return cls(**{**plain, "rho_before": Fraction(plain["rho_before"])})


@dataclass(frozen=True, slots=True)
class Account:
    """What a device has spent over all its enrolments and periods.

    Attributes:
        spent: the sum, exact zCDP.
        last_rounds: the last round of each federation that was paid for.
        rounds: how many participations were paid for; those of enrolments before schema 2 are not known.
        period: the present one.
        share: which part of the ceiling is this device's; the rest was given to linked devices.
        linked: whether it ever accepted a link: until then its share is of a ceiling of its own, which it gives up for
            the linked one when it accepts.
        own: (ε, δ) to which the person lowered the ceiling, None where they did not.
    """

    spent: Fraction = Fraction(0)
    last_rounds: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    period: Period = field(default_factory=Period)
    share: Fraction = Fraction(1)
    linked: bool = False
    own: tuple[float, float] | None = None

    @property
    def spent_in_period(self) -> Fraction:
        """What the present period has cost so far."""
        return self.spent - self.period.rho_before

    def plus(self, spend: Spend) -> "Account":
        """Return the account with one more spend."""
        last = {**self.last_rounds}
        last[spend.federation] = max(spend.round_number, last.get(spend.federation, -1))
        return replace(self, spent=self.spent + spend.rho, last_rounds=last, rounds=self.rounds + 1)

    def to_bytes(self) -> bytes:
        """Return compact JSON, sums as "numerator/denominator"."""
        more = {
            "rounds": self.rounds,
            "period": self.period.to_dict(),
            "share": str(self.share),
            "linked": self.linked,
            "own": self.own,
        }
        return json.dumps([str(self.spent), self.last_rounds, more], separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Account":
        """Undo `to_bytes`; also reads the two fields which schema 1 kept."""
        spent, last_rounds, *rest = json.loads(data)
        account = cls(Fraction(spent), last_rounds)
        for more in rest:
            account = replace(
                account,
                rounds=int(more["rounds"]),
                period=Period.from_dict(more["period"]),
                share=Fraction(more["share"]),
                linked=bool(more["linked"]),
                own=None if more["own"] is None else tuple(more["own"]),
            )
        return account
