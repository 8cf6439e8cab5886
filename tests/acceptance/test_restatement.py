"""What a medium still changes is pulled again; what it has not completed yet is marked until it is made good."""

import json
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ark.clock import SHANGHAI
from ark.ledger import Run
from handlers import launch
from tests.acceptance.conftest import Ark
from tests.interface_check import AGENT, DATE, DAY, FIRST_ID, Desk
from tests.media_server import Call, Door, Medium, serve

ACCOUNTS = [str(FIRST_ID), str(FIRST_ID + 1)]
LINES = 3
"""Time lines of a report."""
D = date.fromisoformat(DATE)
REPORT, TABLE = "gdt.daily_report_ad", "tenant_gdt_daily_report_ad_v3"


def days(back: int) -> list[str]:
    """The day and as many before it, newest first."""
    return [f"{D - timedelta(days=number)}" for number in range(back + 1)]


def reports(cost: int) -> Door:
    """One ad per account and day; what it cost is what the medium says now."""
    records = [b'{"date":"%b","ad_id":7,"cost":%d}' % (day.encode(), cost) for day in days(30)]
    return Door("/v1.1/daily_reports/get", dict.fromkeys(ACCOUNTS, records), "REPORT_LEVEL_AD", dated="date")


@pytest.fixture
def world(desk: Desk) -> Desk:
    """The accounts of D alone are in Redis."""
    desk.token("gdt", AGENT)
    desk.give(f"gdt_advertiser_v1.1_{desk.tenant}_{DAY}", ACCOUNTS, AGENT)
    return desk


def costs(desk: Desk) -> dict[str, list[int]]:
    """Day -> what its cells say, each figure once."""
    found: dict[str, list[int]] = {}
    for record in map(json.loads, desk.stored(TABLE).values()):
        found[record["date"]] = sorted({*found.get(record["date"], ()), record["cost"]})
    return found


def pulled(medium: Medium) -> list[str]:
    """The days in the order in which they were asked for."""
    return list(dict.fromkeys(call.day for call in medium.calls))


def test_a_day_and_the_seven_before_it_are_runs_of_their_own(world):
    with serve(reports(1)) as medium:
        world.at(medium)
        run = world.run(REPORT, restate=True)
    runs = world.runs()
    assert (run.data_date, run.status, run.exit_code) == (D, "done", 0)
    assert [f"{each.data_date}" for each in reversed(runs)] == days(7) == pulled(medium)
    assert all((each.verified, each.rows) == (2 * LINES, 2 * LINES) for each in runs)
    assert costs(world) == {day: [1] for day in days(7)}


def test_what_has_changed_covers_what_was_stored(world):
    with serve(reports(1)) as medium:
        world.at(medium)
        for back in (0, 3, 7, 8):
            key = f"gdt_advertiser_v1.1_{world.tenant}_{DAY}"
            assert world.run(REPORT, data_date=days(8)[back], redis_accounts_key=key).exit_code == 0
    before = world.cells(TABLE)
    with serve(reports(2)) as medium:
        world.at(medium)
        assert world.run(REPORT, restate=True).exit_code == 0
    after = world.cells(TABLE)
    assert costs(world) == {day: [2] for day in days(7)} | {days(8)[8]: [1]}
    assert before.keys() <= after.keys()
    changed = [key for key in before if f"|{days(8)[8].replace('-', '')}|" not in key]
    assert len(changed) == 3 * 2 * LINES
    assert all(after[key][0] > before[key][0] for key in changed)


@pytest.mark.parametrize(
    ("interface", "back"), [("jrtt.report_advertiser", 8), ("wx.daily_cost", 7), ("wx.b.daily_report_campaign", 7)]
)
def test_every_medium_says_how_long(desk, interface, back):
    section = "wx_b" if ".b." in interface else interface.partition(".")[0]
    for owner in (AGENT, ACCOUNTS[0]):
        desk.token(section, owner)
    paths = {"jrtt": "/open_api/2/report/advertiser/get/", "wx": "/v1.1/wechat_daily_cost/get"}
    with serve(Door(paths.get(section, "/marketing/daily_reports/get"), {})) as medium:
        desk.at(medium)
        run = desk.run(interface, restate=True, account_list=[ACCOUNTS[0]])
    assert (run.status, run.exit_code) == ("done", 0)
    assert pulled(medium) == days(back)
    assert len(desk.runs()) == back + 1


