"""The last step of a case: public item vectors go to the device, the person's vector is made there and stays."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tactful import Candidate, Host
from tactful.testing import FrozenClock
from tactful_lab.cases.recommend import Floats

NOW = datetime(2017, 11, 6, 23, 5, tzinfo=UTC)
"""Five past six in the evening, local time, on the first of the held-out days."""
ZONE = "America/New_York"
OFFERS = 3


@dataclass(frozen=True, slots=True)
class Bought:
    """Something that the person bought, so many days before `NOW`."""

    item: str
    days_ago: int


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it: the offers with their fit to the person's vector, and the decision in two languages."""

    offers: tuple[tuple[str, float], ...]
    interests: dict[str, float]
    action: str
    chosen: str | None
    basis: str
    en: str
    zh: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        offers = [{"item": item, "fit": fit} for item, fit in self.offers]
        texts = {"en": self.en, "zh": self.zh}
        return {"offers": offers, "action": self.action, "chosen": self.chosen, "basis": self.basis, "text": texts}


def decide(items: Sequence[str], vectors: Floats, history: Sequence[Bought], value_minor: float = 0.0) -> Told:
    """Let one device decide about the offers that fit its person best.

    Args:
        items: Names, which are the categories of the events and of the candidates.
        vectors: The shop's public item vectors, (m, d).
        history: What the person bought; it goes into the vault and nowhere else.
        value_minor: What an engagement is worth; 0: not stated, the settings' reference value is used.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Host.open(
            Path(folder) / "vaults.db", keys=f"file:{folder}/host.key", clock=FrozenClock(NOW), timezone=ZONE
        ) as host,
    ):
        device = host.device("household")
        for purpose in ("on_device_personalisation", "marketing_push"):
            device.set_consent(purpose, granted=True, policy_version="2026-11")
        for bought in sorted(history, key=lambda each: -each.days_ago):
            device.track("purchase", at=NOW - timedelta(days=bought.days_ago, hours=1), category=bought.item)
        interests = dict(device.view().interests)
        fit = vectors @ person_vector(interests, items, vectors)
        best = [int(i) for i in np.argsort(-fit, kind="stable")[:OFFERS]]
        decision = device.decide([_candidate(items[i], vectors[i], value_minor) for i in best])
        chosen = decision.candidate.category if decision.candidate else None
        offers = tuple((items[i], float(fit[i])) for i in best)
        texts = decision.text("en"), decision.text("zh")
        return Told(offers, interests, decision.action, chosen, decision.basis, *texts)


def person_vector(interests: dict[str, float], items: Sequence[str], vectors: Floats) -> Floats:
    """The person's vector (d,): the item vectors weighted by the device's own interests. It is never sent or stored."""
    weight = np.array([interests.get(item, 0.0) for item in items])
    vector: Floats = weight @ vectors / max(float(weight.sum()), 1e-9)
    return vector


def _candidate(item: str, vector: Floats, value_minor: float) -> Candidate:
    embedding = tuple(float(x) for x in vector)
    return Candidate(id=f"offer-{item}", category=item, value_minor=value_minor, ttl_s=86_400, embedding=embedding)
