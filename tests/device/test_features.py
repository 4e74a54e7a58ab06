"""The features against a slow oracle which reads the raw list of uses, and the promises of a feature block."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.features import DIMENSION, FEATURES, NAMES, SLOTS, FeatureBlock, slot_of
from tactful.training import build_table
from tactful_privacy.errors import InvalidInput

MONDAY = datetime(2026, 1, 5, tzinfo=UTC).toordinal()
HALF_LIVES = (5.0, 14.0, 120.0, 400.0)
USES = st.sets(st.tuples(st.integers(0, 80), st.integers(0, 6)), max_size=40)


def cut(x, low=-1.0, high=1.0):
    return min(high, max(low, x))


def log_ratio(value, reference, scale):
    return cut(math.log(value / reference) / scale)


class Oracle:
    """Every number as a sum over the closed days, recomputed each time; no state is rolled forward."""

    def __init__(self, uses, start, closed):
        self.uses = {(d, s) for d, s in uses if start <= d < closed}
        self.days = range(start, closed)
        self.active = sorted({d for d, _ in self.uses})
        self.closed = closed

    def known(self, d):
        return bool(self.active) and d >= self.active[0]

    def decayed(self, marks, keep):
        """Sum of the marked days, each multiplied by ``keep`` once for every later day of the list."""
        return math.fsum(keep ** (len(marks) - 1 - i) for i, mark in enumerate(marks) if mark)

    def slot(self, days, slot, keep):
        return self.decayed([(d, slot) in self.uses for d in days], keep)

    def seen(self, days, keep):
        return self.decayed([self.known(d) for d in days], keep)

    def rate(self, half_life, slot):
        keep = 2 ** (-1 / half_life)
        return (self.slot(self.days, slot, keep) + 4 * 0.022) / (self.seen(self.days, keep) + 4)

    def day_rate(self, half_life):
        keep = 2 ** (-1 / half_life)
        return (self.decayed([d in self.active for d in self.days], keep) + 4 * 0.14) / (self.seen(self.days, keep) + 4)

    def rhythm(self, day):
        since = cut(day - self.active[-1], 1, 90) if self.active else 90
        gaps = [b - a for a, b in zip(self.active, self.active[1:], strict=False)]
        total = sum(gap * 0.85 ** (len(gaps) - 1 - i) for i, gap in enumerate(gaps))
        gap = (total + 7) / (sum(0.85**i for i in range(len(gaps))) + 1)
        return {
            "usual_gap": log_ratio(gap, 7, 3),
            "overdue": cut(math.log(since / gap) / 2, 0, 1),
            "active_yesterday": float(since == 1),
            "active_2_3_days_ago": float(since in (2, 3)),
            "lapsed": float(since >= 36),
        }

    def week(self, day, slot):
        weekday, keep = (day - MONDAY) % 7, 2 ** (-1 / 20)
        same = [d for d in self.days if (d - MONDAY) % 7 == weekday]
        seen, rate, beside = (
            self.seen(same, keep),
            self.rate(120, slot),
            [s for s in (slot - 1, slot + 1) if 0 <= s < 7],
        )
        ratio = log_ratio((self.slot(same, slot, keep) + 3 * rate) / (seen + 3), rate, 2)
        around = sum(self.rate(120, s) for s in beside)
        near = sum(self.slot(same, s, keep) for s in beside)
        days = self.decayed([d in self.active for d in same], keep)
        usual, weekend = self.rate(400, slot), weekday >= 5
        such = [d for d in self.days if ((d - MONDAY) % 7 >= 5) == weekend]
        slow = 2 ** (-(3.5 if weekend else 1.4) / 180)
        such_rate = (self.slot(such, slot, slow) + 5 * usual) / (self.seen(such, slow) + 5)
        return {
            "weekday_ratio": log_ratio((days + 2 * self.day_rate(120)) / (seen + 2) / self.day_rate(120), 1, 2),
            "weekday_slot_ratio": ratio,
            "weekday_slot_ratio_by_rate": ratio * log_ratio(usual, 0.022, 4),
            "weekday_neighbour_ratio": log_ratio((near + 3 * around) / (seen + 3), around, 2),
            "weekend_slot_ratio": log_ratio(such_rate, usual, 2),
        }

    def recall(self, day, slot):
        keep = 2 ** (-1 / 120)
        near = sum(self.slot(self.days, s, keep) for s in (slot - 1, slot + 1) if 0 <= s < 7)
        rate = (near + 2 * 4 * 0.022) / (self.seen(self.days, keep) + 4)
        last = max((d for d, s in self.uses if s == slot), default=None)
        ring = [d for d in (day - 7, day - 14, day - 21, day - 28) if self.closed - 28 <= d < self.closed]
        return {
            "slot_last_days": min(self.slot(self.days, slot, 0.6), 2) / 2,
            "neighbour_rate": log_ratio(rate, 2 * 0.022, 3),
            "same_slot_last_weeks": sum((d, slot) in self.uses for d in ring) / 4,
            "slot_silence": math.log(90 if last is None else cut(day - last, 1, 90)) / math.log(90),
        }

    def features(self, day, slot):
        weekend = (day - MONDAY) % 7 >= 5
        found = {"always": 1.0, "weekend": float(weekend), "weekend_late": float(weekend and slot >= 4)}
        found |= {f"slot_{8 + 2 * s:02d}": float(s == slot) for s in range(7)}
        found |= {f"slot_rate_{h:.0f}d": log_ratio(self.rate(h, slot), 0.022, 4) for h in HALF_LIVES}
        found["slot_rate_120d_squared"] = found["slot_rate_120d"] ** 2
        found |= {f"day_rate_{h}d": log_ratio(self.day_rate(h), 0.14, 4) for h in (14, 400)}
        return found | self.rhythm(day) | self.week(day, slot) | self.recall(day, slot)


def replay(histories, start, closed, skip=()):
    """Close the days in order, leaving out those in ``skip`` (quiet for everybody) for `advance` to fill."""
    block = FeatureBlock.empty(len(histories))
    for day in range(start, closed):
        if day not in skip:
            used = [[(day, slot) in uses for slot in range(SLOTS)] for uses in histories]
            block.close_day(day, np.array(used, dtype=np.uint8))
    block.advance(closed)
    return block


def assert_matches(block, histories, start, closed, day):
    phi = block.design(day)
    assert np.isfinite(phi).all()
    assert np.abs(phi).max() <= 1.0
    for device, uses in enumerate(histories):
        oracle = Oracle(uses, start, closed)
        for slot in range(SLOTS):
            expected = oracle.features(day, slot)
            assert set(expected) == set(NAMES)
            np.testing.assert_allclose(phi[device, slot], [expected[name] for name in NAMES], atol=1e-6)


def random_histories(seed, n, days):
    """Devices that start on different days and use slots at different rates."""
    rng = np.random.default_rng(seed)
    firsts, rates = rng.integers(0, days, n), rng.uniform(0.01, 0.3, n)
    return [
        {(MONDAY + d, s) for d in range(first, days) for s in range(SLOTS) if rng.random() < rate and not 30 <= d < 36}
        for first, rate in zip(firsts, rates, strict=True)
    ]


@given(uses=USES, closed=st.integers(1, 85), ahead=st.integers(0, 40), start=st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_features_match_the_oracle_on_any_history(uses, closed, ahead, start):
    """For any uses, first weekday, gaps and future day, every feature is the oracle's within 1e-6 (float32)."""
    begin = MONDAY + start
    history = [{(begin + day, slot) for day, slot in uses if day < closed}]
    assert_matches(replay(history, begin, begin + closed), history, begin, begin + closed, begin + closed + ahead)


