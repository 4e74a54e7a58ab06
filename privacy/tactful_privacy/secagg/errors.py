"""Errors of secure aggregation. Each has a stable ``code``, which is what crosses the wire in a refusal.

::

    ProtocolError
    └── SecaggError
        ├── UnknownHost, NotAnswering               who is speaking
        ├── WrongPlan, WrongKeyRing, WrongHead      the message belongs to another round
        ├── OutOfOrder, SecondMessage, SecondKeyRing, SecondDelivery, SecondSurvivorList
        ├── TooFewHosts, TooFewSurvivors, TooFewSignatures, TooFewEndorsements
        ├── SurvivorsDisconnected                   a list that a neighbour graph could fall apart under
        ├── MaskKeyReused, DuplicateKey, WeakKey, OwnOfferMissing, NotNeighbours, WrongProof
        ├── ListOutsideRoster, ListOutsideSenders, NotListed, NotContributed
        ├── UnknownSigner, ForgedSignature, DuplicateSignature, NotInCommittee
        ├── WrongVector                             length or type of a vector
        ├── ShareUnreadable, WrongShare, MissingShare
        └── StateUnreadable                         persisted state that is not what was written
"""

from typing import ClassVar

from tactful_privacy.errors import ProtocolError


class SecaggError(ProtocolError):
    """Root of the errors of secure aggregation."""

    code: ClassVar[str] = "secagg"


class UnknownHost(SecaggError):
    """A message names a host, or is signed by a key, that is not in the roster."""

    code = "unknown_host"


class NotAnswering(SecaggError):
    """A host answers a stage although it did not take part in the one before."""

    code = "not_answering"


class WrongPlan(SecaggError):
    """A message belongs to another plan."""

    code = "wrong_plan"


class WrongKeyRing(SecaggError):
    """A message belongs to another set of keys."""

    code = "wrong_key_ring"


class WrongHead(SecaggError):
    """A survivor list is chained to another ledger head than the plan."""

    code = "wrong_head"


class OutOfOrder(SecaggError):
    """A stage was asked for before the one it rests on, or after it was closed."""

    code = "out_of_order"


class SecondMessage(SecaggError):
    """A host sent a second, different message in one stage."""

    code = "second_message"


class SecondKeyRing(SecaggError):
    """The server shows a second, different set of keys in one round."""

    code = "second_key_ring"


class SecondDelivery(SecaggError):
    """The server shows a second, different set of share-senders in one round."""

    code = "second_delivery"


class SecondSurvivorList(SecaggError):
    """The server shows a second, different survivor list in one round."""

    code = "second_survivor_list"


class TooFewHosts(SecaggError):
    """Fewer than n_min hosts offered keys or sent shares."""

    code = "too_few_hosts"


class TooFewSurvivors(SecaggError):
    """Fewer than n_min hosts are left: the round is void and nothing opens."""

    code = "too_few_survivors"


class TooFewSignatures(SecaggError):
    """A certificate carries fewer than n_min host signatures."""

    code = "too_few_signatures"


class TooFewEndorsements(SecaggError):
    """A survivor list carries fewer endorsements of the committee than the plan asks for."""

    code = "too_few_endorsements"


class SurvivorsDisconnected(SecaggError):
    """So many neighbours are left out of a survivor list that parts of the sum could be opened alone."""

    code = "survivors_disconnected"


class NotInCommittee(SecaggError):
    """A host which is not in the round's committee endorses, or is asked to endorse."""

    code = "not_in_committee"


class NotNeighbours(SecaggError):
    """A message holds the keys or shares of a host with which this one shares nothing under the plan's graph."""

    code = "not_neighbours"


class WrongProof(SecaggError):
    """The keys shown to a host are not those under the keys digest: others may have been shown other keys."""

    code = "wrong_proof"


class MaskKeyReused(SecaggError):
    """A mask key was seen in an earlier round."""

    code = "mask_key_reused"


class DuplicateKey(SecaggError):
    """One public key stands twice in a ring."""

    code = "duplicate_key"


class WeakKey(SecaggError):
    """A public key yields no shared secret (a point of low order)."""

    code = "weak_key"


class OwnOfferMissing(SecaggError):
    """The ring does not carry this host's own offer, unchanged."""

    code = "own_offer_missing"


class ListOutsideRoster(SecaggError):
    """A survivor list names a host which is not in the roster."""

    code = "list_outside_roster"


class ListOutsideSenders(SecaggError):
    """A survivor list names a host which sent no shares."""

    code = "list_outside_senders"


class NotListed(SecaggError):
    """A survivor list leaves out the host which is asked to sign it."""

    code = "not_listed"


class NotContributed(SecaggError):
    """A survivor list names this host although it sent no contribution."""

    code = "not_contributed"


class UnknownSigner(SecaggError):
    """A certificate carries a signature of a host which the list does not name."""

    code = "unknown_signer"


class ForgedSignature(SecaggError):
    """A signature does not verify under the key that the roster gives."""

    code = "forged_signature"


class DuplicateSignature(SecaggError):
    """One host's signature stands twice in a certificate."""

    code = "duplicate_signature"


class WrongVector(SecaggError):
    """A vector has another length or type than the plan says."""

    code = "wrong_vector"


class ShareUnreadable(SecaggError):
    """An encrypted share does not decrypt under the pair's key, plan and ring."""

    code = "share_unreadable"


class WrongShare(SecaggError):
    """Shares do not reconstruct the secret to which the host committed."""

    code = "wrong_share"


class MissingShare(SecaggError):
    """A message lacks a share it must carry, or carries one it must not."""

    code = "missing_share"


class StateUnreadable(SecaggError):
    """Persisted state of a round is not what was written."""

    code = "state_unreadable"
