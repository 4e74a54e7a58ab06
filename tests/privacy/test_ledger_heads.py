"""Signed heads: one a state, each continuing the last, and none for a history that contradicts what was signed."""

import dataclasses
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import HeadBook, Ledger, head_fields, head_from_fields, head_of, parse_head
from tactful_privacy.ledger.heads import head_line, heads_path
from tactful_privacy.ledger.merkle import Tree, extends
from tactful_privacy.wire import BadSignature, LedgerHead, open_signed

KEY = Ed25519PrivateKey.from_private_bytes(b"server".ljust(32, b"."))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("genesis", {"federation": "shop"})
    return ledger


def test_a_head_says_the_ledger_as_it_is(ledger: Ledger) -> None:
    """Size, root over the entries' hashes, and last hash, under the server's signature; it verifies offline."""
    ledger.append("void", {"n": 1})
    head = open_signed(HeadBook(ledger).sign("shop", KEY).encode(), LedgerHead, PUBLIC)
    hashes = [entry.hash for entry in ledger.entries()]
    assert head == LedgerHead("shop", 2, Tree(hashes).root(), hashes[-1])


def test_one_head_a_state_and_each_continues_the_last(ledger: Ledger) -> None:
    """Signing twice gives the same head; every later one is joined to it by the ledger's consistency path."""
    book = HeadBook(ledger)
    for number in range(1, 12):
        signed = book.sign("shop", KEY)
        assert book.sign("shop", KEY) == signed
        ledger.append("void", {"n": number})
    heads = [head_of(item) for item in HeadBook(ledger).heads()]
    assert [head.size for head in heads] == list(range(1, 12))
    for first in heads:
        for second in heads[first.size - 1 :]:
            path = ledger.consistency(first.size, second.size)
            assert extends(first.size, first.root, second.size, second.root, path)


def test_another_process_sees_the_heads(ledger: Ledger) -> None:
    """A book that was open before somebody else signed reads on from where it was."""
    book = HeadBook(ledger)
    assert book.heads() == ()
    first = HeadBook(Ledger(ledger.path)).sign("shop", KEY)
    assert book.heads() == (first,)
    ledger.append("void", {})
    second = HeadBook(Ledger(ledger.path)).sign("shop", KEY)
    assert book.heads() == (first, second)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_crash_while_signing_leaves_no_head(ledger: Ledger, cut: int) -> None:
    """An unfinished last line is no head; the next signature takes its place."""
    book = HeadBook(ledger)
    first = book.sign("shop", KEY)
    ledger.append("void", {})
    second = book.sign("shop", KEY)
    book.path.write_bytes(book.path.read_bytes()[:-cut])
    assert HeadBook(ledger).heads() == (first,)
    assert HeadBook(ledger).sign("shop", KEY) == second
    assert HeadBook(ledger).heads() == (first, second)


def test_a_ledger_cut_back_is_not_signed(ledger: Ledger) -> None:
    """Fewer entries than were signed: the server refuses, before there is a second history."""
    good = ledger.path.read_bytes()
    ledger.append("void", {})
    HeadBook(ledger).sign("shop", KEY)
    ledger.path.write_bytes(good)
    with pytest.raises(LedgerBroken, match="1 entries, and 2 were signed") as caught:
        HeadBook(Ledger(ledger.path)).sign("shop", KEY)
    assert (caught.value.fault, caught.value.line) == ("truncated", 2)


def test_another_history_is_not_signed(ledger: Ledger) -> None:
    """Other entries than were signed: refused, even if there are more of them."""
    good = ledger.path.read_bytes()
    ledger.append("void", {"n": 1})
    HeadBook(ledger).sign("shop", KEY)
    ledger.path.write_bytes(good)
    other = Ledger(ledger.path)
    other.append("void", {"n": 2})
    other.append("void", {"n": 3})
    with pytest.raises(LedgerBroken, match="its first 2 entries are not those that were signed"):
        HeadBook(other).sign("shop", KEY)


