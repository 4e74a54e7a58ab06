"""The fleet price over real vaults: sends are reported inside the charged sum, ν rises, and devices send less."""

import dataclasses
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from tests.device.vault_world import NOON, PURPOSES, open_host
from tests.server.test_run_with_vaults import _Still

from tactful import Candidate, PolicySettings
from tactful.errors import ModelRefused
from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.flower import client_app
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.testing import FrozenClock
from tactful_privacy.mechanisms.sends import FLEET_PRICE, SENDS
from tactful_privacy.wire import Artifact, HostEntry, sign
from tactful_server.federation import Federation
from tactful_server.fleet_price import FleetPrice
from tactful_server.plans import RoundTerms
from tactful_server.service import ModelSpec

HOSTS, PEOPLE = 5, 12
SETTINGS = PolicySettings(never_push_fraction=0, micro_randomised_fraction=0, exploration=False)
PRICE = FleetPrice(target_per_week=0.5, step_minor=2.0, decay=0.6, tolerance_per_week=1.0, half_range_share=1.0)


class Shop:
    """Five vaults with twelve people each, one clock, one server."""

    def __init__(self, folder, price):
        self.clock = FrozenClock(NOON)
        prior = Model.prior().to_parameters()
        terms = RoundTerms(epsilon=8.0, delta=1e-6, participations=6, clip_norm=1.0, n_min=4, fleet_price=price)
        spec = ModelSpec("slots", Model.layout(), prior, Model.feature_units())
        self.federation = Federation.open(folder / "server", "shop", terms=terms, model=spec, optimiser=_Still())
        self.hosts, self.apps = [], {}
        for number in range(HOSTS):
            self.join(folder / f"host-{number}", f"host-{number}")

    def join(self, folder, name):
        folder.mkdir()
        host = open_host(folder, clock=self.clock, settings=SETTINGS, privacy_budget=(8.0, 1e-6))
        users = [f"user-{user}" for user in range(PEOPLE)]
        host.enrol_many(users, timezone="UTC", consents=PURPOSES, policy_version="1")
        past = [self.clock() - timedelta(days=day, hours=hour) for day in range(1, 61) for hour in (0, 6)]
        host.track_many((user, "browse", at, {"category": "shoes"}) for user in users for at in past)
        policy = ParticipationPolicy(epsilon=8.0, participations=6)
        side = VaultRound(host, host_id=name, server_key=self.federation.server_key, policy=policy)
        self.federation.enrol(sign(HostEntry(name, host.public_key, PEOPLE), host.identity_key))
        side.install(self.federation.signed_model())
        participant = RoundParticipant(side)
        self.apps[name] = client_app(lambda _context: participant)
        self.hosts.append(host)

    def week(self):
        """Seven days of decisions at 12:30 and 18:30; returns mean pushes of a person."""
        sent = 0
        for _ in range(7):
            for hours in (0, 6):
                sent += sum(self.decide_all(self.clock() + timedelta(hours=hours)))
            self.clock.set(self.clock() + timedelta(days=1))
        return sent / (HOSTS * PEOPLE)

    def decide_all(self, at: datetime):
        for host in self.hosts:
            for user in range(PEOPLE):
                offers = [Candidate(id=f"c-{at:%d%H}", category="shoes", value_minor=200 * (user + 1))]
                yield host.device(f"user-{user}").decide(offers, now=at).action == "send"

    def round(self):
        return next(self.federation.run(self.apps, rounds=1))

    def close(self):
        for host in self.hosts:
            host.close()
        self.federation.close()


@pytest.fixture
def shop(tmp_path):
    opened = []

    def build(price):
        opened.append(Shop(tmp_path, price))
        return opened[-1]

    yield build
    for world in opened:
        world.close()


def test_the_price_rises_and_sends_fall_from_the_noised_total_alone(shop):
    """Devices want 3 pushes a week, the target is half of one: after three rounds ν is up and fewer are sent.

    The price on every card is what `FleetPrice` makes of the reported, noised means, recomputed here. Noise in a mean
    is 0.36 pushes; a first mean of 3 at or below the target of 0.5 is beyond 6 standard deviations.
    """
    world, price, rounds = shop(PRICE), 0.0, []
    for number in range(3):
        sent, result = world.week(), world.round()
        moved = PRICE.step_minor * (number + 1) ** -0.6 * (result.statistics[SENDS] - 0.5)
        noise_std = deviation(world)
        price = max(0.0, price + moved / (1.0 + noise_std**2))
        card = dict(world.federation.model().card.evaluation)
        assert float(card[FLEET_PRICE]) == pytest.approx(price, abs=1e-6)
        assert result.rho > 0  # the statistic is inside what is charged
        rounds.append((sent, price))
    assert rounds[0][0] == 3.0
    assert rounds[-1][1] > 1.0
    assert rounds[-1][0] < 0.6 * rounds[0][0]
    decision = world.hosts[0].device("user-11").decide([Candidate(id="last", category="shoes", value_minor=2400)])
    fleet = next(reason for reason in decision.reasons if reason.code == "term_fleet")
    assert fleet.contribution == pytest.approx(-rounds[-1][1], abs=1e-6)


def deviation(world):
    """Noise in the mean sends, from the plan: five hosts' variance over 60 people, in pushes of a week."""
    plan = world.federation.office.progress.last_plan()
    half = next(s.half_range_units for s in plan.statistics if s.name == SENDS)
    return (HOSTS * float(plan.noise_variance_units)) ** 0.5 / (HOSTS * PEOPLE) * 7 / half


def test_without_the_statistic_no_price_is_asked(shop):
    """Terms without a fleet price plan no ``sends``, and the card names no price: devices pay nothing."""
    world = shop(None)
    result = world.round()
    assert SENDS not in result.statistics
    assert FLEET_PRICE not in dict(world.federation.model().card.evaluation)
    assert world.hosts[0].fleet_price_minor == 0.0


def claimed(world, price):
    """The newest model once more, with another price, signed by the server's true key."""
    office = world.federation.office
    artifact = world.federation.model()
    figures = dict(artifact.card.evaluation) | {FLEET_PRICE: Fraction(price)}
    card = dataclasses.replace(artifact.card, version=99, evaluation=tuple(sorted(figures.items())))
    return sign(Artifact(card, artifact.parameters), office.signing_key).encode()


def test_a_huge_price_is_held_at_the_hosts_own_ceiling(shop):
    """A claimed ν of a million is charged as the host's ceiling of 10: what is worth more is still sent."""
    world = shop(PRICE)
    host = world.hosts[0]
    host.install_model(claimed(world, 10**6), world.federation.server_key)
    assert host.fleet_price_minor == SETTINGS.fleet_price_ceiling_minor == 10.0
    decision = host.device("user-0").decide([Candidate(id="c", category="shoes", value_minor=100_000)])
    assert decision.action == "send"


def test_a_negative_price_is_refused(shop):
    """A price below 0 would pay for pushes: the model that claims it is not installed."""
    world = shop(PRICE)
    host = world.hosts[0]
    before = host.model.version
    with pytest.raises(ModelRefused, match="hold pushes back"):
        host.install_model(claimed(world, -1), world.federation.server_key)
    assert (host.model.version, host.fleet_price_minor) == (before, 0.0)
