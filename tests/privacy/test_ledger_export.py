"""An auditor with one file finds out whether the history changed, where, and how: every fault by its own name."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import (
    HeadBook,
    Ledger,
    LedgerForked,
    export,
    gather,
    head_fields,
    head_of,
    history,
    judge,
    parse_head,
)
from tactful_privacy.ledger.entries import canonical, hash_of
from tactful_privacy.ledger.heads import head_line
from tactful_privacy.ledger.proofs import check_proof, prove_between, prove_entry
from tactful_privacy.wire import LedgerHead, Signed, sign

KEY = Ed25519PrivateKey.from_private_bytes(b"server".ljust(32, b"."))
PUBLIC = KEY.public_key().public_bytes_raw()
ENTRIES = 9
HEADS = (3, 5, 8)
FIRST = 2 + len(HEADS)  # line of the first entry


def make(folder: Path, name: str = "ledger", *, word: str = "true", at: int = 99) -> Ledger:
    """Nine entries, signed at 3, 5 and 8; entry ``at`` tells another story."""
    ledger = Ledger(folder / f"{name}.jsonl")
    book = HeadBook(ledger)
    for number in range(ENTRIES):
        body = {"federation": "shop", "server_key": PUBLIC} if number == 0 else {"n": number}
        ledger.append("genesis" if number == 0 else "void", {**body, "word": word if number == at else "true"})
        if number + 1 in HEADS:
            book.sign("shop", KEY)
    return ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "export.jsonl"
    assert export(make(tmp_path), target) == ENTRIES
    return target


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def write(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def fault_of(path: Path, **options: object) -> tuple[str, int]:
    with pytest.raises(LedgerBroken) as caught:
        judge(gather(path), **options)  # type: ignore[arg-type]
    assert caught.value.fault in str(caught.value)
    return caught.value.fault, caught.value.line


def rewritten(line: bytes, previous: bytes | None = None, **body: object) -> bytes:
    """An entry's line with another body and, if asked, previous hash, under a hash of its own."""
    fields = json.loads(line)
    del fields["hash"]
    fields["body"] |= body
    if previous is not None:
        fields["previous"] = previous.hex()
    return canonical({**fields, "hash": hash_of(fields).hex()})


def rehashed(lines: list[bytes], place: int) -> list[bytes]:
    """All entries from ``place`` on written anew, so that the chain holds again."""
    lines = list(lines)
    for number in range(place, len(lines)):
        previous = bytes.fromhex(json.loads(lines[number - 1])["hash"])
        lines[number] = rewritten(lines[number], previous, n=-number)
    return lines


def test_an_untouched_export_verifies(path: Path, tmp_path: Path) -> None:
    """Entries, heads, root and key come out as they went in, with the key from the file or from elsewhere."""
    verdict = judge(gather(path))
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert (verdict.entries, verdict.head, verdict.root) == (ENTRIES, ledger.head, ledger.root())
    assert (verdict.heads, verdict.signed_entries, verdict.server_key) == (3, 8, PUBLIC)
    assert not verdict.key_pinned
    assert judge(gather(path), PUBLIC).key_pinned
    assert judge(gather(ledger.path)).heads == 3


def test_an_export_repeats_the_ledger_word_for_word(path: Path, tmp_path: Path) -> None:
    """The entries of an export are the ledger's own lines, so that both can be compared with plain tools."""
    assert lines_of(path)[FIRST - 1 :] == lines_of(tmp_path / "ledger.jsonl")
    assert lines_of(path)[1 : FIRST - 1] == lines_of(tmp_path / "ledger.heads.jsonl")


@pytest.mark.parametrize("entry", range(ENTRIES))
def test_an_edited_entry_is_located(path: Path, entry: int) -> None:
    """A changed word is on its own line."""
    lines = lines_of(path)
    lines[FIRST - 1 + entry] = lines[FIRST - 1 + entry].replace(b'"true"', b'"lies"')
    write(path, lines)
    assert fault_of(path) == ("edited", FIRST + entry)


