"""Quiet hours follow the wall clock where the device is, through both changes of the clock and across journeys."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tactful import policy
from tactful.guardrails import in_quiet_hours, openings
from tactful.settings import GuardrailSettings
from tactful_privacy.errors import InvalidInput

from .policy_world import NO_CHANCE, SHOES, rails, view

NIGHT = GuardrailSettings()
NEW_YORK = ZoneInfo("America/New_York")


def local(zone, *parts, fold=0):
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(("hour", "quiet"), [(21, False), (22, True), (23, True), (0, True), (7, True), (8, False)])
def test_the_night_wraps_round_midnight(hour, quiet):
    """The start belongs to the quiet hours, the end does not."""
    assert in_quiet_hours(datetime(2026, 5, 5, hour, tzinfo=UTC), "UTC", NIGHT) is quiet


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1)])
def test_every_minute_of_a_clock_change_day_agrees_with_the_wall(day):
    """On both days of a changed clock each UTC minute is quiet exactly when the wall clock says so."""
    start = datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
    for minute in range(0, 25 * 60, 5):
        at = start + timedelta(minutes=minute)
        hour = at.astimezone(NEW_YORK).hour
        assert in_quiet_hours(at, "America/New_York", NIGHT) is (hour >= 22 or hour < 8)


def test_the_repeated_hour_of_autumn_is_quiet_both_times():
    """Quiet hours 01:00–02:00 hold in both passes of the hour that the clocks repeat."""
    settings = GuardrailSettings(quiet_from=time(1), quiet_until=time(2))
    for fold in (0, 1):
        at = local("America/New_York", 2026, 11, 1, 1, 30, fold=fold)
        assert in_quiet_hours(at, "America/New_York", settings)


def test_quiet_hours_within_the_hour_that_spring_skips_are_never_met():
    """Quiet hours 02:00–03:00 do not exist on the day on which the clocks jump over them."""
    settings = GuardrailSettings(quiet_from=time(2), quiet_until=time(3))
    start = local("America/New_York", 2026, 3, 8, 0)
    assert not any(in_quiet_hours(start + timedelta(minutes=m), "America/New_York", settings) for m in range(600))


@pytest.mark.parametrize("start", [(2026, 3, 7, 12), (2026, 10, 31, 12)])
def test_openings_keep_their_wall_clock_over_a_change(start):
    """Every opening of the week begins at a slot's wall-clock hour, before and after the change, for two hours."""
    seen = view(local("America/New_York", *start), timezone="America/New_York", settings=NO_CHANCE)
    ahead = openings(seen)
    assert len(ahead.start_s) == 56
    for begin, end in zip(ahead.start_s, ahead.end_s, strict=True):
        assert datetime.fromtimestamp(begin, NEW_YORK).hour in (8, 10, 12, 14, 16, 18, 20)
        assert end - begin == 7200


def test_a_lunch_break_cuts_its_slot_in_two():
    """Quiet hours inside a slot leave the stretches before and after them open."""
    seen = view(settings=rails(quiet_from=time(12, 30), quiet_until=time(13)))
    ahead = openings(seen)
    noon = [
        (b, e) for b, e, d, s in zip(ahead.start_s, ahead.end_s, ahead.day, ahead.slot, strict=True) if (d, s) == (0, 2)
    ]
    walls = [(f"{datetime.fromtimestamp(b, UTC):%H:%M}", f"{datetime.fromtimestamp(e, UTC):%H:%M}") for b, e in noon]
    assert walls == [("12:00", "12:30"), ("13:00", "14:00")]


def test_a_device_that_travels_is_quiet_where_it_is():
    """At one and the same instant a device is quiet in Tokyo and may be reached in Berlin."""
    at = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # midnight in Tokyo, 16:00 in Berlin
    tokyo = policy.decide(view(at, timezone="Asia/Tokyo", settings=NO_CHANCE), [SHOES], decision_id="d", seed=b"")
    assert tokyo.action != "send"
    assert tokyo.reasons[0].code == "quiet_hours"
    berlin = policy.decide(view(at, timezone="Europe/Berlin", settings=NO_CHANCE), [SHOES], decision_id="d", seed=b"")
    assert berlin.reasons[0].code != "quiet_hours"


def test_a_device_that_flies_west_gets_no_second_allowance():
    """A push before take-off still counts after landing on what the wall clock calls the day before."""
    from .policy_world import push

    landed = local("America/Los_Angeles", 2026, 11, 24, 12)
    pushes = (push(landed - timedelta(hours=12)), push(landed - timedelta(hours=20)))
    seen = view(landed, timezone="America/Los_Angeles", settings=NO_CHANCE, pushes=pushes)
    assert policy.decide(seen, [SHOES], decision_id="d", seed=b"").reasons[0].code == "cap_day"


def test_waiting_through_the_night_ends_after_the_quiet_hours():
    """At night the decision waits for a time that the device's own wall clock calls day."""
    at = local("Europe/Berlin", 2026, 3, 28, 23)  # the clocks change that night
    decision = policy.decide(view(at, timezone="Europe/Berlin", settings=NO_CHANCE), [SHOES], decision_id="d", seed=b"")
    assert decision.action == "wait"
    assert decision.reasons[0].code == "quiet_hours"
    assert not in_quiet_hours(decision.at, "Europe/Berlin", NIGHT)


def test_an_unknown_zone_is_refused():
    """An unknown time zone names the field and the remedy."""
    with pytest.raises(InvalidInput, match=r"timezone.*Europe/Berlin"):
        in_quiet_hours(datetime(2026, 1, 1, tzinfo=UTC), "Mars/Olympus", NIGHT)
