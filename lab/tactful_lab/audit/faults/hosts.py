"""Participants with a fault in them, and a participant whose server is the faulty one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from tactful.federation import ContributionView, HostRound, RoundParticipant
from tactful_privacy.errors import TactfulError
from tactful_privacy.wire import (
    Refusal,
    RoundReply,
    RoundRequest,
    SurvivorCertificate,
    SurvivorList,
    WireError,
)

Plant = Callable[[], AbstractContextManager[None]]
Observe = Callable[[ContributionView], None]
ANSWERED = "answered"


class FaultyParticipant(RoundParticipant):
    """The product's participant, with the fault planted for as long as it answers, and no self-test to stop it.

    Args:
        host: see `RoundParticipant`.
        observe: see `RoundParticipant`.
        plant: puts the fault in place.
        tried: whether the self-test runs all the same.
    """

    def __init__(
        self, host: HostRound, observe: Observe | None, *, plant: Plant = nullcontext, tried: bool = False
    ) -> None:
        super().__init__(host, observe)
        self._plant = plant
        self._self_tested = tried

    def handle(self, request: bytes) -> bytes:
        """Answer, with the fault in place."""
        with self._plant():
            return super().handle(request)

    def _require_sound(self) -> None:
        if self._self_tested:
            super()._require_sound()


class AskedTwice(RoundParticipant):
    """The product's participant behind a server which, after each survivor list, comes with a second one.

    Attributes:
        codes: of the refusals that the second requests met; ``answered`` where there was none.

    Args:
        host: see `RoundParticipant`.
        observe: see `RoundParticipant`.
        stage: at which to ask twice, ``sign`` or ``unmask``.
        absent: a host that dropped out, which the second list calls a survivor.
    """

    def __init__(self, host: HostRound, observe: Observe | None, *, stage: str, absent: str) -> None:
        super().__init__(host, observe)
        self._twice = stage
        self._absent = absent
        self.codes: list[str] = []

    def handle(self, request: bytes) -> bytes:
        """Answer the request, then the forged second one."""
        reply = super().handle(request)
        asked = RoundRequest.decode(request)
        if asked.stage == self._twice:
            second = RoundRequest(asked.plan_digest, asked.stage, asked.attempt, self._second(asked.payload))
            self.codes.append(refusal_code(super().handle(second.encode())) or ANSWERED)
        return reply

    def _second(self, payload: bytes) -> bytes:
        if self._twice == "sign":
            return self._another(SurvivorList.decode(payload)).encode()
        certificate = SurvivorCertificate.decode(payload)
        return replace(certificate, survivor_list=self._another(certificate.survivor_list)).encode()

    def _another(self, listed: SurvivorList) -> SurvivorList:
        """As many survivors, one of the others called dropped, and the dropped one called a survivor."""
        gone = max(name for name in listed.survivors if name != self._host.host_id)
        return replace(listed, survivors=tuple(sorted({*listed.survivors, self._absent} - {gone})))


def refusal_code(reply: bytes) -> str | None:
    """The code of a refusal, None where the reply is an answer."""
    try:
        return Refusal.decode(RoundReply.decode(reply).payload).code
    except (WireError, TactfulError):
        return None


class ZeroSeen:
    """Observes contributions and notes whether the host's devices counted as zero, one entry per round."""

    def __init__(self) -> None:
        self.zero: list[bool] = []

    def __call__(self, view: ContributionView) -> None:
        """Look at the sum before noise."""
        self.zero.append(view.devices > 0 and not np.any(view.total))
