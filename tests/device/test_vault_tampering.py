"""A vault that was changed, moved or opened wrongly says so, and stays as it was."""

import os
import shutil
import sqlite3

import pytest

from tactful import Host, SchemaTooNew, UnreadableVault, VaultDamaged, WrongKey
from tactful.errors import KeyExposed, KeyMalformed, KeyMissing

from .vault_world import alter, look, open_host, person


@pytest.fixture
def folder(tmp_path):
    with open_host(tmp_path) as host:
        for name in ("ada", "ben"):
            person(host, name).track("browse", category="shoes")
    return tmp_path


def flip(blob, bit):
    changed = bytearray(blob)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


@pytest.mark.parametrize("bit", [0, 95, 96, 200, -1])
def test_one_flipped_bit_is_found(folder, bit):
    """A row with one bit flipped, in nonce, text or tag, does not open; the other rows do."""
    [(row, blob)] = look(folder, "SELECT id, blob FROM rows WHERE kind='event' ORDER BY id LIMIT 1")
    alter(folder, "UPDATE rows SET blob=? WHERE id=?", flip(blob, bit % (8 * len(blob))), row)
    with open_host(folder) as host:
        with pytest.raises(VaultDamaged, match="restore the vault"):
            host.check()
        with pytest.raises(VaultDamaged):
            host.find("ada").export()
        assert len(host.find("ben").export()["events"]) == 1


def test_swapped_rows_are_found(folder):
    """Two people's rows exchanged do not open: the device is part of what was sealed."""
    (first, one), (second, other) = look(folder, "SELECT id, blob FROM rows WHERE kind='event' ORDER BY id")
    alter(folder, "UPDATE rows SET blob=? WHERE id=?", other, first)
    alter(folder, "UPDATE rows SET blob=? WHERE id=?", one, second)
    with open_host(folder) as host, pytest.raises(VaultDamaged):
        host.check()


def test_row_given_to_another_device_is_found(folder):
    """A row filed under somebody else does not open there."""
    alter(folder, "UPDATE rows SET device=2 WHERE kind='event' AND device=1")
    with open_host(folder) as host, pytest.raises(VaultDamaged):
        host.find("ben").export()


def test_swapped_device_keys_are_found(folder):
    """A wrapped key serves only the device that it was made for."""
    (one,), (other,) = look(folder, "SELECT key FROM devices ORDER BY id")
    alter(folder, "UPDATE devices SET key=? WHERE id=1", other)
    with open_host(folder) as host, pytest.raises(VaultDamaged):
        host.check()
    assert one != other


def test_no_plaintext_in_the_files(folder):
    """Neither names nor categories nor kinds of behaviour stand readable in any file of the vault."""
    for file in folder.iterdir():
        data = file.read_bytes()
        for word in (b"ada", b"shoes", b"browse", b"2026-11"):
            assert word not in data, (file.name, word)


def test_file_and_key_belong_to_their_owner_alone(folder):
    """Vault and key are made with mode 0600."""
    for name in ("vaults.db", "host.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_wrong_key(folder, tmp_path_factory):
    """Another vault's key is named as such, and changes nothing."""
    other = tmp_path_factory.mktemp("other")
    open_host(other).close()
    shutil.copy(folder / "host.key", folder / "kept.key")
    shutil.copy(other / "host.key", folder / "host.key")
    with pytest.raises(WrongKey, match="key that it was made with"):
        open_host(folder)
    shutil.copy(folder / "kept.key", folder / "host.key")
    with open_host(folder) as host:
        assert host.check() > 0


def test_missing_key_is_never_made_anew(folder):
    """For an existing vault no key is created: that would look like a fresh start and lose everything."""
    (folder / "host.key").unlink()
    with pytest.raises(KeyMissing, match="restore the key file"):
        open_host(folder)
    assert not (folder / "host.key").exists()


def test_loose_permissions_on_the_key(folder):
    """A key file that others may read is refused, with the command that mends it."""
    os.chmod(folder / "host.key", 0o640)
    with pytest.raises(KeyExposed, match="chmod 600"):
        open_host(folder)


def test_key_file_with_something_else(folder):
    """What is not 64 hexadecimal digits is no key."""
    (folder / "host.key").write_text("hello\n")
    with pytest.raises(KeyMalformed, match="backup"):
        open_host(folder)


def test_unknown_key_provider(tmp_path):
    """A setting of no known form is refused before anything is made."""
    with pytest.raises(KeyMalformed, match="file:PATH"):
        Host.open(tmp_path / "vaults.db", keys="plaintext")
    assert not list(tmp_path.iterdir())


def test_key_from_the_environment(tmp_path, monkeypatch):
    """``env:`` reads 64 hexadecimal digits; from_env names vault, key and zone."""
    monkeypatch.setenv("TACTFUL_VAULT", str(tmp_path / "v.db"))
    monkeypatch.setenv("TACTFUL_KEYS", "env:TACTFUL_TEST_KEY")
    monkeypatch.setenv("TACTFUL_TIMEZONE", "Asia/Shanghai")
    with pytest.raises(KeyMissing, match="token_hex"):
        Host.from_env()
    monkeypatch.setenv("TACTFUL_TEST_KEY", "ab" * 32)
    with Host.from_env() as host:
        assert host.device("ada").timezone == "Asia/Shanghai"


def test_not_a_vault(tmp_path):
    """Another kind of file, another program's database, a missing folder: each unreadable, none of them touched."""
    (tmp_path / "host.key").write_text("ab" * 32)
    (tmp_path / "host.key").chmod(0o600)
    text = tmp_path / "vaults.db"
    text.write_bytes(b"this is no database, " * 100)
    with pytest.raises(UnreadableVault, match="path of a vault"):
        open_host(tmp_path)
    assert text.read_bytes() == b"this is no database, " * 100
    text.unlink()
    sqlite3.connect(text).executescript("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")
    with pytest.raises(UnreadableVault, match="another program"):
        open_host(tmp_path)
    assert look(tmp_path, "SELECT name FROM sqlite_master") == [("theirs",)]
    with pytest.raises(UnreadableVault, match="folder"):
        open_host(tmp_path / "nowhere")


def test_schema_from_the_future(folder):
    """A vault of a newer version is not opened, and keeps its version."""
    alter(folder, "PRAGMA user_version=99")
    with pytest.raises(SchemaTooNew, match="upgrade"):
        open_host(folder)
    assert look(folder, "PRAGMA user_version") == [(99,)]


def test_damaged_pages(folder):
    """A file that was overwritten in the middle is reported, not misread."""
    path = folder / "vaults.db"
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(bytes(data))
    with pytest.raises((VaultDamaged, UnreadableVault)), open_host(folder) as host:
        host.check()


def test_altered_spend_is_found(folder):
    """A spend made cheaper in the file does not pass for what was written."""
    alter(folder, "INSERT INTO spends VALUES (1,'shop',1,?, '1/100', ?, '')", bytes(32), bytes(16))
    with open_host(folder) as host, pytest.raises(VaultDamaged, match="spend of round 1"):
        host.check()
