"""A host's side of secure aggregation: five stages, pure, its state persistable between any two.

After Bonawitz et al. (CCS 2017, doi 10.1145/3133956.3133982), active-adversary variant, with the consistency check
made stricter: a host answers one survivor list per round, and reveals shares only against ≥ n_min signatures of
survivors under that list. The Shamir threshold is n_min. Threat model: the server and up to t hosts may do anything.

The caller must persist `HostSession.to_bytes` **before** it lets an answer out. Then, whatever happens, the same
request gets the same bytes, and another request for that stage is refused.
"""

from collections.abc import Callable, Collection

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg import errors, keys, masks, rules, shamir
from tactful_privacy.secagg.state import SessionState
from tactful_privacy.wire import (
    Contribution,
    KeyDirectory,
    KeyOffer,
    KeyRing,
    RoundPlan,
    ShareBundle,
    ShareDelivery,
    SurvivorCertificate,
    SurvivorList,
    UnmaskShares,
    digest,
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
        return keys.public_key(self._state.secrets.mask_private)

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
        secrets = self._state.secrets
        offer = KeyOffer(self._round.plan_digest, self._me, self.mask_key, keys.public_key(secrets.share_private))
        return sign(offer, self._identity).encode()

    # Stage 2: shares

    def shares(self, key_ring: bytes, seen: SeenKeys = none_seen) -> bytes:
        """Verify the ring and return the signed `ShareBundle`.

        Args:
            key_ring: an encoded `KeyRing`.
            seen: looks mask keys up among those of earlier rounds.

        Raises:
            SecaggError: see `rules.Ring.open`; OwnOfferMissing, MaskKeyReused, WeakKey, SecondKeyRing, OutOfOrder.
            WireError: the bytes do not decode.
        """
        if (stored := self.answered("shares", key_ring)) is not None:
            return stored
        self._require("keys")
        message = KeyRing.decode(key_ring)
        ring = rules.Ring.open(self._round, message)
        if self._state.replies["keys"] not in message.offers:
            raise errors.OwnOfferMissing(f"of {self._me!r}", field="KeyRing.offers", remedy="include every answer")
        if reused := seen(tuple(offer.mask_key for offer in ring.offers.values())):
            names = sorted(host for host, offer in ring.offers.items() if offer.mask_key in reused)
            raise errors.MaskKeyReused(f"by {names}", field="KeyRing.offers", remedy="draw a fresh key every round")
        self._ring = ring
        own = self._own_shares()
        ciphertexts = [(host_id, self._sealed(host_id, b"".join(own[host_id]))) for host_id in sorted(own)]
        bundle = ShareBundle(self._round.plan_digest, ring.digest, self._me, tuple(ciphertexts))
        return self._record("shares", key_ring, sign(bundle, self._identity).encode())

    def _sealed(self, recipient: str, plain: bytes) -> bytes:
        plan_digest, keys_digest = self._round.plan_digest, self.ring.digest
        if recipient == self._me:
            return rules.seed_commitment(self._state.secrets.self_seed, plan_digest, keys_digest, self._me)
        aad = keys.share_aad(plan_digest, keys_digest, self._me, recipient)
        nonce = keys.derive(self._state.secrets.stream_seed, "nonce", plan_digest, keys_digest, recipient)
        return keys.seal(self._share_key(self._me, recipient), nonce[: keys.NONCE_BYTES], plain, aad)

    def _own_shares(self) -> dict[str, tuple[bytes, bytes]]:
        """Return, per host of the ring, its share of this host's self seed and of its mask key; the same every time."""
        plan_digest, keys_digest, secrets = self._round.plan_digest, self.ring.digest, self._state.secrets
        threshold = self.plan.share_threshold
        seed = keys.derive(secrets.stream_seed, "polynomials", plan_digest, keys_digest, self._me)
        need = shamir.randomness_needed(threshold)
        stream = masks.key_stream(seed, 2 * need)
        hosts = sorted(self.ring.offers)
        places = [self._round.places[host_id] for host_id in hosts]
        seeds = shamir.split(secrets.self_seed, threshold, places, stream[:need])
        mask_keys = shamir.split(secrets.mask_private, threshold, places, stream[need:])
        return dict(zip(hosts, zip(seeds, mask_keys, strict=True), strict=True))

    def _share_key(self, sender: str, recipient: str) -> bytes:
        peer = recipient if sender == self._me else sender
        secret = keys.agree(self._state.secrets.share_private, self.ring.offers[peer].share_key, peer)
        return keys.derive(secret, "share", self._round.plan_digest, self.ring.digest, sender, recipient)

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
        return self._record("contribution", share_delivery, sign(message_, self._identity).encode())

    def _mask(self, senders: Collection[str]) -> NDArray[np.uint32]:
        plan_digest, keys_digest, secrets = self._round.plan_digest, self.ring.digest, self._state.secrets
        total = masks.self_mask(secrets.self_seed, plan_digest, keys_digest, self._me, self.plan.dimension)
        for peer in senders:
            if peer != self._me:
                peer_key = self.ring.offers[peer].mask_key
                total = total + masks.pairwise_mask(
                    secrets.mask_private, self._me, peer, peer_key, plan_digest, keys_digest, self.plan.dimension
                )
        return total

    def _received(self, share_delivery: bytes) -> dict[str, tuple[bytes, bytes]]:
        """Return, per share-sender, the two shares which this host holds of it."""
        delivery = ShareDelivery.decode(share_delivery)
        self._check_senders(delivery)
        held = {self._me: self._own_shares()[self._me]}
        for sender, sealed in delivery.ciphertexts:
            aad = keys.share_aad(self._round.plan_digest, self.ring.digest, sender, self._me)
            plain = keys.unseal(self._share_key(sender, self._me), sealed, aad, sender)
            if len(plain) != 2 * shamir.SHARE_BYTES:
                raise errors.WrongShare(f"from {sender!r}: wrong size", field="ciphertexts", remedy="void the round")
            held[sender] = plain[: shamir.SHARE_BYTES], plain[shamir.SHARE_BYTES :]
        return held

    def _check_senders(self, delivery: ShareDelivery) -> None:
        self._round.check_plan_digest(delivery.plan_digest, "ShareDelivery")
        if delivery.keys_digest != self.ring.digest:
            raise errors.WrongKeyRing("is of other keys", field="ShareDelivery.keys_digest", remedy="do not answer")
        senders, field = set(delivery.senders), "ShareDelivery.senders"
        if unknown := sorted(senders - self.ring.offers.keys()):
            raise errors.UnknownHost(f"{unknown} offered no keys", field=field, remedy="deliver shares of the ring")
        if self._me not in senders or {name for name, _ in delivery.ciphertexts} != senders - {self._me}:
            message = "senders and ciphertexts do not match"
            raise errors.MissingShare(message, field=field, remedy="deliver one share from every other sender")
        if delivery.recipient != self._me:
            raise errors.MissingShare(f"for {delivery.recipient!r}", field="recipient", remedy="deliver each its own")
        if len(senders) < self.plan.n_min:
            message = f"{len(senders)} hosts sent shares, {self.plan.n_min} are needed"
            raise errors.TooFewHosts(message, field=field, remedy="void the round")

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
        rules.check_list(self._round, self.ring.digest, frozenset(senders), listed)
        if self._me not in listed.survivors:
            raise errors.NotListed(f"{self._me!r}", field="SurvivorList.survivors", remedy="ask survivors alone")

    # Stage 5: unmask

    def unmask(self, certificate: bytes) -> bytes:
        """Return the signed `UnmaskShares`: per share-sender one share, of the self seed or of the mask key.

        A host that missed the signing stage may still answer: the certificate's list then becomes its one list.

        Raises:
            SecaggError: see `rules.check_list` and `rules.check_certificate`; SecondSurvivorList.
        """
        message = SurvivorCertificate.decode(certificate)
        self._require("contribution")
        encoded = message.survivor_list.encode()
        if self.answered("sign", encoded) is None:
            self._check_listed(message.survivor_list)
        rules.check_certificate(self._round, message)
        if "unmask" in self._state.replies:
            return self._state.replies["unmask"]
        self.sign(encoded)
        return self._record(
            "unmask", certificate, sign(self._unmasking(message.survivor_list), self._identity).encode()
        )

    def _unmasking(self, listed: SurvivorList) -> UnmaskShares:
        held = sorted(self._received(self._state.requests["contribution"]).items())
        survivors = set(listed.survivors)
        return UnmaskShares(
            self._round.plan_digest,
            digest(listed),
            self._me,
            tuple((host_id, share[0]) for host_id, share in held if host_id in survivors),
            tuple((host_id, share[1]) for host_id, share in held if host_id not in survivors),
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
            self._ring = rules.Ring.open(self._round, KeyRing.decode(self._state.requests["shares"]))
        return self._ring

    def _require(self, stage: str) -> None:
        if stage not in self._state.replies:
            raise errors.OutOfOrder(f"{stage!r} was not answered", field="stage", remedy="ask the stages in order")

    def _record(self, stage: str, request: bytes, reply: bytes) -> bytes:
        self._state.requests[stage] = request
        self._state.replies[stage] = reply
        return reply
