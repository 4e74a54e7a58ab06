"""A host whose state survives the process: a stock node starts one process for each message."""

import json
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful.federation.policy import ParticipationPolicy
from tactful_check.terms import DEVICES, DIMENSION, TERMS
from tactful_privacy.wire import HostEntry, Signed, digest, sign


class DiskHost:
    """A `HostRound` in one folder of small files."""

    directory = None
    policy = ParticipationPolicy(n_min=2, colluders=0, epsilon=8.0, participations=TERMS.participations)

    def __init__(self, home):
        self.home = Path(home)
        settings = json.loads((self.home / "host.json").read_text())
        self.host_id, self.level = settings["host_id"], settings["level"]
        self.server_key = bytes.fromhex(settings["server_key"])
        self.identity_key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings["identity_key"]))

    @classmethod
    def make(cls, home, host_id, level, server_key):
        """Write a new host's folder."""
        home.mkdir()
        key = Ed25519PrivateKey.generate().private_bytes_raw().hex()
        settings = {"host_id": host_id, "level": level, "server_key": server_key.hex(), "identity_key": key}
        (home / "host.json").write_text(json.dumps(settings))
        return cls(home)

    def entry(self):
        public = self.identity_key.public_key().public_bytes_raw()
        return sign(HostEntry(self.host_id, public, DEVICES), self.identity_key)

    def update(self):
        return np.full(DIMENSION, self.level)

    def now_unix_s(self):
        return int(time.time())

    def last_position(self, federation):
        path = self.home / "position.json"
        return tuple(json.loads(path.read_text())) if path.exists() else None

    def has_model(self, model_digest):
        return any(digest(Signed.decode(p.read_bytes()).payload) == model_digest for p in self.home.glob("*.model"))

    def eligible_devices(self, plan):
        return [str(number) for number in range(DEVICES)]

    def local_updates(self, plan, devices):
        return np.tile(self.update(), (len(devices), 1))

    def spend(self, plan, devices):
        path = self.home / f"spent-{plan.round_number}"
        if not path.exists():
            path.write_text(digest(plan).hex())
        return devices if path.read_text() == digest(plan).hex() else []

    def alone(self):
        return nullcontext()

    def load_round(self, plan_digest):
        path = self.home / f"{plan_digest.hex()}.round"
        return path.read_bytes() if path.exists() else None

    def save_round(self, plan_digest, federation, position, blob):
        (self.home / f"{plan_digest.hex()}.round").write_bytes(blob)
        (self.home / "position.json").write_text(json.dumps(position))

    def seen_mask_keys(self, plan_digest, keys):
        return []

    def remember_mask_keys(self, plan_digest, keys):
        (self.home / "mask-keys").write_text("\n".join(key.hex() for key in keys))

    def ledger_state(self, federation):
        path = self.home / "ledger.state"
        return path.read_bytes() if path.exists() else None

    def save_ledger_state(self, federation, state):
        (self.home / "ledger.state").write_bytes(state)

    def install(self, artifact):
        (self.home / f"{digest(Signed.decode(artifact).payload).hex()}.model").write_bytes(artifact)
