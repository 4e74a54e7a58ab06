"""A decision is logged before it is returned, outcomes and feedback find it again, and the hot path stays quiet."""

import json
from datetime import timedelta

import pytest

from tactful import Candidate, Decision, InvalidInput, UnknownDecision
from tactful.settings import PolicySettings
from tactful.testing import FrozenClock, memory_host

from .vault_world import NOON, look, open_host, person

SHOES = Candidate(id="c1", category="shoes", value_minor=1200)
ORDER = Candidate(id="o1", category="orders", kind="transactional")
QUIET_POLICY = PolicySettings(exploration=False, never_push_fraction=0, micro_randomised_fraction=0)


def sent(device):
    """A promotional push that the device decided to send; by rules, since chance would need luck."""
    device.set_consent("on_device_personalisation", granted=False, policy_version="2")
    decision = device.decide([SHOES], now=NOON)
    device.set_consent("on_device_personalisation", granted=True, policy_version="3")
    assert decision.action == "send"
    return decision


def test_logged_before_it_is_returned(tmp_path):
    """A decision reads back from the vault exactly as it was returned, in another process as well."""
    with open_host(tmp_path) as host:
        decision = person(host).decide([SHOES])
    with open_host(tmp_path) as host:
        device = host.find("ada")
        told = device.explain(decision.id)
        assert Decision.from_json(json.dumps(told["decision"])) == decision
        assert told["text"] == {"en": decision.text("en"), "zh": decision.text("zh")}
        assert [plain["id"] for plain in device.export()["decisions"]] == [decision.id]


def test_a_seed_fixes_the_decision(tmp_path):
    """The same state, time and seed give the same decision, its id included."""
    with open_host(tmp_path, settings=QUIET_POLICY) as host:
        device = person(host)
        late = NOON + timedelta(hours=11)  # quiet hours: nothing is sent, so the state stays
        first, second = (device.decide([SHOES], now=late, seed=b"s") for _ in range(2))
        assert first.to_json() == second.to_json()
        assert device.decide([SHOES]).id != device.decide([SHOES]).id


def test_a_push_counts_against_the_caps_at_once(tmp_path):
    """After a send the minimum gap holds, also for a process that was started afterwards."""
    with open_host(tmp_path) as host:
        device = person(host, purposes=("marketing_push",))
        assert device.decide([SHOES]).action == "send"
        other = Candidate(id="c2", category="boots")
        assert device.decide([other]).action != "send"
    with open_host(tmp_path) as host:
        decision = host.find("ada").decide([other])
        assert decision.action != "send"
        assert decision.reasons[0].code == "minimum_gap"
        assert host.find("ada").view().week.sent == 1


def test_pushes_sent_by_the_app_count_too(tmp_path):
    """A push_sent event of the app's own counts against caps once, with or without personalisation."""
    with open_host(tmp_path) as host:
        device = person(host, purposes=("marketing_push",))
        device.track("push_sent", category="shoes", candidate_id="c9")
        assert device.decide([SHOES]).reasons[0].code == "minimum_gap"
        assert device.status()["pushes_30d"] == 1
    with open_host(tmp_path) as host:
        device = person(host, "ben", purposes=("marketing_push",))
        decision = device.decide([SHOES])
        device.track("push_sent", decision_id=decision.id)
        assert device.status()["pushes_30d"] == 1


def test_transactional_pushes_have_their_own_opt_out(tmp_path):
    """They leave whatever the consents, until their own opt-out, and take no promotional allowance."""
    with open_host(tmp_path) as host:
        device = host.device("ada")
        assert device.decide([ORDER]).action == "send"
        assert device.view().week.sent == 0
        device.opt_out("transactional")
        assert device.decide([ORDER]).reasons[0].code == "transactional_opted_out"
        with pytest.raises(InvalidInput, match="promotional, transactional"):
            device.opt_out("all")


def test_outcomes_only_move_forward(tmp_path):
    """The furthest outcome stays, each report is an event, and an opt-out ends promotional pushes."""
    with open_host(tmp_path) as host:
        device = person(host)
        decision = sent(device)
        for outcome in ("delivered", "opened", "delivered"):
            assert device.record_outcome(decision.id, outcome)
        assert device.export()["pushes"][0]["outcome"] == "opened"
        assert [e["kind"] for e in device.export()["events"]] == ["push_delivered", "push_opened", "push_delivered"]
        device.record_outcome(decision.id, "opted_out")
        assert device.decide([SHOES]).reasons[0].code == "opted_out"


