"""Plans with a price, for tests of what a vault writes down; nothing checks their noise here."""

from fractions import Fraction

from tactful import Host
from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful.training import task_layout
from tactful_privacy.wire import RoundPlan


def plan(round_number: int, rho: Fraction = Fraction(1, 100), attempt: int = 0, **changes: object) -> RoundPlan:
    values: dict[str, object] = {
        "federation": "shop",
        "round_number": round_number,
        "attempt": attempt,
        "mode": "distributed",
        "task": "gradient",
        "settings": (),
        "model_digest": bytes(32),
        "layout": task_layout("gradient"),
        "statistics": (),
        "clip_units": 1000,
        "grid_exponent": 20,
        "norm_bound_squared": 1_000_000,
        "noise_variance_units": 1_000_000,
        "modulus_bits": 32,
        "roster_digest": bytes(32),
        "n_hosts": 5,
        "n_min": 4,
        "colluders": 1,
        "share_threshold": 4,
        "deadline_unix_s": 2_000_000_000,
        "rho": rho,
        "previous_head": bytes(32),
        **changes,
    }
    return RoundPlan(**values)


def side_of(host: Host, **changes: object) -> VaultRound:
    """A host's part in rounds, on terms that leave the ceiling to the device unless changed."""
    policy = ParticipationPolicy(**{"epsilon": 4.0, **changes})
    return VaultRound(host, host_id="north", server_key=bytes(32), policy=policy)
