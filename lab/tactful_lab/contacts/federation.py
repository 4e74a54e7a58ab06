"""Contact response through the real federation: vaults, participants, masks, grid, exact noise, budgets, ledger.

Only the table is the lab's: the contacts come from the benchmark's data, not from a vault's events, so a host's part in
a round (`ContactRound`) is the vault's own with another trainer and another model's shelf. Who consents, what is spent
and what is refused is the vault's; the sum, its masks and its noise are the participant's and the server's.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful import Host
from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.flower import client_app
from tactful.federation.vault_round import VaultRound
from tactful_lab.contacts import private
from tactful_lab.contacts.features import NAMES
from tactful_lab.contacts.private import BLOCK, HouseholdTable, Learned
from tactful_lab.contacts.records import Floats
from tactful_lab.contacts.settings import ContactSettings, FederationSetting, NewtonSetting
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Artifact, Block, HostEntry, RoundPlan, open_signed, sign
from tactful_server.federation import Federation
from tactful_server.plans import RoundTerms
from tactful_server.service import ModelSpec

FEDERATION = "contacts"
PURPOSES = ("federated_learning", "on_device_personalisation")
LAYOUT = (Block(BLOCK, len(NAMES)),)


class ContactRound(VaultRound):
    """A vault's part in a round over the lab's contacts: consent, ceilings, spends and round state are the vault's.

    Args:
        host: one enrolled device for each household of ``table``, in the table's order.
        table: the contacts of the host's own households.
        host_id: its name.
        server_key: pinned.
        policy: its terms.
    """

    def __init__(
        self, host: Host, table: HouseholdTable, *, host_id: str, server_key: bytes, policy: ParticipationPolicy
    ) -> None:
        super().__init__(host, host_id=host_id, server_key=server_key, policy=policy)
        self._contacts = table
        self._place = {str(device): index for index, device in enumerate(host.vault.device_ids())}
        self._parameters: dict[bytes, Floats] = {}

    def has_model(self, model_digest: bytes) -> bool:
        """Whether the model with this digest was installed since the host was opened."""
        return model_digest in self._parameters

    def install(self, artifact: bytes) -> None:
        """Keep a model's parameters; raises `WireError` unless the pinned server key signed them."""
        opened = open_signed(artifact, Artifact, self.server_key)
        if opened.card.layout != LAYOUT:
            raise InvalidInput("is not the contact model's", field="layout", remedy="join its own federation")
        self._parameters[opened.digest] = np.array(opened.values())

    def local_updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """Each household's gradient or packed curvature, shape (len(devices), plan.dimension)."""
        theta = self._parameters[plan.model_digest]
        scale = float(dict(plan.settings)["curvature_scale"])
        rows = (
            private.curvatures(self._contacts, theta) * scale
            if plan.task == "curvature"
            else private.gradients(self._contacts, theta)
        )
        return rows[[self._place[device] for device in devices]]


def run_newton(table: HouseholdTable, settings: ContactSettings, *, epsilon: float, seed: int = 0) -> Learned:
    """Run all rounds of the private Newton optimiser in a temporary directory.

    Args:
        table: everybody's contacts; the households are dealt out to the hosts.
        settings: hosts, δ, public start and the optimiser's numbers.
        epsilon: central ε at δ over all rounds; an infinity runs the rehearsal without noise.
        seed: of the split over hosts; the noise comes from the operating system and has none.

    Raises:
        InvalidInput: a round was not released.
    """
    who, chosen = settings.federation, settings.newton
    with tempfile.TemporaryDirectory(prefix="tactful-") as folder, ExitStack() as stack:
        server = stack.enter_context(_server(Path(folder), who, chosen, epsilon))
        apps = {}
        for host_id, part in _dealt(table, who.hosts, seed):
            host = stack.enter_context(_vault(Path(folder) / host_id, part, epsilon, who.delta))
            side = ContactRound(
                host, part, host_id=host_id, server_key=server.server_key, policy=_policy(who, chosen, epsilon)
            )
            side.install(server.signed_model())
            server.enrol(sign(HostEntry(host_id, host.public_key, part.n_households), host.identity_key))
            apps[host_id] = client_app(_always(RoundParticipant(side)))
        results = list(server.run(apps, rounds=chosen.rounds))
        if lost := [result.reason for result in results if result.outcome != "released"]:
            raise InvalidInput(f"{len(lost)} rounds are void: {lost[0]}", field="rounds", remedy="see the first reason")
        rho = max(result.rho for result in results) if np.isfinite(epsilon) else float("inf")
        return Learned(np.array(server.model().values()), private.Charge(who.delta, chosen.rounds, rho))


def _server(root: Path, who: FederationSetting, chosen: NewtonSetting, epsilon: float) -> Federation:
    terms = RoundTerms(
        epsilon=epsilon,
        delta=who.delta,
        participations=chosen.rounds,
        clip_norm=chosen.clip_norm,
        n_min=who.n_min,
        colluders=who.colluders,
        settings=(("curvature_scale", Fraction(str(chosen.curvature_scale))),),
    )
    spec = ModelSpec(FEDERATION, LAYOUT, private.start(who.prior_rate), tuple((name, "1") for name in NAMES))
    optimiser = private.newton_optimiser(len(NAMES), chosen)
    return Federation.open(root / "server", FEDERATION, terms=terms, model=spec, optimiser=optimiser)


def _dealt(table: HouseholdTable, hosts: int, seed: int) -> Iterator[tuple[str, HouseholdTable]]:
    order = np.random.default_rng([seed, 29]).permutation(table.n_households)
    for number, part in enumerate(np.array_split(order, hosts), start=1):
        yield f"host-{number}", table.select(np.sort(part))


def _vault(home: Path, part: HouseholdTable, epsilon: float, delta: float) -> Host:
    home.mkdir()
    budget = (epsilon if np.isfinite(epsilon) else 4.0, delta)  # without noise nothing is spent, whatever the ceiling
    host = Host.open(home / "vault.db", keys="file:host.key", privacy_budget=budget)
    users = [f"household-{index}" for index in range(part.n_households)]
    host.enrol_many(users, consents=PURPOSES, policy_version="rehearsal-2017")
    return host


def _policy(who: FederationSetting, chosen: NewtonSetting, epsilon: float) -> ParticipationPolicy:
    noisy = bool(np.isfinite(epsilon))
    return ParticipationPolicy(
        n_min=who.n_min,
        colluders=who.colluders,
        epsilon=epsilon,
        delta=who.delta,
        participations=chosen.rounds,
        modes=("distributed",) if noisy else ("distributed", "rehearsal-no-noise"),
        tasks=("curvature", "gradient"),
        federation=FEDERATION,
        rehearsal=not noisy,
    )


def _always(participant: RoundParticipant) -> Any:
    return lambda _context: participant
