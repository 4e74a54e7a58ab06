"""One person's enrolment, as an app sees it: record, decide, report, explain, export, erase."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tactful import _deciding, _outcomes, _pushes, _recording, policy
from tactful._device_rights import OPT_OUTS, DeviceRights
from tactful._outcomes import OUTCOMES
from tactful.types import Candidate, Decision, DeviceView, WeekPlan

__all__ = ["OPT_OUTS", "OUTCOMES", "Device"]

T = TypeVar("T")


class Device(DeviceRights):
    """Made by `Host.device`; cheap, holds nothing but the host and the device's number."""

    __slots__ = ()

    # The hot path: stays quiet unless the host is strict

    def track(self, kind: str, *, at: datetime | None = None, key: str | None = None, **properties: Any) -> bool:
        """Record an event; once True is returned it survives the process being killed.

        Args:
            kind: see `tactful.events.ALLOWED`.
            at: when it happened; now by default. The future is refused.
            key: a name that makes recording idempotent.
            **properties: from the kind's allow-list.

        Returns:
            Whether the event is kept: False without consent to personalisation, or after an error (counted in the
            host's `status`).

        Raises:
            MalformedEvent, ClockProblem, VaultError: on a strict host only.
        """
        return self._quietly(lambda: _recording.track(self._host, self._id, kind, at, key, properties), lambda: False)

    def decide(
        self, candidates: Sequence[Candidate], *, now: datetime | None = None, seed: bytes | None = None
    ) -> Decision:
        """Decide whether to push one of the candidates now, later or not at all; the decision is logged before return.

        Args:
            candidates: what could be pushed.
            now: the host's clock by default.
            seed: of the draw; from the operating system by default. Given, it also fixes the decision's id.

        Returns:
            The decision; after an error a quiet one with the reason ``internal_error``, counted in the host's `status`.

        Raises:
            TactfulError: on a strict host only.
        """
        return self._quietly(
            lambda: _deciding.decide(self._host, self._id, candidates, now, seed), self._internal_error
        )

    def record_outcome(self, decision_id: str, outcome: str, *, at: datetime | None = None) -> bool:
        """Record what became of a push: delivered, dismissed, opened, converted or opted_out.

        Raises:
            UnknownDecision, InvalidInput: on a strict host only.
        """
        return self._quietly(
            lambda: _outcomes.record_outcome(self._host, self._id, decision_id, outcome, at), lambda: False
        )

    def _quietly(self, act: Callable[[], T], otherwise: Callable[[], T]) -> T:
        try:
            return act()
        except Exception as error:  # the app's own path must not break; strict hosts do raise
            self._host.forget(self._id)
            if self._host.strict:
                raise
            self._host.count_problem(error)
            return otherwise()

    def _internal_error(self) -> Decision:
        return _pushes.internal_error(self._host.now())

    # What the person says

    def feedback(self, decision_id: str, kind: str, reason: str | None = None) -> None:
        """Record what the person said of a push: complaint, less_like_this, too_often or wrong_time.

        Args:
            decision_id: of the decision that sent it.
            kind: see `tactful.types.FEEDBACK_KINDS`.
            reason: a code of the app, at most 64 characters; not free text.

        Raises:
            UnknownDecision, InvalidInput: an argument is unfit.
        """
        _outcomes.feedback(self._host, self._id, decision_id, kind, reason)

    # Looking

    def explain(self, decision_id: str) -> dict[str, Any]:
        """Return a decision with its reasons, in words (``text["en"]``, ``text["zh"]``), and what became of it.

        Raises:
            UnknownDecision: it is not stored here.
        """
        return _deciding.explain(self._host, self._id, decision_id)

    def next_best_time(self, candidates: Sequence[Candidate] = (), *, now: datetime | None = None) -> datetime | None:
        """Return the start of the best slot of the coming week, None where there is none."""
        return policy.next_best_time(self.view(now=now), candidates)

    def weekly_budget(self, *, now: datetime | None = None) -> int:
        """Return how many promotional pushes a week are planned for this device."""
        return policy.weekly_budget(self.view(now=now))

    def week_plan(self, candidates: Sequence[Candidate] = (), *, now: datetime | None = None) -> WeekPlan:
        """Return the coming seven days: the weekly budget, and what a push in each slot is worth."""
        return policy.week_plan(self.view(now=now), candidates)

    def view(self, *, now: datetime | None = None) -> DeviceView:
        """Return everything that a decision at ``now`` would depend on; it is for this host's own eyes."""
        return _deciding.ready(self._host, self._id, now or self._host.now())[1]

    def profile(self) -> dict[str, Any]:
        """Return what the device holds as conclusions: interests, usual slots, the personal layer."""
        return _deciding.profile(self._host, self._id)

    def status(self) -> dict[str, Any]:
        """Return counts: events, clock problems, pushes in 30 days, consents, opt-outs."""
        state, view = _deciding.ready(self._host, self._id, self._host.now())
        return {
            "events": state.history.events,
            "clock_moved_back": state.history.clock_back,
            "pushes_30d": len(view.pushes),
            "consents": sorted(state.granted),
            "opted_out": sorted(kind for kind, out in state.opt_outs.items() if out),
            "timezone": state.profile.timezone,
            "model_version": self._host.model.version,
        }
