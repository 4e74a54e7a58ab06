"""One decision on a device: record an event, ask before a push, report what became of it.

Runs in a temporary folder, without a network. The data stay with whoever runs the host: on a phone with its owner,
in an app backend with that backend, which can decrypt them.
"""

import tempfile
from pathlib import Path

from tactful import Candidate, Host


def main() -> None:
    """Decide once with consent and once without, and look at what the device kept."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Host.open(Path(folder) / "vaults.db", keys=f"file:{folder}/host.key") as host,
    ):
        shoes = Candidate(id="c1", category="shoes", value_minor=1200, ttl_s=86_400)

        stranger = host.device("user-1")  # default deny: no consent was given
        refused = stranger.decide([shoes])
        assert refused.action == "quiet"
        assert refused.candidate is None
        print("without consent:", refused.text("en"))

        device = host.device("user-4711")
        device.set_consent("on_device_personalisation", granted=True, policy_version="2026-11")
        device.set_consent("marketing_push", granted=True, policy_version="2026-11")
        assert device.track("browse", category="shoes", dwell_s=34)
        decision = device.decide([shoes])
        assert decision.action in ("send", "wait", "quiet")
        assert 0 < decision.propensity <= 1
        assert decision.reasons
        print(f"with consent: {decision.action}. {decision.text('en')}")
        print(decision.text("zh"))

        device.feedback(decision.id, "less_like_this")
        assert device.export()  # everything that is held about the person, as plain JSON
        receipt = device.erase()
        print("erased:", receipt.rows, "rows;", receipt.cannot_undo)


if __name__ == "__main__":
    main()
