"""A server that lies, with its colluding hosts: what it collects, and how it opens whatever that allows.

`Knowledge` holds all that the server got. It rebuilds every secret of which it holds enough shares, by trying their
subsets against the public commitments, and then every sum over honest hosts that those secrets unmask.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg import HostSession, errors, keys, masks, rules, shamir
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import (
    Contribution,
    KeyRing,
    ShareBundle,
    ShareDelivery,
    Signed,
    SurvivorCertificate,
    SurvivorList,
    SurvivorSignature,
    UnmaskShares,
    digest,
    sign_survivors,
)

DIMENSION = 3
MAX_SUBSETS = 100


@dataclass(frozen=True)
class View:
    """What one host was shown: its ring, and from whom it got shares."""

    ring: rules.Ring
    senders: frozenset[str]
    vector: np.ndarray


class Knowledge:
    """Shares by owner and place, private keys by public key, contributions by host."""

    def __init__(self, round_, honest):
        self.round, self.honest = round_, sorted(honest)
        self.seed_shares, self.key_shares = {}, {}
        self.mask_privates, self.share_privates = {}, {}
        self.commitments, self.rings, self.views = {}, {}, {}

    def add_secrets(self, mask_private, share_private):
        """Private keys of a colluding host, or of one that the server invented."""
        self.mask_privates[keys.public_key(mask_private)] = mask_private
        self.share_privates[keys.public_key(share_private)] = share_private

    def add_bundle(self, bundle, ring):
        """A host's encrypted shares; whatever is sealed for a key that the server has is read."""
        owner = bundle.host_id
        self.rings[owner] = ring
        plan_digest = self.round.plan_digest
        for recipient, sealed in bundle.ciphertexts:
            if recipient == owner:
                self.commitments[owner] = sealed
                continue
            private = self.share_privates.get(ring.offers[recipient].share_key)
            if private is not None:
                secret = keys.agree(private, ring.offers[owner].share_key, owner)
                key = keys.derive(secret, "share", plan_digest, ring.digest, owner, recipient)
                aad = keys.share_aad(plan_digest, ring.digest, owner, recipient)
                plain = keys.unseal(key, sealed, aad, owner)
                self._add_share(self.seed_shares, owner, recipient, plain[: shamir.SHARE_BYTES])
                self._add_share(self.key_shares, owner, recipient, plain[shamir.SHARE_BYTES :])

    def add_unmasking(self, message):
        """The shares that a host gave away."""
        for kept, given in (
            (self.seed_shares, message.self_seed_shares),
            (self.key_shares, message.mask_key_shares),
        ):
            for owner, share in given:
                self._add_share(kept, owner, message.host_id, share)

    def _add_share(self, kept, owner, giver, share):
        kept.setdefault(owner, {})[self.round.places[giver]] = share

    def _rebuilt(self, shares, is_right):
        """The secret, by brute force over the sets of shares; None if no set gives it."""
        subsets = itertools.combinations(sorted(shares), self.round.plan.share_threshold)
        for places in itertools.islice(subsets, MAX_SUBSETS):
            try:
                secret = shamir.combine([shares[place] for place in places], shamir.weights(places))
            except errors.WrongShare:
                continue
            if is_right(secret):
                return secret
        return None

    def _seed(self, owner):
        ring = self.rings[owner]

        def is_right(seed):
            return rules.seed_commitment(seed, self.round.plan_digest, ring.digest, owner) == self.commitments[owner]

        return self._rebuilt(self.seed_shares.get(owner, {}), is_right)

    def _rebuild_mask_keys(self):
        for owner, shares in self.key_shares.items():
            wanted = self.rings[owner].offers[owner].mask_key
            secret = self._rebuilt(shares, lambda private, wanted=wanted: keys.public_key(private) == wanted)
            if secret is not None:
                self.mask_privates[wanted] = secret

    def opened(self):
        """Every sum over some honest hosts alone that comes out: hosts → vector modulo 2^32."""
        self._rebuild_mask_keys()
        seeds = {host: seed for host in self.views if (seed := self._seed(host)) is not None}
        out = {}
        for size in range(1, len(self.honest) + 1):
            for hosts in itertools.combinations([host for host in self.honest if host in seeds], size):
                total = self._sum(frozenset(hosts), seeds)
                if total is not None:
                    out[frozenset(hosts)] = total
        return out

    def parts(self):
        """The smallest sums that come out, for rosters too large for `opened`: every other one is a union of them.

        A host's part holds each peer with which it added a mask that nothing takes off but the peer's own.
        """
        self._rebuild_mask_keys()
        seeds = {host: seed for host in self.views if (seed := self._seed(host)) is not None}
        found = {}
        for first in self.honest:
            part, new = set(), {first}
            while new:
                part |= new
                new = {
                    peer
                    for host in new & self.views.keys()
                    for peer in self.views[host].senders - part
                    if self._private_of(host, peer) is None
                }
            if part <= seeds.keys() and (total := self._sum(frozenset(part), seeds)) is not None:
                found[frozenset(part)] = total
        return found

    def _private_of(self, host, peer):
        offers = self.views[host].ring.offers
        own = self.mask_privates.get(offers[host].mask_key)
        return own or self.mask_privates.get(offers[peer].mask_key)

    def _sum(self, hosts, seeds):
        plan_digest, total = self.round.plan_digest, np.zeros(DIMENSION, np.uint32)
        for host in hosts:
            view = self.views[host]
            total = total + view.vector - masks.self_mask(seeds[host], plan_digest, view.ring.digest, host, DIMENSION)
            for peer in view.senders - {host}:
                if peer in hosts and self._cancels(host, peer):
                    continue
                mask = self._pair(host, peer, view.ring)
                if mask is None:
                    return None
                total = total - mask
        return total

    def _cancels(self, host, peer):
        one, other = self.views[host], self.views[peer]
        return one.ring.digest == other.ring.digest and host in other.senders

    def _pair(self, host, peer, ring):
        own, theirs = ring.offers[host].mask_key, ring.offers[peer].mask_key
        plan_digest = self.round.plan_digest
        if own in self.mask_privates:
            return masks.pairwise_mask(self.mask_privates[own], host, peer, theirs, plan_digest, ring.digest, DIMENSION)
        if theirs in self.mask_privates:
            mask = masks.pairwise_mask(self.mask_privates[theirs], peer, host, own, plan_digest, ring.digest, DIMENSION)
            return np.negative(mask)
        return None


