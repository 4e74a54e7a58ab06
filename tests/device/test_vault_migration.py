"""A vault that the first schema wrote opens under the present one with everything in it, and a copy is kept."""

import shutil
import sqlite3
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from tactful import SchemaTooNew, UnreadableVault, WrongKey
from tactful._schema import SCHEMA_VERSION
from tactful.testing import MemoryKey

from .spend_world import plan, side_of
from .vault_world import alter, look, open_host, person

DATA = Path(__file__).parent / "data"
"""A vault of schema 1: ada spent on rounds 1 and 2, ben on round 1 and lowered his ceiling, cleo was erased after 2."""


@pytest.fixture
def folder(tmp_path):
    shutil.copyfile(DATA / "vault_v1.sqlite", tmp_path / "vaults.db")
    shutil.copyfile(DATA / "vault_v1_key.txt", tmp_path / "host.key")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    return tmp_path


def test_everything_is_still_there(folder):
    """Spends, ceilings, events, round state, tombstones: all open, add up as before, and rounds go on."""
    assert look(folder, "PRAGMA user_version") == [(1,)]
    with open_host(folder) as host:
        ada, ben = host.find("ada"), host.find("ben")
        assert ada.privacy_budget().rho_spent == Fraction(3, 100)
        assert (ben.privacy_budget().rho_spent, ben.privacy_budget().epsilon_ceiling) == (Fraction(1, 100), 0.5)
        assert person(host, "cleo").privacy_budget().rho_spent == Fraction(3, 100)
        assert host.rounds.load_round(b"p" * 32) == b"state"
        assert len(ada.export()["events"]) == 1
        host.check()
        side = side_of(host)
        assert side.spend(plan(2, Fraction(1, 50)), [str(ada.id)]) == [str(ada.id)]
        assert side.spend(plan(2), [str(host.find("cleo").id)]) == []
        assert side.spend(plan(3), [str(ada.id)]) == [str(ada.id)]
        assert ada.privacy_budget().rho_spent == Fraction(4, 100)
    assert look(folder, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    with open_host(folder) as host:
        assert host.find("ada").privacy_budget().rho_spent == Fraction(4, 100)


def test_both_schemas_end_in_the_same_tables(folder, tmp_path):
    """Migrated or made new, a vault has the same tables with the same columns."""
    open_host(folder).close()
    (tmp_path / "new").mkdir()
    open_host(tmp_path / "new").close()
    columns = "SELECT m.name, p.name, p.type, p.pk FROM sqlite_master m, pragma_table_info(m.name) p ORDER BY 1, p.cid"
    assert look(folder, columns) == look(tmp_path / "new", columns)


def test_the_copy_is_private_and_goes_with_the_first_erasure(folder):
    """It has mode 0600 and opens as schema 1 did; once somebody is erased it is gone, since it still held them."""
    with open_host(folder) as host:
        copy = folder / "vaults.db.v1-copy"
        assert copy.stat().st_mode & 0o777 == 0o600
        with sqlite3.connect(copy) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM spends").fetchone() == (3,)
        connection.close()
        host.find("ben").erase()
        assert not copy.exists()
    assert sorted(file.name for file in folder.iterdir() if "copy" in file.name) == []


def test_a_vault_is_not_touched_under_a_wrong_key(folder):
    """The key is checked first."""
    with pytest.raises(WrongKey):
        open_host(folder, keys=MemoryKey())
    assert look(folder, "PRAGMA user_version") == [(1,)]
    assert not list(folder.glob("*copy*"))


def test_a_crash_leaves_either_version_whole(folder, monkeypatch):
    """Failing at the copy or within the step: schema 1 as it was, and the next opening succeeds."""

    def fail(*_):
        raise OSError("power")

    def half(connection):
        connection.execute("CREATE TABLE links (id BLOB)")
        fail()

    for target, failing in (("_copy", fail), ("STEPS", {1: half})):
        monkeypatch.setattr(f"tactful._migrations.{target}", failing)
        with pytest.raises(UnreadableVault, match="power"):
            open_host(folder)
        monkeypatch.undo()
        assert look(folder, "PRAGMA user_version") == [(1,)]
    with open_host(folder) as host:
        assert host.check() > 5


def test_two_at_once(folder):
    """Two hosts that open the same old vault at the same moment both get it, migrated once."""
    gate, hosts, errors = threading.Barrier(2), [], []

    def opening():
        gate.wait()
        try:
            hosts.append(open_host(folder))
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=opening) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for host in hosts:
        assert host.find("ada").privacy_budget().rho_spent == Fraction(3, 100)
        host.close()


def test_a_newer_schema_is_refused(folder):
    """A vault of a later version is left alone, with the remedy."""
    alter(folder, f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(SchemaTooNew, match="pip install -U tactful"):
        open_host(folder)
