"""What hosts and server both check about a round's messages. The hosts' checks are what the privacy claim rests on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from tactful_privacy.secagg import errors
from tactful_privacy.secagg.keys import derive
from tactful_privacy.wire import (
    BadSignature,
    KeyDirectory,
    KeyOffer,
    KeyRing,
    Message,
    RoundPlan,
    Signed,
    SurvivorCertificate,
    SurvivorList,
    SurvivorSignature,
    WrongSigner,
    check_survivor_signature,
    digest,
    open_signed,
)

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Round:
    """A plan and its roster: the fixed facts of one round."""

    plan: RoundPlan
    directory: KeyDirectory

    @cached_property
    def plan_digest(self) -> bytes:
        """Names the round, 32 bytes."""
        return digest(self.plan)

    @cached_property
    def places(self) -> dict[str, int]:
        """Each host's place in the roster, from 1: where its shares are evaluated."""
        return {host_id: place for place, host_id in enumerate(self.directory.host_ids, start=1)}

    @cached_property
    def identities(self) -> dict[str, bytes]:
        """Each host's long-term Ed25519 public key."""
        return {entry.host_id: entry.identity_key for entry in self.directory.entries}

    def identity(self, host_id: str) -> bytes:
        """Return the host's identity key, or raise `UnknownHost`."""
        if host_id not in self.identities:
            remedy = "enrol the host before the plan is published"
            raise errors.UnknownHost(f"{host_id!r} is not in the roster", field="host_id", remedy=remedy)
        return self.identities[host_id]

    def check_plan_digest(self, plan_digest: bytes, message: str) -> None:
        """Raise `WrongPlan` unless the message is of this round."""
        if plan_digest != self.plan_digest:
            remedy = "answer each plan with messages of its own"
            raise errors.WrongPlan("is of another plan", field=f"{message}.plan_digest", remedy=remedy)


def open_from_host(round_: Round, data: bytes, kind: type[M], host_id: str) -> M:
    """Return the message which the named host of the roster signed.

    Raises:
        UnknownHost: not in the roster, or signed by another key than the roster's.
        ForgedSignature: the signature does not verify.
        WireError: the bytes do not decode.
    """
    identity = round_.identity(host_id)
    try:
        return open_signed(data, kind, identity)
    except WrongSigner as error:
        remedy = "sign with the key that was enrolled"
        raise errors.UnknownHost(f"not signed by the key of {host_id!r}", field="signer", remedy=remedy) from error
    except BadSignature as error:
        remedy = "fetch the message again from its author"
        raise errors.ForgedSignature(f"of {host_id!r} does not verify", field="signature", remedy=remedy) from error


def open_offer(round_: Round, data: bytes) -> KeyOffer:
    """Return a host's signed key offer, checked against roster and plan."""
    claimed = KeyOffer.decode(Signed.decode(data).payload).host_id
    offer = open_from_host(round_, data, KeyOffer, claimed)
    round_.check_plan_digest(offer.plan_digest, "KeyOffer")
    return offer


@dataclass(frozen=True)
class Ring:
    """The verified keys of a round."""

    digest: bytes
    offers: dict[str, KeyOffer]

    @classmethod
    def open(cls, round_: Round, ring: KeyRing) -> "Ring":
        """Verify a ring: signatures, plan, at least n_min hosts, every key once.

        Raises:
            SecaggError: one of WrongPlan, UnknownHost, ForgedSignature, SecondMessage, DuplicateKey, TooFewHosts.
        """
        round_.check_plan_digest(ring.plan_digest, "KeyRing")
        offers: dict[str, KeyOffer] = {}
        for data in ring.offers:
            offer = open_offer(round_, data)
            if offer.host_id in offers:
                raise errors.SecondMessage(
                    f"two offers of {offer.host_id!r}", field="KeyRing.offers", remedy="take one"
                )
            offers[offer.host_id] = offer
        keys = [key for offer in offers.values() for key in (offer.mask_key, offer.share_key)]
        if len(set(keys)) != len(keys):
            raise errors.DuplicateKey("a key stands twice", field="KeyRing.offers", remedy="draw every key afresh")
        if len(offers) < round_.plan.n_min:
            message = f"{len(offers)} hosts offered keys, {round_.plan.n_min} are needed"
            raise errors.TooFewHosts(message, field="KeyRing.offers", remedy="void the round and try again later")
        return cls(digest(ring), offers)


