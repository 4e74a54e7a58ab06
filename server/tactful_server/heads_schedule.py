"""Several heads of one model in turn: each round trains the head whose turn it is, by a public cycle.

Rounds are paid for one by one, so a head that needs fewer of them appears less often in the cycle. A void round does
not count: the same head is asked for again. Each head's own steps are those of `tactful_server.recursive`.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import RoundPlan
from tactful_server.aggregation import Layout, Vector
from tactful_server.recursive import RecursiveNewton


@dataclass(slots=True)
class HeadsSchedule:
    """A `ServerOptimiser` made of one `RecursiveNewton` for each head.

    Args:
        heads: one optimiser for each head.
        cycle: heads in the order of rounds, over and over: for example effect, activity, effect, hazard.
        rounds: released so far.
    """

    heads: tuple[RecursiveNewton, ...]
    cycle: tuple[str, ...]
    rounds: int = 0

    def __post_init__(self) -> None:
        names = Counter(head.head for head in self.heads)
        if not self.cycle or set(self.cycle) != set(names) or max(names.values()) > 1:
            remedy = "name every head once among the heads and at least once in the cycle"
            raise InvalidInput(f"is {self.cycle} for {sorted(names)}", field="cycle", remedy=remedy)

    @property
    def task(self) -> str:
        """The head of the next round."""
        return self.cycle[self.rounds % len(self.cycle)]

    def rounds_of(self, head: str, rounds: int) -> int:
        """How many of the first ``rounds`` rounds are this head's, from the cycle alone."""
        return sum(self.cycle[number % len(self.cycle)] == head for number in range(rounds))

    def contribution_layout(self, model: Layout) -> Layout:
        """The layout of the head whose turn it is."""
        return self._now().contribution_layout(model)

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan, noise_std: float = 0.0) -> Vector:
        """Move that head, and pass the turn on. Raises `InvalidInput` for another task or shape."""
        moved = self._now().step(parameters, mean_update, plan, noise_std)
        self.rounds += 1
        return moved

    def _now(self) -> RecursiveNewton:
        return next(head for head in self.heads if head.head == self.task)

    def dump(self) -> bytes:
        """Whose turn it is, and every head's state, exact."""
        states = {head.head: head.dump().decode() for head in self.heads}
        return json.dumps({"rounds": self.rounds, "heads": states}, sort_keys=True).encode()

    def load(self, state: bytes) -> None:
        """Take a state over; empty bytes are the state before the first round. Raises `InvalidInput` for others."""
        try:
            fresh: dict[str, Any] = {"rounds": 0, "heads": {head.head: "" for head in self.heads}}
            plain: dict[str, Any] = json.loads(state) if state else fresh
            states = {head.head: plain["heads"][head.head].encode() for head in self.heads}
            rounds = int(plain["rounds"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput(f"unreadable: {error}", field="state", remedy="give what dump() returned") from error
        for head in self.heads:
            head.load(states[head.head])
        self.rounds = rounds
