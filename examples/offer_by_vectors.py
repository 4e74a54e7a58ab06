"""What to offer, chosen on the device: the shop's item vectors are public, the person's vector stays where it is made.

The vectors here are made up; docs/case-studies.md says how a shop computes them under differential privacy.
Runs in a temporary folder, without a network.
"""

import math
import tempfile
from pathlib import Path

from tactful import Candidate, Host

# What the shop publishes: a vector for each category, the same file for everybody.
VECTORS = {
    "running shoes": (0.9, 0.1, 0.0),
    "sports socks": (0.8, 0.2, 0.1),
    "evening dresses": (0.0, 0.9, 0.2),
    "lipstick": (0.1, 0.8, 0.3),
    "garden tools": (0.1, 0.0, 0.9),
}


def person_vector(interests: dict[str, float]) -> list[float]:
    """Item vectors weighted by the device's own interests: made on the device, neither sent nor stored."""
    known = {category: weight for category, weight in interests.items() if category in VECTORS}
    total = sum(known.values()) or 1.0
    return [sum(known[c] * VECTORS[c][i] for c in known) / total for i in range(3)]


def fit(vector: list[float], category: str) -> float:
    """Cosine of a person and a category."""
    item = VECTORS[category]
    length = math.hypot(*vector) * math.hypot(*item)
    return sum(x * y for x, y in zip(vector, item, strict=True)) / length if length else 0.0


def main() -> None:
    """Browse three times, let the device choose among five offers, and read the decision in two languages."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Host.open(Path(folder) / "vaults.db", keys=f"file:{folder}/host.key") as host,
    ):
        device = host.device("user-4711")
        device.set_consent("on_device_personalisation", granted=True, policy_version="2026-11")
        device.set_consent("marketing_push", granted=True, policy_version="2026-11")
        for category in ("running shoes", "running shoes", "sports socks"):
            assert device.track("browse", category=category, dwell_s=40)

        vector = person_vector(dict(device.view().interests))
        offers = sorted(VECTORS, key=lambda category: -fit(vector, category))[:2]
        assert offers == ["running shoes", "sports socks"]
        print("offers:", ", ".join(f"{category} ({fit(vector, category):.2f})" for category in offers))

        # The vectors go along: the device keeps offers apart that are too much alike, and alike to the last pushes.
        candidates = [Candidate(id=f"offer-{c}", category=c, value_minor=900, embedding=VECTORS[c]) for c in offers]
        decision = device.decide(candidates)
        assert decision.candidate is None or decision.candidate.category in offers
        print(f"{decision.action}: {decision.text('en')}")
        print(decision.text("zh"))
        assert str(vector) not in str(device.export())


if __name__ == "__main__":
    main()