def test_nothing_is_signed_for_another_key_or_federation(ledger: Ledger, tmp_path: Path) -> None:
    """One book, one key, one federation; and an empty ledger has no head."""
    HeadBook(ledger).sign("shop", KEY)
    ledger.append("void", {})
    with pytest.raises(InvalidInput, match="not ours"):
        HeadBook(ledger).sign("shop", Ed25519PrivateKey.generate())
    with pytest.raises(InvalidInput, match="is of 'shop'"):
        HeadBook(ledger).sign("store", KEY)
    with pytest.raises(InvalidInput, match="is empty"):
        HeadBook(Ledger(tmp_path / "none.jsonl")).sign("shop", KEY)


def test_a_line_has_one_spelling(ledger: Ledger) -> None:
    """A head reads back to the same signature, and any other spelling of it is refused."""
    signed = HeadBook(ledger).sign("shop", KEY)
    line = head_line(signed)
    assert parse_head(line) == signed == head_from_fields(head_fields(signed))
    assert heads_path(ledger.path).read_bytes() == line + b"\n"
    for other in (
        line.replace(b":", b": ", 1),
        line + b" ",
        b"[]",
        b"{}",
        b"",
        line.replace(b'"size":1', b'"size":true'),
    ):
        with pytest.raises(InvalidInput):
            parse_head(other)


@pytest.mark.parametrize("field", ["size", "root", "chain_head", "federation"])
def test_no_field_can_be_altered(ledger: Ledger, field: str) -> None:
    """The signature covers every field."""
    signed = HeadBook(ledger).sign("shop", KEY)
    fields = head_fields(signed)
    fields[field] = {"size": 2, "federation": "store"}.get(field, "00" * 32)
    with pytest.raises(BadSignature):
        open_signed(head_from_fields(fields), LedgerHead, PUBLIC)


def test_a_damaged_book_is_named_with_its_line(ledger: Ledger) -> None:
    """A finished line which is no head is bad input, and is not passed over."""
    book = HeadBook(ledger)
    book.sign("shop", KEY)
    book.path.write_bytes(b"{}\n" + book.path.read_bytes())
    with pytest.raises(InvalidInput, match="line 1"):
        HeadBook(ledger).heads()


def test_the_ledger_finds_what_it_is_asked_for(ledger: Ledger) -> None:
    """Entries are found by plan, hash and index, also those of another process; no altered line is given out."""
    other = Ledger(ledger.path)
    entry = other.append("release", {"plan_digest": b"p" * 32})
    assert (ledger.find("release", b"p" * 32), ledger.index_of(entry.hash), ledger.size) == (1, 1, 2)
    assert ledger.find("void", b"p" * 32) is None
    assert json.loads(ledger.line(1))["hash"] == entry.hash.hex()
    with pytest.raises(InvalidInput, match="the ledger has 2 entries"):
        ledger.line(2)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"7070", b"7071", 1))
    with pytest.raises(LedgerBroken, match="edited"):
        ledger.line(1)


def test_signing_does_not_read_the_ledger_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 appends and heads verify each line once: the work of an append does not grow with the ledger."""
    from tactful_privacy.ledger import chain

    read: list[int] = []
    parse = chain.parse_line
    monkeypatch.setattr(chain, "parse_line", lambda line, number: read.append(number) or parse(line, number))
    book = HeadBook(ledger)
    for number in range(200):
        ledger.append("void", {"n": number})
        book.sign("shop", KEY)
        ledger.inclusion(number)
        ledger.consistency(number)
    assert sorted(read) == list(range(2, 202))


def test_a_forged_signature_in_the_book_is_not_built_upon(ledger: Ledger) -> None:
    """A last head whose signature fails is refused before anything is signed after it."""
    book = HeadBook(ledger)
    forged = dataclasses.replace(book.sign("shop", KEY), signature=bytes(64))
    book.path.write_bytes(head_line(forged) + b"\n")
    ledger.append("void", {})
    with pytest.raises(InvalidInput, match="not ours"):
        HeadBook(ledger).sign("shop", KEY)
