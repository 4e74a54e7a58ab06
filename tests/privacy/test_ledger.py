"""The ledger: what is appended stays, and every way of tampering is found and named."""

import json
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import NO_HEAD, Ledger, LedgerNotWritten, Release, entries, files, mend, verify

RELEASE = Release(
    plan_digest=b"p" * 32,
    round_number=3,
    roster=(("north", 200), ("south", 300)),
    survivors=("north",),
    rho=Fraction(1, 386),
    model_digest=b"m" * 32,
    keys_digest=b"k" * 32,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of five entries."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("genesis", {"federation": "shop"})
    ledger.append("enrolment", {"host": "north"})
    for number in range(3):
        ledger.append("release", {**RELEASE.to_body(), "round_number": number})
    return ledger.path


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_appended_entries_verify_and_read_back(path: Path) -> None:
    """A ledger verifies to the number of its entries and the head that its writer saw."""
    ledger = Ledger(path)
    report = verify(path, ledger.head)
    assert (report.entries, report.releases, report.head) == (5, 3, ledger.head)
    assert [entry.kind for entry in ledger.entries()] == ["genesis", "enrolment", "release", "release", "release"]
    assert [entry.hash for entry in ledger.entries()][-1] == ledger.head


def test_release_survives_the_round_trip(path: Path) -> None:
    """A release entry gives back its exact price, digests and roster."""
    entry = Ledger(path).append("release", RELEASE.to_body())
    assert Release.from_entry(entry) == RELEASE
    assert Release.from_entry(list(Ledger(path).entries())[-1]) == RELEASE
    assert entry.body["rho"] == "1/386"


def test_malformed_release_is_named(path: Path) -> None:
    """A release entry without its fields raises LedgerBroken with its line."""
    with pytest.raises(LedgerBroken, match="not a release") as caught:
        Release.from_entry(Ledger(path).append("release", {"rho": "1/0"}))
    assert caught.value.line == 6


@pytest.mark.parametrize(
    "price", ["-1/400", "-0", "+1", "1e9", "1e999999999", " 1", "1_0", "0.5", "٣", "9" * 40, "", None]
)
def test_a_price_below_0_or_spelled_otherwise_is_refused(path: Path, price: str | None) -> None:
    """A negative price would give budget back, and an exponent could fill the memory of whoever reads it."""
    with pytest.raises(LedgerBroken, match=r"not a release: .*is not a price"):
        Release.from_entry(Ledger(path).append("release", {**RELEASE.to_body(), "rho": price}))


def test_absent_and_empty_ledgers_have_the_zero_head(tmp_path: Path) -> None:
    """Before the first entry the head is 32 zero bytes."""
    ledger = Ledger(tmp_path / "none.jsonl")
    assert ledger.head == NO_HEAD
    assert list(ledger.entries()) == []
    ledger.path.touch()
    assert verify(ledger.path, NO_HEAD).entries == 0


@pytest.mark.parametrize("number", range(5))
def test_removed_line_is_found(path: Path, number: int) -> None:
    """Removing any line but the last breaks the chain at that line; the last one is missed by its head."""
    head = Ledger(path).head
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    with pytest.raises(LedgerBroken, match="removed: 1 entries" if number < 4 else "truncated") as caught:
        verify(path, head)
    assert caught.value.line == number + 1


@pytest.mark.parametrize("number", range(4))
def test_reordered_lines_are_found(path: Path, number: int) -> None:
    """Swapping two neighbours breaks the chain at the first of them."""
    lines = lines_of(path)
    lines[number], lines[number + 1] = lines[number + 1], lines[number]
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerBroken, match="reordered: entry") as caught:
        verify(path)
    assert (caught.value.line, caught.value.fault) == (number + 1, "reordered")


def test_a_flipped_bit_in_any_byte_is_found(path: Path) -> None:
    """No byte of the file can change unnoticed (a flip in the last line break makes that line unfinished)."""
    good = path.read_bytes()
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(LedgerBroken):
            verify(path)


def test_edited_body_is_named_as_edited(path: Path) -> None:
    """A changed price with untouched hashes is reported as an edit of its line."""
    path.write_bytes(path.read_bytes().replace(b'"1/386"', b'"1/387"', 1))
    with pytest.raises(LedgerBroken, match="edited: the hash does not match") as caught:
        verify(path)
    assert caught.value.line == 3


