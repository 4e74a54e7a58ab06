"""Contacts with their labels, parted by the day on which their campaign starts.

A contact is one household in one campaign; its label is 1 if the household redeems a coupon of that campaign within it.
Train: campaigns that start before 8 August 2017; tune: until 30 October; test: from then on. Choices are made by
fitting on train and looking at tune; the reported model is fitted on both (1,434 households) and looked at on test.

Contacts were targeted, not randomised: see `tactful_lab.contacts.CAVEAT`.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tactful_lab.contacts.records import Ints, Records
from tactful_lab.errors import DatasetDamaged

Split = Literal["train", "tune", "before_test", "test"]
TUNE_START = date(2017, 8, 8)
TEST_START = date(2017, 10, 30)
FIRST_DAY = date(2017, 1, 1)
_HOUSEHOLDS = 10_000_000  # above every household number, so that a pair is one number


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was read, used and left out, in counts; ``lines`` says the same in words."""

    contacts_read: int
    contacts_repeated: int
    contacts_of_unknown_campaigns: int
    contacts_kept: int
    contacts_before_the_first_line: int
    redemptions_read: int
    redemptions_outside_their_campaign: int
    redemptions_without_a_contact: int
    redemptions_after_the_first_of_their_contact: int
    contacts_redeemed: int
    fitted_labels_decided_after_the_test_began: int

    def as_dict(self) -> dict[str, int]:
        """Counts by name, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The report in sentences, one fact a line."""
        return [
            f"read {self.contacts_read:,} contacts; left out {self.contacts_repeated:,} repeated ones and "
            f"{self.contacts_of_unknown_campaigns:,} of campaigns without a description; kept {self.contacts_kept:,}",
            f"of these, {self.contacts_before_the_first_line:,} start before 2017 and so without any recorded past: "
            "kept, with features of an empty past",
            f"read {self.redemptions_read:,} redemptions; left out {self.redemptions_outside_their_campaign:,} outside "
            f"their campaign's days and {self.redemptions_without_a_contact:,} of households that were not contacted; "
            f"{self.redemptions_after_the_first_of_their_contact:,} are further ones of a contact already redeemed",
            f"{self.contacts_redeemed:,} contacts are redeemed",
            f"{self.fitted_labels_decided_after_the_test_began:,} positive labels used for fitting were decided on or "
            "after 30 October, since their campaigns overlap the test's: kept, and said",
        ]


@dataclass(frozen=True, slots=True, eq=False)
class ContactTask:
    """Contacts in order of campaign start, then campaign, then household; each array of shape (n,).

    Attributes:
        household: index into ``household_ids``.
        campaign: index into the records' campaigns.
        day: the campaign's first day, an ordinal: features see what happened on earlier days.
        label: 1 if redeemed, else 0.
        household_ids: households with a contact, ascending, shape (N,).
    """

    household: Ints
    campaign: Ints
    day: Ints
    label: NDArray[np.int8]
    household_ids: Ints

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, split: Split) -> NDArray[np.bool_]:
        """Which contacts belong to a split, shape (n,)."""
        tune, test = TUNE_START.toordinal(), TEST_START.toordinal()
        low, high = {"train": (0, tune), "tune": (tune, test), "before_test": (0, test), "test": (test, 10**7)}[split]
        return (self.day >= low) & (self.day < high)


def _keys(campaign: Ints, household: Ints) -> Ints:
    """One number for each (campaign, household)."""
    return np.asarray(campaign.astype(np.int64) * _HOUSEHOLDS + household)


def build(records: Records) -> tuple[ContactTask, LeftOut]:
    """Join contacts and redemptions.

    Raises:
        DatasetDamaged: No contact remains.
    """
    known = np.isin(records.contact_campaign, records.campaigns.ids)
    keys = np.unique(_keys(records.contact_campaign[known], records.contact_household[known]))
    if not len(keys):
        raise DatasetDamaged("holds no contact of a known campaign", field="campaigns", remedy="install version 0.1.0")
    redeemed, counts, late = _redemptions(records, keys)
    day = records.campaigns.start[np.searchsorted(records.campaigns.ids, keys // _HOUSEHOLDS)]
    left_out = LeftOut(
        contacts_read=len(known),
        contacts_repeated=int(known.sum()) - len(keys),
        contacts_of_unknown_campaigns=int((~known).sum()),
        contacts_kept=len(keys),
        contacts_before_the_first_line=int((day < FIRST_DAY.toordinal()).sum()),
        **counts,
        contacts_redeemed=len(redeemed),
        fitted_labels_decided_after_the_test_began=int((np.isin(keys, late) & (day < TEST_START.toordinal())).sum()),
    )
    return _in_order(records, keys, np.isin(keys, redeemed)), left_out


def _in_order(records: Records, keys: Ints, redeemed: NDArray[np.bool_]) -> ContactTask:
    """Contacts from their keys and labels, in order of start, campaign and household."""
    campaign = np.searchsorted(records.campaigns.ids, keys // _HOUSEHOLDS).astype(np.int64)
    ids, household = np.unique(keys % _HOUSEHOLDS, return_inverse=True)
    day = records.campaigns.start[campaign]
    order = np.lexsort((household, campaign, day))
    return ContactTask(
        household=household[order].astype(np.int64),
        campaign=campaign[order],
        day=day[order],
        label=redeemed[order].astype(np.int8),
        household_ids=ids,
    )


def _redemptions(records: Records, contacts: Ints) -> tuple[Ints, dict[str, int], Ints]:
    """Keys of redeemed contacts, counts, and the keys whose first redemption was not before the test's first day."""
    slot = np.searchsorted(records.campaigns.ids, records.redeemed_campaign).clip(0, len(records.campaigns.ids) - 1)
    day = records.redeemed_day
    inside = records.campaigns.ids[slot] == records.redeemed_campaign
    inside &= (day >= records.campaigns.start[slot]) & (day <= records.campaigns.end[slot])
    keys = _keys(records.redeemed_campaign, records.redeemed_household)
    used = inside & np.isin(keys, contacts)
    redeemed = np.unique(keys[used])
    counts = {
        "redemptions_read": len(keys),
        "redemptions_outside_their_campaign": int((~inside).sum()),
        "redemptions_without_a_contact": int((inside & ~used).sum()),
        "redemptions_after_the_first_of_their_contact": int(used.sum()) - len(redeemed),
    }
    early = np.unique(keys[used & (day < TEST_START.toordinal())])
    return redeemed, counts, np.setdiff1d(redeemed, early)
