"""An auditor's coins file: which canaries are in, and what his own host added in which round.

It is a secret until the audit is over: whoever knows the coins can tell canaries from people. With it and the public
ledger a live federation is judged, by the auditor or by anybody whom he hands the file afterwards.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.audit import canaries
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import RoundPlan, WireError, digest

FORMAT = "tactful-audit-coins-1"
_REMEDY = "give the coins file which `CoinsFile.create` wrote"


@dataclass(frozen=True, slots=True, eq=False)
class OwnRound:
    """What the auditor's host knows of a round that it contributed to.

    Attributes:
        plan: as the host checked it against its own policy.
        noise: what the host itself added to each canary coordinate, grid units, int64 (m,).
    """

    plan: RoundPlan
    noise: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class CoinsFile:
    """Coins, and the rounds so far. Every change is on disk before the call returns.

    Attributes:
        path: of the file, readable by its owner alone.
        host_id: the auditor's host.
        inserted: the coins, shape (m,); the same in all rounds, so that scores of several rounds add up.
        guesses: r, where another than `canaries.default_guesses` of the claim was chosen before the first round.
        rounds: by plan digest, in order.
    """

    path: Path
    host_id: str
    inserted: NDArray[np.bool_]
    guesses: int | None = None
    rounds: dict[bytes, OwnRound] = field(default_factory=dict)

    @classmethod
    def create(cls, path: str | Path, host_id: str, count: int, *, guesses: int | None = None) -> Self:
        """Toss ``count`` fair coins and write them down, and with them how many guesses will be made.

        Args:
            path: of a new file.
            host_id: the auditor's host.
            count: m.
            guesses: r, at most m; None for the default of the claim, which follows from the plans alone.

        Raises:
            InvalidInput: the file exists, since coins that were used must not be tossed again, or a number is out of
                range.
        """
        if guesses is not None and not 1 <= guesses <= count:
            raise InvalidInput(f"is {guesses}", field="guesses", remedy=f"give 1 to {count}, or leave it out")
        coins = cls(Path(path), host_id, canaries.choose(count), guesses)
        if coins.path.exists():
            raise InvalidInput("exists", field=str(path), remedy="load it, or choose another name")
        coins._write()
        return coins

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a coins file.

        Raises:
            InvalidInput: it is absent or not a coins file.
        """
        try:
            data: Mapping[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            inserted = _coins_of(data)
            own = [_own_round(item) for item in data["rounds"]]
            guesses = None if data.get("guesses") is None else int(data["guesses"])
        except (OSError, ValueError, KeyError, TypeError, WireError) as error:
            raise InvalidInput(f"is no coins file: {error}", field=str(path), remedy=_REMEDY) from error
        return cls(Path(path), str(data["host_id"]), inserted, guesses, {digest(item.plan): item for item in own})

    def record(self, plan: RoundPlan, noise: NDArray[np.int64]) -> None:
        """Write down what the host is about to contribute to a round; the first record of a plan stays.

        Args:
            plan: of the round; one with another number of canaries is left out.
            noise: the host's own, over the plan's last ``plan.canaries`` coordinates, shape (m,).
        """
        if plan.canaries == len(self.inserted) and digest(plan) not in self.rounds:
            self.rounds[digest(plan)] = OwnRound(plan, np.array(noise, dtype=np.int64))
            self._write()

    def _write(self) -> None:
        rounds = [{"plan": own.plan.encode().hex(), "noise": own.noise.tolist()} for own in self.rounds.values()]
        text = "".join("1" if coin else "0" for coin in self.inserted)
        data = {"format": FORMAT, "host_id": self.host_id, "coins": text, "guesses": self.guesses, "rounds": rounds}
        beside = self.path.with_name(self.path.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)


def _coins_of(data: Mapping[str, Any]) -> NDArray[np.bool_]:
    text = str(data["coins"])
    if data["format"] != FORMAT or not text or set(text) - {"0", "1"}:
        raise ValueError(f"format is {data['format']!r}")
    return np.array([coin == "1" for coin in text], dtype=np.bool_)


def _own_round(item: Mapping[str, Any]) -> OwnRound:
    return OwnRound(RoundPlan.decode(bytes.fromhex(item["plan"])), np.array(item["noise"], dtype=np.int64))