def test_edit_with_a_new_hash_is_located_by_the_next_line(path: Path) -> None:
    """Re-hashing an edited line moves the break to the line after it; the edited one is named all the same."""
    lines = lines_of(path)
    fields = json.loads(lines[2])
    fields["body"]["rho"] = "1/999"
    del fields["hash"]
    fields["hash"] = entries.hash_of(fields).hex()
    path.write_bytes(b"".join([*lines[:2], entries.canonical(fields) + b"\n", *lines[3:]]))
    with pytest.raises(LedgerBroken, match="does not continue") as caught:
        verify(path)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"index":1', b'"index": 1'),
        (b'"index":1', b'"index":7,"index":1'),
        (b'"index":1', b'"index":1.0'),
        (b"north", rb"\u006eorth"),
        (b"{", b"{ "),
    ],
    ids=["space", "repeated key", "float", "escape", "leading space"],
)
def test_a_line_has_one_spelling(path: Path, old: bytes, new: bytes) -> None:
    """A line that means the same but is spelled otherwise is an edit, although its hash would match."""
    lines = lines_of(path)
    lines[1] = lines[1].replace(old, new, 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerBroken, match="edited: is not") as caught:
        verify(path)
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"[1]\n", b'{"index":NaN}\n', b'{"index": 5}\n', b"[" * 100_000 + b"\n", b"\xff\n"],
    ids=["empty", "no keys", "list", "nan", "spaces", "deep", "not utf-8"],
)
def test_foreign_lines_are_refused(path: Path, line: bytes) -> None:
    """A left-over line which is not an entry is reported with its number."""
    with path.open("ab") as file:
        file.write(line)
    with pytest.raises(LedgerBroken, match="edited") as caught:
        verify(path)
    assert caught.value.line == 6


def test_over_long_line_is_refused(path: Path) -> None:
    """A line above the limit is refused without being read to its end."""
    with path.open("ab") as file:
        file.write(b"x" * (entries.MAX_LINE_BYTES + 5) + b"\n")
    with pytest.raises(LedgerBroken, match="longer than"):
        verify(path)
    with pytest.raises(LedgerBroken, match="longer than"):
        mend(path)


def test_truncation_is_found_with_the_head_and_only_with_it(path: Path) -> None:
    """A cut-off end verifies on its own, as documented, and breaks against the head that somebody kept."""
    head = Ledger(path).head
    path.write_bytes(b"".join(lines_of(path)[:3]))
    assert verify(path).entries == 3
    with pytest.raises(LedgerBroken, match="truncated or replaced") as caught:
        verify(path, head)
    assert caught.value.line == 4


def test_entries_after_the_expected_head_are_left_over(path: Path) -> None:
    """Lines behind the expected head are counted and named."""
    head = Ledger(path).head
    Ledger(path).append("void", {"round_number": 9})
    with pytest.raises(LedgerBroken, match="left-over: 1 entries") as caught:
        verify(path, head)
    assert caught.value.line == 6


def test_crash_at_every_byte_of_an_append_is_named_and_mended(path: Path) -> None:
    """A last line cut at any byte is reported with its remedy; mending keeps its bytes and all earlier entries."""
    good = path.read_bytes()
    start = len(good) - len(lines_of(path)[-1])
    for cut in range(start + 1, len(good), 7):
        path.write_bytes(good[:cut])
        with pytest.raises(
            LedgerBroken, match=r"unfinished: a crash .* 4 entries before it verify; .*--mend"
        ) as caught:
            verify(path)
        assert caught.value.line == 5
        aside = mend(path)
        assert aside is not None
        assert aside.read_bytes() == good[start:cut]
        assert path.read_bytes() == good[:start]
        aside.unlink()
    Ledger(path).append("void", {"round_number": 2})
    assert verify(path).entries == 5


def test_append_refuses_an_unfinished_line_and_changes_nothing(path: Path) -> None:
    """Nothing is written behind a half-written line."""
    damaged = path.read_bytes()[:-10]
    path.write_bytes(damaged)
    with pytest.raises(LedgerBroken, match="unfinished"):
        Ledger(path).append("void", {})
    assert path.read_bytes() == damaged


