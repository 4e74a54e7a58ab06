"""A host's shares: dealt out to those it shares with, sealed for each, and what it receives from them."""

from tactful_privacy.secagg import errors, keys, masks, rules, shamir
from tactful_privacy.secagg.state import Secrets
from tactful_privacy.wire import ShareDelivery

PAIR_BYTES = 2 * shamir.SHARE_BYTES
"""What a host holds of another: a share of its self seed, then one of its mask key."""


class Sharing:
    """One host among those it shares with in one round; every key agreement is made once.

    Args:
        round_: plan and roster.
        ring: the verified keys.
        me: this host.
        secrets: its secrets of the round, not yet erased.
    """

    def __init__(self, round_: rules.Round, ring: rules.Ring, me: str, secrets: Secrets) -> None:
        self._round = round_
        self._ring = ring
        self._me = me
        self._secrets = secrets
        self._private = keys.private_key(secrets.share_private)
        self._agreed: dict[str, bytes] = {}

    def _derive(self, secret: bytes | bytearray, label: str, *names: str) -> bytes:
        return keys.derive(secret, label, self._round.plan_digest, self._ring.digest, *names)

    def _key(self, sender: str, recipient: str) -> bytes:
        peer = recipient if sender == self._me else sender
        if peer not in self._agreed:
            self._agreed[peer] = keys.agree(self._private, self._ring.offers[peer].share_key, peer)
        return self._derive(self._agreed[peer], "share", sender, recipient)

    def _aad(self, sender: str, recipient: str) -> bytes:
        return keys.share_aad(self._round.plan_digest, self._ring.digest, sender, recipient)

    def deal(self) -> dict[str, bytes]:
        """Return, per host of the ring, its two shares of this host's secrets; the same every time."""
        threshold = self._round.plan.share_threshold
        seed = self._derive(self._secrets.stream_seed, "polynomials", self._me)
        need = shamir.randomness_needed(threshold)
        stream = masks.key_stream(seed, 2 * need)
        hosts = sorted(self._ring.offers)
        places = [self._round.places[host_id] for host_id in hosts]
        seeds = shamir.split(self._secrets.self_seed, threshold, places, stream[:need])
        mask_keys = shamir.split(self._secrets.mask_private, threshold, places, stream[need:])
        return {host_id: seed + key for host_id, seed, key in zip(hosts, seeds, mask_keys, strict=True)}

    def sealed(self, recipient: str, plain: bytes) -> bytes:
        """Return a share sealed for its recipient; for this host itself, the commitment to its self seed."""
        if recipient == self._me:
            seed = bytes(self._secrets.self_seed)
            return rules.seed_commitment(seed, self._round.plan_digest, self._ring.digest, self._me)
        nonce = self._derive(self._secrets.stream_seed, "nonce", recipient)[: keys.NONCE_BYTES]
        return keys.seal(self._key(self._me, recipient), nonce, plain, self._aad(self._me, recipient))

    def opened(self, delivery: ShareDelivery) -> dict[str, bytes]:
        """Return the two shares of every sender but this host.

        Raises:
            SecaggError: WrongPlan, WrongKeyRing, UnknownHost, MissingShare, TooFewHosts, ShareUnreadable, WrongShare.
        """
        check_senders(self._round, self._ring, self._me, delivery)
        held = {}
        for sender, sealed in delivery.ciphertexts:
            plain = keys.unseal(self._key(sender, self._me), sealed, self._aad(sender, self._me), sender)
            if len(plain) != PAIR_BYTES:
                raise errors.WrongShare(f"from {sender!r}: wrong size", field="ciphertexts", remedy="void the round")
            held[sender] = plain
        return held


def check_senders(round_: rules.Round, ring: rules.Ring, me: str, delivery: ShareDelivery) -> None:
    """Raise unless the delivery is of this round, for this host, and holds one share from each of enough senders."""
    round_.check_plan_digest(delivery.plan_digest, "ShareDelivery")
    if delivery.keys_digest != ring.digest:
        raise errors.WrongKeyRing("is of other keys", field="ShareDelivery.keys_digest", remedy="do not answer")
    senders, field = set(delivery.senders), "ShareDelivery.senders"
    if unknown := sorted(senders - ring.offers.keys()):
        raise errors.UnknownHost(f"{unknown} offered no keys", field=field, remedy="deliver shares of the ring")
    if me not in senders or {name for name, _ in delivery.ciphertexts} != senders - {me}:
        message = "senders and ciphertexts do not match"
        raise errors.MissingShare(message, field=field, remedy="deliver one share from every other sender")
    if delivery.recipient != me:
        raise errors.MissingShare(f"for {delivery.recipient!r}", field="recipient", remedy="deliver each its own")
    if len(senders) < round_.fewest:
        message = f"{len(senders)} hosts sent shares, {round_.fewest} are needed"
        raise errors.TooFewHosts(message, field=field, remedy="void the round")
