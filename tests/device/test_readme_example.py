"""The example of the README, word for word."""

from tactful import Candidate, Host


def test_the_example_runs_as_printed(tmp_path, monkeypatch):
    """Open, consent, track, decide, record the outcome, give feedback: nothing else is needed."""
    monkeypatch.chdir(tmp_path)
    with Host.open("vaults.db", keys="file:host.key") as host:
        device = host.device("user-4711")
        device.set_consent("on_device_personalisation", granted=True, policy_version="2026-11")
        device.set_consent("marketing_push", granted=True, policy_version="2026-11")
        device.track("browse", category="shoes", dwell_s=34)
        decision = device.decide([Candidate(id="c1", category="shoes", value_minor=1200, ttl_s=86_400)])
        assert decision.action in ("send", "wait", "quiet")
        assert decision.candidate is None or decision.candidate.id == "c1"
        assert (decision.at is None) == (decision.action == "quiet")
        assert 0 < decision.propensity <= 1
        assert decision.reasons
        assert decision.text("zh")
        device.record_outcome(decision.id, "opened")
        device.feedback(decision.id, "less_like_this")
        assert host.status()["problems"] == {}
