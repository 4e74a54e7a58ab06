"""Write tests/vectors/v1/<kind>.json: for each message type good encodings, and bad ones with their error.

Deterministic: `python tests/vectors/make_vectors.py` writes the same files on every machine, and a test compares. The
bad cases are derived from each field's codec, so that a new field brings its own. Other implementations can use the
files without this script: ``hex`` is the whole message, ``digest`` its digest, ``error`` the name of the refusal.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy import wire
from tactful_privacy.wire.codec import Blob, Choice, Codec, Fixed, Many, Maybe, Pair, Rational, Text, Unsigned
from tactful_privacy.wire.message import Message, Nested, Record
from tactful_privacy.wire.vectors import Dtype, Vector

HERE = Path(__file__).parent / "v1"
Bad = Iterator[tuple[str, str, bytes]]  # label, error, bytes of the field

NORTH = Ed25519PrivateKey.from_private_bytes(b"north".ljust(32, b"."))
SERVER = Ed25519PrivateKey.from_private_bytes(b"server".ljust(32, b"."))


def h32(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


DIRECTORY = wire.KeyDirectory(
    federation="shop",
    entries=(
        wire.HostEntry("north", NORTH.public_key().public_bytes_raw(), 460),
        wire.HostEntry("süd", h32("south"), 2**32 - 1),
    ),
)
PLAN = wire.RoundPlan(
    federation="shop",
    round_number=7,
    attempt=1,
    mode="distributed",
    task="newton",
    settings=(("ridge", Fraction(1, 3)), ("shift", Fraction(-5, 2))),
    model_digest=h32("model"),
    layout=(wire.Block("slots", 2), wire.Block("alpha", 1)),
    statistics=(wire.Statistic("loss", 4096), wire.Statistic("count", 2**64 - 1)),
    clip_units=419_430,
    grid_exponent=20,
    norm_bound_squared=419_430**2,
    noise_variance_units=11_310_977_000_000,
    modulus_bits=32,
    roster_digest=wire.digest(DIRECTORY),
    n_hosts=5,
    n_min=4,
    colluders=1,
    share_threshold=4,
    deadline_unix_s=1_795_000_000,
    rho=Fraction(419_430**2, 6 * 11_310_977_000_000),
    previous_head=h32("head"),
    neighbours=4,
    committee=3,
    committee_threshold=2,
    canaries=16,
    run=wire.CorrelatedRun("winter", 5, 120, 8, 15, h32("strategy")),
)
COMPLETE = replace(PLAN, neighbours=0, committee=0, committee_threshold=0, canaries=0, run=None)
P, K = wire.digest(PLAN), h32("keys")
OFFER = wire.KeyOffer(P, "north", h32("mask"), h32("share"))
SURVIVORS = wire.SurvivorList(P, K, h32("head"), ("north", "south"))
ACCEPTED = wire.sign_survivors(SURVIVORS, "north", NORTH)
ENDORSED = wire.endorse(wire.digest(SURVIVORS), "north", NORTH)
CARD = wire.ArtifactCard(
    name="push-frequency",
    version=3,
    federation="shop",
    round_number=7,
    layout=(wire.Block("slots", 2), wire.Block("alpha", 1)),
    features=(("recency", "day"), ("activity", "1")),
    epsilon=Fraction(4),
    delta=Fraction(1, 10**6),
    rho=Fraction(1, 386),
    ledger_head=h32("head"),
    parent=bytes(32),
    evaluation=(("auc", Fraction(71, 100)), ("log_loss", Fraction(461, 5000))),
    training=(("hosts", "5"), ("mode", "distributed")),
)
PRICED = replace(  # ν and the sends it follows from stand among the figures, by name
    CARD,
    version=4,
    round_number=8,
    evaluation=(("fleet_price_minor", Fraction(11, 4)), ("log_loss", Fraction(461, 5000)), ("sends", Fraction(23, 8))),
)
PRIOR = replace(CARD, version=0, epsilon=None, rho=None, features=(), evaluation=(), training=())
SHARES = (("north", b"n" * 33), ("south", b"s" * 33))
LEDGER_HEAD = wire.LedgerHead("shop", 9, h32("root"), h32("chain"))
LEDGER_PROOF = wire.LedgerProof(
    signed_head=wire.sign(LEDGER_HEAD, SERVER).encode(),
    index=8,
    entry=b'{"body":{}}',
    path=(h32("below"),),
    plan_head_index=7,
    plan_head_path=(h32("right"), h32("above"), h32("top")),
    links=(wire.HeadLink(6, (h32("one"), h32("two"))), wire.HeadLink(9, ())),
)

SAMPLES: tuple[Message, ...] = (
    wire.sign(OFFER, NORTH),
    wire.HostEntry("north", NORTH.public_key().public_bytes_raw(), 460),
    DIRECTORY,
    wire.KeyDirectory("empty", ()),
    PLAN,
    COMPLETE,
    wire.RoundAnnouncement(wire.sign(PLAN, SERVER).encode(), DIRECTORY),
    OFFER,
    wire.KeyRing(P, (wire.sign(OFFER, NORTH).encode(), wire.sign(OFFER, SERVER).encode())),
    wire.ShareBundle(P, K, "north", (("north", b"n" * 28), ("south", b"s" * 94))),
    wire.ShareDelivery(P, K, "south", (("north", b"n" * 28), ("south", b"s" * 28)), ("north", "south", "west")),
    wire.Contribution(P, K, "north", wire.pack_u32([0, 1, 2**32 - 1]), 3),
    wire.Contribution(P, K, "north", b"", 0),
    SURVIVORS,
    ACCEPTED,
    wire.SurvivorCertificate(SURVIVORS, (ACCEPTED, wire.sign_survivors(SURVIVORS, "south", SERVER))),
    wire.UnmaskShares(P, wire.digest(SURVIVORS), "north", SHARES, (("east", b"e" * 33), ("west", b"w" * 33))),
    wire.Refusal(P, "north", "contribution", "too_little_noise", "σ is 2.1, this host asks for 3.2"),
    wire.Refusal(P, "north", "keys", "expired", ""),
    wire.KeyView(P, K, (wire.sign(OFFER, NORTH).encode(), wire.sign(OFFER, SERVER).encode()), h32("sibling") * 3),
    ENDORSED,
    wire.EndorsedList(SURVIVORS, (ENDORSED, wire.endorse(wire.digest(SURVIVORS), "south", SERVER))),
    wire.RoundRequest(P, "keys", 0, b"payload"),
    wire.RoundReply(P, "released", 65_535, "north", b""),
    CARD,
    PRIOR,
    PRICED,
    wire.Artifact(CARD, wire.pack_f64([0.0, -1.5, 5e-324])),
    LEDGER_HEAD,
    LEDGER_PROOF,
    wire.ModelRelease(wire.sign(wire.Artifact(CARD, wire.pack_f64([0.5, 0.0, 1.0])), SERVER).encode(), LEDGER_PROOF),
)


def spelled(codec: Codec[Any], value: Any) -> bytes:
    out = bytearray()
    codec.write(value, out)
    return bytes(out)


def prefixed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def bad_text(codec: Text, value: str) -> Bad:
    if codec.at_least:
        yield "empty", "WrongLength", prefixed(b"")
    yield "too_long", "TooLarge", prefixed(b"x" * (codec.at_most + 1))
    yield "announces_4_gib", "TooLarge", b"\xff\xff\xff\xff" + value.encode()
    yield "not_utf8", "NotCanonical", prefixed(b"a\xff")
    yield "overlong_utf8", "NotCanonical", prefixed(b"\xc1\xa1")
    yield "surrogate", "NotCanonical", prefixed(b"\xed\xa0\x80")
    yield "line_break", "NotCanonical", prefixed(b"a\nb")


def bad_blob(codec: Blob, value: bytes) -> Bad:
    if codec.at_least:
        yield "too_short", "WrongLength", prefixed(b"x" * (codec.at_least - 1))
    yield "announces_too_much", "TooLarge", struct.pack(">I", codec.at_most + 1) + value


def bad_rational(codec: Rational, value: Fraction) -> Bad:
    def parts(numerator: int, denominator: int) -> bytes:
        return numerator.to_bytes(16, "big", signed=True) + denominator.to_bytes(16, "big")

    yield "not_lowest_terms", "NotCanonical", parts(value.numerator * 2, value.denominator * 2)
    yield "zero_over_two", "NotCanonical", parts(0, 2)
    yield "denominator_zero", "NotCanonical", parts(1, 0)
    yield "denominator_too_wide", "OutOfRange", parts(1, 2**127)
    if not codec.signed:
        yield "negative", "OutOfRange", parts(-1, 3)


def bad_vector(codec: Vector, value: bytes) -> Bad:
    other = Dtype.F64 if codec.dtype is Dtype.U32 else Dtype.U32
    good = spelled(codec, value)
    yield "wrong_dtype", "WrongType", bytes((other,)) + good[1:]
    yield "unknown_dtype", "WrongType", b"\0" + good[1:]
    yield "announces_too_much", "TooLarge", good[:1] + struct.pack(">I", codec.at_most + 1) + value
    if codec.dtype is Dtype.F64:
        for label, number in (("nan", float("nan")), ("infinite", float("-inf"))):
            yield label, "NotCanonical", good[:5] + struct.pack("<d", number) + value[8:]


def bad_many(codec: Many[Any], value: tuple[Any, ...]) -> Bad:
    items = [spelled(codec.item, item) for item in value]
    yield "announces_too_much", "TooLarge", struct.pack(">I", codec.at_most + 1) + b"".join(items)
    if codec.at_least:
        yield "none", "WrongLength", struct.pack(">I", 0)
    if items:
        yield "twice", "NotCanonical", struct.pack(">I", 2) + items[0] * 2
        for label, error, data in bad_encodings(codec.item, value[0]):
            yield f"0.{label}", error, struct.pack(">I", len(items)) + data + b"".join(items[1:])
    if codec.ordered and len(items) > 1:
        yield "unsorted", "NotCanonical", struct.pack(">I", len(items)) + b"".join(reversed(items))


def bad_record(_codec: Codec[Any] | None, record: Record) -> Bad:
    spelling = [spelled(codec, getattr(record, name)) for name, codec in record._FIELDS]
    for index, (name, codec) in enumerate(record._FIELDS):
        for label, error, data in bad_encodings(codec, getattr(record, name)):
            yield f"{name}.{label}", error, b"".join([*spelling[:index], data, *spelling[index + 1 :]])


def bad_unsigned(codec: Unsigned, _value: int) -> Bad:
    if codec.minimum:
        yield "zero", "OutOfRange", bytes(codec.bits // 8)


def bad_choice(_codec: Choice, _value: str) -> Bad:
    yield "unknown", "OutOfRange", prefixed(b"train")
    yield "announces_too_much", "TooLarge", prefixed(b"x" * 99)


def bad_pair(codec: Pair[Any, Any], value: tuple[Any, Any]) -> Bad:
    for label, error, data in bad_encodings(codec.first, value[0]):
        yield f"first.{label}", error, data + spelled(codec.second, value[1])
    for label, error, data in bad_encodings(codec.second, value[1]):
        yield f"second.{label}", error, spelled(codec.first, value[0]) + data


def bad_maybe(codec: Maybe[Any], value: Any) -> Bad:
    yield "presence_2", "NotCanonical", b"\2" + spelled(codec, value)[1:]
    for label, error, data in bad_encodings(codec.item, value):
        yield label, error, b"\1" + data


def bad_fixed(_codec: Fixed, _value: bytes) -> Bad:
    yield from ()  # any bytes of the right number are good


FAULTS: dict[type[Codec[Any]], Callable[[Any, Any], Bad]] = {
    Blob: bad_blob,
    Choice: bad_choice,
    Fixed: bad_fixed,
    Many: bad_many,
    Maybe: bad_maybe,
    Nested: bad_record,
    Pair: bad_pair,
    Rational: bad_rational,
    Text: bad_text,
    Unsigned: bad_unsigned,
    Vector: bad_vector,
}


def bad_encodings(codec: Codec[Any], value: Any) -> Bad:
    """Yield every way in which the bytes of one field can be wrong while their envelope is right."""
    return FAULTS[type(codec)](codec, value)


def bad_shapes(message: Message, data: bytes) -> Bad:
    """Yield the cases in which each field is good, but not beside the others."""
    match message:
        case wire.Contribution(length=length):
            yield "length_differs", "WrongShape", data[:-4] + struct.pack(">I", length + 1)
        case wire.Artifact(parameters=parameters):
            tail = len(parameters) + 4
            yield "one_too_few", "WrongShape", data[:-tail] + struct.pack(">I", 2) + parameters[:16]
        case wire.UnmaskShares():
            yield "both_kinds", "WrongShape", data.replace(prefixed(b"east"), prefixed(b"north"))
        case wire.RoundPlan():
            yield "dimension", "TooLarge", data.replace(b"slots\0\0\0\2", b"slots\0\x10\0\0")


def bad_envelopes(data: bytes) -> Bad:
    kind = data[4]
    other = next(number for number in wire.Kind if number != kind)
    yield "left_over", "LeftOverBytes", data + b"\0"
    yield "truncated", "Truncated", data[:-1]
    yield "header_alone", "Truncated", data[:5]
    yield "nothing", "Truncated", b""
    yield "magic", "WrongMagic", b"TFX" + data[3:]
    yield "version_0", "UnknownVersion", data[:3] + b"\0" + data[4:]
    yield "version_2", "UnknownVersion", data[:3] + b"\2" + data[4:]
    yield "unknown_kind", "UnknownKind", data[:4] + b"\xff" + data[5:]
    yield "wrong_kind", "WrongKind", data[:4] + bytes((other,)) + data[5:]


def bad_cases(message: Message) -> Bad:
    data = message.encode()
    yield from bad_envelopes(data)
    for label, error, body in bad_record(None, message):
        yield label, error, data[:5] + body
    yield from bad_shapes(message, data)


def cases_of(kind: wire.Kind) -> list[dict[str, str]]:
    good = [message for message in SAMPLES if message.KIND is kind]
    cases = [
        {"name": f"good_{number}", "hex": message.encode().hex(), "digest": wire.digest(message).hex()}
        for number, message in enumerate(good)
    ]
    bad = [{"name": f"bad_{label}", "hex": data.hex(), "error": error} for label, error, data in bad_cases(good[0])]
    return cases + bad


def files() -> dict[str, str]:
    """The text of every vector file by its name."""
    return {
        f"{kind.name.lower()}.json": json.dumps({"kind": kind.name.lower(), "cases": cases_of(kind)}, indent=1) + "\n"
        for kind in wire.Kind
    }


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, text in files().items():
        (HERE / name).write_text(text)
