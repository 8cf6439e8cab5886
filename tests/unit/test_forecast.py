from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.clock import SHANGHAI
from ark.governor.fleet import Kept, Look, Member, Report
from handlers.allowances import day_percent, measured
from handlers.forecast import Allowance, forecast, least_calls, past, predicted_calls
from handlers.registry import find
from tests.unit.test_runs_cli import FINISHED

NOON = datetime(2020, 5, 31, 12, tzinfo=SHANGHAI)
UNKNOWN = Allowance(source="nobody")
DAILY, INFO, FUNDS = find("gdt.daily_report_ad"), find("jrtt.account_info"), find("gdt.funds")


def run(planned, requests, seconds=10.0, **changes):
    values = {name: getattr(FINISHED, name) for name in FINISHED.__struct_fields__}
    counts = {"planned": planned, "verified": planned, "failed": 0, "skipped": 0}
    return type(FINISHED)(**values | counts | {"requests": requests, "seconds": seconds} | changes)


def test_the_least_calls_count_a_page_per_unit_and_a_batch_as_one():
    assert least_calls(DAILY, 400) == 1200
    assert least_calls(INFO, 101) == 2
    assert least_calls(FUNDS, 0) == 0


def test_pages_that_earlier_runs_needed_are_expected_again():
    seen = past("agent", DAILY, [run(300, 330), run(600, 750)], 1200)
    assert (seen.runs, seen.requests_per_unit) == (2, 1.2)
    assert predicted_calls(1200, seen) == 1440
    assert predicted_calls(1200, None) == 1200


def test_a_batch_counts_as_one_unit_whatever_the_runs_sizes_were():
    assert past("agent", INFO, [run(5, 1), run(250, 3)], 10).requests_per_unit == 1


def test_units_that_are_open_and_runs_that_never_called_say_nothing():
    assert past("agent", FUNDS, [run(10, 4, verified=4)], 10).requests_per_unit == 1
    assert past("agent", FUNDS, [run(10, 0)], 10) is None
    assert past("agent", FUNDS, [], 10) is None


def test_the_pace_is_that_of_large_runs():
    large, small = run(1000, 1000, 10.0), run(1, 1, 1.0)
    assert past("agent", FUNDS, [small, large], 5000).pace == 100
    assert past("agent", FUNDS, [small, run(5, 5, 1.0)], 5000).pace == 5
    assert past("agent", FUNDS, [run(1000, 1000, 0.1, attempt=2)], 5000).pace == 0


def test_the_slower_of_quota_and_past_decides():
    quota = Allowance(source="", window=60.0, minute=600.0)
    assert forecast(1200, quota, 0.0, NOON).seconds == 120
    assert forecast(1200, quota, 5.0, NOON).seconds == 240
    assert forecast(1200, quota, 50.0, NOON).finish == NOON.replace(minute=2)
    assert forecast(1200, quota, 50.0, NOON).minute_share == 200


def test_nothing_is_foretold_from_nothing():
    told = forecast(1200, UNKNOWN, 0.0, NOON)
    assert (told.pace, told.seconds, told.finish, told.minute_share, told.day_share, told.calls_today) == (None,) * 6
    assert told.accounts_today(400) is None


def test_the_pace_at_which_others_go_is_better_than_none():
    assert forecast(100, Allowance(source="", measured_pace=10.0), 0.0, NOON).seconds == 10


def test_what_does_not_fit_into_the_day_goes_on_at_midnight():
    quota = Allowance(source="", minute=60_000.0, day=100_000.0, day_left=62_000.0)
    told = forecast(100_000, quota, 0.0, NOON)
    assert told.accounts_today(100_000) == 62_000
    assert told.finish == datetime(2020, 6, 1, 0, 0, 38, tzinfo=SHANGHAI)
    assert told.day_share == 100


def test_several_days_and_never():
    told = forecast(250, Allowance(source="", minute=60.0, day=100.0, day_left=0.0), 0.0, NOON)
    assert told.finish == datetime(2020, 6, 3, 0, 0, 50, tzinfo=SHANGHAI)
    assert told.accounts_today(10) == 0
    assert forecast(1, Allowance(source="", minute=60.0, day_left=0.0), 0.0, NOON).finish == NOON.replace(
        month=6, day=1, hour=0, second=1
    )
    assert forecast(10**9, Allowance(source="", minute=60.0, day=1.0, day_left=0.0), 0.0, NOON).finish is None


@given(
    st.integers(0, 10**6),
    st.floats(0.1, 10**4),
    st.none() | st.floats(0, 10**6),
    st.floats(1, 10**6),
    st.floats(0, 1000),
)
def test_more_quota_is_never_later_and_no_calls_are_over_at_once(calls, minute, left, day, seen):
    less = forecast(calls, Allowance(source="", minute=minute, day=day, day_left=left), seen, NOON)
    more = forecast(calls, Allowance(source="", minute=2 * minute), seen, NOON)
    assert forecast(0, Allowance(source="", minute=minute, day_left=left), seen, NOON).finish == NOON
    if less.seconds is not None and more.seconds is not None:
        assert more.seconds <= less.seconds + 1e-3
    assert less.calls_today is None or 0 <= less.calls_today <= calls


def look(**values):
    at = NOON.timestamp()
    return Look("gdt:h:-:funds/get", **{"day": 50.0, "told_at": at, "at": at} | values)


def member(quota, *, lives=True, pace=1.0):
    return Member("w", Report(quota=quota, day_quota=10 * quota, pace=pace, firm=True), 0.0, lives)


def test_a_quota_is_what_all_who_use_it_have_measured_together():
    known = measured(look(members=(member(100.0), member(200.0), member(999.0, lives=False))), 60.0, 100.0)
    assert (known.minute, known.day, known.day_left, known.in_use) == (300.0, 3000.0, 1500.0, 2)
    kept = measured(look(kept=Kept(quota=400.0, day_quota=8000.0, pace=3.0)), 60.0, 25.0)
    assert (kept.minute, kept.day_left, kept.measured_pace, kept.in_use) == (400.0, 2000.0, 3.0, 0)


def test_who_has_measured_nothing_says_nothing():
    assert measured(look(day=None), 60.0, 100.0) is None


@pytest.mark.parametrize(("told", "percent"), [(NOON.replace(hour=0), 50.0), (NOON.replace(day=30, hour=23), None)])
def test_yesterdays_percent_says_nothing_of_today(told, percent):
    assert told.date() in {date(2020, 5, 30), date(2020, 5, 31)}
    assert day_percent(look(told_at=told.timestamp())) == percent
