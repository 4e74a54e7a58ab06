"""Every lie of a host or a server has an error of its own, and a round that was lied to opens exactly or stays shut.

`ATTACKS` is the table attack → error → what becomes of the round. A test at the end asks that every error class of
secure aggregation stands in it.
"""

import pytest

from tactful_privacy.secagg import Aggregator, HostSession, errors
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import (
    digest,
)

from . import secagg_graph_lies, secagg_host_lies, secagg_key_lies, secagg_list_lies  # noqa: F401 - they fill the table
from .secagg_attack_table import ATTACKS, A
from .secagg_world import DIMENSION, RoundWorld


def finish(world, gone):
    """Play the round on honestly without the hosts that are gone; return the opened sum."""
    if world.aggregator.stage == "void":
        world.aggregator.close_stage()
    world.requests = {host: request for host, request in world.requests.items() if host not in gone}
    world.until("unmask")
    for host, request in world.requests.items():
        world.aggregator.accept(world.answer(host, "unmask", request))
    return world.aggregator.open()


@pytest.mark.parametrize("name", ATTACKS)
def test_each_lie_has_its_own_error_and_opens_nothing(name):
    """The exact error; then the honest round opens the exact sum of its survivors, or stays shut for good."""
    told, world = ATTACKS[name], RoundWorld()
    act = told.tell(world)
    with pytest.raises(told.error) as refused:
        act()
    assert type(refused.value) is told.error
    assert world.aggregator.stage != "opened"
    if told.opens:
        opened = finish(world, told.gone)
        assert (opened == sum(sum(world.vectors[host]) for host in world.aggregator.survivors)).all()
        assert not set(told.gone) & set(world.aggregator.survivors)
        return
    with pytest.raises(errors.SecaggError):
        finish(world, told.gone)
    with pytest.raises(errors.SecaggError):
        world.aggregator.open()
    assert world.aggregator.stage != "opened"


def test_every_error_of_secure_aggregation_has_an_attack():
    """No error class without an attack that raises it."""
    kinds = set(errors.SecaggError.__subclasses__())
    told = {told.error for told in ATTACKS.values()}
    assert sorted(kind.__name__ for kind in kinds - told) == []


def test_each_error_names_its_field_and_its_remedy():
    """What a refusal tells an operator: where, and what to do."""
    for name, told in ATTACKS.items():
        with pytest.raises(told.error) as refused:
            told.tell(RoundWorld())()
        assert refused.value.field, name
        assert refused.value.remedy, name


def test_a_plan_of_another_roster_is_another_round():
    """Hosts that were shown different key directories cannot meet: the directory's hash stands in the plan."""
    directory, identities = make_roster(5)
    other, _ = make_roster(5)
    plans = [make_plan(roster, n_min=4, dimension=DIMENSION) for roster in (directory, other)]
    assert digest(plans[0]) != digest(plans[1])
    offer = HostSession(plans[0], directory, A, identities[A]).offer()
    with pytest.raises(errors.UnknownHost):
        Aggregator(plans[1], other).accept(offer)