def seed_commitment(seed: bytes, plan_digest: bytes, keys_digest: bytes, host_id: str) -> bytes:
    """Return the 32-byte commitment to a self-mask seed; hiding because the seed has 256 random bits.

    It stands in a host's share bundle as the entry addressed to itself, so that the server can tell a wrong share.
    """
    return hashlib.sha256(derive(seed, "seed-commitment", plan_digest, keys_digest, host_id)).digest()


def check_list(round_: Round, keys_digest: bytes, senders: frozenset[str], listed: SurvivorList) -> None:
    """Raise unless the list belongs to this round, lies within roster and share-senders, and names ≥ n_min hosts.

    Raises:
        SecaggError: WrongPlan, WrongKeyRing, WrongHead, ListOutsideRoster, ListOutsideSenders or TooFewSurvivors.
    """
    round_.check_plan_digest(listed.plan_digest, "SurvivorList")
    if listed.keys_digest != keys_digest:
        raise errors.WrongKeyRing("is of other keys", field="SurvivorList.keys_digest", remedy="do not answer")
    if listed.previous_head != round_.plan.previous_head:
        raise errors.WrongHead("is not the plan's", field="SurvivorList.previous_head", remedy="do not answer")
    named = frozenset(listed.survivors)
    if outside := sorted(named - round_.places.keys()):
        raise errors.ListOutsideRoster(f"names {outside}", field="SurvivorList.survivors", remedy="do not answer")
    if outside := sorted(named - senders):
        raise errors.ListOutsideSenders(f"names {outside}", field="SurvivorList.survivors", remedy="do not answer")
    if len(named) < round_.plan.n_min:
        message = f"{len(named)} survivors, {round_.plan.n_min} are needed"
        raise errors.TooFewSurvivors(message, field="SurvivorList.survivors", remedy="void the round")


def check_survivor(round_: Round, signature: SurvivorSignature, listed: SurvivorList) -> None:
    """Raise `ForgedSignature` unless the roster's key of the signer signed exactly this list."""
    try:
        check_survivor_signature(signature, listed, round_.identity(signature.host_id))
    except BadSignature as error:
        message = f"of {signature.host_id!r}: {error}"
        raise errors.ForgedSignature(message, field="SurvivorSignature", remedy="do not answer") from error


def check_certificate(round_: Round, certificate: SurvivorCertificate) -> None:
    """Raise unless ≥ n_min different survivors, keys of the roster, signed exactly this list.

    Two lists cannot both reach n_min signatures, as each honest host signs one and 2·n_min > n + t.

    Raises:
        SecaggError: UnknownSigner, DuplicateSignature, ForgedSignature or TooFewSignatures.
    """
    field = "SurvivorCertificate.signatures"
    seen: set[str] = set()
    for signature in certificate.signatures:
        signer = signature.host_id
        if signer not in certificate.survivor_list.survivors or signer not in round_.identities:
            raise errors.UnknownSigner(f"{signer!r} is no survivor", field=field, remedy="do not answer")
        if signer in seen:
            raise errors.DuplicateSignature(f"{signer!r} signed twice", field=field, remedy="do not answer")
        seen.add(signer)
        check_survivor(round_, signature, certificate.survivor_list)
    if len(seen) < round_.plan.n_min:
        message = f"{len(seen)} signatures, {round_.plan.n_min} are needed"
        raise errors.TooFewSignatures(message, field=field, remedy="ask more survivors to sign")
