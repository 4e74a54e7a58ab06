"""The strong baseline: one central logistic of "this push is opened within a day", and each person's best k a week.

Everything is pooled in the clear. Each Monday the model is fitted anew to all pushes whose outcome is known. It scores
the openings of the day; a person's next push goes to the day's best slot, as soon as the last one is ``pace`` times 7/k
days ago, and to a message with a reason of the person's own at once, if it scores above that slot and the last push is
``gap_days`` ago. No more than k pushes are sent to a person in any seven days.

The model has no term for fatigue and none for opt-out: that is what the comparison is about. Its pace was tuned all the
same, and a pace above 1 spares people what a term would have spared them: with k = 7 it doubled the days between pushes
without a reason.

Until the first fit the scores are the person's own slot rates, as a histogram's, and a few pushes go out at a random
slot of the day, so that the model has something to learn from.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from tactful.features import NAMES
from tactful_lab.contacts.baselines import fit_logistic
from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.people import Bools, Floats
from tactful_lab.worlds.push_log import COLUMNS, Habits, PushLog, rows_of
from tactful_lab.worlds.seen import Observed, View
from tactful_privacy.validate import at_least

WEEK_STEPS = 7 * N_SLOTS
_SLOT_RATE = NAMES.index("slot_rate_120d")
_REASON = COLUMNS - 2


@dataclass(frozen=True, slots=True)
class LogisticSettings:
    """Chosen on tuning seeds in the main world.

    Attributes:
        penalty: Ridge: ½·penalty·‖θ‖² beside the summed log-loss.
        gap_days: A message with a reason of its own waits until the last push is this many days ago.
        pace: Least time between pushes without a reason, in units of 7/k days.
        explored: Share of the days on which, before the first fit, the slot is drawn at random.
        keep: Most pushes that a fit uses, the latest.
        least_rows: No fit before so many pushes are known.
    """

    penalty: float = 10.0
    gap_days: float = 1.0
    pace: float = 1.0
    explored: float = 0.2
    keep: int = 400_000
    least_rows: int = 500


THREE = LogisticSettings(gap_days=2 / N_SLOTS, pace=1.3)
DAILY = LogisticSettings(gap_days=1 / N_SLOTS)
PACED = LogisticSettings(gap_days=1 / N_SLOTS, pace=1.3)
"""The best of the tuning: it doubles the days between pushes without a reason, and so holds back as fatigue would."""


class GlobalLogistic:
    """Each person's k best openings a week by one logistic for all."""

    def __init__(self, n: int, per_week: int, seed: int, settings: LogisticSettings | None = None) -> None:
        at_least(1, n=n, per_week=per_week)
        self.name = f"global logistic, {per_week} a week"
        self._n, self._k, self._settings = n, per_week, settings or LogisticSettings()
        self._random = np.random.default_rng(seed)
        self._habits: Habits | None = None
        self._log = PushLog(self._settings.keep)
        self.theta = np.zeros(COLUMNS)
        self.theta[[_SLOT_RATE, _REASON]] = 1.0, 10.0  # before the first fit: usual slots, and every own reason
        self.fitted = False
        self._recent = np.full((per_week, n), -10 * WEEK_STEPS, np.int64)  # steps of the last k pushes, latest first
        self._scores = np.zeros((0, N_SLOTS), np.float32)
        self._best = np.zeros(0, np.intp)

    def decide(self, view: View) -> Bools:
        """Those whose best opening is now."""
        habits = self._known(view)
        if view.slot == 0:
            self._plan(view, habits)
        who = habits.who
        since = view.step - self._recent[0, who]
        allowed = view.reachable[who] & (view.step - self._recent[-1, who] >= WEEK_STEPS)
        due = (since >= self._settings.pace * WEEK_STEPS / self._k) & (self._best == view.slot)
        worth = self._scores[:, view.slot] + self.theta[_REASON] > self._scores.max(axis=1)
        reason = view.contextual[who] & worth & (since >= self._settings.gap_days * N_SLOTS)
        send = np.zeros(self._n, np.bool_)
        send[who] = allowed & (due | reason)
        self._note(view, habits, send)
        return send

    def learn(self, view: View, send: Bools, observed: Observed) -> None:  # noqa: ARG002 (a Policy)
        """Keep sessions and opens; fit anew on the last slot of a week."""
        self._known(view).learn(view, observed)
        self._log.observe(observed)
        if view.step % WEEK_STEPS == WEEK_STEPS - 1:
            x, opened = self._log.rows(view.step)
            if len(opened) >= self._settings.least_rows:
                self.theta, self.fitted = fit_logistic(x.astype(np.float64), opened, self._settings.penalty), True

    def open_probability(self, phi: Floats, contextual: Bools, promotion: bool) -> Floats:
        """Fitted chance (m,) that pushes with these features are opened within a day."""
        chance: Floats = expit(rows_of(phi, contextual, promotion) @ self.theta.astype(np.float32))
        return chance

    def _known(self, view: View) -> Habits:
        if self._habits is None:
            self._habits = Habits(view.reachable)
        return self._habits

    def _plan(self, view: View, habits: Habits) -> None:
        """Score the day's slots, and choose each person's best."""
        self._scores = habits.phi(view) @ self.theta[:_REASON].astype(np.float32)
        self._best = self._scores.argmax(axis=1)
        if not self.fitted:
            strays = self._random.random(len(habits.who)) < self._settings.explored
            self._best[strays] = self._random.integers(0, N_SLOTS, int(strays.sum()))

    def _note(self, view: View, habits: Habits, send: Bools) -> None:
        at = np.flatnonzero(send[habits.who])
        sent = habits.who[at]
        if len(sent):
            phi = habits.phi(view)[at, view.slot]
            self._log.add(view.step, sent, rows_of(phi, view.contextual[sent], view.promotion))
            self._recent[1:, sent] = self._recent[:-1, sent]
            self._recent[0, sent] = view.step
