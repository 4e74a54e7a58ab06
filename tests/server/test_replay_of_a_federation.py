"""A host of a real federation, put back from a backup, learns from the server's export what it had spent."""

from tests.device.test_budget_rollback import back_up, put_back
from tests.device.vault_world import open_host

from tactful_privacy.ledger import Ledger, export

from .test_run_with_vaults import shop as shop


def test_what_was_lost_is_found_in_the_export(shop, tmp_path):
    """Three rounds, a backup after the first: frozen; the export names rounds 2 and 3, and then nothing is missing."""
    federation, hosts, apps = shop(("distributed",), mode="distributed")
    list(federation.run(apps, rounds=1))
    hosts["host-0"].vault.checkpoint()
    kept = back_up(tmp_path / "host-0")
    results = list(federation.run(apps, rounds=2))
    assert [result.outcome for result in results] == ["released", "released"]
    spent = [device.privacy_budget().rho_total for device in hosts["host-0"].devices()]
    hosts["host-0"].close()
    put_back(tmp_path / "host-0", kept)
    export(Ledger(federation.office.ledger.path), tmp_path / "export.jsonl")
    with open_host(tmp_path / "host-0") as host:
        assert host.status()["rolled_back"]
        report = host.replay_ledger(tmp_path / "export.jsonl", server_key=federation.server_key)
        assert (report.rounds_answered, report.rounds_missing) == (3, (2, 3))
        assert (report.unexplained, report.frozen) == (0, False)
        assert [device.privacy_budget().rho_total for device in host.devices()] == spent
    assert hosts["host-1"].replay_ledger(tmp_path / "export.jsonl").rounds_missing == ()
