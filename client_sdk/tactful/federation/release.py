"""The last stage of a round: a released model, checked against the ledger before it is installed."""

import logging

from tactful.federation import refusals
from tactful.federation.host_round import HostRound
from tactful.federation.ledger_view import LedgerForked, LedgerView, PlanNotInLedger, ReleaseCheck
from tactful_privacy.secagg import HostSession
from tactful_privacy.wire import Artifact, ModelRelease, RoundRequest, decode_any, open_signed

_log = logging.getLogger(__name__)


def take_release(host: HostRound, request: RoundRequest) -> bytes:
    """Install the model of a release that the ledger proves, and return the signed head which the host then holds.

    A host that was sent no link from its head installs nothing and answers with that head, so that the server can send
    one. A bare artifact is taken only under a policy with ``require_ledger=False``; the answer to it is empty.

    Raises:
        PlanNotInLedger, LedgerForked: the proof does not hold; counted in the host's view, nothing is installed.
        WrongFederation: the model of another federation.
        WireError: not a release, or not signed by the pinned key.
    """
    message = decode_any(request.payload)
    if not isinstance(message, ModelRelease):
        artifact = _artifact(host, request.payload)
        if host.policy.require_ledger:
            remedy = "release it with its ledger proof, or set require_ledger=False for a federation without a ledger"
            raise _refused(host, artifact, PlanNotInLedger("came without a proof", field="release", remedy=remedy))
        host.install(request.payload)
        return b""
    artifact = _artifact(host, message.artifact)
    federation = artifact.card.federation
    view = LedgerView.from_bytes(host.ledger_state(federation))
    try:
        after = _check(host, request.plan_digest, artifact, message).against(view, host.server_key)
    except (PlanNotInLedger, LedgerForked) as error:
        raise _refused(host, artifact, error) from error
    if after != view:
        host.save_ledger_state(federation, after.to_bytes())
    if after.unlinked == view.unlinked:
        host.install(message.artifact)
    return after.signed_head


def _artifact(host: HostRound, signed: bytes) -> Artifact:
    artifact = open_signed(signed, Artifact, host.server_key)
    federation = host.policy.federation
    if federation is not None and artifact.card.federation != federation:
        message = f"{artifact.card.federation!r}, not {federation!r}"
        raise refusals.WrongFederation(message, field="federation", remedy="release it to its own hosts")
    return artifact


def _check(host: HostRound, plan_digest: bytes, artifact: Artifact, message: ModelRelease) -> ReleaseCheck:
    blob = host.load_round(plan_digest)
    session = None if blob is None else HostSession.from_bytes(blob, host.identity_key)
    last = host.last_position(artifact.card.federation)
    return ReleaseCheck(plan_digest, artifact, message.proof, host.host_id, session, last[0] if last else None)


def _refused(
    host: HostRound, artifact: Artifact, error: PlanNotInLedger | LedgerForked
) -> PlanNotInLedger | LedgerForked:
    federation = artifact.card.federation
    view = LedgerView.from_bytes(host.ledger_state(federation))
    host.save_ledger_state(federation, view.with_refusal(error).to_bytes())
    _log.error("release of round %d refused: %s", artifact.card.round_number, error)
    return error
