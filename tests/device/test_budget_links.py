"""One person on two hosts: linked devices share one ceiling in exact parts, whatever is lost, repeated or forged."""

import json
import random
from fractions import Fraction

import pytest

from tactful import InvalidInput
from tactful.errors import LinkRefused
from tactful_privacy.accounting.zcdp import rho_budget

from .spend_world import plan, side_of
from .vault_world import open_host, person

DELTA = 1e-6
CEILING = Fraction(rho_budget(4.0, DELTA))
THIRD, HALF = Fraction(1, 3), Fraction(1, 2)


@pytest.fixture
def phones(tmp_path):
    """The same person's devices on two hosts."""
    folders = [tmp_path / name for name in ("phone", "tablet")]
    for folder in folders:
        folder.mkdir()
    with open_host(folders[0]) as one, open_host(folders[1]) as two:
        yield (one, person(one)), (two, person(two))


def pay(host, device, part, number):
    """Spend that part of the ceiling; return whether it was affordable."""
    return bool(side_of(host).spend(plan(number, CEILING * part), [str(device.id)]))


def linked(phones, share=THIRD):
    (one, giver), (two, taker) = phones
    token = giver.link(share, two.public_key)
    taker.accept_link(token, one.public_key)
    return giver.links()[0].link_id


def test_the_parts_are_enforced(phones):
    """A third went to the tablet: the phone can pay two thirds, the tablet one."""
    (one, giver), (two, taker) = phones
    linked(phones)
    assert (giver.privacy_budget().share, taker.privacy_budget().share) == (1 - THIRD, THIRD)
    assert giver.privacy_budget().rho_ceiling + taker.privacy_budget().rho_ceiling == CEILING
    assert not pay(one, giver, Fraction(67, 100), 1)
    assert pay(one, giver, 2 * THIRD, 2)
    assert pay(two, taker, THIRD, 1)
    assert not pay(one, giver, Fraction(1, 1000), 3)
    assert not pay(two, taker, Fraction(1, 1000), 2)


def test_the_grant_is_paid_for_before_it_exists(phones, tmp_path):
    """The giver's part is gone when the token is made; a token that got lost can be read again, not made twice."""
    (one, giver), (two, _) = phones
    token = giver.link(HALF, two.public_key)
    assert not pay(one, giver, Fraction(51, 100), 1)
    assert giver.links()[0].token.encode() == token


def test_a_return_gives_back_what_is_left(phones):
    """Of a half, a quarter was spent: a quarter comes back, once, and the tablet pays nothing any more."""
    (one, giver), (two, taker) = phones
    link = linked(phones, HALF)
    assert pay(two, taker, Fraction(1, 4), 1)
    token = taker.unlink(link)
    assert taker.unlink(link) == token
    assert not pay(two, taker, Fraction(1, 1000), 2)
    assert giver.accept_unlink(token, two.public_key) == HALF + Fraction(1, 4)
    with pytest.raises(LinkRefused, match="returned before"):
        giver.accept_unlink(token, two.public_key)
    assert pay(one, giver, HALF + Fraction(1, 4), 1)
    assert not pay(one, giver, Fraction(1, 1000), 2)


def test_a_renewal_in_between_gives_nothing_back_twice(phones):
    """Spent in one period, renewed, unlinked in the next: what the link has cost over both stays away."""
    (_, giver), (two, taker) = phones
    link = linked(phones, HALF)
    assert pay(two, taker, HALF, 1)
    taker.set_consent("federated_learning", granted=True, policy_version="next")
    assert taker.renew_budget(4.0, DELTA, policy_version="next").share == HALF
    assert giver.accept_unlink(taker.unlink(link), two.public_key) == HALF


def test_more_than_is_left_cannot_be_given(phones):
    """What was spent stays with the device that spent it."""
    (one, giver), (two, _) = phones
    assert pay(one, giver, 2 * THIRD, 1)
    with pytest.raises(LinkRefused, match="more than this device has left"):
        giver.link(HALF, two.public_key)
    assert giver.privacy_budget().share == 1
    assert giver.link(THIRD, two.public_key)


def test_a_device_that_spent_more_than_its_part_is_refused(phones):
    """The tablet spent on its own before: then the part must cover it, or the two together would exceed one ceiling."""
    (one, giver), (two, taker) = phones
    assert pay(two, taker, HALF, 1)
    token = giver.link(THIRD, two.public_key)
    with pytest.raises(LinkRefused, match="more than its part"):
        taker.accept_link(token, one.public_key)
    assert taker.accept_link(giver.link(HALF, two.public_key), one.public_key) == HALF
    assert not pay(two, taker, Fraction(1, 1000), 2)


def test_grants_that_cross_make_no_second_ceiling(phones):
    """Both give: whoever accepts gives up the ceiling of its own, so that the parts add up to at most one."""
    (one, giver), (two, taker) = phones
    there, back = giver.link(HALF, two.public_key), taker.link(THIRD, one.public_key)
    assert taker.accept_link(there, one.public_key) == HALF - THIRD
    with pytest.raises(LinkRefused, match="given away"):
        giver.accept_link(back, two.public_key)
    assert giver.privacy_budget().share + taker.privacy_budget().share == 1 - THIRD


