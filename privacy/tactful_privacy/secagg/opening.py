"""Opening the sum: rebuild what the survivors' shares allow, compare it with the commitments, take the masks off."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.secagg import errors, keys, masks, rules, shamir
from tactful_privacy.wire import Contribution, ShareBundle, Signed, UnmaskShares

Answers = Mapping[str, Mapping[str, bytes]]
Shares = Mapping[str, Mapping[str, bytes]]
MAX_SUBSETS = 512
"""How many sets of share-givers are tried, when some gave wrong shares, before the round is given up."""


def open_sum(round_: rules.Round, ring: rules.Ring, answers: Answers) -> NDArray[np.int64]:
    """Return the exact centred sum over the survivors.

    Args:
        round_: plan and roster.
        ring: the verified keys.
        answers: per stage and host the accepted bytes; at least n_min under ``unmask``.

    Raises:
        WrongShare: no set of share-givers gives the secrets that the hosts committed to.
    """
    dimension = round_.plan.dimension
    survivors = sorted(answers["contribution"])
    total = np.zeros(dimension, dtype=np.uint32)
    for host_id in survivors:
        packed = Contribution.decode(Signed.decode(answers["contribution"][host_id]).payload).vector
        total += np.frombuffer(packed, dtype="<u4")
    seeds, mask_keys = _reconstruct(round_, ring, answers)
    for host_id, seed in seeds.items():
        total -= masks.self_mask(seed, round_.plan_digest, ring.digest, host_id, dimension)
    for dropped, private in mask_keys.items():
        for host_id in survivors:
            peer_key = ring.offers[host_id].mask_key
            # What the dropped host would have added cancels what this survivor added for it.
            total += masks.pairwise_mask(
                private, dropped, host_id, peer_key, round_.plan_digest, ring.digest, dimension
            )
    return masks.centre(total)


class _Givers:
    """Sets of share-givers to try, and Lagrange's weights of each, computed once."""

    def __init__(self, round_: rules.Round, hosts: Sequence[str]) -> None:
        self._places = round_.places
        self.subsets = list(islice(combinations(hosts, round_.plan.share_threshold), MAX_SUBSETS))
        self._weights: dict[tuple[str, ...], tuple[int, ...]] = {}

    def weights(self, subset: tuple[str, ...]) -> tuple[int, ...]:
        if subset not in self._weights:
            self._weights[subset] = shamir.weights([self._places[host_id] for host_id in subset])
        return self._weights[subset]

    def rebuild(self, owner: str, shares: Shares, is_right: Callable[[bytes], bool]) -> bytes:
        """Return the secret which the owner committed to; any set without a wrong share gives it."""
        for subset in self.subsets:
            secret = _combined([shares[host_id][owner] for host_id in subset], self.weights(subset))
            if secret is not None and is_right(secret):
                return secret
        message = f"of {owner!r} do not give what it committed to"
        raise errors.WrongShare(message, field="UnmaskShares", remedy="nothing was opened; look at it and at its peers")


def _reconstruct(round_: rules.Round, ring: rules.Ring, answers: Answers) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the survivors' self seeds and the dropped hosts' mask keys, each as committed to."""
    given = {host: UnmaskShares.decode(Signed.decode(data).payload) for host, data in sorted(answers["unmask"].items())}
    givers = _Givers(round_, list(given))
    seed_shares = {host_id: dict(message.self_seed_shares) for host_id, message in given.items()}
    key_shares = {host_id: dict(message.mask_key_shares) for host_id, message in given.items()}

    def is_seed(owner: str) -> Callable[[bytes], bool]:
        bundle = ShareBundle.decode(Signed.decode(answers["shares"][owner]).payload)
        commitment = dict(bundle.ciphertexts)[owner]
        return lambda secret: rules.seed_commitment(secret, round_.plan_digest, ring.digest, owner) == commitment

    def is_mask_key(owner: str) -> Callable[[bytes], bool]:
        return lambda secret: keys.public_key(secret) == ring.offers[owner].mask_key

    survivors = sorted(answers["contribution"])
    dropped = sorted(answers["shares"].keys() - answers["contribution"].keys())
    seeds = {owner: givers.rebuild(owner, seed_shares, is_seed(owner)) for owner in survivors}
    return seeds, {owner: givers.rebuild(owner, key_shares, is_mask_key(owner)) for owner in dropped}


def _combined(shares: Sequence[bytes], lagrange: Sequence[int]) -> bytes | None:
    try:
        return shamir.combine(shares, lagrange)
    except errors.WrongShare:
        return None
