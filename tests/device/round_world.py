"""A federation of participants over in-memory hosts, driven through request and reply bytes."""

import dataclasses
import os
from contextlib import nullcontext
from fractions import Fraction

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful.federation import ParticipationPolicy, RoundParticipant, participant
from tactful_privacy.secagg import COLLECTING, Aggregator
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import Block, Refusal, RoundAnnouncement, RoundReply, RoundRequest, Statistic, digest, sign

NOW_UNIX_S = 1_800_000_000
CEILING = Fraction(1, 100)
PARAMETERS = 6
HALF_RANGE_UNITS = 2**18


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


class MemoryHost:
    """A `HostRound` in memory. `disk` is what survives a kill; `die_before`/`die_after` name the call to die at."""

    def __init__(self, host_id, identity_key, server_key, devices=3):
        self.host_id, self.identity_key, self.server_key = host_id, identity_key, server_key
        self.policy = ParticipationPolicy(max_rho_per_round=CEILING)
        self.directory = None
        self.now = NOW_UNIX_S
        self.devices = [f"{host_id}/{number}" for number in range(devices)]
        self.budget = dict.fromkeys(self.devices, Fraction(1))
        self.spends, self.rounds, self.positions, self.mask_keys, self.installed = {}, {}, {}, {}, []
        self.updates = None
        self.ledgers = {}
        self.models = {bytes(32)}
        self.calls = []
        self.die_before = self.die_after = None

    def __getattribute__(self, name):
        value = object.__getattribute__(self, name)
        if name not in CALLS:
            return value

        def called(*arguments):
            if self.die_before == name:
                raise Killed(name)
            self.calls.append(name)
            result = value(*arguments)
            if self.die_after == name:
                raise Killed(name)
            return result

        return called

    def now_unix_s(self):
        return self.now

    def last_position(self, federation):
        return self.positions.get(federation)

    def has_model(self, model_digest):
        return model_digest in self.models

    def eligible_devices(self, plan):
        return [device for device in self.devices if self.budget[device] >= plan.rho]

    def local_updates(self, plan, devices):
        if self.updates is not None:
            return self.updates(plan, devices)
        return np.full((len(devices), plan.dimension), 0.01)

    def spend(self, plan, devices):
        paid = []
        for device in devices:
            key = (device, plan.round_number)
            if key not in self.spends and self.budget[device] >= plan.rho:
                self.spends[key] = digest(plan)
                self.budget[device] -= plan.rho
            if self.spends.get(key) == digest(plan):
                paid.append(device)
        return paid

    def alone(self):
        return nullcontext()

    def load_round(self, plan_digest):
        return self.rounds.get(plan_digest)

    def save_round(self, plan_digest, federation, position, blob):
        self.rounds[plan_digest] = blob
        self.positions[federation] = max(position, self.positions.get(federation, position))

    def seen_mask_keys(self, plan_digest, keys):
        return {key for key in keys if self.mask_keys.get(key, plan_digest) != plan_digest}

    def remember_mask_keys(self, plan_digest, keys):
        self.mask_keys.update(dict.fromkeys(keys, plan_digest))

    def ledger_state(self, federation):
        return self.ledgers.get(federation)

    def save_ledger_state(self, federation, state):
        self.ledgers[federation] = state

    def install(self, artifact):
        self.installed.append(artifact)


CALLS = frozenset(n for n, value in vars(MemoryHost).items() if callable(value) and n[0] != "_" and n != "alone")


class Federation:
    """Five hosts and a server key; one plan at a time."""

    def __init__(self, n_hosts=5, n_min=4, devices=3, **changes):
        self.server = Ed25519PrivateKey.generate()
        self.roster, self.identities = make_roster(n_hosts, planned_devices=devices)
        public = self.server.public_key().public_bytes_raw()
        self.hosts = {h: MemoryHost(h, key, public, devices) for h, key in self.identities.items()}
        self.participants = {h: RoundParticipant(host) for h, host in self.hosts.items()}
        self.plan = self.make_plan(n_min=n_min, **changes)

    def make_plan(self, n_min=4, **changes):
        clip_units, variance = 400_000, 10**13
        bound = clip_units**2 + HALF_RANGE_UNITS**2
        fields = {
            "layout": (Block("alpha", PARAMETERS),),
            "statistics": (Statistic("loss", HALF_RANGE_UNITS),),
            "norm_bound_squared": bound,
            "rho": Fraction(bound, 2 * (n_min - 1) * variance),
            "deadline_unix_s": NOW_UNIX_S + 60,
        }
        return make_plan(self.roster, n_min=n_min, **(fields | changes))

    def announcement(self, plan=None, server=None, roster=None):
        signed = sign(plan or self.plan, server or self.server).encode()
        return RoundAnnouncement(signed, roster or self.roster).encode()

    def ask(self, host_id, stage, payload, attempt=0, plan=None):
        """Send one request; return the reply's payload."""
        request = RoundRequest(digest(plan or self.plan), stage, attempt, payload)
        reply = RoundReply.decode(self.participants[host_id].handle(request.encode()))
        assert (reply.stage, reply.attempt, reply.host_id) == (stage, attempt, host_id)
        return reply.payload

    def announce(self, host_id, plan=None, **options):
        plan = plan or self.plan
        return self.ask(host_id, "keys", self.announcement(plan, **options), plan=plan)

    def restart(self, host_id):
        """Start the host's process again over the same disk."""
        host = self.hosts[host_id]
        host.die_before = host.die_after = None
        self.participants[host_id] = RoundParticipant(host)

    def until(self, stage, plan=None):
        """Run all stages before `stage`; return (aggregator, requests)."""
        plan = plan or self.plan
        aggregator = Aggregator(plan, self.roster)
        requests = dict.fromkeys(self.hosts, self.announcement(plan))
        while aggregator.stage != stage:
            for host_id, request in requests.items():
                aggregator.accept(self.ask(host_id, aggregator.stage, request, plan=plan))
            requests = aggregator.close_stage()
            if stage == "opened" and aggregator.stage == "unmask":
                for host_id, request in requests.items():
                    aggregator.accept(self.ask(host_id, "unmask", request, plan=plan))
                return aggregator, {}
        return aggregator, requests

    def next_plan(self, **changes):
        fields = {"round_number": self.plan.round_number + 1} | changes
        self.plan = dataclasses.replace(self.plan, **fields)
        return self.plan


def refused(payload):
    """The code of a refusal; fails if the payload is none."""
    return Refusal.decode(payload).code


def silence(monkeypatch):
    """Replace the sampler by zeros, to see the encoded sum; a host's self-test would refuse that."""
    monkeypatch.setattr(participant, "sample", lambda variance, size, **_: np.zeros(size, dtype=np.int64))
    monkeypatch.setattr(RoundParticipant, "_require_sound", lambda self: None)


def fresh_digest():
    return os.urandom(32)


STAGES = COLLECTING
