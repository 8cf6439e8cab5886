"""A report with more records than paging reaches comes whole, in parts, or the unit fails: never a short table."""

import json
import random
from collections import Counter
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ark.ledger import Run
from handlers import fetcher
from media.tencent.reports import Report
from tests.interface_check import AGENT, DATE, FIRST_ID, Desk
from tests.media_server import CLOSE, Call, Door, serve
from tests.trees import ACCOUNT, DEEP, REACH, WIDE, Ad, Tree, ads, bodies, pulled, reasons, stored, whole

LINES = 3
"""Time lines: a unit and as many calls for each."""
DAILY, HOURLY = "/v1.1/daily_reports/get", "/v1.1/hourly_reports/get"


def tencent(trees: dict[str, Tree], hours: int = 2, suffix: str = "", **options: object) -> list[Door]:
    """The reports of accounts at all levels, behind pages that reach REACH."""
    levels = {
        "CAMPAIGN": ("campaign_id",),
        "ADGROUP": ("campaign_id", "adgroup_id"),
        "AD": ("campaign_id", "adgroup_id", "ad_id"),
    }
    return [
        Door(
            path,
            {account: bodies(ads(tree), *names, hours=number) for account, tree in trees.items()},
            f"REPORT_LEVEL_{level}{suffix}",
            **{"reach": REACH, **options},
        )
        for path, number in ((DAILY, 0), (HOURLY, hours))
        for level, names in levels.items()
    ]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of the Marketing API reach REACH."""
    monkeypatch.setattr(Report, "reach", REACH)


@pytest.mark.parametrize(("records", "calls"), [(REACH - 1, 4), (REACH, 1 + 1 + 4), (REACH + 1, 1 + 1 + 5)])
def test_a_list_is_cut_only_where_it_must_be(desk, short, records, calls):
    """A list that ends exactly where paging does may have been cut off there."""
    doors = tencent({ACCOUNT: [[records - 10], [10]]})
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, "tenant_gdt_daily_report_ad_v3") == whole(doors[2], LINES)
    assert len(medium.calls) == LINES * calls


@pytest.mark.parametrize(("sizes", "calls"), [((7, 6), 2), ((8, 7), 1 + 1 + 2 + 1), ((10, 9), 1 + 1 + 2 + 2)])
def test_pages_that_do_not_divide_what_is_reached_reach_less(desk, short, sizes, calls):
    """As 9,500 records in pages of 1,500: the seventh page would end beyond 10,000, and is refused."""
    doors = tencent({ACCOUNT: [[size] for size in sizes]})
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad", page=7)
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, "tenant_gdt_daily_report_ad_v3") == whole(doors[2], LINES)
    assert len(medium.calls) == LINES * calls


@pytest.mark.parametrize("tree", [WIDE, DEEP], ids=["wide", "deep"])
@pytest.mark.parametrize("medium_name", ["gdt", "wx"])
@pytest.mark.parametrize(
    ("name", "level"), [("daily_report_ad", 2), ("hourly_report_ad", 5), ("hourly_report_adgroup", 4)]
)
def test_a_long_list_is_read_by_campaign_then_by_ad_group(desk, short, medium_name, name, level, tree):
    suffix = "_WECHAT" * (medium_name == "wx")
    doors = tencent({ACCOUNT: tree}, hours=1 if name == "hourly_report_ad" else 6, suffix=suffix)
    with serve(*doors) as medium:
        run = pulled(desk, medium, f"{medium_name}.{name}")
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, f"tenant_{medium_name}_{name}_v3") == whole(doors[level], LINES)


def test_ids_to_cut_by_come_from_the_daily_report(desk, short):
    doors = tencent({ACCOUNT: [[5, 1], [3]]}, hours=5)
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.hourly_report_ad")
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, "tenant_gdt_hourly_report_ad_v3") == whole(doors[5], LINES)
    lists = [call for call in medium.calls if call.path == DAILY]
    assert {call.query["level"] for call in lists} == {
        f"REPORT_LEVEL_{level}" for level in ("CAMPAIGN", "ADGROUP", "AD")
    }
    for call in lists:  # each time line has its own
        assert json.loads(call.query["date_range"]) == {"start_date": DATE, "end_date": DATE}
    assert set(Counter((call.query["time_line"], call.query["level"]) for call in lists).values()) == {1}


def test_a_single_id_that_is_too_long_fails_the_unit_and_nobody_else(desk, short):
    other = str(FIRST_ID + 1)
    doors = tencent({ACCOUNT: [[REACH + 1, 1], [4]], other: [[3]]})
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad", [ACCOUNT, other])
    assert (run.status, run.exit_code, run.failed, run.verified) == ("partial", 3, LINES, LINES)
    why = f"has {REACH + 1} records, as many as paging reaches or more, and cannot be cut further"
    assert {reason for reason in reasons(desk, run) if reason} == {f"the list of adgroup_id 10001 {why}"}
    assert stored(desk, "tenant_gdt_daily_report_ad_v3", other) == whole(doors[2], LINES, other)


def test_a_list_without_levels_fails(desk, short):
    records = [b'{"promoted_object_type":"T","promoted_object_id":"%d"}' % number for number in range(REACH + 1)]
    with serve(Door(DAILY, {ACCOUNT: records}, reach=REACH)) as medium:
        run = pulled(desk, medium, "gdt.daily_report_promoted_object")
    assert (run.status, run.exit_code, run.failed) == ("failed", 3, LINES)
    assert reasons(desk, run) == {
        f"the list has {REACH + 1} records, as many as paging reaches or more, and cannot be cut further"
    }
    assert len(medium.calls) == LINES


@pytest.mark.parametrize("hidden", [0, -1])
def test_parts_that_hold_less_than_the_whole_fail(desk, short, hidden):
    doors = tencent({ACCOUNT: WIDE})
    doors[2].hides = frozenset([doors[2].records[ACCOUNT][hidden]])
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    total = len(doors[2].records[ACCOUNT])
    assert (run.status, run.exit_code) == ("failed", 3)
    assert all(f"{total} records" in reason and f"only {total - 1}" in reason for reason in reasons(desk, run))


@pytest.mark.parametrize("level", ["CAMPAIGN", "ADGROUP"])
def test_a_coarser_level_that_lacks_an_id_fails(desk, short, level):
    doors = tencent({ACCOUNT: DEEP})
    coarse = doors[0 if level == "CAMPAIGN" else 1]
    coarse.records = {ACCOUNT: list(coarse.records[ACCOUNT])[1:]}
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.status, run.exit_code) == ("failed", 3)
    assert all("records" in reason for reason in reasons(desk, run))


@pytest.mark.parametrize("level", ["CAMPAIGN", "ADGROUP"])
def test_a_coarser_level_that_lists_nothing_fails(desk, short, level):
    doors = tencent({ACCOUNT: DEEP})
    doors[0 if level == "CAMPAIGN" else 1].records = {}
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.status, run.exit_code) == ("failed", 3), reasons(desk, run)


def test_a_medium_that_ignores_the_filter_fails_the_unit_with_few_calls(desk, short):
    doors = tencent({ACCOUNT: [[1] * 5] * 18}, filters=False)
    doors[1].reach = 0
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.status, run.exit_code, run.rows) == ("failed", 3, 0)
    assert len(medium.calls) < LINES * 30


@pytest.mark.parametrize("code", [12203, 18001])
def test_a_coarser_level_that_is_refused_fails_and_never_skips(desk, short, code):
    def script(call: Call) -> int | None:
        return code if call.query["level"] == "REPORT_LEVEL_CAMPAIGN" else None

    with serve(*tencent({ACCOUNT: WIDE}), script=script) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.exit_code, run.failed, run.skipped) == (3, LINES, 0)


def test_a_coarser_level_that_is_itself_too_long_fails(desk, short):
    with serve(*tencent({ACCOUNT: [[1]] * (REACH + 1)})) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.exit_code, run.failed, run.rows) == (3, LINES, 0)
    assert all("cannot be cut further" in reason for reason in reasons(desk, run))


def test_a_list_that_grows_while_its_parts_are_read_comes_whole(desk, short):
    doors = tencent({ACCOUNT: [[12], [11]]})
    late = bodies([Ad(100, 10_001, 1_999_999)], "campaign_id", "adgroup_id", "ad_id")
    grown: set[str] = set()

    def script(call: Call) -> None:
        if call.wanted and call.page == 2 and len(grown) < 1:
            grown.add(call.query["time_line"])
            doors[2].records = {ACCOUNT: [*late, *doors[2].records[ACCOUNT]]}

    with serve(*doors, script=script) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert grown
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    counts = stored(desk, "tenant_gdt_daily_report_ad_v3")
    late_lines = counts.pop(late[0])
    assert 1 <= late_lines <= LINES
    assert counts == whole(tencent({ACCOUNT: [[12], [11]]})[2], LINES)


def test_troubles_within_parts_are_sat_out(desk, short):
    number = count()

    def script(_call: Call) -> int | None:
        return 10000 if next(number) % 7 == 3 else None

    doors = tencent({ACCOUNT: WIDE})
    with serve(*doors, script=script) as medium:
        desk.set(http_attempts=6)
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, "tenant_gdt_daily_report_ad_v3") == whole(doors[2], LINES)


def test_the_call_after_a_cut_has_all_its_tries(desk, short):
    failed: set[str] = set()

    def script(call: Call) -> int | None:
        asked = json.dumps([call.query.get(name) for name in ("level", "time_line", "filtering", "page")])
        if call.wanted or asked in failed:
            return None
        failed.add(asked)
        return 10000

    doors = tencent({ACCOUNT: WIDE})
    with serve(*doors, script=script) as medium:
        desk.set(http_attempts=2)
        run = pulled(desk, medium, "gdt.daily_report_ad")
    assert len(failed) == LINES * 3  # the whole list, and two pages of campaigns
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_goes_wrong_on_the_way_what_is_verified_is_whole(desk, short, monkeypatch, seed):
    monkeypatch.setattr(fetcher, "FIRST_BACKOFF", 0.01)
    chance = random.Random(seed)
    troubles = [10000, 11017, 11000, 12100, 51001, CLOSE, 18001 if seed % 2 else 10000, b'{"code":0,"da']
    others = [str(FIRST_ID + number) for number in range(1, 4)]
    trees = dict.fromkeys([ACCOUNT, others[0]], WIDE) | dict.fromkeys(others[1:], DEEP)
    doors = tencent(trees)

    def script(_call: Call) -> object:
        return chance.choice(troubles) if chance.random() < 0.12 else None

    with serve(*doors, script=script) as medium:
        desk.set(http_attempts=5)
        run = pulled(desk, medium, "gdt.daily_report_ad", list(trees))
        check_verified(desk, run, doors[2])
        medium.script = lambda _: None
        again = desk.rerun(run)
    assert (again.status, again.exit_code, again.verified) == ("done", 0, LINES * len(trees))
    check_verified(desk, again, doors[2])


def check_verified(desk: Desk, run: Run, door: Door) -> None:
    """What the ledger calls verified is in the table; what failed says why, and that is no bug of ours."""
    cells = desk.stored("tenant_gdt_daily_report_ad_v3")
    for unit in desk.units(run):
        line = unit.key.variant.removeprefix("time_line=")
        if unit.state == "verified":
            found = {row for key, row in cells.items() if key.split("|")[2::4] == [unit.key.account, line]}
            assert found == set(door.records[unit.key.account])
            assert unit.rows == unit.declared == len(found)
        assert "bug" not in unit.reason
    assert run.exit_code in {0, 3, 77}


def test_a_cut_list_comes_once_into_files_too(desk, short):
    doors = tencent({ACCOUNT: DEEP})
    with serve(*doors) as medium:
        desk.at(medium)
        desk.token("gdt", AGENT)
        run = desk.run("gdt.daily_report_ad", account_list=[ACCOUNT], output="FILE")
    files = (desk.home / "files" / DATE.replace("-", "") / desk.tenant).glob("tenant_gdt_daily_report_ad_v3_*.json")
    rows = Counter(json.loads(line)["row"] for file in files for line in file.read_text().splitlines())
    assert (run.exit_code, run.rows) == (0, LINES * len(doors[2].records[ACCOUNT]))
    assert len(rows) == rows.total() == run.rows


def test_the_real_ten_thousand(desk):
    doors = tencent({ACCOUNT: [[4_000], [3_500, 500], [2_001]]}, hours=1, reach=10_000)
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad", page=1000)
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert run.rows == LINES * 10_001
    assert stored(desk, "tenant_gdt_daily_report_ad_v3") == whole(doors[2], LINES)
    assert len(medium.calls) == LINES * (1 + 1 + 4 + 4 + 3)


def feasible(tree: Tree) -> bool:
    """Whether an account's ads can be read by campaign and ad group."""
    if sum(map(sum, tree)) < REACH:
        return True
    deep = [sizes for sizes in tree if sum(sizes) >= REACH]
    return sum(any(sizes) for sizes in tree) < REACH and all(
        max(sizes) < REACH and sum(size > 0 for size in sizes) < REACH for sizes in deep
    )


sizes = st.lists(st.one_of(st.integers(0, 6), st.integers(0, REACH + 2)), min_size=1, max_size=6)
trees = st.lists(st.lists(sizes, max_size=REACH // 2), min_size=1, max_size=4)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(accounts=trees)
def test_never_a_short_table_with_exit_0(desks, unique, short, accounts):
    desk = desks(unique("T"))
    trees = {str(FIRST_ID + number): tree for number, tree in enumerate(accounts)}
    doors = tencent(trees)
    with serve(*doors) as medium:
        run = pulled(desk, medium, "gdt.daily_report_ad", list(trees))
    states = {account: {unit.state for unit in desk.units(run) if unit.key.account == account} for account in trees}
    for account, tree in trees.items():
        assert states[account] == {"verified" if feasible(tree) else "failed"}
        if feasible(tree):
            assert stored(desk, "tenant_gdt_daily_report_ad_v3", account) == whole(doors[2], LINES, account)
    assert run.exit_code == (0 if all(map(feasible, accounts)) else 3)
    desk.redis.close()
