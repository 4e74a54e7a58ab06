"""Signatures and digests: every bit counts, and so does whose key it is."""

import subprocess
import sys
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy import wire
from tactful_privacy.wire.errors import BadSignature, LeftOverBytes, WireError, WrongKind, WrongSigner

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
OFFER = wire.KeyOffer(bytes(32), "north", b"m" * 32, b"s" * 32)
LIST = wire.SurvivorList(bytes(32), b"k" * 32, b"h" * 32, ("north", "south"))


def test_a_signed_message_opens() -> None:
    """What was signed comes back, from the object and from its bytes."""
    signed = wire.sign(OFFER, KEY)
    assert wire.open_signed(signed, wire.KeyOffer, PUBLIC) == OFFER
    assert wire.open_signed(signed.encode(), wire.KeyOffer, PUBLIC) == OFFER


def test_every_flipped_bit_of_a_signed_message_is_refused() -> None:
    """No single bit of envelope, payload, signer or signature may change."""
    good = wire.sign(OFFER, KEY).encode()
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            wire.open_signed(bytes(damaged), wire.KeyOffer, PUBLIC)


def test_another_key_is_the_wrong_signer() -> None:
    """A valid signature of another key is WrongSigner, whichever key it claims."""
    signed = wire.sign(OFFER, OTHER)
    with pytest.raises(WrongSigner):
        wire.open_signed(signed, wire.KeyOffer, PUBLIC)
    with pytest.raises(BadSignature):
        wire.open_signed(replace(signed, signer=PUBLIC), wire.KeyOffer, PUBLIC)


def test_a_key_that_is_no_curve_point_is_refused() -> None:
    """A trusted key which is not a key raises BadSignature rather than an error of the library below."""
    impossible = b"\x02" + bytes(31)
    with pytest.raises(BadSignature):
        wire.open_signed(replace(wire.sign(OFFER, KEY), signer=impossible), wire.KeyOffer, impossible)


def test_a_signature_does_not_carry_over_to_another_kind() -> None:
    """A signed message of one type does not open as another."""
    with pytest.raises(WrongKind):
        wire.open_signed(wire.sign(OFFER, KEY), wire.HostEntry, PUBLIC)


def test_signed_left_over_bytes_are_refused() -> None:
    """Even under a good signature the payload must be exactly one message."""
    payload = OFFER.encode() + b"\0"
    signed = wire.Signed(payload=payload, signer=PUBLIC, signature=KEY.sign(b"tactful/v1/signature" + payload))
    with pytest.raises(LeftOverBytes):
        wire.open_signed(signed, wire.KeyOffer, PUBLIC)


def test_a_bare_signature_without_the_domain_is_refused() -> None:
    """A signature over the payload alone, as another protocol might make, does not count."""
    payload = OFFER.encode()
    with pytest.raises(BadSignature):
        wire.open_signed(wire.Signed(payload, PUBLIC, KEY.sign(payload)), wire.KeyOffer, PUBLIC)


def test_a_survivor_signature_holds_for_one_list_host_and_key() -> None:
    """Accepting a list says nothing about another list, another host or another key."""
    accepted = wire.sign_survivors(LIST, "north", KEY)
    wire.check_survivor_signature(accepted, LIST, PUBLIC)
    with pytest.raises(BadSignature, match="another list"):
        wire.check_survivor_signature(accepted, replace(LIST, survivors=("north",)), PUBLIC)
    with pytest.raises(BadSignature):
        wire.check_survivor_signature(replace(accepted, host_id="south"), LIST, PUBLIC)
    with pytest.raises(BadSignature):
        wire.check_survivor_signature(accepted, LIST, OTHER.public_key().public_bytes_raw())


def test_digests_keep_messages_and_kinds_apart() -> None:
    """A digest is of 32 bytes, the same for message and bytes, and differs between kinds with equal fields."""
    assert wire.digest(OFFER) == wire.digest(OFFER.encode())
    assert len(wire.digest(OFFER)) == 32
    assert wire.digest(OFFER) != wire.digest(replace(OFFER, host_id="south"))
    data = bytearray(OFFER.encode())
    data[4] = wire.Kind.CONTRIBUTION
    assert wire.digest(bytes(data)) != wire.digest(OFFER)


def test_wire_needs_only_the_standard_library_and_cryptography() -> None:
    """Importing the package loads no numpy, nor any other distribution besides cryptography and its helpers."""
    code = (
        "import sys, tactful_privacy.wire\n"
        "roots = {name.split('.')[0] for name in sys.modules}\n"
        "allowed = sys.stdlib_module_names | {'tactful_privacy', 'cryptography', 'cffi', '_cffi_backend', '__main__'}\n"
        "print(sorted(name for name in roots - allowed if not name.startswith(('_', 'sitecustomize'))))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
