"""Opening the sum: rebuild what the survivors' shares allow, compare it with the commitments, take the masks off."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.secagg import errors, keys, masks, rules, shamir
from tactful_privacy.wire import Contribution, ShareBundle, Signed, UnmaskShares

Answers = Mapping[str, Mapping[str, bytes]]
MAX_SUBSETS = 512
"""How many sets of share-givers are tried, when some gave wrong shares, before the round is given up."""
MAX_KEPT_WEIGHTS = 1_024


def open_sum(round_: rules.Round, ring: rules.Ring, answers: Answers) -> NDArray[np.int64]:
    """Return the exact centred sum over the survivors.

    Args:
        round_: plan and roster.
        ring: the verified keys.
        answers: per stage and host the accepted bytes; at least n_min under ``unmask``.

    Raises:
        WrongShare: no set of share-givers gives the secrets that the hosts committed to.
        TooFewSurvivors: under a graph, too few of some host's neighbours gave their shares.
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
    survived = frozenset(survivors)
    for dropped, secret in mask_keys.items():
        private = keys.private_key(secret)
        for host_id in round_.sharers(dropped, survived):
            peer_key = ring.offers[host_id].mask_key
            # What the dropped host would have added cancels what this survivor added for it.
            total += masks.pairwise_mask(
                private, dropped, host_id, peer_key, round_.plan_digest, ring.digest, dimension
            )
    return masks.centre(total)


class _Rebuilder:
    """Rebuilds secrets; Lagrange's weights of a set of share-givers are computed once."""

    def __init__(self, round_: rules.Round) -> None:
        self._places = round_.places
        self._threshold = round_.plan.share_threshold
        self._weights: dict[tuple[str, ...], tuple[int, ...]] = {}

    def _of(self, subset: tuple[str, ...]) -> tuple[int, ...]:
        if len(self._weights) > MAX_KEPT_WEIGHTS:  # liars make many sets be tried, in every neighbourhood others
            self._weights.clear()
        if subset not in self._weights:
            self._weights[subset] = shamir.weights([self._places[host_id] for host_id in subset])
        return self._weights[subset]

    def rebuild(self, owner: str, shares: Mapping[str, bytes], is_right: Callable[[bytes], bool]) -> bytes:
        """Return the secret which the owner committed to; any set without a wrong share gives it."""
        if len(shares) < self._threshold:
            message = f"{len(shares)} shares of {owner!r}, {self._threshold} are needed"
            remedy = "nothing was opened; plan another attempt"
            raise errors.TooFewSurvivors(message, field="share_threshold", remedy=remedy)
        for subset in islice(_subsets(sorted(shares), self._threshold), MAX_SUBSETS):
            secret = _combined([shares[host_id] for host_id in subset], self._of(subset))
            if secret is not None and is_right(secret):
                return secret
        message = f"of {owner!r} do not give what it committed to"
        raise errors.WrongShare(message, field="UnmaskShares", remedy="nothing was opened; look at it and at its peers")


def _subsets(hosts: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield sets to try: neighbours in a circle, which leave out any one wrong share soon, then all in order."""
    around = [*hosts, *hosts]
    starts = range(len(hosts) if size < len(hosts) else 1)
    yield from (tuple(sorted(around[start : start + size])) for start in starts)
    yield from combinations(hosts, size)


def _reconstruct(round_: rules.Round, ring: rules.Ring, answers: Answers) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the survivors' self seeds and the dropped hosts' mask keys, each as committed to."""
    seed_shares: dict[str, dict[str, bytes]] = {owner: {} for owner in answers["contribution"]}
    key_shares: dict[str, dict[str, bytes]] = {
        owner: {} for owner in answers["shares"].keys() - answers["contribution"].keys()
    }
    for giver, data in answers["unmask"].items():
        given = UnmaskShares.decode(Signed.decode(data).payload)
        for owner, share in given.self_seed_shares:
            seed_shares[owner][giver] = share
        for owner, share in given.mask_key_shares:
            key_shares[owner][giver] = share

    def is_seed(owner: str) -> Callable[[bytes], bool]:
        bundle = ShareBundle.decode(Signed.decode(answers["shares"][owner]).payload)
        commitment = dict(bundle.ciphertexts)[owner]
        return lambda secret: rules.seed_commitment(secret, round_.plan_digest, ring.digest, owner) == commitment

    def is_mask_key(owner: str) -> Callable[[bytes], bool]:
        return lambda secret: keys.public_key(secret) == ring.offers[owner].mask_key

    rebuilder = _Rebuilder(round_)
    seeds = {owner: rebuilder.rebuild(owner, seed_shares[owner], is_seed(owner)) for owner in sorted(seed_shares)}
    return seeds, {
        owner: rebuilder.rebuild(owner, key_shares[owner], is_mask_key(owner)) for owner in sorted(key_shares)
    }


def _combined(shares: Sequence[bytes], lagrange: Sequence[int]) -> bytes | None:
    try:
        return shamir.combine(shares, lagrange)
    except errors.WrongShare:
        return None