def test_a_device_in_between_passes_on_what_it_has(phones, tmp_path):
    """A part may be split further; what comes back goes to whoever gave it."""
    (one, giver), (two, taker) = phones
    (tmp_path / "watch").mkdir()
    with open_host(tmp_path / "watch") as three:
        last = person(three)
        taker.accept_link(giver.link(HALF, two.public_key), one.public_key)
        last.accept_link(taker.link(Fraction(1, 4), three.public_key), two.public_key)
        assert [device.privacy_budget().share for device in (giver, taker, last)] == [HALF, HALF / 2, HALF / 2]
        back = last.unlink(last.links()[0].link_id)
        assert taker.accept_unlink(back, three.public_key) == HALF
        assert giver.accept_unlink(taker.unlink(taker.links()[0].link_id), two.public_key) == 1


def test_tokens_serve_once_and_only_where_they_were_made_for(phones, tmp_path):
    """Twice, altered, under another key, for another host, of another kind, or nonsense: refused, nothing changes."""
    (one, giver), (two, taker) = phones
    token = giver.link(THIRD, two.public_key)
    wrong = [
        (token, two.public_key, "own key"),
        (token, bytes(32), "not signed by that host"),
        (token.replace(b'"1/3"', b'"1/2"'), one.public_key, "not signed by that host"),
        (b"nonsense", one.public_key, "not a link's token"),
        (token + b" ", one.public_key, "not a link's token"),
        (json.dumps({**json.loads(token), "share": "3/2"}).encode(), one.public_key, "not a link's token"),
    ]
    for data, key, message in wrong:
        with pytest.raises(LinkRefused, match=message):
            taker.accept_link(data, key)
    (tmp_path / "third").mkdir()
    with open_host(tmp_path / "third") as third, pytest.raises(LinkRefused, match="no grant for this host"):
        person(third).accept_link(token, one.public_key)
    with pytest.raises(LinkRefused, match="no return for this host"):
        taker.accept_unlink(token, one.public_key)
    assert taker.privacy_budget().share == 1
    taker.accept_link(token, one.public_key)
    with pytest.raises(LinkRefused, match="accepted here before"):
        taker.accept_link(token, one.public_key)
    assert taker.privacy_budget().share == THIRD


def test_arguments_are_checked(phones):
    """Floats, whole budgets and nothing are no parts; a key has 32 bytes and is another host's."""
    (one, giver), (two, _) = phones
    for share in (0.5, 1, 0, Fraction(-1, 2), "1/2"):
        with pytest.raises(InvalidInput):
            giver.link(share, two.public_key)
    with pytest.raises(InvalidInput):
        giver.link(HALF, b"short")
    with pytest.raises(LinkRefused, match="own key"):
        giver.link(HALF, one.public_key)
    with pytest.raises(LinkRefused, match="received no link"):
        giver.unlink("00" * 16)


def test_a_share_outlives_an_erasure(phones):
    """Erased and enrolled again, a device has the part that it had, and a used token stays used."""
    (one, giver), (two, taker) = phones
    token = giver.link(THIRD, two.public_key)
    taker.accept_link(token, one.public_key)
    giver.erase(), taker.erase()
    assert (person(one).privacy_budget().share, person(two).privacy_budget().share) == (1 - THIRD, THIRD)
    with pytest.raises(LinkRefused, match="accepted here before"):
        person(two).accept_link(token, one.public_key)


def test_the_smaller_ceiling_counts(tmp_path):
    """A grant from a host that offers less lowers the receiving device's ceiling to it."""
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    with (
        open_host(tmp_path / "low", privacy_budget=(1.0, DELTA)) as low,
        open_host(tmp_path / "high", privacy_budget=(8.0, DELTA)) as high,
    ):
        giver, taker = person(low), person(high)
        taker.accept_link(giver.link(HALF, high.public_key), low.public_key)
        assert taker.privacy_budget().rho_ceiling == Fraction(rho_budget(1.0, DELTA)) / 2


@pytest.mark.parametrize("seed", range(4))
def test_together_they_never_exceed_one_ceiling(phones, seed):
    """Random grants, losses, returns and payments in one period: the sum of both spends stays within one ceiling."""
    rng, ends, numbers = random.Random(seed), list(phones), [0, 0]
    linked(phones, Fraction(rng.randint(1, 9), 10))
    for _ in range(40):
        mine = rng.randrange(2)
        (host, device), (peer, other) = ends[mine], ends[1 - mine]
        act = rng.choice(("pay", "pay", "give", "return"))
        if act == "pay":
            numbers[mine] += 1
            pay(host, device, Fraction(rng.randint(1, 20), 100), numbers[mine])
        elif act == "give":
            try:
                token = device.link(Fraction(rng.randint(1, 9), 20), peer.public_key)
                if rng.random() < 0.8:
                    other.accept_link(token, host.public_key)
            except LinkRefused:
                pass
        elif received := [link for link in device.links() if not link.given and link.returned is None]:
            token = device.unlink(rng.choice(received).link_id)
            if rng.random() < 0.8:
                other.accept_unlink(token, host.public_key)
        assert sum(device.privacy_budget().share for _, device in ends) <= 1
        spent = sum(device.privacy_budget().rho_spent for _, device in ends)
        assert spent <= CEILING * (1 + Fraction(2, 10**9))
