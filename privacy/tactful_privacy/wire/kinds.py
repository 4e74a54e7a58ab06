"""The envelope's constants and the registry of message numbers.

A number, once given, is never given again: the byte decides how a stranger's bytes are read.
"""

from enum import IntEnum
from typing import Final

MAGIC: Final = b"TFW"
VERSION: Final = 1
HEADER_BYTES: Final = len(MAGIC) + 2


class Kind(IntEnum):
    """The kind byte of each message type; its lower-case name is the domain of the type's digest."""

    SIGNED = 0x01
    HOST_ENTRY = 0x10
    KEY_DIRECTORY = 0x11
    ROUND_PLAN = 0x12
    ROUND_ANNOUNCEMENT = 0x13
    KEY_OFFER = 0x20
    KEY_RING = 0x21
    SHARE_BUNDLE = 0x22
    SHARE_DELIVERY = 0x23
    CONTRIBUTION = 0x24
    SURVIVOR_LIST = 0x25
    SURVIVOR_SIGNATURE = 0x26
    SURVIVOR_CERTIFICATE = 0x27
    UNMASK_SHARES = 0x28
    REFUSAL = 0x29
    KEY_VIEW = 0x2A
    ENDORSEMENT = 0x2B
    ENDORSED_LIST = 0x2C
    ROUND_REQUEST = 0x30
    ROUND_REPLY = 0x31
    ARTIFACT_CARD = 0x40
    ARTIFACT = 0x41
    LEDGER_HEAD = 0x50
    LEDGER_PROOF = 0x51
    MODEL_RELEASE = 0x52
