"""People whose logged pushes, use and opt-outs are drawn from a known model, written into real vaults."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
from tests.device.head_world import sigmoid

from tactful import Candidate, Host
from tactful._state import push_to_dict, slot_of_hour
from tactful.events import StoredEvent
from tactful.features import SLOTS, FeatureBlock
from tactful.model import ACTIVITY_CENTRE, DOSAGE_HALF_LIVES_D, HAZARD_BASE_LOGIT
from tactful.types import Decision, PushRecord, Reason
from tactful.vault import NewRow

FIRST = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
HOURS = tuple(next(h for h in range(24) if slot_of_hour(h) == slot) for slot in range(SLOTS))
VALUE_MINOR = 2_000
AWAY_D = 5
"""Who opts out agrees again after so many days: else few are left by the time the rounds begin."""


class People:
    """n people of one host, day by day."""

    def __init__(self, host: Host, n: int, truth, seed: int) -> None:
        self.host, self.n, self.truth = host, n, truth
        names = [f"user-{number}" for number in range(n)]
        host.enrol_many(
            names,
            timezone="UTC",
            consents=("on_device_personalisation", "federated_learning", "marketing_push"),
            policy_version="2026-11",
        )
        self.devices = host.vault.device_ids()
        self.random = np.random.default_rng(seed)
        self.features = FeatureBlock.empty(n)
        self.doses, self.last_d = np.zeros((n, 3)), np.zeros(n)
        self.away_until = np.zeros(n)

    def live(self, days: int) -> None:
        """Write ``days`` days, the first from `FIRST` on."""
        rows: list[NewRow] = []
        for day in range(days):
            rows += self._day(day)
        self.host.vault.write(rows)

    def _day(self, day: int) -> list[NewRow]:
        random, model, everybody = self.random, self.truth, np.arange(self.n)
        midnight, ordinal = FIRST + timedelta(days=day), FIRST.toordinal() + day
        phi = self.features.design(ordinal).astype(float)
        eta = phi @ model.alpha
        used = random.random((self.n, SLOTS)) < sigmoid(eta)
        slot, own, campaign = random.integers(0, SLOTS, self.n), *(random.random((2, self.n)) < 0.5)
        now_d = day + np.array(HOURS)[slot] / 24 + 0.01
        self.doses *= np.exp2(-(now_d - self.last_d)[:, None] / np.array(DOSAGE_HALF_LIVES_D))
        self.last_d = now_d
        at, message = phi[everybody, slot], np.stack([own, campaign], axis=1)
        effect = at @ model.beta + model.activity_effect[0] * (at @ model.alpha + ACTIVITY_CENTRE)
        effect += message @ model.message_effect - self.doses @ model.kappa
        hazard = HAZARD_BASE_LOGIT + at @ model.hazard + message @ model.message_hazard
        hazard += (self.doses + 1.0) @ model.hazard_dosage
        propensity = random.choice([0.3, 0.5, 0.7], self.n)
        reachable = self.away_until <= day
        sent = reachable & (random.random(self.n) < propensity)
        used[everybody, slot] = random.random(self.n) < sigmoid(eta[everybody, slot] + sent * effect)
        left = sent & (random.random(self.n) < sigmoid(hazard))
        value = np.clip(1.0 + at @ model.value + random.normal(0, 0.2, self.n), 0.1, 4.0)
        rows = [
            NewRow(self.devices[i], "event", _event("browse", midnight + timedelta(hours=HOURS[s], minutes=30)))
            for i, s in zip(*np.nonzero(used), strict=True)
        ]
        for i in np.flatnonzero(reachable):
            moment = midnight + timedelta(days=float(now_d[i] - day))
            told = (bool(sent[i]), float(propensity[i]), bool(own[i]), bool(campaign[i]), int(slot[i]))
            earned = value[i] * VALUE_MINOR if sent[i] and used[i, slot[i]] else None
            rows += _decision(self.devices[i], day, moment, *told, left=bool(left[i]), earned=earned)
        self.doses[sent] += 1.0
        self.away_until[left] = day + AWAY_D
        self.features.close_day(ordinal, used.astype(np.uint8))
        return rows


def _event(kind: str, at: datetime, **properties) -> bytes:
    return StoredEvent(kind, int(at.timestamp() * 1000), 0, properties).to_bytes()


def _decision(device, day, at, sent, propensity, own, campaign, slot, *, left, earned) -> list[NewRow]:
    offer = Candidate(
        id=f"c{day}", category="k1", value_minor=VALUE_MINOR, own_reason=own, campaign="sale" if campaign else None
    )
    at = at.replace(microsecond=0)
    decision = Decision(
        id=f"d-{device}-{day}",
        action="send" if sent else "quiet",
        candidate=offer,
        at=at if sent else None,
        propensity=propensity if sent else 1 - propensity,
        reasons=(Reason("try_now"),),
        model_version="truth",
        created_at=at,
        send_probability=propensity,
        evaluable=True,
        slot=slot,
    )
    logged = f'{{"seed":"00","decision":{decision.to_json()}}}'.encode()
    rows = [NewRow(device, "decision", logged, decision.id)]
    if sent:
        push = PushRecord(at, offer.id, offer.category, offer.campaign, outcome="opted_out" if left else "delivered")
        plain = {**push_to_dict(push), "decision_id": decision.id}
        rows.append(NewRow(device, "push", json.dumps(plain).encode(), decision.id))
    if earned is not None:
        event = _event("push_converted", at + timedelta(hours=1), decision_id=decision.id, value_minor=int(earned))
        rows.append(NewRow(device, "event", event))
    return rows
