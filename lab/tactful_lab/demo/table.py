"""The demonstration's table: what the federation learned beside what products do today, measured on December."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tactful_lab.slots import baselines, design, logistic, metrics
from tactful_lab.slots.baselines import Scores
from tactful_lab.slots.bootstrap import Interval
from tactful_lab.slots.evaluate import Evaluation, compare, evaluate
from tactful_lab.slots.looks import Looks
from tactful_lab.slots.scores import model_scores
from tactful_lab.slots.settings import SlotSettings
from tactful_lab.slots.settings import load as load_settings
from tactful_lab.slots.task import SlotTask

TOPS = {"top 1 %": 0.01, "top 5 %": 0.05, "top 10 %": 0.10}
GLOBAL, HISTOGRAM, DAY_RATE = "global slot rate", "household histogram", "day rate × slot share"
CENTRAL = "centralised logistic"


@dataclass(slots=True)
class DecemberTable:
    """Rows in order of evaluation; ``ours`` is the federated model with the personal layer."""

    task: SlotTask
    epsilon: float
    trainer: str = "numpy"
    rows: list[Evaluation] = field(default_factory=list)
    precision: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, metrics.CalibrationCurve] = field(default_factory=dict)
    settings: SlotSettings = field(default_factory=load_settings)
    # A demonstration chooses nothing by what it sees; the benchmark counts its looks.
    looks: Looks = field(default_factory=lambda: Looks(None))

    @property
    def shared(self) -> str:
        """Name of the federated row without the personal layer."""
        # Eighty columns hold the short name of the trainer, the default's being left out.
        return f"federated, ε = {self.epsilon:g}{'' if self.trainer == 'numpy' else f', {self.trainer}'}"

    @property
    def ours(self) -> str:
        """Name of the federated row with the personal layer."""
        return f"{self.shared} + personal layer"

    def fill(self, alpha: NDArray[np.float64]) -> Iterator[Evaluation]:
        """Evaluate one method after the other."""
        yield self._add(GLOBAL, baselines.global_rate(self.task).scores("test"))
        yield self._add(HISTOGRAM, baselines.histogram(self.task, self.settings).scores("test"))
        yield self._add(DAY_RATE, baselines.day_rate_times_share(self.task, self.settings).scores("test"))
        yield self._add(CENTRAL, self._central())
        yield self._add(self.shared, model_scores(self.task, alpha, "test", personal=False))
        yield self._add(self.ours, model_scores(self.task, alpha, "test", personal=True))

    def _central(self) -> Scores:
        designs = design.replay(self.task)
        lightest = replace(self.settings, central_penalty=(min(self.settings.central_penalty),))
        fit = logistic.fit_central(designs["train"], designs["tune"], lightest)
        return design.to_dense(self.task, "test", logistic.row_scores(fit.theta, designs["test"]))

    def _add(self, name: str, scores: Scores) -> Evaluation:
        row = evaluate(self.task, "test", scores, name=name, settings=self.settings, looks=self.looks)
        labels, chosen = self._flat(scores)
        self.rows.append(row)
        self.precision[name] = {top: metrics.precision_at_top(labels, chosen, share) for top, share in TOPS.items()}
        self.curves[name] = metrics.calibration_curve(labels, chosen)
        return row

    def _flat(self, scores: Scores) -> tuple[NDArray[np.uint8], Scores]:
        rows = self.task.rows("test")
        return self.task.labels("test")[rows], scores[rows]

    def row(self, name: str) -> Evaluation:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def against(self, name: str) -> Interval:
        """Our log-loss minus another method's, paired by household; below 0: ours is better."""
        return compare(self.row(self.ours), self.row(name), self.settings)

    @property
    def base_rate(self) -> float:
        """Share of slots in which a basket starts."""
        rows = self.task.rows("test")
        return float(self.task.labels("test")[rows].mean())
