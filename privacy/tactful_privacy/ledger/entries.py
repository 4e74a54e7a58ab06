"""One entry of the ledger: its canonical line, its hash, and what a release says."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Self

from tactful_privacy.errors import InvalidInput, LedgerBroken

KINDS: Final = ("genesis", "release", "void", "enrolment", "audit", "mode")
NO_HEAD: Final = bytes(32)
MAX_LINE_BYTES: Final = 1 << 20
CONTINUES: Final = "restore the ledger from a copy whose head you trust"
_DOMAIN: Final = b"tactful/v1/ledger\0"
_SHOWN: Final = 40
_PRICE: Final = re.compile("[0-9]{1,39}(/[0-9]{1,39})?")  # as `plain` spells what a plan can state
_KEYS: Final = {"body", "hash", "index", "kind", "previous"}

Value = str | int | bool | None | bytes | Fraction | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One verified line. ``body`` is plain JSON: rationals and byte strings are text in it."""

    index: int
    previous: bytes
    kind: str
    body: Mapping[str, Any]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """The body of a release entry: what a host needs to replay what it spent.

    Attributes:
        plan_digest: digest of the `RoundPlan`.
        round_number: its round.
        roster: (host id, planned devices) of every host, sorted.
        survivors: host ids whose contributions are in the sum, sorted.
        rho: zCDP price of one participation.
        model_digest: digest of the artifact that the round released.
        keys_digest: digest of the `KeyRing`.
    """

    plan_digest: bytes
    round_number: int
    roster: tuple[tuple[str, int], ...]
    survivors: tuple[str, ...]
    rho: Fraction
    model_digest: bytes
    keys_digest: bytes

    def to_body(self) -> dict[str, Value]:
        """The fields as a body for `Ledger.append`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """Read a release entry back; raises `LedgerBroken` when a field is missing or malformed."""
        body = entry.body
        try:
            return cls(
                plan_digest=bytes.fromhex(body["plan_digest"]),
                round_number=int(body["round_number"]),
                roster=tuple((str(host), int(devices)) for host, devices in body["roster"]),
                survivors=tuple(map(str, body["survivors"])),
                rho=price_of(body["rho"]),
                model_digest=bytes.fromhex(body["model_digest"]),
                keys_digest=bytes.fromhex(body["keys_digest"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise LedgerBroken(f"not a release: {error!r}", line=entry.index + 1, remedy=CONTINUES) from error


def price_of(stated: object) -> Fraction:
    """Return the price that an entry states: exact, and at least 0, since a negative one would give budget back.

    Raises:
        ValueError: it is spelled otherwise than entries spell a price, with a sign or an exponent for instance.
        ZeroDivisionError: its denominator is 0.
    """
    if not _PRICE.fullmatch(str(stated)):
        raise ValueError(f"{str(stated)[:_SHOWN]!r} is not a price")
    return Fraction(str(stated))


def plain(value: Value, field: str) -> Any:
    """Turn a body value into JSON without floats."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, field) for item in value]
    raise InvalidInput(
        f"{type(value).__name__} has no exact spelling", field=field, remedy="pass an int, a Fraction, text or bytes"
    )


def canonical(fields: Mapping[str, Any]) -> bytes:
    """The one spelling of a line, without a line break."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def hash_of(fields: Mapping[str, Any]) -> bytes:
    """Hash of a line, given all its fields but the hash, 32 bytes."""
    return hashlib.sha256(_DOMAIN + canonical(fields)).digest()


def _no_float(text: str) -> float:
    raise ValueError(f"{text} is not an integer")


def parse_line(line: bytes, number: int) -> dict[str, Any]:
    """Return the fields of a canonical line (from 1); raises `LedgerBroken` for any other spelling."""
    try:
        fields = json.loads(line, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        raise LedgerBroken("edited: is not a line of JSON", line=number, remedy=CONTINUES) from None
    if not isinstance(fields, dict) or fields.keys() != _KEYS or canonical(fields) != line:
        raise LedgerBroken("edited: is not in canonical form", line=number, remedy=CONTINUES)
    return fields


def parse_entry(line: bytes, index: int) -> Entry:
    """Return the entry of one line (without its line break) whose own hash holds; its neighbours are not looked at.

    Raises:
        LedgerBroken: not in canonical form, of an unknown kind, or the hash does not match.
    """
    fields = parse_line(line, index + 1)
    claimed = fields.pop("hash")
    found = hash_of(fields)
    if claimed != found.hex():
        raise LedgerBroken("edited: the hash does not match the line", line=index + 1, remedy=CONTINUES)
    if fields["kind"] not in KINDS or not isinstance(fields["body"], dict):
        raise LedgerBroken(f"unknown kind {fields['kind']!r}", line=index + 1, remedy="update this library")
    if type(fields["index"]) is not int or not _is_hash(fields["previous"]):
        raise LedgerBroken("edited: index or previous hash are none", line=index + 1, remedy=CONTINUES)
    return Entry(fields["index"], bytes.fromhex(fields["previous"]), fields["kind"], fields["body"], found)


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")
