"""Rounds that value policies instead of training: the model stays, and so does its optimiser's state."""

from dataclasses import dataclass

import numpy as np

from tactful_privacy.wire import RoundPlan
from tactful_server.aggregation import Layout, ServerOptimiser, Vector, same_shape

TASK = "evaluate"


@dataclass(slots=True)
class Evaluating:
    """Stands in for the optimiser of a federation while a round of the task ``evaluate`` runs.

    The opened sums are read from the release itself; nothing is learned from them here. Such a round costs each device
    what any round of its terms costs, and releases the same parameters once more.

    Args:
        inner: the optimiser that trains; its state goes through unchanged.
        layout: of a contribution, as the terms' settings say it.
        task: the local task.
    """

    inner: ServerOptimiser
    layout: Layout
    task: str = TASK

    def contribution_layout(self, model: Layout) -> Layout:  # noqa: ARG002 - the protocol's
        """The layout given."""
        return self.layout

    def step(
        self,
        parameters: Vector,
        mean_update: Vector,
        plan: RoundPlan,  # noqa: ARG002 - the protocol's
        noise_std: float = 0.0,  # noqa: ARG002 - the protocol's
    ) -> Vector:
        """Return the parameters; raises `InvalidInput` for sums of another shape."""
        same_shape(np.empty(sum(block.length for block in self.layout)), mean_update)
        return parameters

    def dump(self) -> bytes:
        """The inner optimiser's state."""
        return self.inner.dump()

    def load(self, state: bytes) -> None:
        """Give the inner optimiser its state."""
        self.inner.load(state)
