"""What hosts and server both check about a round's messages. The hosts' checks are what the privacy claim rests on."""

import hashlib
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from tactful_privacy.secagg import errors, keytree
from tactful_privacy.secagg.graph import Graph, committee_of
from tactful_privacy.secagg.keys import derive
from tactful_privacy.secagg.thresholds import window_floor
from tactful_privacy.wire import (
    BadSignature,
    EndorsedList,
    Endorsement,
    KeyDirectory,
    KeyOffer,
    KeyRing,
    KeyView,
    Message,
    RoundPlan,
    Signed,
    SurvivorCertificate,
    SurvivorList,
    SurvivorSignature,
    WrongSigner,
    check_list_signature,
    digest,
    open_signed,
)

M = TypeVar("M", bound=Message)

COLLECTING = ("keys", "shares", "contribution", "sign", "unmask")
"""The stages in which hosts answer, in order; afterwards a round is ``opened`` or ``void``."""
WITH_COMMITTEE = ("keys", "shares", "contribution", "sign", "endorse", "unmask")
"""The same where the plan has a committee, which endorses the survivor list that all have signed."""


def stages_of(plan: RoundPlan) -> tuple[str, ...]:
    """Return the stages in which the hosts of a plan answer, in order."""
    return WITH_COMMITTEE if plan.committee else COLLECTING


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
    def graph(self) -> Graph | None:
        """Who is whose neighbour; None pairs every host with every other."""
        return Graph.of(self.plan, self.directory) if self.plan.neighbours else None

    @cached_property
    def committee(self) -> frozenset[str]:
        """The hosts which verify the certificate for the others; empty if every host does."""
        return committee_of(self.plan, self.directory)

    @property
    def fewest(self) -> int:
        """With how many hosts, itself included, a host must share at least: n_min, or the share threshold."""
        return self.plan.share_threshold if self.graph else self.plan.n_min

    def sharers(self, host_id: str, present: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the present hosts that share with this one: itself and its neighbours, or all."""
        return present if self.graph is None else present & (self.graph.neighbours(host_id) | {host_id})

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
        return cls(digest(ring), _opened(round_, ring.offers))

    @classmethod
    def open_view(cls, round_: Round, view: KeyView, me: str) -> "Ring":
        """Verify a host's own part of the keys under the plan's graph, and that it is the one under the keys digest.

        Raises:
            SecaggError: as `open`, or NotNeighbours, WrongProof.
        """
        round_.check_plan_digest(view.plan_digest, "KeyView")
        offers = _opened(round_, view.offers)
        circle = round_.sharers(me, round_.places.keys())
        if strangers := sorted(offers.keys() - circle):
            message = f"keys of {strangers}"
            raise errors.NotNeighbours(
                message, field="KeyView.offers", remedy="send the keys of the graph's neighbours"
            )
        known = dict(zip((round_.places[host_id] - 1 for host_id in offers), view.offers, strict=True))
        absent = [round_.places[host_id] - 1 for host_id in circle - offers.keys()]
        size = len(round_.directory.entries)
        keytree.check(view.keys_digest, round_.plan_digest, size, known, absent, view.proof)
        return cls(view.keys_digest, offers)

    @classmethod
    def reopen(cls, round_: Round, accepted: bytes) -> "Ring":
        """Return the ring of bytes that this host verified and stored: no signature is checked again."""
        message = KeyView.decode(accepted) if round_.graph else KeyRing.decode(accepted)
        offers = [KeyOffer.decode(Signed.decode(data).payload) for data in message.offers]
        keys_digest = message.keys_digest if isinstance(message, KeyView) else digest(message)
        return cls(keys_digest, {offer.host_id: offer for offer in offers})


def _opened(round_: Round, signed: Iterable[bytes]) -> dict[str, KeyOffer]:
    offers: dict[str, KeyOffer] = {}
    for data in signed:
        offer = open_offer(round_, data)
        if offer.host_id in offers:
            raise errors.SecondMessage(f"two offers of {offer.host_id!r}", field="KeyRing.offers", remedy="take one")
        offers[offer.host_id] = offer
    keys = [key for offer in offers.values() for key in (offer.mask_key, offer.share_key)]
    if len(set(keys)) != len(keys):
        raise errors.DuplicateKey("a key stands twice", field="KeyRing.offers", remedy="draw every key afresh")
    if len(offers) < round_.fewest:
        message = f"{len(offers)} hosts offered keys, {round_.fewest} are needed"
        raise errors.TooFewHosts(message, field="KeyRing.offers", remedy="void the round and try again later")
    return offers


def seed_commitment(seed: bytes, plan_digest: bytes, keys_digest: bytes, host_id: str) -> bytes:
    """Return the 32-byte commitment to a self-mask seed; hiding because the seed has 256 random bits.

    It stands in a host's share bundle as the entry addressed to itself, so that the server can tell a wrong share.
    """
    return hashlib.sha256(derive(seed, "seed-commitment", plan_digest, keys_digest, host_id)).digest()


def check_list(
    round_: Round, keys_digest: bytes, senders: AbstractSet[str], listed: SurvivorList, me: str | None = None
) -> None:
    """Raise unless the list belongs to this round, lies within roster and share-senders, and names ≥ n_min hosts.

    Args:
        round_: plan and roster.
        keys_digest: of the keys that were shown.
        senders: the share-senders, under a graph those among the host's neighbours.
        listed: the list.
        me: the host that checks; None for the server, which knows all senders.

    Raises:
        SecaggError: WrongPlan, WrongKeyRing, WrongHead, ListOutsideRoster, ListOutsideSenders, TooFewSurvivors or
            SurvivorsDisconnected.
    """
    round_.check_plan_digest(listed.plan_digest, "SurvivorList")
    if listed.keys_digest != keys_digest:
        raise errors.WrongKeyRing("is of other keys", field="SurvivorList.keys_digest", remedy="do not answer")
    if listed.previous_head != round_.plan.previous_head:
        raise errors.WrongHead("is not the plan's", field="SurvivorList.previous_head", remedy="do not answer")
    named = frozenset(listed.survivors)
    if outside := sorted(named - round_.places.keys()):
        raise errors.ListOutsideRoster(f"names {outside}", field="SurvivorList.survivors", remedy="do not answer")
    near = named if me is None else round_.sharers(me, named)
    if outside := sorted(near - senders):
        raise errors.ListOutsideSenders(f"names {outside}", field="SurvivorList.survivors", remedy="do not answer")
    if len(named) < round_.plan.n_min:
        message = f"{len(named)} survivors, {round_.plan.n_min} are needed"
        raise errors.TooFewSurvivors(message, field="SurvivorList.survivors", remedy="void the round")
    check_connected(round_, named, "SurvivorList.survivors")


def connected(round_: Round, hosts: Collection[str]) -> bool:
    """Return whether no t colluding hosts can cut the graph of these hosts; see `thresholds`, second event."""
    if round_.graph is None:
        return True
    plan = round_.plan
    floor = window_floor(len(round_.directory.entries), plan.colluders, plan.neighbours)
    return round_.graph.thinnest(hosts) >= floor


def check_connected(round_: Round, hosts: Collection[str], field: str) -> None:
    """Raise `SurvivorsDisconnected` unless the hosts are `connected`.

    Both the survivors on a list and those who signed it must be. A host that is listed but was not asked to sign may
    have been kept from the shares of one side of the ring: it adds no masks with that side, and only its own signature
    would say so. Where every stretch of k/2 places holds an honest signer, each of whom shares masks with all its
    listed neighbours, no part of the sum comes apart.
    """
    if not connected(round_, hosts):
        message = f"some {round_.plan.neighbours // 2} places of the ring hold too few of the {len(hosts)} hosts"
        raise errors.SurvivorsDisconnected(message, field=field, remedy="void the round; ask more survivors to sign")


def check_survivor(round_: Round, signature: SurvivorSignature | Endorsement, list_digest: bytes) -> None:
    """Raise `ForgedSignature` unless the roster's key of the signer signed exactly the list of this digest."""
    try:
        check_list_signature(signature, list_digest, round_.identity(signature.host_id))
    except BadSignature as error:
        message = f"of {signature.host_id!r}: {error}"
        raise errors.ForgedSignature(message, field=type(signature).__name__, remedy="do not answer") from error


def check_certificate(round_: Round, certificate: SurvivorCertificate) -> None:
    """Raise unless ≥ n_min different survivors, keys of the roster, signed exactly this list.

    Two lists cannot both reach n_min signatures, as each honest host signs one and 2·n_min > n + t.

    Raises:
        SecaggError: UnknownSigner, DuplicateSignature, ForgedSignature, TooFewSignatures, or under a graph
            SurvivorsDisconnected if the signers leave a stretch of the ring thin.
    """
    field = "SurvivorCertificate.signatures"
    seen: set[str] = set()
    survivors, list_digest = set(certificate.survivor_list.survivors), digest(certificate.survivor_list)
    for signature in certificate.signatures:
        signer = signature.host_id
        if signer not in survivors or signer not in round_.identities:
            raise errors.UnknownSigner(f"{signer!r} is no survivor", field=field, remedy="do not answer")
        if signer in seen:
            raise errors.DuplicateSignature(f"{signer!r} signed twice", field=field, remedy="do not answer")
        seen.add(signer)
        check_survivor(round_, signature, list_digest)
    if len(seen) < round_.plan.n_min:
        message = f"{len(seen)} signatures, {round_.plan.n_min} are needed"
        raise errors.TooFewSignatures(message, field=field, remedy="ask more survivors to sign")
    check_connected(round_, seen, field)


def check_endorsed(round_: Round, endorsed: EndorsedList) -> None:
    """Raise unless ≥ ``committee_threshold`` different members of the committee endorsed exactly this list.

    Raises:
        SecaggError: NotInCommittee, ForgedSignature or TooFewEndorsements.
    """
    field, list_digest = "EndorsedList.endorsements", digest(endorsed.survivor_list)
    for endorsement in endorsed.endorsements:
        if endorsement.host_id not in round_.committee:
            message = f"{endorsement.host_id!r} is no member"
            raise errors.NotInCommittee(message, field=field, remedy="do not answer")
        check_survivor(round_, endorsement, list_digest)
    if len(endorsed.endorsements) < max(round_.plan.committee_threshold, 1):
        message = f"{len(endorsed.endorsements)} endorsements, {round_.plan.committee_threshold} are needed"
        raise errors.TooFewEndorsements(message, field=field, remedy="ask more members to endorse")