@pytest.mark.parametrize("entry", range(1, ENTRIES - 1))
def test_an_entry_edited_with_its_hash_is_located(path: Path, entry: int) -> None:
    """A line rewritten with a fitting hash is named, although only the next one fails."""
    lines = lines_of(path)
    lines[FIRST - 1 + entry] = rewritten(lines[FIRST - 1 + entry], word="lies")
    write(path, lines)
    assert fault_of(path) == ("edited", FIRST + entry)


@pytest.mark.parametrize("entry", range(1, 8))
def test_a_whole_chain_written_anew_breaks_at_its_heads(path: Path, entry: int) -> None:
    """If all from an entry on is rewritten and the chain holds, the fault lies after the last head that still holds."""
    lines = lines_of(path)
    write(path, [*lines[: FIRST - 1], *rehashed(lines[FIRST - 1 :], entry)])
    last_good = max((size for size in HEADS if size <= entry), default=0)
    assert fault_of(path) == ("edited", FIRST + last_good)


def test_what_no_head_covers_has_the_chain_alone(path: Path) -> None:
    """An entry after the last signed head can be written anew: the verdict says how far the signatures reach."""
    lines = lines_of(path)
    write(path, [*lines[: FIRST - 1], *rehashed(lines[FIRST - 1 :], 8)])
    verdict = judge(gather(path))
    assert (verdict.entries, verdict.signed_entries) == (9, 8)


@pytest.mark.parametrize("entry", range(ENTRIES - 1))
def test_a_removed_entry_is_located(path: Path, entry: int) -> None:
    """A missing line is named at its place; what follows does not change the verdict."""
    lines = lines_of(path)
    del lines[FIRST - 1 + entry]
    write(path, lines)
    assert fault_of(path) == ("removed", FIRST + entry)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 6), (0, 8), (7, 8)])
def test_reordered_entries_are_located(path: Path, one: int, other: int) -> None:
    """Of two swapped entries the first is named, and that the other one is elsewhere."""
    lines = lines_of(path)
    one, other = FIRST - 1 + one, FIRST - 1 + other
    lines[one], lines[other] = lines[other], lines[one]
    write(path, lines)
    assert fault_of(path) == ("reordered", one + 1)


@pytest.mark.parametrize("entry", range(1, ENTRIES))
def test_an_inserted_entry_is_located(path: Path, entry: int) -> None:
    """A forged line between two that follow each other is named, not the honest one after it."""
    lines = lines_of(path)
    lines.insert(FIRST - 1 + entry, rewritten(lines[FIRST - 1 + entry], word="new"))
    write(path, lines)
    assert fault_of(path) == ("inserted", FIRST + entry)


def test_a_repeated_entry_is_inserted(path: Path) -> None:
    """The same line twice is named where it stands the second time."""
    lines = lines_of(path)
    lines.insert(FIRST + 4, lines[FIRST + 2])
    write(path, lines)
    assert fault_of(path) == ("inserted", FIRST + 5)


@pytest.mark.parametrize("kept", range(ENTRIES))
def test_a_cut_off_end_is_located(path: Path, kept: int) -> None:
    """Missing entries at the end are missed by the heads, or by the header where none covers them."""
    write(path, lines_of(path)[: FIRST - 1 + kept])
    assert fault_of(path) == ("truncated", FIRST + kept)


def test_a_cut_in_the_middle_of_a_line_is_truncation_if_it_was_signed(path: Path, tmp_path: Path) -> None:
    """What was signed was whole once; only an unsigned last line can be a crash."""
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'"n":6')])
    assert fault_of(path) == ("truncated", FIRST + 6)
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-10])
    assert fault_of(ledger) == ("unfinished", ENTRIES)


def test_a_cut_among_the_heads_is_truncation(path: Path) -> None:
    """An export that ends before its heads do says so."""
    write(path, lines_of(path)[:2])
    assert fault_of(path) == ("truncated", 3)


