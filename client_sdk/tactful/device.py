"""One person's enrolment, as an app sees it: record, decide, report, explain, export, erase."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from tactful import _erasure, _export, _feedback, _pushes, budget, links, policy
from tactful._checks import candidates_of, decision_name
from tactful._state import DeviceState, feedback_to_dict, push_to_dict
from tactful.budget import PrivacyBudget
from tactful.clock import to_ms, zone
from tactful.consent import consent
from tactful.errors import InvalidInput, MalformedEvent, UnknownDecision
from tactful.events import ACTIVITY_KINDS, CLOCK_TOLERANCE_MS, PUSH_KINDS, Event, StoredEvent, is_text, store
from tactful.links import Link
from tactful.pacing import after_send
from tactful.receipts import ErasureReceipt
from tactful.types import Candidate, Decision, DeviceView, WeekPlan
from tactful.vault import NewRow

if TYPE_CHECKING:
    from tactful.host import Host

T = TypeVar("T")
OUTCOMES = ("delivered", "dismissed", "opened", "converted", "opted_out")
"""What may become of a push, the furthest last."""
OPT_OUTS = ("promotional", "transactional")
PERSONAL = "on_device_personalisation"


class Device:
    """Made by `Host.device`; cheap, holds nothing but the host and the device's number."""

    __slots__ = ("_host", "_id")

    def __init__(self, host: "Host", device: int) -> None:
        self._host = host
        self._id = device

    @property
    def id(self) -> int:
        """The number by which the vault knows the device."""
        return self._id

    @property
    def user_id(self) -> str:
        """The app's name for the person."""
        return self._state.profile.user_id

    @property
    def timezone(self) -> str:
        """IANA name of where the person is."""
        return self._state.profile.timezone

    @property
    def consents(self) -> frozenset[str]:
        """The purposes granted now."""
        return self._state.granted

    @property
    def _state(self) -> DeviceState:
        return self._host.state(self._id)

    def _write(self, *rows: tuple[str, Any, str | None]) -> None:
        self._host.vault.write([self._row(*row) for row in rows])

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
        return self._quietly(lambda: self._track(kind, at, key, properties), lambda: False)

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
        return self._quietly(lambda: self._decide(candidates, now, seed), self._internal_error)

    def record_outcome(self, decision_id: str, outcome: str, *, at: datetime | None = None) -> bool:
        """Record what became of a push: delivered, dismissed, opened, converted or opted_out.

        Raises:
            UnknownDecision, InvalidInput: on a strict host only.
        """
        return self._quietly(lambda: self._record_outcome(decision_id, outcome, at), lambda: False)

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

    # Recording

    def _track(self, kind: str, at: datetime | None, key: str | None, properties: dict[str, Any]) -> bool:
        state, now = self._state, self._host.now()
        profile = state.profile
        event = store(Event(kind, at or now, properties, key), now=now, timezone=profile.timezone, salt=profile.salt)
        if at is None and event.at_ms < state.history.latest_ms - CLOCK_TOLERANCE_MS:
            event = replace(event, clock_back=True)
        if key is not None and not is_text(key, 200):
            raise MalformedEvent("must be text of 1 to 200 characters", field="key", remedy="give the app's own id")
        if key is not None and self._host.vault.has(self._id, "event", key):
            return True
        if kind == "opt_out":
            self.opt_out(str(properties.get("kind", "promotional")))
        if kind == "push_sent":
            self._note_push(state, event)
        if PERSONAL not in state.granted:
            return False
        self._add_event(state, event, key)
        return True

    def _add_event(self, state: DeviceState, event: StoredEvent, key: str | None = None) -> None:
        [row] = self._host.vault.write([NewRow(self._id, "event", event.to_bytes(), key)])
        if event.kind in ACTIVITY_KINDS:
            self._host.activity_writes += 1
        if state.history.is_late(event):
            self._host.forget(self._id)
            return
        state.history.add(row, event)
        if "category" in event.properties:
            state.forget_interests()

    def _note_push(self, state: DeviceState, event: StoredEvent) -> None:
        known = event.properties.get("decision_id")
        if known in state.pushes:
            return
        name = str(known or "app-" + secrets.token_hex(8))
        push = _pushes.of_event(event)
        self._write(("push", {**push_to_dict(push), "decision_id": name}, name))
        state.pushes[name] = push

    # Deciding

    def _ready(self, now: datetime) -> tuple[DeviceState, DeviceView]:
        host, state = self._host, self._state
        since, now_ms = state.history.features.next_day, to_ms(now, "now")
        if state.roll(now_ms, host.model):
            host.save_snapshot(state)
            for decision_id in _pushes.unanswered(state, since):
                self._learn(state, decision_id, engaged=False)
            state.roll(now_ms, host.model)
        return state, state.view(now, host.model, host.settings, host.fleet_price_minor)

    def _decide(self, candidates: Sequence[Candidate], now: datetime | None, seed: bytes | None) -> Decision:
        moment = self._host.now() if now is None else now
        offers = candidates_of(candidates, moment, seed)
        state, view = self._ready(moment)
        chance = secrets.token_bytes(16) if seed is None else seed
        name = secrets.token_bytes(8) if seed is None else _pushes.decision_id(state.profile.salt, seed, moment)
        decision = policy.decide(view, offers, decision_id="d-" + name.hex(), seed=chance)
        self._log(state, view, decision, chance)
        return decision

    def _log(self, state: DeviceState, view: DeviceView, decision: Decision, seed: bytes) -> None:
        rows: list[NewRow] = []
        if view.personalised:
            logged = f'{{"seed":"{seed.hex()}","decision":{decision.to_json()}}}'.encode()
            rows.append(NewRow(self._id, "decision", logged, decision.id))
        if decision.action == "send" and decision.candidate is not None:
            push, week = _pushes.of_decision(decision, view), state.week
            if push.kind == "promotional":
                today = decision.created_at.astimezone(zone(view.timezone)).date()
                week = after_send(week, today, decision.weekly_budget or 0, view.settings)
            rows.append(self._row("push", {**push_to_dict(push), "decision_id": decision.id}, decision.id))
            rows.append(self._row("pacing", [week.week_start.isoformat(), week.sent, week.price_minor], ""))
            self._host.vault.write(rows)
            state.pushes[decision.id], state.week = push, week
        elif rows:
            self._host.vault.write(rows)

    def _row(self, kind: str, plain: Any, name: str | None) -> NewRow:
        return NewRow(self._id, kind, json.dumps(plain).encode(), name)

    def _record_outcome(self, decision_id: str, outcome: str, at: datetime | None) -> bool:
        if outcome not in OUTCOMES:
            remedy = f"use one of {', '.join(OUTCOMES)}"
            raise InvalidInput(f"unknown outcome {outcome!r}", field="outcome", remedy=remedy)
        state, now = self._state, self._host.now()
        push = state.pushes.get(decision_name(decision_id))
        if push is None:
            if self._host.vault.has(self._id, "decision", decision_id):
                return False  # decided, but not to send: nothing can have become of it
            message = "no push of that decision is stored on this device"
            raise UnknownDecision(message, field="decision_id", remedy="give the id of a decision made here")
        if OUTCOMES.index(outcome) > (OUTCOMES.index(push.outcome) if push.outcome else -1):
            answers = push.outcome in ("", "delivered") and outcome != "delivered"
            first_answer = answers and push.kind == "promotional" and not _pushes.settled(state, push)
            push = replace(push, outcome=outcome)
            self._write(("push", {**push_to_dict(push), "decision_id": decision_id}, decision_id))
            state.pushes[decision_id] = push
            if first_answer and PERSONAL in state.granted:
                self._learn(state, decision_id, outcome in ("opened", "converted"))
        if outcome == "opted_out":
            self.opt_out("promotional")
        elif PERSONAL in state.granted and f"push_{outcome}" in PUSH_KINDS:
            properties = {"decision_id": decision_id, **({"category": push.category} if push.category else {})}
            event = Event(f"push_{outcome}", at or now, properties)
            self._add_event(state, store(event, now=now, timezone=self.timezone, salt=state.profile.salt))
        return True

    def _learn(self, state: DeviceState, decision_id: str, engaged: bool) -> None:
        if _pushes.learn(state, self._find(decision_id), engaged):
            self._host.save_snapshot(state)

    # What the person says

    def set_consent(self, purpose: str, *, granted: bool, policy_version: str, policy_text: str | None = None) -> None:
        """Record a statement of consent. Withdrawing stops recording and use at once; `erase` deletes.

        Raises:
            UnknownPurpose, InvalidInput: an argument is unfit.
        """
        state = self._state
        statement = consent(purpose, granted, policy_version, to_ms(self._host.now()), policy_text)
        rows = [("consent", statement.to_dict(), None)]
        if purpose == "marketing_push" and granted and state.opt_outs.get("promotional"):
            rows.append(("opt_out", {"kind": "promotional", "at_ms": statement.at_ms, "out": False}, None))
        self._write(*rows)
        state.agree(statement)

    def opt_out(self, kind: str = "promotional") -> None:
        """Stop pushes of a kind ("promotional" or "transactional") from now on."""
        if kind not in OPT_OUTS:
            raise InvalidInput(f"unknown kind {kind!r}", field="kind", remedy=f"use one of {', '.join(OPT_OUTS)}")
        state = self._state
        self._write(("opt_out", {"kind": kind, "at_ms": to_ms(self._host.now()), "out": True}, None))
        state.opt_outs[kind] = True

    def feedback(self, decision_id: str, kind: str, reason: str | None = None) -> None:
        """Record what the person said of a push: complaint, less_like_this, too_often or wrong_time.

        Args:
            decision_id: of the decision that sent it.
            kind: see `tactful.types.FEEDBACK_KINDS`.
            reason: a code of the app, at most 64 characters; not free text.

        Raises:
            UnknownDecision, InvalidInput: an argument is unfit.
        """
        state = self._state
        record = _feedback.record(state, self._find(decision_id), decision_id, kind, reason, self._host.now())
        self._write(("feedback", feedback_to_dict(record), None))
        state.feedback.append(record)

    def set_timezone(self, timezone: str) -> None:
        """Say where the person is now; raises `UnknownTimeZone`."""
        zone(timezone)
        profile = replace(self._state.profile, timezone=timezone)
        self._host.vault.write([NewRow(self._id, "profile", profile.to_bytes(), "")])
        self._host.forget(self._id)

    # Looking

    def _find(self, decision_id: str) -> Decision | None:
        row = self._host.vault.read_named(self._id, "decision", decision_id)
        return None if row is None else Decision.from_json(json.dumps(json.loads(row.data)["decision"]))

    def explain(self, decision_id: str) -> dict[str, Any]:
        """Return a decision with its reasons, in words (``text["en"]``, ``text["zh"]``), and what became of it.

        Raises:
            UnknownDecision: it is not stored here.
        """
        decision = self._find(decision_id)
        if decision is None:
            message = "no decision of that id is stored on this device"
            raise UnknownDecision(message, field="decision_id", remedy="decisions are logged with personalisation only")
        push = self._state.pushes.get(decision_id)
        text = {lang: decision.text(lang) for lang in ("en", "zh")}
        return {"decision": decision.to_dict(), "text": text, "outcome": push.outcome if push else ""}

    def next_best_time(self, candidates: Sequence[Candidate] = (), *, now: datetime | None = None) -> datetime | None:
        """Return the start of the best slot of the coming week, None where there is none."""
        return policy.next_best_time(self._ready(now or self._host.now())[1], candidates)

    def weekly_budget(self, *, now: datetime | None = None) -> int:
        """Return how many promotional pushes a week are planned for this device."""
        return policy.weekly_budget(self._ready(now or self._host.now())[1])

    def week_plan(self, candidates: Sequence[Candidate] = (), *, now: datetime | None = None) -> WeekPlan:
        """Return the coming seven days: the weekly budget, and what a push in each slot is worth."""
        return policy.week_plan(self._ready(now or self._host.now())[1], candidates)

    def view(self, *, now: datetime | None = None) -> DeviceView:
        """Return everything that a decision at ``now`` would depend on; it is for this host's own eyes."""
        return self._ready(now or self._host.now())[1]

    def profile(self) -> dict[str, Any]:
        """Return what the device holds as conclusions: interests, usual slots, the personal layer."""
        state, _ = self._ready(self._host.now())
        return _export.profile(state, to_ms(self._host.now()))

    def privacy_budget(self) -> PrivacyBudget:
        """Return what was spent, earlier enrolments included, and what may be spent."""
        return budget.of_device(self._host, self._id)

    def set_privacy_budget(self, epsilon: float, delta: float) -> None:
        """Lower the most that this device may spend; raises `InvalidInput` above what it is now."""
        budget.lower(self._host, self._id, epsilon, delta)

    def renew_budget(
        self, epsilon: float, delta: float, *, policy_version: str, rounds: int | None = None
    ) -> PrivacyBudget:
        """Begin the next period of the budget, on a consent to ``federated_learning`` newer than the present period.

        What was spent before stays in ``epsilon_total``. ``policy_version`` is of the text that named the new budget
        and was consented to; after ``rounds`` participations the period is over, whatever is left.

        Raises:
            RenewalRefused, InvalidInput, VaultRolledBack: see `tactful.budget.renew`.
        """
        return budget.renew(self._host, self._id, epsilon, delta, policy_version=policy_version, rounds=rounds)

    def link(self, share: Fraction, peer_key: bytes) -> bytes:
        """Give a part of the ceiling to the person's device on another host; return the signed grant to take there.

        Raises:
            LinkRefused: the part is more than this device has left.
        """
        return links.give(self._host, self._id, share, peer_key)

    def accept_link(self, token: bytes, peer_key: bytes) -> Fraction:
        """Take the part that a linked device granted and return this device's share; raises `LinkRefused`."""
        return links.accept(self._host, self._id, token, peer_key)

    def unlink(self, link_id: str) -> bytes:
        """End a link that this device received; return the signed return of what is left of its part."""
        return links.end(self._host, self._id, link_id)

    def accept_unlink(self, token: bytes, peer_key: bytes) -> Fraction:
        """Take back what a linked device returned and return this device's share; raises `LinkRefused`."""
        return links.take_back(self._host, self._id, token, peer_key)

    def links(self) -> list[Link]:
        """Return the links that this device gave and received."""
        return links.of_device(self._host, self._id)

    def status(self) -> dict[str, Any]:
        """Return counts: events, clock problems, pushes in 30 days, consents, opt-outs."""
        state, view = self._ready(self._host.now())
        return {
            "events": state.history.events,
            "clock_moved_back": state.history.clock_back,
            "pushes_30d": len(view.pushes),
            "consents": sorted(state.granted),
            "opted_out": sorted(kind for kind, out in state.opt_outs.items() if out),
            "timezone": state.profile.timezone,
            "model_version": self._host.model.version,
        }

    # Rights

    def export(self) -> dict[str, Any]:
        """Return everything held about the person as plain JSON values; see `tactful._export`."""
        return _export.export(self._host, self._state, self.privacy_budget().to_dict(), self.profile())

    def erase(self) -> ErasureReceipt:
        """Delete everything held about the person, destroy their key, and return a signed receipt.

        Later calls on this device raise `UnknownDevice`; enrolled again, the person goes on from the budget spent.
        """
        return _erasure.erase(self._host, self._id)
