"""A small world for the policy's tests: a model and a personal layer with plain numbers, and views of one device."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from tactful.settings import GuardrailSettings, PolicySettings
from tactful.types import Candidate, DeviceView, PacingState, PushRecord

D = 32
MONDAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)  # a Tuesday
CONSENTS = frozenset({"on_device_personalisation", "marketing_push"})
NO_CHANCE = PolicySettings(exploration=False, never_push_fraction=0.0, micro_randomised_fraction=0.0)
ALL_POLICY = PolicySettings(never_push_fraction=0.0, micro_randomised_fraction=0.0)
SHOES = Candidate(id="c1", category="shoes", value_minor=1200, ttl_s=86_400)


@dataclass
class FakeModel:
    version: str = "test-1"
    alpha: np.ndarray = field(default_factory=lambda: np.linspace(-1, 1, D))
    beta: np.ndarray = field(default_factory=lambda: np.zeros(D))
    kappa: np.ndarray = field(default_factory=lambda: np.array([0.3, 0.2, 0.1]))
    hazard: np.ndarray = field(default_factory=lambda: np.linspace(0.2, -0.1, D))
    hazard_dosage: np.ndarray = field(default_factory=lambda: np.array([0.3, 0.2, 0.1]))
    value: np.ndarray = field(default_factory=lambda: np.zeros(D))
    message_effect: np.ndarray = field(default_factory=lambda: np.zeros(2))
    message_hazard: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @property
    def effect_weights(self) -> np.ndarray:
        return self.beta

    @property
    def knows_effect(self) -> bool:
        return bool(self.beta.any())

    @property
    def effect_learned(self) -> bool:
        return self.knows_effect


@dataclass
class FakePersonal:
    activity_intercept: float = -2.0
    activity_slots: np.ndarray = field(default_factory=lambda: np.array([-0.6, 0.0, 0.3, 0.1, 0.4, 0.9, 0.2]))
    activity_variance: np.ndarray = field(default_factory=lambda: np.full(8, 0.1))
    push_intercept: float = 0.0
    push_slots: np.ndarray = field(default_factory=lambda: np.zeros(7))
    push_variance: np.ndarray = field(default_factory=lambda: np.full(8, 0.04))
    fatigue_multiplier: float = 1.0


def evening_person() -> FakePersonal:
    """Someone who is far more active from 18:00 to 20:00 than at any other time."""
    return FakePersonal(activity_slots=np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.5, 0.0]))


def phi(seed: int = 0, days: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (days, 7, D)).astype(np.float32) * np.float32(0.2)


def learned(scale: float = 0.5, seed: int = 3) -> tuple[FakeModel, FakePersonal]:
    rng = np.random.default_rng(seed)
    model = FakeModel(beta=rng.normal(0, scale, D))
    return model, FakePersonal(push_intercept=0.6, push_slots=rng.normal(0, 0.2, 7))


def view(now: datetime = NOON, **changes: object) -> DeviceView:
    day = now.astimezone(UTC).date()
    values: dict[str, object] = {
        "now": now,
        "timezone": "UTC",
        "salt": b"salt",
        "consents": CONSENTS,
        "settings": ALL_POLICY,
        "model": FakeModel(),
        "personal": FakePersonal(),
        "phi": phi(),
        "week": PacingState(day - timedelta(days=day.weekday())),
        **changes,
    }
    return DeviceView(**values)


def rails(**changes: object) -> PolicySettings:
    return PolicySettings(
        guardrails=GuardrailSettings(**changes), exploration=False, never_push_fraction=0, micro_randomised_fraction=0
    )


def push(at: datetime, **changes: object) -> PushRecord:
    return PushRecord(**{"at": at, "candidate_id": "old", "category": "toys", **changes})


NEVER_QUIET = {"quiet_from": time(0), "quiet_until": time(0)}
