"""What each field that a host sends could tell its reader. A field without an entry here may not be sent.

"Nothing of a device" means: the bytes are the same, or drawn from the same distribution, whatever any device holds.
"""

from typing import Final

from tactful_privacy.errors import TactfulError


class Undescribed(TactfulError):
    """A field leaves a host and nobody has written down what it could reveal."""


_NAME = "which host this is: a public name of the roster"
_PLAN = "which plan is answered: public"
_KEYS = "which ring of keys this host was shown: public, and how a split view comes to light"
_NOTHING = "nothing: constant"

REVEALS: Final[dict[str, str]] = {
    "RoundReply.plan_digest": _PLAN,
    "RoundReply.stage": "how far this host came in the round",
    "RoundReply.attempt": "how often it was asked",
    "RoundReply.host_id": _NAME,
    "RoundReply.payload": "an empty answer",
    "Signed.signer": "public key of who says this: the host, as in the roster; in a ledger head, the server",
    "Signed.signature": "that its owner said it, and cannot deny it afterwards; nothing of a device",
    "LedgerHead.federation": "the server's own words, sent back: nothing",
    "LedgerHead.size": "how far this host has followed the ledger: a low number says that it was away",
    "LedgerHead.root": "which history this host was shown: public, and how a split view comes to light",
    "LedgerHead.chain_head": "the same, by the last entry",
    "HostEntry.host_id": _NAME,
    "HostEntry.identity_key": "the host's public identity key",
    "HostEntry.planned_devices": "a cap which the operator chose: for a phone 1. Not how many devices took part",
    "KeyOffer.plan_digest": _PLAN,
    "KeyOffer.host_id": _NAME,
    "KeyOffer.mask_key": "a fresh random public key: nothing of a device",
    "KeyOffer.share_key": "a fresh random public key: nothing of a device",
    "ShareBundle.plan_digest": _PLAN,
    "ShareBundle.keys_digest": _KEYS,
    "ShareBundle.host_id": _NAME,
    "ShareBundle.ciphertexts": "encrypted shares of this round's random secrets, and a commitment to one of them: "
    "the server cannot read them, and they hold nothing of a device",
    "Contribution.plan_digest": _PLAN,
    "Contribution.keys_digest": _KEYS,
    "Contribution.host_id": _NAME,
    "Contribution.vector": "the devices' sum + this host's noise + masks, modulo 2^32: alone it is uniformly random; "
    "added to at least n_min - 1 others it is a sum with the noise that the price pays for",
    "Contribution.length": "the number of coordinates, as planned: public",
    "SurvivorSignature.list_digest": "which list of survivors this host accepts: public",
    "SurvivorSignature.host_id": _NAME,
    "SurvivorSignature.signature": "that this host accepted that one list",
    "Endorsement.list_digest": "which list of survivors this member of the committee verified: public",
    "Endorsement.host_id": _NAME,
    "Endorsement.signature": "that it verified the list's whole certificate; nothing of a device",
    "UnmaskShares.plan_digest": _PLAN,
    "UnmaskShares.list_digest": "which list of survivors is opened: public",
    "UnmaskShares.host_id": _NAME,
    "UnmaskShares.self_seed_shares": "one share of each survivor's own mask: with enough others it takes the masks off "
    "the sum of all survivors, and never off one host alone",
    "UnmaskShares.mask_key_shares": "one share of each dropped host's mask key of this round, whose contribution "
    "is not in the sum",
    "Refusal.plan_digest": _PLAN,
    "Refusal.host_id": _NAME,
    "Refusal.stage": "where it stopped",
    "Refusal.code": "why, as one of a fixed list of codes; none depends on what a device holds",
    "Refusal.detail": "a sentence about the plan or the protocol, never about a device",
}


def reveals(field: str) -> str:
    """Return what a field of `dissect` could tell its reader.

    Raises:
        Undescribed: nobody has written it down; find out before anything is sent.
    """
    if field.endswith((".header", ".length")) and field not in REVEALS:
        return _NOTHING
    if field not in REVEALS:
        raise Undescribed("is not described", field=field, remedy="say in tactful_privacy.audit.reveals what it tells")
    return REVEALS[field]
