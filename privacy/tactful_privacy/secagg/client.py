"""A host's side of secure aggregation: five stages, or six with a committee; pure, and persistable between any two.

After Bonawitz et al. (CCS 2017, doi 10.1145/3133956.3133982), active-adversary variant, with the consistency check
made stricter: a host answers one survivor list per round, and reveals shares only against ≥ n_min signatures of
survivors under that list, which it verified itself or for which enough of the committee stand. Without a neighbour
graph the Shamir threshold is n_min. Threat model: the server and up to t hosts may do anything.

The caller must persist `HostSession.to_bytes` **before** it lets an answer out. Then, whatever happens, the same
request gets the same bytes, and another request for that stage is refused.

Secrets go as soon as no later stage needs them: the seed of polynomials and nonces once the shares are dealt; mask
key, share key and self seed once the contribution is made; the shares held for others once they were answered with.
What remains is what the server has seen. See `state` for what erasing cannot promise in Python.

A share that does not decrypt makes its recipient refuse. It could go on without the sender, but then it would have
to be believed when it complains, and a server could talk hosts into leaving others out one by one; a refusal costs
one drop-out, and names the sender.
"""

from collections.abc import Callable, Collection

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg import errors, keys, masks, rules, shamir
from tactful_privacy.secagg.sharing import Sharing
from tactful_privacy.secagg.state import SessionState
from tactful_privacy.wire import (
    Contribution,
    EndorsedList,
    KeyDirectory,
    KeyOffer,
    KeyRing,
    KeyView,
    RoundPlan,
    ShareBundle,
    ShareDelivery,
    Signed,
    SurvivorCertificate,
    SurvivorList,
    UnmaskShares,
    digest,
    endorse,
    sign,
    sign_survivors,
)

SeenKeys = Callable[[Collection[bytes]], Collection[bytes]]
"""Given public mask keys, those of them that an earlier round used."""


def none_seen(mask_keys: Collection[bytes]) -> Collection[bytes]:  # noqa: ARG001 - the signature of SeenKeys
    """A host's first round: no mask key was seen before."""
    return ()