def test_entries_that_nobody_promised_are_an_extension(path: Path, tmp_path: Path) -> None:
    """A further entry with a valid chain is more than the header says."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("void", {"n": 9})
    write(path, [*lines_of(path), ledger.line(9)])
    assert fault_of(path) == ("extended", FIRST + 9)


def forked_export(tmp_path: Path, at: int) -> tuple[Path, Signed]:
    """Another history under the same key, which differs from entry ``at`` on; its head of 5 entries."""
    other = make(tmp_path, "other", word="lies", at=at)
    return other.path, HeadBook(other).heads()[1]


@pytest.mark.parametrize("at", [1, 2, 4])
def test_two_signed_histories_convict_the_server(path: Path, tmp_path: Path, at: int) -> None:
    """A head of another history inside an export is a fork, shown with both heads, and located."""
    _, stray = forked_export(tmp_path, at)
    lines = lines_of(path)
    lines[2] = head_line(stray)  # the head of 5 entries
    write(path, lines)
    with pytest.raises(LedgerForked) as caught:
        judge(gather(path))
    assert (caught.value.fault, caught.value.line) == ("forked", 3)
    evidence = caught.value.evidence
    assert [head["size"] for head in evidence["heads"]] == [5, 8]
    assert (evidence["path_joins_signed_roots"], evidence["path_joins_entries"]) == (False, True)


def test_two_roots_of_one_size_convict_the_server_without_entries(path: Path, tmp_path: Path) -> None:
    """An auditor's remembered head that says otherwise of the same size is enough."""
    _, stray = forked_export(tmp_path, 2)
    with pytest.raises(LedgerForked, match="two heads of 5 entries") as caught:
        judge(gather(path), remembered=(stray,))
    assert caught.value.evidence["heads"] == [
        head_fields(HeadBook(make(tmp_path, "same")).heads()[1]),
        head_fields(stray),
    ]


def test_a_remembered_head_finds_a_history_told_to_others(path: Path, tmp_path: Path) -> None:
    """A head of a size that the export never signed convicts as well: a later signed head commits to what it denies."""
    other, _ = forked_export(tmp_path, 2)
    ledger = Ledger(other)
    last = bytes.fromhex(json.loads(ledger.line(5))["hash"])
    stray = sign(LedgerHead("shop", 6, ledger.root(6), last), KEY)
    with pytest.raises(LedgerForked, match="does not continue the head of 6"):
        judge(gather(path), remembered=(stray,))


def test_a_remembered_head_finds_the_cut_that_an_old_export_is(tmp_path: Path) -> None:
    """An export from before what the auditor has seen is truncated."""
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append("genesis", {"federation": "shop", "server_key": PUBLIC})
    HeadBook(ledger).sign("shop", KEY)
    old = tmp_path / "old.jsonl"
    export(ledger, old)
    ledger.append("void", {})
    newest = HeadBook(ledger).sign("shop", KEY)
    assert judge(gather(old)).entries == 1
    assert fault_of(old, remembered=(newest,)) == ("truncated", 4)


def test_a_forged_head_is_located(path: Path) -> None:
    """A head that the key did not sign is named by its line."""
    lines = lines_of(path)
    head = parse_head(lines[2])
    lines[2] = head_line(dataclasses.replace(head, signature=bytes(64)))
    write(path, lines)
    assert fault_of(path) == ("forged", 3)