@pytest.mark.parametrize("seed", range(3))
def test_features_match_the_oracle_over_a_hundred_days(seed):
    """Devices that start on different days, with a quiet gap filled by `advance`, seen today and a week ahead."""
    histories, closed = random_histories(seed, 4, 100), MONDAY + 100
    block = replay(histories, MONDAY, closed, skip=range(MONDAY + 30, MONDAY + 36))
    for day in (closed, closed + 1, closed + 6, closed + 7, closed + 30):
        assert_matches(block, histories, MONDAY, closed, day)


def test_devices_in_one_block_do_not_touch_each_other():
    """n devices side by side have exactly the features of each alone and of the ones taken out."""
    histories, closed = random_histories(9, 6, 60), MONDAY + 60
    block = replay(histories, MONDAY, closed)
    for index, uses in enumerate(histories):
        alone = replay([uses], MONDAY, closed).design(closed)[0]
        np.testing.assert_array_equal(alone, block.design(closed)[index])
        np.testing.assert_array_equal(alone, block.take(index).design(closed)[0])


def test_a_snapshot_reads_back_exactly():
    """The bytes hold everything: equal bytes and features, also after one more day; empty and bent ones too."""
    block = replay(random_histories(4, 1, 50), MONDAY, MONDAY + 50)
    again = FeatureBlock.from_bytes(block.to_bytes())
    assert again.to_bytes() == block.to_bytes()
    for one in (block, again):
        one.close_day(MONDAY + 55, np.ones((1, SLOTS), dtype=np.uint8))
    np.testing.assert_array_equal(again.design(MONDAY + 56), block.design(MONDAY + 56))
    assert FeatureBlock.from_bytes(FeatureBlock.empty(1).to_bytes()).next_day is None
    for bent in (b"", block.to_bytes()[:-8], block.to_bytes() + b"\0", bytes(8) + block.to_bytes()[8:]):
        with pytest.raises(InvalidInput, match="rebuild"):
            FeatureBlock.from_bytes(bent)
    with pytest.raises(InvalidInput, match="take"):
        FeatureBlock.empty(2).to_bytes()


