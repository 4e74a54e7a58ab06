"""Features come from the past alone, stay within [−1, 1], and equal what is worked out by hand."""

from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest

from tactful_lab.contacts import CAVEAT, features, records, task

CUT = date(2017, 8, 8).toordinal()


@pytest.fixture(scope="module")
def real():
    """Every sixth household of the package: its records, contacts and features."""
    data = sixth(records.load())
    contacts, _ = task.build(data)
    return data, contacts, features.build(data, contacts)


def sixth(data: records.Records) -> records.Records:
    contact, redemption, line = (
        household % 6 == 1 for household in (data.contact_household, data.redeemed_household, data.lines.household)
    )
    return replace(
        data,
        contact_campaign=data.contact_campaign[contact],
        contact_household=data.contact_household[contact],
        redeemed_campaign=data.redeemed_campaign[redemption],
        redeemed_household=data.redeemed_household[redemption],
        redeemed_day=data.redeemed_day[redemption],
        lines=records.Lines(*(getattr(data.lines, f.name)[line] for f in fields(data.lines))),
    )


def scrambled_from(data: records.Records, day: int) -> records.Records:
    """The same records with everything from ``day`` on made up: lines, redemptions, later campaigns' coupons."""
    rng = np.random.default_rng(20170808)
    lines, late = data.lines, data.lines.day >= day
    changed = replace(
        lines,
        household=np.where(late, rng.permutation(lines.household), lines.household),
        product=np.where(late, rng.permutation(lines.product), lines.product),
        spend=np.where(late, 1000 * rng.random(len(late)), lines.spend),
        coupon=np.where(late, rng.random(len(late)), lines.coupon),
        day=np.where(late, day + rng.integers(0, 100, len(late)), lines.day),
    )
    after = data.redeemed_day >= day
    owner = np.where(after, rng.permutation(data.redeemed_household), data.redeemed_household)
    later = np.isin(data.coupon_campaign, data.campaigns.ids[data.campaigns.start > day])
    product = np.where(later, rng.permutation(data.coupon_product), data.coupon_product)
    return replace(data, lines=changed, redeemed_household=owner, coupon_product=product)


def test_features_do_not_change_when_the_future_is_altered(real):
    """With every line and redemption from 8 August on made up, contacts up to that day keep their features exactly."""
    data, contacts, x = real
    altered = features.build(scrambled_from(data, CUT), contacts)
    past = contacts.day <= CUT
    np.testing.assert_array_equal(altered[past], x[past])
    assert np.abs(altered[~past] - x[~past]).max() > 0.5  # the alteration is felt where it may be


def test_the_day_before_a_contact_is_seen(real):
    """The same alteration one day earlier reaches the contacts of 8 August: the cut is at the day and not before it."""
    data, contacts, x = real
    altered = features.build(scrambled_from(data, CUT - 1), contacts)
    assert np.any(altered[contacts.day == CUT] != x[contacts.day == CUT])


def test_a_label_does_not_reach_its_own_features(real):
    """Without the redemptions of a campaign's own contacts, the features of its contacts stay the same."""
    data, contacts, x = real
    own = data.campaigns.ids[contacts.campaign[contacts.day == CUT][0]]
    keep = data.redeemed_campaign != own
    fewer = replace(
        data,
        redeemed_household=data.redeemed_household[keep],
        redeemed_campaign=data.redeemed_campaign[keep],
        redeemed_day=data.redeemed_day[keep],
    )
    rows = contacts.day == CUT
    np.testing.assert_array_equal(features.build(fewer, contacts)[rows], x[rows])


def test_every_feature_is_bounded_and_varies(real):
    """All numbers lie in [−1, 1], none is constant, and each has one name."""
    _, contacts, x = real
    assert x.shape == (len(contacts), len(set(features.NAMES)))
    assert np.all(np.abs(x) <= 1)
    assert np.all(x.std(axis=0) > 0.05)


def test_a_household_without_a_past_gets_the_features_of_an_empty_one(real):
    """Contacts of campaigns before 2017 have no purchases, coupons, redemptions or earlier contacts."""
    _, contacts, x = real
    first = x[contacts.day == contacts.day.min()]
    for name in ("baskets, half-life 90 d", "spend, half-life 14 d", "earlier contacts", "days with a redemption"):
        column = next(i for i, full in enumerate(features.NAMES) if full.startswith(name))
        assert np.all(first[:, column] == -1)


def test_counts_and_decays_equal_plain_sums_over_the_records(real):
    """Baskets, spend, response rate and overlap of thirty contacts, by loops over the package's own tables."""
    data, contacts, x = real
    rng = np.random.default_rng(3)
    for row in rng.choice(len(contacts), 30, replace=False):
        expected = by_hand(data, contacts, int(row))
        got = {name: x[row, features.NAMES.index(name)] for name in expected}
        assert got == pytest.approx(expected, abs=1e-9)


def by_hand(data: records.Records, contacts: task.ContactTask, row: int) -> dict[str, float]:
    household, day = contacts.household_ids[contacts.household[row]], contacts.day[row]
    campaign = data.campaigns.ids[contacts.campaign[row]]
    wanted = set(data.coupon_product[data.coupon_campaign == campaign].tolist())
    mine = np.flatnonzero((data.lines.household == household) & (data.lines.day < day))
    baskets, spend, overlap, used = {}, 0.0, 0.0, 0
    for i in mine:
        decay = 0.5 ** ((day - data.lines.day[i]) / 90)
        baskets[data.lines.basket[i]] = decay
        spend += data.lines.spend[i] * decay
        overlap += data.lines.spend[i] * decay * (data.lines.product[i] in wanted)
        used += data.lines.product[i] in wanted and data.lines.coupon[i] > 0
    start = dict(zip(data.campaigns.ids, data.campaigns.start, strict=True))
    earlier = {c for c in data.contact_campaign[data.contact_household == household] if start[c] < day}
    past = (data.redeemed_household == household) & (data.redeemed_day < day)
    hit = len(earlier & set(data.redeemed_campaign[past]))
    rate = (hit + 0.2) / (len(earlier) + 2)
    values = {
        "baskets, half-life 90 d": (sum(baskets.values()), 12),
        "spend, half-life 90 d": (spend, 500),
        "response rate to earlier contacts": (rate, 0.1),
        "earlier contacts": (len(earlier), 3),
        "share of spend on the coupons' products, half-life 90 d": (overlap / max(spend, 1e-9), 0.02),
        "lines with a coupon on the coupons' products": (used, 0.5),
    }
    return {name: (v - m) / (v + m) for name, (v, m) in values.items()}


def test_the_caveat_denies_causal_readings():
    """Whoever prints the caveat says that contacts were targeted and that no fatigue may be read from them."""
    assert "targeted" in CAVEAT
    assert "no causal fatigue" in CAVEAT