def words(desk: Desk, interface: str, *more: str) -> list[str]:
    return ["run", interface, "-t", desk.tenant, "-g", AGENT, "-d", DATE, "--all", "--no-next", *more]


def outside(desk: Desk) -> Ark:
    settings = {name.removeprefix("ARK_"): value for name, value in desk.environ.items() if name != "ARK_HOME"}
    return Ark(desk.home, **settings)


@pytest.mark.parametrize("interface", ["gdt.funds", "gdt.advertisers", "jrtt.campaigns", "gdt.realtime_cost"])
def test_what_is_never_changed_cannot_be_restated(world, interface):
    said = outside(world).refusal(*words(world, interface, "--restate"))
    assert said.code == 2
    assert said.err.startswith(f"ark: {interface} is not changed later by the medium: leave --restate out")
    assert not world.runs()


def test_a_day_before_that_fails_shows_in_the_exit_code_and_the_last_line(world):
    bad = days(7)[5]

    def script(call: Call) -> int | None:
        return 18001 if call.day == bad and call.owner == ACCOUNTS[0] else None

    with serve(reports(1), script=script) as medium:
        world.at(medium)
        said = outside(world)(*words(world, REPORT, "--restate"))
    by_day = {f"{run.data_date}": run for run in world.runs()}
    assert said.code == said.result["exit"] == 3
    assert said.result["run_id"] == by_day[bad].run_id
    assert (said.result["status"], said.result["failed"], said.result["verified"]) == ("partial", LINES, LINES)
    assert said.result["rerun"] == f"ark rerun {by_day[bad].run_id}"
    assert {day: run.exit_code for day, run in by_day.items()} == dict.fromkeys(days(7), 0) | {bad: 3}
    assert pulled(medium) == days(7)


def test_what_would_stop_every_day_stops_at_once(world):
    with serve(reports(1), refused_tokens={f"token-of-{AGENT}"}) as medium:
        world.at(medium)
        run = world.run(REPORT, restate=True)
    assert (run.status, run.exit_code, run.data_date) == ("failed", 77, D)
    assert pulled(medium) == [DATE]


def test_only_the_day_itself_is_followed(desk):
    desk.token("jrtt", AGENT)
    spent = [b'{"advertiser_id":%b,"cost":1.20}' % account.encode() for account in ACCOUNTS]
    doors = [
        Door("/open_api/2/report/agent/get_v2/", {AGENT: spent}),
        Door(
            "/open_api/2/advertiser/fund/get/",
            {each: [b'{"advertiser_id":%b}' % each.encode()] for each in ACCOUNTS},
            shape="object",
        ),
        Door("/open_api/2/report/advertiser/get/", {}),
    ]
    with serve(*doors) as medium:
        desk.at(medium)
        run = desk.run("jrtt.report_agent", restate=True, follow=True, agent_level="child")
    assert (run.status, run.exit_code, run.data_date) == ("done", 0, D)
    started = [(each.interface, each.data_date) for each in desk.runs() if each.interface != "jrtt.report_agent"]
    assert sorted(started) == [("jrtt.fund", D), ("jrtt.report_advertiser", D)]


def shanghai(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2020, 5, day, hour, minute, tzinfo=SHANGHAI)


@pytest.fixture
def clock(monkeypatch):
    """Sets what time it is when a run begins."""
    return lambda moment: monkeypatch.setattr(launch, "now", lambda: moment)


@pytest.mark.parametrize(
    ("moment", "provisional"),
    [
        (shanghai(30, 0), True),
        (shanghai(30, 23, 59), True),
        (shanghai(31, 0), True),
        (shanghai(31, 7, 59), True),
        (shanghai(31, 8), False),
        (shanghai(31, 23), False),
    ],
)
def test_a_day_is_complete_at_eight_on_the_next(world, clock, moment, provisional):
    clock(moment)
    with serve(reports(1)) as medium:
        world.at(medium)
        run = world.run(REPORT)
    assert (run.status, run.provisional) == ("done", provisional)
    assert [each.run_id for each in world.runs(provisional=True)] == [run.run_id] * provisional