def test_unknown_decisions_and_outcomes(tmp_path):
    """A decision that was never made is named; one that sent nothing has no outcome; odd outcomes are refused."""
    with open_host(tmp_path) as host:
        device = person(host)
        for act in (
            lambda: device.record_outcome("d-none", "opened"),
            lambda: device.feedback("d-none", "complaint"),
            lambda: device.explain("d-none"),
        ):
            with pytest.raises(UnknownDecision, match="decision"):
                act()
        device.opt_out()
        assert not device.record_outcome(device.decide([SHOES]).id, "opened")
        with pytest.raises(InvalidInput, match="delivered"):
            device.record_outcome("d-none", "liked")


def test_feedback_is_kept_and_obeyed(tmp_path):
    """A complaint silences its candidate for good; reasons are codes, never text."""
    clock = FrozenClock(NOON)
    with open_host(tmp_path, clock=clock) as host:
        device = person(host)
        decision = sent(device)
        device.feedback(decision.id, "complaint", "irrelevant")
        for kind, reason in (("complaint", "I hate this"), ("anger", None)):
            with pytest.raises(InvalidInput):
                device.feedback(decision.id, kind, reason)
        clock.advance(days=20)
    with open_host(tmp_path, clock=clock) as host:
        device = host.find("ada")
        assert [(f["kind"], f["candidate_id"]) for f in device.export()["feedback"]] == [("complaint", "c1")]
        assert device.decide([SHOES]).reasons[0].code == "complaint"


def test_the_hot_path_stays_quiet_unless_strict(tmp_path):
    """An error in deciding is a quiet decision and a count; a strict host raises it."""
    with open_host(tmp_path, strict=False) as host:
        device = person(host)
        decision = device.decide(["no candidate"])
        assert (decision.action, decision.reasons[0].code) == ("quiet", "internal_error")
        assert decision.text("en")
        assert not device.record_outcome("d-none", "opened")
        assert host.status()["problems"] == {"InvalidInput": 1, "UnknownDecision": 1}
        host.strict = True
        with pytest.raises(InvalidInput, match="candidates"):
            device.decide(["no candidate"])


def test_export_is_everything_and_portable(tmp_path):
    """The export is plain JSON and holds each part of what was stored."""
    with open_host(tmp_path) as host:
        device = person(host)
        device.track("purchase", category="shoes", value_minor=1999)
        decision = device.decide([SHOES])
        device.set_privacy_budget(1.0, 1e-6)
        plain = json.loads(json.dumps(device.export()))
        assert plain["user_id"] == "ada"
        assert plain["events"][0]["properties"] == {"category": "shoes", "value_minor": 1999}
        assert set(plain["explanations"][decision.id]) == {"en", "zh"}
        assert plain["privacy_budget"]["epsilon_ceiling"] == 1.0
        assert plain["profile"]["interests"]["shoes"] > 0.5
        kinds = {row[0] for row in look(tmp_path, "SELECT DISTINCT kind FROM rows")}
        assert kinds <= {"profile", "consent", "event", "decision", "push", "pacing", "budget", "snapshot", "opt_out"}


def test_week_plan_and_best_time(tmp_path):
    """The week's plan lies in the coming week, in the person's own zone, within the weekly budget."""
    with open_host(tmp_path) as host:
        host.device("ada", timezone="Asia/Shanghai")
        device = person(host)
        for back in range(1, 60):
            device.track("purchase", at=NOON - timedelta(days=back, hours=2))
        plan = device.week_plan([SHOES])
        assert 0 < len(plan.chosen) <= plan.budget
        assert all(NOON - timedelta(hours=2) <= slot.at <= NOON + timedelta(days=8) for slot in plan.slots)
        best = device.next_best_time([SHOES])
        assert best is None or best in [slot.at for slot in plan.slots]


def test_a_vault_in_memory_needs_no_file():
    """The fake host of `tactful.testing` is the real one on a vault in memory."""
    with memory_host(clock=FrozenClock(NOON)) as host:
        assert person(host).track("browse")
        assert host.check() > 0