def test_mend_leaves_whole_and_tampered_ledgers_alone(path: Path) -> None:
    """Mending touches neither a ledger that verifies nor one whose finished lines fail."""
    assert mend(path) is None
    tampered = path.read_bytes().replace(b"north", b"south", 1)
    path.write_bytes(tampered)
    with pytest.raises(LedgerBroken, match="edited"):
        mend(path)
    assert path.read_bytes() == tampered


def test_an_open_ledger_notices_that_it_was_cut(path: Path) -> None:
    """A writer that has read further than the file now reaches refuses to append."""
    ledger = Ledger(path)
    assert ledger.head
    path.write_bytes(b"".join(lines_of(path)[:3]))
    with pytest.raises(LedgerBroken, match="truncated since it was last read"):
        ledger.append("void", {})


def test_the_entry_is_flushed_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append calls fsync after the line's last byte is written."""
    sizes: list[int] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    Ledger(path).append("void", {})
    assert sizes == [path.stat().st_size]


def test_full_disk_leaves_the_ledger_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a write fails half-way, the half line is taken back and the error names the remedy."""
    good = path.read_bytes()
    write = os.write

    def short_then_full(descriptor: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:30])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short_then_full)
        with pytest.raises(LedgerNotWritten, match="No space left on device; free space"):
            Ledger(path).append("void", {})
    assert path.read_bytes() == good


def test_several_writers_make_one_chain(tmp_path: Path) -> None:
    """Four writers with their own Ledger objects append 40 entries that verify as one chain."""
    path = tmp_path / "shared.jsonl"
    Ledger(path).append("genesis", {})

    def write(name: str) -> None:
        ledger = Ledger(path)
        for number in range(10):
            ledger.append("void", {"writer": name, "number": number})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(path).entries == 41


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """After kill -9 in the middle of appending, every entry whose append returned is there and verifies."""
    path = tmp_path / "ledger.jsonl"
    code = (
        "import sys; from tactful_privacy.ledger import Ledger\n"
        "ledger = Ledger(sys.argv[1]); ledger.append('genesis', {})\n"
        "while True: print(ledger.append('void', {'text': 'x' * 5000}).index, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        acknowledged += map(int, writer.stdout.read().split())
    mend(path)
    assert verify(path).entries > acknowledged[-1]


def test_a_held_lock_is_not_waited_for_forever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append gives up on a lock that another process keeps, with a remedy."""
    monkeypatch.setattr(files, "LOCK_TIMEOUT_S", 0.05)
    with files.opened(path, os.O_RDWR), pytest.raises(LedgerNotWritten, match="another process holds it"):
        Ledger(path).append("void", {})
    assert verify(path).entries == 5


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("payment", {}, "cannot be entry 5"),
        ("genesis", {}, "cannot be entry 5"),
        ("void", {"loss": 0.5}, "body.loss: float has no exact spelling"),
        ("void", {"deep": [{"x": object()}]}, "body.deep.x: object has no exact spelling"),
        ("void", {"text": "x" * (1 << 20)}, "makes a line of"),
    ],
)
def test_bad_entries_are_refused_before_writing(path: Path, kind: str, body: dict[str, object], reason: str) -> None:
    """Unknown or misplaced kinds, floats and giant bodies raise InvalidInput and write nothing."""
    good = path.read_bytes()
    with pytest.raises(InvalidInput, match=reason):
        Ledger(path).append(kind, body)  # type: ignore[arg-type]
    assert path.read_bytes() == good


def test_first_entry_must_be_genesis(tmp_path: Path) -> None:
    """A ledger starts with its genesis, and the error says so."""
    with pytest.raises(InvalidInput, match="start with genesis"):
        Ledger(tmp_path / "l.jsonl").append("void", {})


def test_unreadable_path_is_bad_input(tmp_path: Path) -> None:
    """A missing file or a folder is bad input, not a broken chain."""
    with pytest.raises(InvalidInput, match="No such file"):
        verify(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInput, match="check the ledger's path"):
        Ledger(tmp_path).append("genesis", {})
