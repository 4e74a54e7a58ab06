"""The vault keeps the secret state of a federation's latest round alone."""

from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound

from .vault_world import look, open_host

EARLY, LATE, OTHER = b"e" * 32, b"l" * 32, b"o" * 32


def side_of(host):
    return VaultRound(host, host_id="north", server_key=bytes(32), policy=ParticipationPolicy())


def test_a_later_plan_deletes_the_states_of_earlier_rounds(tmp_path):
    """A void round's secrets go with the next plan of its federation; another federation's round stays."""
    with open_host(tmp_path) as host:
        side = side_of(host)
        side.save_round(EARLY, "shop", (3, 0), b"secrets of a round that became void")
        side.save_round(OTHER, "bank", (1, 0), b"another federation")
        side.save_round(EARLY, "shop", (3, 0), b"the same round, later")
        assert side.load_round(EARLY) == b"the same round, later"
        side.save_round(LATE, "shop", (3, 1), b"the next attempt")
        assert side.load_round(EARLY) is None
        assert side.load_round(LATE) == b"the next attempt"
        assert side.load_round(OTHER) == b"another federation"
        assert side.last_position("shop") == (3, 1)
    assert look(tmp_path, "SELECT count(*) FROM rounds") == [(2,)]
