"""One round of secure aggregation that a test can stop at any stage and bend."""

import dataclasses

import numpy as np

from tactful_privacy.secagg import Aggregator, HostSession
from tactful_privacy.secagg.testing import answer, make_plan, make_roster
from tactful_privacy.wire import Signed, SurvivorCertificate, SurvivorList, sign, sign_survivors

DIMENSION = 6


class RoundWorld:
    """Five hosts, n_min = 4, t = 1 (or as told), driven stage by stage."""

    def __init__(self, n_hosts=5, n_min=4, **changes):
        self.directory, self.identities = make_roster(n_hosts)
        self.hosts = list(self.identities)
        self.plan = make_plan(self.directory, n_min=n_min, dimension=DIMENSION, **changes)
        self.restart()

    def restart(self):
        """Begin the round with fresh sessions."""
        self.sessions = {h: HostSession(self.plan, self.directory, h, key) for h, key in self.identities.items()}
        self.vectors = {h: (np.full(DIMENSION, n + 1), np.full(DIMENSION, 100 * n)) for n, h in enumerate(self.hosts)}
        self.aggregator = Aggregator(self.plan, self.directory)
        self.requests = dict.fromkeys(self.hosts, b"")
        self.answers = {}

    def until(self, stage, drop=None):
        """Answer all stages before `stage`; `drop` maps hosts to the stage at which they fall silent."""
        drop, stages = drop or {}, self.aggregator.stages
        while self.aggregator.stage != stage:
            at = self.aggregator.stage
            for host, request in self.requests.items():
                if host not in drop or stages.index(at) < stages.index(drop[host]):
                    self.answers[at, host] = self.answer(host, at, request)
                    self.aggregator.accept(self.answers[at, host])
            self.requests = self.aggregator.close_stage()
        return self

    def answer(self, host, stage, request):
        return answer(self.sessions[host], stage, request, self.vectors[host])

    def resigned(self, host, kind, data, **changes):
        """The host's signed message with fields replaced, signed again by the host."""
        message = dataclasses.replace(kind.decode(Signed.decode(data).payload), **changes)
        return sign(message, self.identities[host]).encode()

    def certificate(self, listed, signers):
        """A certificate in which the signers' true keys sign the list."""
        signatures = (sign_survivors(listed, host, self.identities[host]) for host in sorted(signers))
        return SurvivorCertificate(listed, tuple(signatures)).encode()

    def listed(self, survivors=None, **changes):
        """The honest survivor list, or a bent one."""
        honest = SurvivorList(
            self.aggregator.plan_digest,
            self.aggregator.keys_digest,
            self.plan.previous_head,
            tuple(sorted(survivors or self.hosts)),
        )
        return dataclasses.replace(honest, **changes)