def test_another_key_is_found(path: Path) -> None:
    """An export signed throughout by another key is not the one of the key that was pinned."""
    assert fault_of(path, key=bytes(32)) == ("forged", 1)
    lines = lines_of(path)
    lines[0] = lines[0].replace(PUBLIC.hex().encode(), b"11" * 32)
    write(path, lines)
    assert fault_of(path) == ("forged", 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: {**header, "version": 2},
        lambda header: {**header, "more": 1},
        lambda header: {**header, "heads": -1},
        lambda header: {**header, "entries": True},
        lambda header: {**header, "server_key": "zz"},
    ],
)
def test_an_altered_header_is_refused(path: Path, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """The header has one form."""
    lines = lines_of(path)
    lines[0] = json.dumps(change(json.loads(lines[0]))).encode()
    write(path, lines)
    assert fault_of(path) == ("edited", 1)


def test_a_ledger_without_a_federation_cannot_be_exported(tmp_path: Path) -> None:
    """The genesis must name the key, or nobody could verify the heads."""
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append("genesis", {})
    with pytest.raises(InvalidInput, match="server_key"):
        export(ledger, tmp_path / "e.jsonl")
    assert judge(gather(ledger.path)).signed_entries == 0


def test_every_entry_and_every_pair_of_sizes_is_proven(path: Path) -> None:
    """A proof stands on its own, and says whether all of it was signed."""
    evidence = gather(path)
    verdict = judge(evidence)
    for index in range(ENTRIES):
        proven = check_proof(json.dumps(prove_entry(evidence, verdict, index)), PUBLIC)
        assert (proven.index, proven.sizes, proven.signed) == (index, (8 if index < 8 else 9,), index < 8)
    for first in range(ENTRIES + 1):
        for second in range(first, ENTRIES + 1):
            proven = check_proof(json.dumps(prove_between(evidence, verdict, first, second)))
            assert proven.signed == ({first, second} <= {0, *HEADS})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda proof: {"path": proof["path"][1:]}, "edited"),
        (lambda proof: {"path": [*proof["path"], "00" * 32]}, "edited"),
        (lambda proof: {"index": proof["index"] + 1}, "edited"),
        (lambda proof: {"entry": proof["entry"].replace("true", "lies")}, "edited"),
        (lambda proof: {"tree": {**proof["tree"], "root": "00" * 32}}, "forged"),
        (lambda proof: {"tree": {**proof["tree"], "size": 7}}, "forged"),
        (lambda proof: {"tree": {**proof["tree"], "root": "00" * 32, "head": None}}, "edited"),
    ],
)
def test_an_altered_proof_does_not_hold(
    path: Path, change: Callable[[dict[str, object]], dict[str, object]], fault: str
) -> None:
    """Path, index, entry, root and size cannot be altered."""
    evidence = gather(path)
    proof = prove_entry(evidence, judge(evidence), 4)
    with pytest.raises(LedgerBroken) as caught:
        check_proof(json.dumps({**proof, **change(proof)}), PUBLIC)
    assert caught.value.fault == fault


def test_a_proof_that_contradicts_a_remembered_head_is_a_fork(path: Path, tmp_path: Path) -> None:
    """A valid proof of another history is no proof for somebody who has seen this one."""
    other, stray = forked_export(tmp_path, 2)
    evidence = gather(other)
    proof = json.dumps(prove_between(evidence, judge(evidence), 3, 5))
    assert check_proof(proof, PUBLIC, (stray,)).signed
    with pytest.raises(LedgerBroken) as caught:
        check_proof(proof, PUBLIC, (parse_head(lines_of(path)[2]),))
    assert caught.value.fault == "forked"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "tactful-ledger-proof", "version": 2}', "[" * 100_000])
def test_foreign_text_is_no_proof(text: str) -> None:
    """What is no proof is bad input, not a broken ledger."""
    with pytest.raises(InvalidInput, match="is"):
        check_proof(text)


def test_no_person_is_in_a_head(path: Path) -> None:
    """A head has a federation, a size and three hashes or signatures, and nothing else."""
    fields = json.loads(lines_of(path)[1])
    assert set(fields) == {"chain_head", "federation", "root", "signature", "signer", "size"}
    assert head_of(parse_head(lines_of(path)[1])).size == 3


def test_the_entries_come_with_the_verdict(path: Path, tmp_path: Path) -> None:
    """Whoever wants to read the history gets it from an export as from the ledger, and never unverified."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for source in (path, ledger.path):
        verdict, entries = history(source, PUBLIC)
        assert (verdict.entries, list(entries)) == (ENTRIES, list(ledger.entries()))
    write(path, lines_of(path)[:-3])
    with pytest.raises(LedgerBroken):
        history(path)