class HostSession:
    """One host in one round.

    Args:
        plan: already checked against the host's own policy.
        directory: the roster which the plan names.
        host_id: this host.
        identity_private: its long-term signing key.
        state: what `to_bytes` persisted; None starts the round with fresh secrets.

    Raises:
        UnknownHost: the roster does not hold this host with this key.
    """

    def __init__(
        self,
        plan: RoundPlan,
        directory: KeyDirectory,
        host_id: str,
        identity_private: Ed25519PrivateKey,
        *,
        state: SessionState | None = None,
    ) -> None:
        self._round = rules.Round(plan, directory)
        if self._round.identity(host_id) != identity_private.public_key().public_bytes_raw():
            remedy = "enrol this host again"
            raise errors.UnknownHost("the roster gives another key", field="identity_key", remedy=remedy)
        self._me = host_id
        self._identity = identity_private
        self._state = state or SessionState(plan.encode(), directory.encode(), host_id)
        self._ring: rules.Ring | None = None
        self._sharing: Sharing | None = None
        self._opened: tuple[bytes, dict[str, bytearray]] | None = None

    @classmethod
    def from_bytes(cls, data: bytes, identity_private: Ed25519PrivateKey) -> "HostSession":
        """Resume a session.

        Raises:
            StateUnreadable: the bytes are not those of `to_bytes`.
        """
        state = SessionState.from_bytes(data)
        try:
            plan, directory = RoundPlan.decode(state.plan), KeyDirectory.decode(state.directory)
        except TactfulError as error:
            raise errors.StateUnreadable(str(error), field="round state", remedy="leave this round") from error
        return cls(plan, directory, state.host_id, identity_private, state=state)

    def to_bytes(self) -> bytes:
        """Return the state, secret, to be persisted before an answer leaves."""
        return self._state.to_bytes()

    @property
    def plan(self) -> RoundPlan:
        """The plan of the round."""
        return self._round.plan

    @property
    def directory(self) -> KeyDirectory:
        """The roster of the round."""
        return self._round.directory

    @property
    def mask_key(self) -> bytes:
        """This host's public mask key of the round, 32 bytes."""
        return KeyOffer.decode(Signed.decode(self.offer()).payload).mask_key

    def answered(self, stage: str, request: bytes) -> bytes | None:
        """Return the stored answer to exactly this request, or None if the stage was not answered.

        Raises:
            SecondKeyRing, SecondDelivery, SecondSurvivorList: the stage was answered for another request.
        """
        if stage not in self._state.replies:
            return None
        if self._state.requests[stage] == request:
            return self._state.replies[stage]
        second = {
            "shares": errors.SecondKeyRing,
            "contribution": errors.SecondDelivery,
            "sign": errors.SecondSurvivorList,
        }
        raise second.get(stage, errors.SecondMessage)(
            "this round has answered another one", field=stage, remedy="show every host the same; do not answer"
        )

    # Stage 1: keys

    def offer(self) -> bytes:
        """Return the signed `KeyOffer`; always the same bytes."""
        return self.answered("keys", b"") or self._record("keys", b"", self._make_offer())

    def _make_offer(self) -> bytes:
        mask_key, share_key = map(
            keys.public_key, (self._state.secrets.mask_private, self._state.secrets.share_private)
        )
        offer = KeyOffer(self._round.plan_digest, self._me, mask_key, share_key)
        return sign(offer, self._identity).encode()

    # Stage 2: shares

    def shares(self, key_ring: bytes, seen: SeenKeys = none_seen) -> bytes:
        """Verify the ring and return the signed `ShareBundle`.

        Args:
            key_ring: an encoded `KeyRing`; under a neighbour graph, an encoded `KeyView`.
            seen: looks mask keys up among those of earlier rounds.

        Raises:
            SecaggError: see `rules.Ring.open` and `rules.Ring.open_view`; OwnOfferMissing, MaskKeyReused, WeakKey,
                SecondKeyRing, OutOfOrder.
            WireError: the bytes do not decode.
        """
        if (stored := self.answered("shares", key_ring)) is not None:
            return stored
        self._require("keys")
        ring = self._opened_ring(key_ring)
        if ring.offers.get(self._me) != KeyOffer.decode(Signed.decode(self._state.replies["keys"]).payload):
            raise errors.OwnOfferMissing(f"of {self._me!r}", field="KeyRing.offers", remedy="include every answer")
        if reused := seen(tuple(offer.mask_key for offer in ring.offers.values())):
            names = sorted(host for host, offer in ring.offers.items() if offer.mask_key in reused)
            raise errors.MaskKeyReused(f"by {names}", field="KeyRing.offers", remedy="draw a fresh key every round")
        self._ring = ring
        own = self._shares_among.deal()
        ciphertexts = [(host_id, self._shares_among.sealed(host_id, own[host_id])) for host_id in sorted(own)]
        bundle = ShareBundle(self._round.plan_digest, ring.digest, self._me, tuple(ciphertexts))
        reply = self._record("shares", key_ring, sign(bundle, self._identity).encode())
        self._state.held[self._me] = bytearray(own[self._me])
        self._state.secrets.erase("stream_seed")
        return reply

    def _opened_ring(self, key_ring: bytes) -> rules.Ring:
        if self._round.graph is None:
            return rules.Ring.open(self._round, KeyRing.decode(key_ring))
        return rules.Ring.open_view(self._round, KeyView.decode(key_ring), self._me)

    @property
    def _shares_among(self) -> Sharing:
        if self._sharing is None:
            self._sharing = Sharing(self._round, self.ring, self._me, self._state.secrets)
        return self._sharing

    # Stage 3: contribution

    def check_delivery(self, share_delivery: bytes) -> None:
        """Raise as `contribution` would, before anything is trained or spent.

        Raises:
            SecaggError: WrongPlan, WrongKeyRing, UnknownHost, MissingShare, TooFewHosts, ShareUnreadable, WrongShare,
                SecondDelivery, OutOfOrder.
        """
        if self.answered("contribution", share_delivery) is None:
            self._require("shares")
            self._received(share_delivery)

    def contribution(self, share_delivery: bytes, encoded_sum: NDArray[np.int64], noise: NDArray[np.int64]) -> bytes:
        """Return the signed, masked `Contribution`. Persist before sending; a retry returns the stored bytes.

        Args:
            share_delivery: an encoded `ShareDelivery`.
            encoded_sum: int64, shape (plan.dimension,), grid units: the sum over this host's devices.
            noise: int64, same shape: this host's share of the noise, drawn for this call alone.

        Raises:
            WrongVector: a vector does not have the plan's length or is not int64.
            SecaggError: as `check_delivery`.
        """
        if (stored := self.answered("contribution", share_delivery)) is not None:
            return stored
        self.check_delivery(share_delivery)
        for name, vector in (("encoded_sum", encoded_sum), ("noise", noise)):
            if vector.shape != (self.plan.dimension,) or vector.dtype != np.int64:
                message = f"{vector.dtype} of shape {vector.shape}"
                raise errors.WrongVector(message, field=name, remedy=f"give int64 of shape ({self.plan.dimension},)")
        masked = masks.wrap(encoded_sum) + masks.wrap(noise) + self._mask(ShareDelivery.decode(share_delivery).senders)
        packed = masked.astype("<u4").tobytes()
        message_ = Contribution(self._round.plan_digest, self.ring.digest, self._me, packed, self.plan.dimension)
        reply = self._record("contribution", share_delivery, sign(message_, self._identity).encode())
        self._state.held |= self._received(share_delivery)
        self._state.secrets.erase("mask_private", "share_private", "self_seed")
        self._sharing = self._opened = None
        return reply

    def _mask(self, senders: Collection[str]) -> NDArray[np.uint32]:
        plan_digest, keys_digest, secrets = self._round.plan_digest, self.ring.digest, self._state.secrets
        total = masks.self_mask(secrets.self_seed, plan_digest, keys_digest, self._me, self.plan.dimension)
        private = keys.private_key(secrets.mask_private)
        for peer in senders:
            if peer != self._me:
                peer_key = self.ring.offers[peer].mask_key
                total += masks.pairwise_mask(
                    private, self._me, peer, peer_key, plan_digest, keys_digest, self.plan.dimension
                )
        return total

    def _received(self, share_delivery: bytes) -> dict[str, bytearray]:
        """Return the shares of the other senders; decrypted once for the check and the contribution after it."""
        if self._opened is None or self._opened[0] != share_delivery:
            held = self._shares_among.opened(ShareDelivery.decode(share_delivery))
            self._opened = share_delivery, {sender: bytearray(pair) for sender, pair in held.items()}
        return self._opened[1]

    # Stage 4: sign

    def sign(self, survivor_list: bytes) -> bytes:
        """Return the `SurvivorSignature` under the one list which this host answers in this round.

        Raises:
            SecaggError: see `rules.check_list`; NotListed, NotContributed, SecondSurvivorList.
        """
        if (stored := self.answered("sign", survivor_list)) is not None:
            return stored
        listed = SurvivorList.decode(survivor_list)
        self._check_listed(listed)
        return self._record("sign", survivor_list, sign_survivors(listed, self._me, self._identity).encode())

    def _check_listed(self, listed: SurvivorList) -> None:
        self._require("shares")
        contributed = "contribution" in self._state.replies
        if not contributed and self._me in listed.survivors:
            message = f"{self._me!r} sent no contribution"
            raise errors.NotContributed(message, field="SurvivorList.survivors", remedy="do not answer")
        self._require("contribution")
        senders = ShareDelivery.decode(self._state.requests["contribution"]).senders
        rules.check_list(self._round, self.ring.digest, frozenset(senders), listed, self._me)
        if self._me not in listed.survivors:
            raise errors.NotListed(f"{self._me!r}", field="SurvivorList.survivors", remedy="ask survivors alone")

    # Stage 5, of the committee alone: endorse

    def endorse(self, certificate: bytes) -> bytes:
        """Return the `Endorsement` of a survivor list of which this host, of the committee, verified all signatures.

        Raises:
            SecaggError: NotInCommittee; see `sign` and `rules.check_certificate`.
        """
        if self._me not in self._round.committee:
            raise errors.NotInCommittee(f"{self._me!r}", field="RoundPlan.committee", remedy="ask the committee alone")
        self._require("contribution")
        listed = self._certified(SurvivorCertificate.decode(certificate))
        if "endorse" in self._state.replies:
            return self._state.replies["endorse"]
        self._accept_list(listed)
        return self._record("endorse", certificate, endorse(digest(listed), self._me, self._identity).encode())

    def _accept_list(self, listed: SurvivorList) -> None:
        """Make a list that was checked the one list of the round, unless it is already."""
        if self.answered("sign", encoded := listed.encode()) is None:
            self._record("sign", encoded, sign_survivors(listed, self._me, self._identity).encode())

    # Last stage: unmask

    def unmask(self, certificate: bytes) -> bytes:
        """Return the signed `UnmaskShares`: per share-sender one share, of the self seed or of the mask key.

        A host that missed the signing stage may still answer: the certificate's list then becomes its one list.

        Args:
            certificate: an encoded `SurvivorCertificate`; with a committee, an encoded `EndorsedList`.

        Raises:
            SecaggError: see `rules.check_list`, `rules.check_certificate`, `rules.check_endorsed`; SecondSurvivorList.
        """
        self._require("contribution")
        message = (EndorsedList if self._round.committee else SurvivorCertificate).decode(certificate)
        listed = self._certified(message)
        if "unmask" in self._state.replies:
            return self._state.replies["unmask"]
        self._accept_list(listed)
        reply = self._record("unmask", certificate, sign(self._unmasking(listed), self._identity).encode())
        self._state.erase_held()
        return reply

    def _certified(self, message: SurvivorCertificate | EndorsedList) -> SurvivorList:
        """Return the list for which n_min hosts stand, once it may be this host's one list."""
        listed = message.survivor_list
        if self.answered("sign", listed.encode()) is None:
            self._check_listed(listed)
        if isinstance(message, EndorsedList):
            rules.check_endorsed(self._round, message)
        else:
            rules.check_certificate(self._round, message)
        return listed

    def _unmasking(self, listed: SurvivorList) -> UnmaskShares:
        survivors, size = set(listed.survivors), shamir.SHARE_BYTES
        held = sorted(self._state.held.items())
        return UnmaskShares(
            self._round.plan_digest,
            digest(listed),
            self._me,
            tuple((host_id, bytes(pair[:size])) for host_id, pair in held if host_id in survivors),
            tuple((host_id, bytes(pair[size:])) for host_id, pair in held if host_id not in survivors),
        )

    # Shared by the stages

    @property
    def ring(self) -> rules.Ring:
        """The verified keys of the round.

        Raises:
            OutOfOrder: no ring was accepted yet.
        """
        if self._ring is None:
            self._require("shares")
            self._ring = rules.Ring.reopen(self._round, self._state.requests["shares"])
        return self._ring

    def _require(self, stage: str) -> None:
        if stage not in self._state.replies:
            raise errors.OutOfOrder(f"{stage!r} was not answered", field="stage", remedy="ask the stages in order")

    def _record(self, stage: str, request: bytes, reply: bytes) -> bytes:
        self._state.requests[stage] = request
        self._state.replies[stage] = reply
        return reply
