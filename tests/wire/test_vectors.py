"""The committed vectors: every good one decodes to itself, every bad one raises its own error, and they are current."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tactful_privacy import wire
from tactful_privacy.wire import WireError

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = [
    pytest.param(message, case, id=f"{message.KIND.name.lower()}-{case['name']}")
    for message in wire.MESSAGE_TYPES
    for case in json.loads((VECTORS / "v1" / f"{message.KIND.name.lower()}.json").read_text())["cases"]
]
GOOD = [case for case in CASES if "digest" in case.values[1]]
BAD = [case for case in CASES if "error" in case.values[1]]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("message", "case"), GOOD)
def test_good_vectors_decode_and_encode_to_themselves(message: type[wire.Message], case: dict[str, str]) -> None:
    """A good vector decodes, encodes to the same bytes and has the recorded digest."""
    data = bytes.fromhex(case["hex"])
    decoded = message.decode(data)
    assert decoded.encode() == data
    assert wire.decode_any(data) == decoded
    assert wire.digest(data) == wire.digest(decoded) == bytes.fromhex(case["digest"])


@pytest.mark.parametrize(("message", "case"), BAD)
def test_bad_vectors_raise_their_own_error(message: type[wire.Message], case: dict[str, str]) -> None:
    """A bad vector raises exactly the recorded error, which names the field and the remedy."""
    with pytest.raises(WireError) as caught:
        message.decode(bytes.fromhex(case["hex"]))
    assert type(caught.value).__name__ == case["error"]
    assert caught.value.field
    assert caught.value.remedy


def test_the_committed_vectors_are_what_the_script_makes() -> None:
    """Running the script again changes no byte of any file, and there is no file besides."""
    made = script().files()
    assert {path.name: path.read_text() for path in (VECTORS / "v1").iterdir()} == made


def test_every_type_has_every_general_fault() -> None:
    """No message type lacks a vector for the faults that every type can have."""
    general = {"LeftOverBytes", "Truncated", "WrongMagic", "UnknownVersion", "UnknownKind", "WrongKind", "TooLarge"}
    for message in wire.MESSAGE_TYPES:
        errors = {case.values[1]["error"] for case in BAD if case.values[0] is message}
        assert general <= errors, message
        # A request has no field with a least length.
        assert "WrongLength" in errors or message is wire.RoundRequest, message


def test_every_error_has_a_vector_where_bytes_alone_can_raise_it() -> None:
    """All errors but the two about signatures appear among the vectors."""
    errors = {case.values[1]["error"] for case in BAD}
    named = {error.__name__ for error in WireError.__subclasses__()}
    assert named - errors == {"WrongSigner", "BadSignature"}