class Federation:
    """Honest hosts, the server's own ones, and a server that may ask anybody anything."""

    def __init__(self, random, n_hosts, n_min, colluders):
        self.random = random
        self.directory, self.identities = make_roster(n_hosts)
        self.plan = make_plan(self.directory, n_min=n_min, colluders=colluders, dimension=DIMENSION)
        self.round = rules.Round(self.plan, self.directory)
        self.hosts = list(self.identities)
        self.traitors = random.sample(self.hosts, colluders)
        self.honest = [host for host in self.hosts if host not in self.traitors]
        self.stranger = Ed25519PrivateKey.generate()
        self.sessions = {h: HostSession(self.plan, self.directory, h, key) for h, key in self.identities.items()}
        self.knows = Knowledge(self.round, self.honest)
        for host in self.traitors:
            secrets = self.sessions[host]._state.secrets
            self.knows.add_secrets(bytes(secrets.mask_private), bytes(secrets.share_private))
        self.truth = {
            host: tuple(np.array([random.randrange(-(2**20), 2**20) for _ in range(DIMENSION)]) for _ in range(2))
            for host in self.hosts
        }
        self.signed = {}
        self.deliveries = {}
        self.refused = 0

    def ask(self, act, *arguments):
        """The answer, or None if the host refused; any error but a typed refusal is a failure of the test."""
        try:
            return act(*arguments)
        except TactfulError:
            self.refused += 1
            return None

    # Stages up to the contribution

    def show_ring(self, host, ring):
        """Show a host a ring; its bundle is read as far as the server can."""
        answer = self.ask(self.sessions[host].shares, ring.encode())
        if answer is not None:
            bundle = ShareBundle.decode(Signed.decode(answer).payload)
            self.knows.add_bundle(bundle, self.sessions[host].ring)

    def deliver(self, host, sealed, keys_digest):
        """Deliver shares by sender; a contribution that comes back is kept."""
        names = tuple(sorted({*sealed, host}))
        ciphertexts = tuple((sender, sealed[sender]) for sender in sorted(sealed))
        delivery = ShareDelivery(self.round.plan_digest, keys_digest, host, ciphertexts, names)
        answer = self.ask(self.sessions[host].contribution, delivery.encode(), *self.truth[host])
        if answer is not None:
            packed = Contribution.decode(Signed.decode(answer).payload).vector
            vector = np.frombuffer(packed, "<u4").astype(np.uint32)
            self.knows.views[host] = View(self.sessions[host].ring, frozenset(names), vector)

    def ring(self, hosts=None, **replaced):
        """A ring of true offers, some replaced."""
        offers = {host: self.sessions[host].offer() for host in hosts or self.hosts} | replaced
        return KeyRing(self.round.plan_digest, tuple(offers[host] for host in sorted(offers)))

    def until_contributions(self, silent=()):
        """Play honestly up to the contributions of all but the silent hosts."""
        ring = self.ring()
        for host in self.hosts:
            self.show_ring(host, ring)
        sealed = {host: self.sealed_by(host) for host in self.hosts}
        for host in self.hosts:
            if host not in silent:
                self.deliver(host, {s: sealed[s][host] for s in self.hosts if s != host}, digest(ring))
        assert set(self.knows.views) == set(self.hosts) - set(silent)
        return self

    def sealed_by(self, host):
        """The host's ciphertexts by recipient."""
        reply = self.sessions[host]._state.replies["shares"]
        return dict(ShareBundle.decode(Signed.decode(reply).payload).ciphertexts)

    # Survivor lists

    def listed(self, survivors, keys_digest):
        """A survivor list under the given ring."""
        return SurvivorList(self.round.plan_digest, keys_digest, self.plan.previous_head, tuple(sorted(survivors)))

    def sign(self, host, listed):
        """Ask a host to sign a list; the server's own hosts sign anything."""
        if host in self.traitors:
            signature = sign_survivors(listed, host, self.identities[host])
        else:
            answer = self.ask(self.sessions[host].sign, listed.encode())
            if answer is None:
                return
            signature = SurvivorSignature.decode(answer)
        self.signed.setdefault(listed, {})[host] = signature

    def certificate(self, listed, forged=()):
        """All true signatures under the list, and invented ones in the names of the forged hosts."""
        signatures = dict(self.signed.get(listed, {}))
        for host in forged:
            signatures.setdefault(host, sign_survivors(listed, host, self.stranger))
        return SurvivorCertificate(listed, tuple(signatures[host] for host in sorted(signatures)))

    def unmask(self, host, certificate):
        """Ask an honest host for its shares."""
        answer = self.ask(self.sessions[host].unmask, certificate.encode())
        if answer is not None:
            self.knows.add_unmasking(UnmaskShares.decode(Signed.decode(answer).payload))

    # The verdict

    def harvest(self):
        """What came out, checked against the truth: (sums that may, breaches).

        A breach is a sum with the noise of fewer than n_min − t honest hosts, or a second sum, whose difference to
        the first is as bad.
        """
        opened = self.knows.opened()
        for hosts, vector in opened.items():
            true = sum(sum(self.truth[host]) for host in hosts)
            assert (masks.centre(vector) == true).all(), "the attack code unmasks wrongly"
        fair = [hosts for hosts in opened if len(hosts) >= self.plan.n_min - self.plan.colluders]
        short = [hosts for hosts in opened if hosts not in fair]
        return (fair[:1], short + fair[1:])