def test_what_is_of_the_moment_is_never_provisional(world, clock):
    clock(shanghai(30, 10))
    funds = [b'{"fund_type":"FUND_TYPE_CASH"}']
    with serve(Door("/v1.1/funds/get", dict.fromkeys(ACCOUNTS, funds), shape="list")) as medium:
        world.at(medium)
        assert not world.run("gdt.funds").provisional


def listed(desk: Desk) -> list[str]:
    """What `ark runs --provisional` shows of this tenant."""
    runs = outside(desk).json("runs", "--provisional", "--limit", "1000")
    assert all(run["provisional"] for run in runs if run["tenant"] == desk.tenant)
    return [run["run_id"] for run in runs if run["tenant"] == desk.tenant]


def test_provisional_runs_are_listed_until_a_final_one_is_done(world, clock):
    def run(moment: datetime, **keys: str) -> Run:
        clock(moment)
        return world.run(REPORT, redis_accounts_key=f"gdt_advertiser_v1.1_{world.tenant}_{DAY}", **keys)

    with serve(reports(1)) as medium:
        world.at(medium)
        first, second = run(shanghai(30, 10)), run(shanghai(31, 3))
        assert listed(world) == [second.run_id, first.run_id]
        assert run(shanghai(31, 9), data_date="2020-05-29").exit_code == 0
        medium.script = lambda _: 18001
        failed = run(shanghai(31, 9))
        assert failed.exit_code == 3
        assert listed(world) == [second.run_id, first.run_id]
        medium.script = lambda _: None
        alone = launch.How(follow=False)
        assert launch.rerun(world.settings, failed.run_id, world.ended, alone, only_failed=False).exit_code == 0
    assert listed(world) == []


def test_only_a_run_of_all_accounts_into_the_same_store_makes_one_good(world, clock):
    with serve(reports(1)) as medium:
        world.at(medium)
        clock(shanghai(31, 3))
        early = world.run(REPORT)
        clock(shanghai(31, 9))
        for some in ({"account_list": ACCOUNTS[:1]}, {"output": "NONE"}):
            assert world.run(REPORT, **some).exit_code == 0
            assert listed(world) == [early.run_id]
        world.redis.zrem(f"gdt_advertiser_v1.1_{world.tenant}_{DAY}", ACCOUNTS[1])
        assert world.run(REPORT).verified == LINES
    assert listed(world) == []


def test_restating_makes_the_days_before_good(world, clock):
    clock(shanghai(31, 3))
    with serve(reports(1)) as medium:
        world.at(medium)
        first = world.run(REPORT)
        clock(shanghai(31, 12))
        world.give(f"gdt_advertiser_v1.1_{world.tenant}_20200531", ACCOUNTS, AGENT)
        today = world.run(REPORT, restate=True, data_date="2020-05-31")
    assert first.provisional
    assert (today.provisional, today.data_date) == (True, date(2020, 5, 31))
    assert listed(world) == [today.run_id]


def shown(desk: Desk, interface: str, *more: str) -> list[dict[str, Any]]:
    """What --dry-run prints, a document per day."""
    lines = outside(desk).read(*words(desk, interface, "--dry-run", "--json", *more)).splitlines()
    return [json.loads(line) for line in lines]


def test_a_dry_run_shows_every_day(world):
    plans = shown(world, REPORT, "--restate")
    assert [plan["date"] for plan in plans] == days(7)
    for plan in plans:
        asked = [parse_qs(urlsplit(url).query) for url in plan["urls"]]
        assert {json.loads(query["date_range"][0])["start_date"] for query in asked} == {plan["date"]}
        assert {query["account_id"][0] for query in asked} == set(ACCOUNTS)
    assert [plan["date"] for plan in shown(world, REPORT)] == [DATE]
    assert not world.runs()


def test_a_dry_run_of_what_is_never_changed_is_refused_too(world):
    said = outside(world).refusal(*words(world, "gdt.funds", "--restate", "--dry-run"))
    assert said.code == 2
    assert said.err.startswith("ark: gdt.funds is not changed later by the medium: leave --restate out")
    assert not said.out
