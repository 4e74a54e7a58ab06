"""The server's side of secure aggregation: collects, checks, passes on, and opens the sum or nothing.

Nothing that the server does here is trusted by a host; its checks only keep one host's fault from spoiling
the round of the others.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.secagg import errors, keys, rules
from tactful_privacy.secagg.keytree import KeyTree
from tactful_privacy.secagg.opening import open_sum
from tactful_privacy.secagg.rules import WITH_COMMITTEE, stages_of
from tactful_privacy.wire import (
    Contribution,
    EndorsedList,
    Endorsement,
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
    SurvivorSignature,
    UnmaskShares,
    digest,
)

_PROBE = keys.fresh_secret()


@dataclass(slots=True)
class _Collected:
    stage: str = "keys"
    answers: dict[str, dict[str, bytes]] = field(default_factory=lambda: {stage: {} for stage in WITH_COMMITTEE})


class Aggregator:
    """The server in one round: `accept` answers of the current stage, `close_stage` to get the next requests, `open`.

    Args:
        plan: the signed plan's content.
        directory: the roster which it names.
    """

    def __init__(self, plan: RoundPlan, directory: KeyDirectory) -> None:
        self._round = rules.Round(plan, directory)
        self._state = _Collected()
        self._ring: rules.Ring | None = None
        self._listed: SurvivorList | None = None
        self._list_digest = b""
        self._offered: dict[bytes, str] = {}
        self._may_answer: frozenset[str] = frozenset(directory.host_ids)

    @property
    def stage(self) -> str:
        """One of `stages`, or ``opened``, or ``void``."""
        return self._state.stage

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages in which hosts answer, in order; with ``endorse`` if the plan has a committee."""
        return stages_of(self._round.plan)

    @property
    def plan_digest(self) -> bytes:
        """Names the round, 32 bytes."""
        return self._round.plan_digest

    @property
    def survivors(self) -> tuple[str, ...]:
        """The hosts whose contributions are (or would be) in the sum, sorted."""
        return self.answered("contribution")

    @property
    def keys_digest(self) -> bytes:
        """Digest of the round's key ring, 32 bytes. Raises `OutOfOrder` before the stage ``keys`` is closed."""
        return self._opened_ring().digest

    def answered(self, stage: str) -> tuple[str, ...]:
        """The hosts that answered a stage, sorted."""
        return tuple(sorted(self._state.answers[stage]))

    def expected(self) -> tuple[str, ...]:
        """The hosts that may answer the current stage, sorted."""
        return tuple(sorted(self._may_answer))

    def _now_may_answer(self) -> frozenset[str]:
        if self.stage not in self.stages:
            return frozenset()
        if self.stage == "endorse":
            return self._round.committee & frozenset(self.survivors)
        if self.stage == "unmask":  # a survivor that missed the signing stage still helps to open
            return frozenset(self.survivors)
        return frozenset(self._state.answers[self.stages[self.stages.index(self.stage) - 1]])

    def accept(self, data: bytes) -> str:
        """Check one host's answer to the current stage and keep it; return the host id.

        The same bytes again change nothing.

        Raises:
            SecaggError: UnknownHost, NotAnswering, ForgedSignature, WrongPlan, WrongKeyRing, DuplicateKey, WeakKey,
                WrongVector, MissingShare, SecondMessage, SecondSurvivorList, OutOfOrder.
            WireError: the bytes do not decode.
        """
        checks = {
            "keys": self._check_offer,
            "shares": self._check_bundle,
            "contribution": self._check_contribution,
            "sign": self._check_signature,
            "endorse": self._check_endorsement,
            "unmask": self._check_unmask,
        }
        if self.stage not in self.stages:
            raise errors.OutOfOrder(f"the round is {self.stage}", field="stage", remedy="start another round")
        host_id = checks[self.stage](data)
        kept = self._state.answers[self.stage]
        if kept.setdefault(host_id, data) != data:
            message = f"{host_id!r} answered {self.stage!r} twice"
            raise errors.SecondMessage(message, field="host_id", remedy="resend the identical bytes")
        return host_id

    def close_stage(self) -> Mapping[str, bytes]:
        """End the current stage; return, per host that may go on, the request of the next one.

        After ``unmask`` there is no next request: call `open`.

        Raises:
            TooFewSurvivors: fewer than n_min hosts answered; the round is void for good.
            SurvivorsDisconnected, TooFewEndorsements: under a neighbour graph; the round is void for good.
            OutOfOrder: the round is opened or void.
        """
        if self.stage not in self.stages:
            raise errors.OutOfOrder(f"the round is {self.stage}", field="stage", remedy="start another round")
        try:
            self._require_enough()
            requests = self._next_requests()
        except (errors.TooFewSurvivors, errors.SurvivorsDisconnected, errors.TooFewEndorsements):
            self._enter("void")
            raise
        if self.stage != "unmask":
            self._enter(self.stages[self.stages.index(self.stage) + 1])
        return requests

    def _require_enough(self) -> None:
        answered, plan = len(self._state.answers[self.stage]), self._round.plan
        if self.stage == "endorse" and answered < plan.committee_threshold:
            message = f"{answered} members endorsed, {plan.committee_threshold} are needed"
            raise errors.TooFewEndorsements(
                message, field="committee", remedy="nothing was opened; plan another attempt"
            )
        if self.stage != "endorse" and answered < plan.n_min:
            message = f"{answered} hosts answered {self.stage!r}, {plan.n_min} are needed"
            raise errors.TooFewSurvivors(message, field="n_min", remedy="nothing was opened; plan another attempt")

    def _enter(self, stage: str) -> None:
        self._state.stage = stage
        self._may_answer = self._now_may_answer()

    def open(self) -> NDArray[np.int64]:
        """Return the exact sum of the survivors' encoded contributions and noise, centred in [-2^31, 2^31).

        Returns:
            int64, shape (plan.dimension,), in grid units.

        Raises:
            TooFewSurvivors: fewer than n_min hosts gave their shares; the round is void.
            WrongShare: shares do not reconstruct what a host committed to; nothing is opened.
            OutOfOrder: an earlier stage is not closed.
        """
        if self.stage not in ("unmask", "opened"):
            raise errors.OutOfOrder(f"the round is at {self.stage!r}", field="stage", remedy="close the stages first")
        if self.stage == "unmask":
            self.close_stage()
        total = open_sum(self._round, self._opened_ring(), self._state.answers)
        self._enter("opened")
        return total

    # Requests

    def _next_requests(self) -> Mapping[str, bytes]:
        makers = {
            "keys": self._key_ring,
            "shares": self._deliveries,
            "contribution": self._survivor_list,
            "sign": self._certificate,
            "endorse": self._endorsed,
        }
        return makers[self.stage]() if self.stage in makers else {}

    def _key_ring(self) -> Mapping[str, bytes]:
        offers = self._state.answers["keys"]
        if self._round.graph is not None:
            return self._key_views(offers)
        ring = KeyRing(self.plan_digest, tuple(offers[host_id] for host_id in sorted(offers)))
        self._ring = rules.Ring(digest(ring), _offers_in(offers))
        return dict.fromkeys(sorted(offers), ring.encode())

    def _key_views(self, offers: Mapping[str, bytes]) -> Mapping[str, bytes]:
        at = {host_id: place - 1 for host_id, place in self._round.places.items()}
        tree = KeyTree(self.plan_digest, len(at), {at[host_id]: data for host_id, data in offers.items()})
        self._ring = rules.Ring(tree.root, _offers_in(offers))
        views = {}
        for host_id in sorted(offers):
            circle = self._round.sharers(host_id, at.keys())
            near = tuple(offers[name] for name in sorted(circle & offers.keys()))
            proof = tree.proof(sorted(at[name] for name in circle))
            views[host_id] = KeyView(self.plan_digest, tree.root, near, proof).encode()
        return views

    def _deliveries(self) -> Mapping[str, bytes]:
        bundles = {host_id: self._bundle(host_id) for host_id in self.answered("shares")}
        out = {}
        for recipient in bundles:
            senders = tuple(sorted(self._round.sharers(recipient, bundles.keys())))
            sealed = tuple((sender, bundles[sender][recipient]) for sender in senders if sender != recipient)
            out[recipient] = ShareDelivery(self.plan_digest, self.keys_digest, recipient, sealed, senders).encode()
        return out

    def _bundle(self, host_id: str) -> dict[str, bytes]:
        payload = Signed.decode(self._state.answers["shares"][host_id]).payload
        return dict(ShareBundle.decode(payload).ciphertexts)

    def _list(self) -> SurvivorList:
        """The one survivor list; known once the contributions are closed."""
        if self._listed is None:
            head = self._round.plan.previous_head
            listed = SurvivorList(self.plan_digest, self.keys_digest, head, self.survivors)
            rules.check_list(self._round, self.keys_digest, self._state.answers["shares"].keys(), listed)
            self._listed, self._list_digest = listed, digest(listed)
        return self._listed

    def _survivor_list(self) -> Mapping[str, bytes]:
        return dict.fromkeys(self.survivors, self._list().encode())

    def _certificate(self) -> Mapping[str, bytes]:
        """Every signature was verified when it came; the committee is sent n_min of them, if they are close enough."""
        signatures = self._state.answers["sign"]
        signers = sorted(signatures)
        rules.check_connected(self._round, signers, "SurvivorCertificate.signatures")
        few = signers[: self._round.plan.n_min]
        if self._round.committee and rules.connected(self._round, few):
            signers = few
        signed = tuple(SurvivorSignature.decode(signatures[host_id]) for host_id in signers)
        certificate = SurvivorCertificate(self._list(), signed)
        asked = self._round.committee.intersection(self.survivors) if self._round.committee else self.survivors
        return dict.fromkeys(sorted(asked), certificate.encode())

    def _endorsed(self) -> Mapping[str, bytes]:
        given, enough = self._state.answers["endorse"], self._round.plan.committee_threshold
        endorsements = tuple(Endorsement.decode(given[host_id]) for host_id in sorted(given)[:enough])
        return dict.fromkeys(self.survivors, EndorsedList(self._list(), endorsements).encode())

    # Answers

    def _require_expected(self, host_id: str) -> None:
        self._round.identity(host_id)
        if host_id not in self._may_answer:
            message = f"{host_id!r} did not answer the stage before {self.stage!r}"
            raise errors.NotAnswering(message, field="host_id", remedy="wait for the next round")

    def _check_offer(self, data: bytes) -> str:
        """Return the sender; one host's bad key must not make the ring of all others unusable."""
        offer = rules.open_offer(self._round, data)
        if offer.mask_key == offer.share_key:
            raise errors.DuplicateKey("is the share key too", field="mask_key", remedy="draw every key afresh")
        for key in (offer.mask_key, offer.share_key):
            if (owner := self._offered.get(key, offer.host_id)) != offer.host_id:
                message = f"{offer.host_id!r} offers a key of {owner!r}"
                raise errors.DuplicateKey(message, field="KeyOffer", remedy="draw every key afresh")
            keys.agree(_PROBE, key, offer.host_id)
        if offer.host_id not in self._state.answers["keys"]:  # a second offer is refused and must claim nothing
            self._offered |= {offer.mask_key: offer.host_id, offer.share_key: offer.host_id}
        return offer.host_id

    def _check_bundle(self, data: bytes) -> str:
        claimed = ShareBundle.decode(Signed.decode(data).payload)
        self._require_expected(claimed.host_id)
        bundle = rules.open_from_host(self._round, data, ShareBundle, claimed.host_id)
        self._check_digests(bundle.plan_digest, bundle.keys_digest, "ShareBundle")
        wanted = self._round.sharers(bundle.host_id, self._state.answers["keys"].keys())
        if {name for name, _ in bundle.ciphertexts} != wanted:
            message = "does not address exactly the hosts with which it shares"
            raise errors.MissingShare(message, field="ciphertexts", remedy="send one share to each")
        return bundle.host_id

    def _check_contribution(self, data: bytes) -> str:
        claimed = Contribution.decode(Signed.decode(data).payload)
        self._require_expected(claimed.host_id)
        contribution = rules.open_from_host(self._round, data, Contribution, claimed.host_id)
        self._check_digests(contribution.plan_digest, contribution.keys_digest, "Contribution")
        if contribution.length != self._round.plan.dimension:
            message = f"{contribution.length} elements, {self._round.plan.dimension} planned"
            raise errors.WrongVector(message, field="Contribution.vector", remedy="encode the plan's layout")
        return contribution.host_id

    def _check_signature(self, data: bytes) -> str:
        signature = SurvivorSignature.decode(data)
        self._require_expected(signature.host_id)
        if signature.list_digest != self._list_digest:
            message = f"{signature.host_id!r} signs another list"
            raise errors.SecondSurvivorList(message, field="list_digest", remedy="sign the list that was sent")
        rules.check_survivor(self._round, signature, self._list_digest)
        return signature.host_id

    def _check_endorsement(self, data: bytes) -> str:
        endorsement = Endorsement.decode(data)
        self._require_expected(endorsement.host_id)
        if endorsement.list_digest != self._list_digest:
            message = f"{endorsement.host_id!r} endorses another list"
            raise errors.SecondSurvivorList(message, field="list_digest", remedy="endorse the list that was sent")
        rules.check_survivor(self._round, endorsement, self._list_digest)
        return endorsement.host_id

    def _check_unmask(self, data: bytes) -> str:
        claimed = UnmaskShares.decode(Signed.decode(data).payload)
        self._require_expected(claimed.host_id)
        message = rules.open_from_host(self._round, data, UnmaskShares, claimed.host_id)
        self._round.check_plan_digest(message.plan_digest, "UnmaskShares")
        if message.list_digest != self._list_digest:
            raise errors.SecondSurvivorList("unmasks another list", field="list_digest", remedy="unmask the one sent")
        held = self._round.sharers(message.host_id, self._state.answers["shares"].keys())
        survivors = held & self._state.answers["contribution"].keys()
        seeds, mask_keys = dict(message.self_seed_shares), dict(message.mask_key_shares)
        if seeds.keys() != survivors or mask_keys.keys() != held - survivors:
            remedy = "give one share per share-sender: self seeds of survivors, mask keys of the others"
            raise errors.MissingShare("shares do not fit the list", field="UnmaskShares", remedy=remedy)
        return message.host_id

    def _check_digests(self, plan_digest: bytes, keys_digest: bytes, message: str) -> None:
        self._round.check_plan_digest(plan_digest, message)
        if keys_digest != self.keys_digest:
            raise errors.WrongKeyRing("is of other keys", field=f"{message}.keys_digest", remedy="answer the ring sent")

    def _opened_ring(self) -> rules.Ring:
        if self._ring is None:
            raise errors.OutOfOrder("keys are still collected", field="stage", remedy="close the stage first")
        return self._ring

    # Persistence

    def to_bytes(self) -> bytes:
        """Return the collected answers, for a server that resumes. Holds nothing that a host did not send it."""
        answers = {
            stage: {host: data.hex() for host, data in kept.items()} for stage, kept in self._state.answers.items()
        }
        return json.dumps({"stage": self.stage, "answers": answers}, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, plan: RoundPlan, directory: KeyDirectory) -> "Aggregator":
        """Resume; every stored answer is checked again.

        Raises:
            StateUnreadable: the bytes are not those of `to_bytes`.
            SecaggError, WireError: a stored answer does not verify under this plan and roster.
        """
        try:
            values = json.loads(data)
            stage, stored = values["stage"], values["answers"]
            answers = {name: {host: bytes.fromhex(x) for host, x in stored[name].items()} for name in WITH_COMMITTEE}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise errors.StateUnreadable(type(error).__name__, field="round state", remedy="void the round") from error
        resumed = cls(plan, directory)
        resumed._replay(str(stage), answers)
        return resumed

    def _replay(self, stage: str, answers: Mapping[str, Mapping[str, bytes]]) -> None:
        if stage not in (*self.stages, "opened", "void"):
            raise errors.StateUnreadable(f"stage {stage!r}", field="round state", remedy="void the round")
        for name in self.stages:
            for data in _in_order(answers[name]):
                self.accept(data)
            if self.stage == stage:
                return
            if name == "unmask":
                break
            try:
                self.close_stage()
            except errors.SecaggError:  # the round became void here
                break
        self._enter(stage)


def _offers_in(signed: Mapping[str, bytes]) -> dict[str, KeyOffer]:
    """Return offers whose signatures were verified when they came."""
    return {host_id: KeyOffer.decode(Signed.decode(data).payload) for host_id, data in signed.items()}


def _in_order(answers: Mapping[str, bytes]) -> Collection[bytes]:
    return [answers[host_id] for host_id in sorted(answers)]