def test_a_taken_device_is_a_copy():
    """Closing a day of the taken device leaves the block as it was."""
    block = replay(random_histories(5, 2, 40), MONDAY, MONDAY + 40)
    before = block.design(MONDAY + 40)
    block.take(0).close_day(MONDAY + 40, np.ones((1, SLOTS), dtype=np.uint8))
    np.testing.assert_array_equal(block.design(MONDAY + 40), before)


@pytest.mark.parametrize("uses", [set(), {(MONDAY, 3)}], ids=["empty", "one use"])
def test_sparse_devices_stay_finite_through_years_of_silence(uses):
    """Without any event, or with one, every feature is finite and within [-1, 1], today and after five years."""
    block = replay([uses], MONDAY, MONDAY + 1)
    assert_matches(block, [uses], MONDAY, MONDAY + 1, MONDAY + 1)
    block.advance(MONDAY + 5 * 365)
    phi = block.design(MONDAY + 5 * 365)
    assert np.isfinite(phi).all()
    assert np.abs(phi).max() <= 1.0
    assert FeatureBlock.empty(1).design(MONDAY).shape == (1, SLOTS, DIMENSION)


def test_the_borders_between_days_since_the_last_use():
    """1, 2, 3, 4, 35, 36, 89, 90 and 91 days after the last active day, every feature is the oracle's."""
    history = [{(MONDAY, 2), (MONDAY + 3, 5)}]
    for since in (1, 2, 3, 4, 35, 36, 89, 90, 91):
        day = MONDAY + 3 + since
        assert_matches(replay(history, MONDAY, day), history, MONDAY, day, day)


def test_a_day_is_closed_once_and_in_order():
    """The same day, an earlier one and a wrong shape are refused and leave the block as it was."""
    block, quiet = replay(random_histories(6, 1, 20), MONDAY, MONDAY + 20), np.zeros((1, SLOTS), dtype=np.uint8)
    before = block.to_bytes()
    for day in (MONDAY + 19, MONDAY + 3):
        with pytest.raises(InvalidInput, match="rising"):
            block.close_day(day, quiet)
    for shape in ((2, SLOTS), (1, SLOTS - 1), (SLOTS,)):
        with pytest.raises(InvalidInput, match="activity"):
            block.close_day(MONDAY + 20, np.zeros(shape, dtype=np.uint8))
    block.advance(MONDAY)
    assert block.to_bytes() == before


def test_every_feature_is_described():
    """Names are unique; each has a unit and a description; there are 24 to 64 of them."""
    assert 24 <= DIMENSION == len(FEATURES) <= 64
    assert len(set(NAMES)) == DIMENSION
    assert all(spec.name and spec.unit and spec.description for spec in FEATURES)


def test_a_slot_holds_two_hours():
    """Each hour from 8:00 to 22:00 belongs to one slot; the others to none."""
    for hour in range(24):
        expected = (hour - 8) // 2 if 8 <= hour < 22 else None
        assert slot_of(datetime(2026, 1, 5, hour, 59, tzinfo=UTC)) == expected


def test_training_rows_are_the_designs_of_their_days():
    """Each row of `build_table` is the design of a block that closed the days before it; its label is that day's."""
    histories, days, warm = random_histories(7, 3, 45), 45, 10
    activity = np.zeros((3, days, SLOTS), dtype=np.uint8)
    for device, uses in enumerate(histories):
        for day, slot in uses:
            activity[device, day - MONDAY, slot] = 2
    table = build_table(activity, MONDAY, MONDAY + 40, warm)
    for device, uses in enumerate(histories):
        row = int(table.bounds[device])
        first = min((d for d, _ in uses if d <= MONDAY + 40), default=MONDAY + 41)
        for day in range(first + warm, MONDAY + 41):
            np.testing.assert_array_equal(table.x[row : row + 7], replay([uses], MONDAY, day).design(day)[0])
            assert table.y[row : row + 7].tolist() == [float((day, s) in uses) for s in range(SLOTS)]
            row += SLOTS
        assert row == table.bounds[device + 1]
    for bad in (activity[0], activity[:, :20], activity[..., :5]):
        with pytest.raises(InvalidInput, match="activity"):
            build_table(bad, MONDAY, MONDAY + 40, warm)
