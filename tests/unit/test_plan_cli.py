"""`ark plan`, `ark explain`, `ark quota`: what they say of a Redis and a ledger, without any medium."""

import asyncio
import json
import time
from contextlib import closing
from datetime import date

import pytest
from click.testing import CliRunner

from ark.accounts.directory import connect
from ark.errors import EmptyListError, ServiceDownError, UsageError
from ark.governor.fleet import Report, Who
from ark.governor.fleet_store import FleetStore
from ark.ledger import NewRun, UnitKey, UnitResult, open_ledger
from ark.settings import load
from handlers.cli.explain import explain
from handlers.cli.plan import plan
from handlers.cli.quota import quota
from handlers.registry import make
from handlers.scopes import read_scope, scope_of

DAY = "2020-05-30"
AGENT, OTHER = "1050262", "1050263"
FIRST, SECOND = "3367268016", "1650000000870605"
WX_AGENT = "4011704"


class Place:
    """A tenant's lists in Redis and a ledger of its own; calling it runs a command."""

    def __init__(self, desk, home):
        self.desk, self.home, self.tenant = desk, home, desk.tenant
        self.environ = {"ARK_HOME": str(home), "ARK_REDIS_URL": desk.environ["ARK_REDIS_URL"]}

    @property
    def settings(self):
        return load(self.environ)

    def fill(self, accounts=400):
        tenant = self.tenant
        self.desk.give(f"gdt_agents_v2_{tenant}", [AGENT], AGENT)
        self.desk.give(f"gdt_agents_v2_{tenant}", [OTHER], OTHER)
        self.desk.give(self.list, [str(10_000_000 + each) for each in range(accounts)], AGENT)
        self.desk.token("gdt", AGENT)

    @property
    def list(self):
        return f"gdt_advertiser_v1.1_{self.tenant}_20200530"

    def ran(self, interface, states, *, requests=1, agent=AGENT, day=DAY, seconds=10.0, account=10_000_000, **more):
        """A run of units in these states."""
        with closing(open_ledger(self.settings)) as ledger:
            job = json.dumps({"account_list": [], **more})
            run = ledger.begin(NewRun(interface, "t", "gdt", self.tenant, agent, date.fromisoformat(day), job, "HBASE"))
            keys = [UnitKey(agent, str(account + each), "") for each in range(len(states))]
            ledger.plan(run.run_id, keys)
            ledger.freeze(run.run_id)
            results = [
                UnitResult(key, state, "code 11000" if state == "failed" else "", None, 2, requests)
                for key, state in zip(keys, states, strict=True)
            ]
            ledger.settle(run.run_id, results)
            status = "done" if "failed" not in states else "partial"
            ledger.finish(run.run_id, status, 0, seconds, 0)
            return run.run_id

    def measured(self, interface, *, quota, day_quota=0.0, day=None, refused=0, worker="w"):
        """A process that uses the interface's quota and tells of it."""

        async def tell():
            directory = await connect(self.settings)
            scope = str(scope_of(make(interface, self.settings)))
            who = Who("20200530T080102-1f2e3d4c", "host1", 4711, interface, self.tenant, AGENT, "dmp_task")
            report = Report(who, quota, day_quota, quota / 120, day, 41.0, sent=1234, refused=refused, firm=True)
            moment = time.time()
            await FleetStore(directory).renew(
                scope, worker, report, ttl=60.0, window=60.0, refusals=refused, boundary=moment
            )
            await directory.aclose()

        asyncio.run(tell())

    def __call__(self, command, *words, code=0):
        done = CliRunner().invoke(command, words, obj=self.settings, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        assert (done.return_value or 0) == code
        self.err = done.stderr
        return done.stdout

    def plan(self, *words):
        return json.loads(self(plan, *words, "-t", self.tenant, "-d", DAY, "--json"))


@pytest.fixture
def place(desk, ark_home):
    made = Place(desk, ark_home)
    clear(desk.redis, "ark:quota:*")
    yield made
    clear(desk.redis, "ark:quota:*", f"*{made.tenant}*")


def clear(redis, *patterns):
    for pattern in patterns:
        for key in redis.scan_iter(pattern):
            redis.delete(key)


def test_a_plan_of_what_nobody_has_run_yet(place):
    place.fill()
    told = place.plan("gdt.daily_report_ad", "-g", AGENT)
    assert (told["accounts"], told["least_calls"], told["forecast"]["calls"]) == (400, 1200, 1200)
    assert (told["seen"], told["forecast"]["seconds"], told["standing"]["status"]) == (None, None, "none")
    assert told["allowance"]["source"].startswith("unknown: per app and endpoint")
    assert list(place.home.iterdir()) == []


def test_a_plan_takes_the_same_words_as_a_run(place):
    place.fill(5)
    argument = json.dumps({"agent_id": AGENT, "tenant_alias": place.tenant, "data_date": DAY, "minutely_control": 100})
    told = json.loads(place(plan, "dmp_task_gdt_api_3", argument, "-k", place.list, "--json"))
    assert (told["interface"], told["accounts"], told["forecast"]["minute_share"]) == ("gdt.funds", 5, 5.0)
    assert told["allowance"]["source"] == "minutely_control"
    assert place.plan("gdt.funds", "-g", AGENT, "-a", "1", "-a", "2", "--all")["accounts"] == 2


def test_the_ledger_says_how_many_requests_and_how_fast(place):
    place.fill()
    run_id = place.ran("gdt.funds", ["verified"] * 100, requests=2, seconds=10.0)
    told = place.plan("gdt.funds", "-g", AGENT)
    assert (told["seen"]["of"], told["seen"]["requests_per_unit"], told["forecast"]["calls"]) == ("agent", 2.0, 800)
    assert told["forecast"]["seconds"] == pytest.approx(40.0)
    assert told["standing"] == {
        "status": "done",
        "run_id": run_id,
        "verified": 100,
        "failed": 0,
        "skipped": 0,
        "planned": 100,
        "provisional": False,
    }
    assert [(run["run_id"], run["units"], run["requests_per_unit"]) for run in told["last"]] == [(run_id, 100, 2.0)]
    place.desk.give(place.list, ["77"], OTHER)
    assert place.plan("gdt.funds", "-g", OTHER)["seen"]["of"] == "tenant"


def test_runs_of_some_accounts_are_not_what_there_is_of_a_date(place):
    place.fill()
    whole = place.ran("gdt.funds", ["verified", "failed"])
    place.ran("gdt.funds", ["verified"], account_list=["10000000"])
    told = place.plan("gdt.funds", "-g", AGENT)
    assert (told["standing"]["status"], told["standing"]["run_id"]) == ("partial", whole)
    shown = place(plan, "gdt.funds", "-t", place.tenant, "-d", DAY, "-g", AGENT)
    assert f"take up: ark rerun {whole}" in shown


def test_what_runs_have_measured_says_what_fits_into_the_day(place):
    place.fill(1000)
    place.measured("gdt.funds", quota=600.0, day_quota=10_000.0, day=5.0)
    told = place.plan("gdt.funds", "-g", AGENT)
    assert (told["allowance"]["minute"], told["allowance"]["day_left"]) == (600.0, 500.0)
    assert (told["forecast"]["calls_today"], told["forecast"]["day_share"]) == (500, 10.0)
    shown = place(plan, "gdt.funds", "-t", place.tenant, "-d", DAY, "-g", AGENT)
    assert "500 of 1,000 accounts fit today; the rest after 00:00" in shown
    assert "166.7% of one minute's quota of 600 calls (measured by runs)" in shown


def test_all_jobs_of_a_tenant(place):
    place.fill(40)
    done = place.ran("gdt.funds", ["verified"] * 40)
    told = place.plan("full", "--media", "gdt")
    jobs = {(job["interface"], job["agent"]): job for job in told["jobs"]}
    assert len(jobs) == 2 * len({interface for interface, _ in jobs})
    assert jobs["gdt.funds", AGENT]["standing"]["run_id"] == done
    assert jobs["gdt.funds", OTHER]["accounts"] is None
    assert f"{place.list}" in jobs["gdt.funds", OTHER]["accounts_from"]
    scopes = {scope["path"]: scope for scope in told["scopes"]}
    assert (scopes["funds/get"]["jobs"], scopes["funds/get"]["done"], scopes["funds/get"]["unknown"]) == (2, 1, 1)
    assert scopes["daily_reports/get"]["interfaces"][0] == "gdt.daily_report_ad"
    assert [total["on_demand"] for total in told["totals"]] == [False, True]
    assert sum(total["jobs"] for total in told["totals"]) == len(jobs)
    assert told["totals"][0]["left"] == told["totals"][0]["jobs"] - 1


def test_a_list_that_is_not_there_yet_is_taken_to_be_as_long_as_the_last_one(place):
    place.desk.give(f"gdt_agents_v2_{place.tenant}", [AGENT], AGENT)
    run_id = place.ran("gdt.funds", ["verified"] * 30, day="2020-05-29")
    (job,) = place.plan("full", "--only", "dmp_task_gdt_api_3")["jobs"]
    assert (job["accounts"], job["forecast"]["calls"], job["standing"]["status"]) == (30, 30, "none")
    assert job["accounts_from"].startswith(f"as in {run_id}; ")


def test_agents_of_the_second_generation_have_their_own_jobs(place):
    place.desk.give(f"jrtt_one_agents_v2_{place.tenant}", [FIRST], FIRST)
    for agent in (FIRST, SECOND):
        place.desk.give(f"jrtt_agents_v2_{place.tenant}", [agent], agent)
    place.desk.give(f"jrtt_child_advertiser_v2_{place.tenant}_20200530", ["11", "12"], SECOND)
    jobs = {(job["interface"], job["agent"]): job["accounts"] for job in place.plan("full")["jobs"]}
    assert jobs["jrtt.fund", SECOND] == 2
    assert ("jrtt.child_accounts", SECOND) in jobs
    assert ("jrtt.accounts", FIRST) in jobs
    for absent in (("jrtt.child_accounts", FIRST), ("jrtt.accounts", SECOND), ("jrtt.agent_fund", SECOND)):
        assert absent not in jobs
    assert {agent for _, agent in jobs} == {FIRST, SECOND}
    only = place.plan("full", "-g", SECOND, "--only", "jrtt.fund")["jobs"]
    assert [job["agent"] for job in only] == [SECOND]


def test_the_lines_of_a_full_plan_and_what_is_said_of_it(place):
    place.fill(40)
    place.measured("gdt.funds", quota=60.0, day_quota=100.0, day=10.0)
    lines = place(plan, "full", "-t", place.tenant, "-d", DAY, "--only", "gdt.funds").splitlines()
    assert lines[0].split("\t")[:6] == ["gdt.funds", AGENT, "40", "40", "66.7%", "40.0%"]
    assert lines[1].split("\t")[:4] == ["gdt.funds", OTHER, "?", "?"]
    assert lines[2].split("\t")[:4] == ["gdt funds/get, all", "0/2 done", "40", "40"]
    assert "2 jobs of the scheduler's, and what follows them: 0 done, 2 to do with 40 calls" in place.err
    assert "gdt funds/get: 10 of 40 accounts fit today; the rest after 00:00" in place.err
    assert "not in the figures: no accounts of agent" in place.err


@pytest.mark.parametrize(
    ("words", "kind", "word"),
    [
        (["gdt.fund", "-g", AGENT], UsageError, "gdt.funds"),
        (["gdt.funds"], UsageError, "agent_id"),
        (["gdt.funds", "-g", AGENT, "--media", "gdt"], UsageError, "--media"),
        (["gdt.funds", "-g", "9"], EmptyListError, "gdt_advertiser"),
        (["full", "-a", "1"], UsageError, "-a"),
        (["full", "--media", "gtd"], UsageError, "gdt, jrtt, wx"),
        (["full", "--only", "gdt.funds", "--media", "wx"], UsageError, "--only"),
        (["full", "-g", "9", "--media", "gdt"], EmptyListError, AGENT),
        (["full", "--media", "jrtt"], EmptyListError, "jrtt_one_agents_v2"),
        (["full", "-d", "2999-01-01"], UsageError, "future"),
    ],
)
def test_what_cannot_be_planned_names_the_key_or_flag(place, words, kind, word):
    place.fill(3)
    with pytest.raises(kind, match=word):
        place(plan, "-t", place.tenant, "-d", DAY, *words)


def test_an_account_is_explained(place):
    place.fill(3)
    run_id = place.ran("gdt.funds", ["failed", "verified"])
    told = json.loads(place(explain, "10000000", "-t", place.tenant, "-d", DAY, "--json"))
    assert [(each["key"], each["agent"], each["members"]) for each in told["found"]] == [(place.list, AGENT, 3)]
    calls = {call["interface"]: call for call in told["calls"]}
    assert "gdt.advertisers" not in calls
    funds, report = calls["gdt.funds"], calls["gdt.daily_report_ad"]
    assert funds["row_keys"] == [f"0|20200530|10000000|{AGENT}|<fund_type>|{place.tenant}"]
    assert funds["starts"] == ["dmp_task_gdt_api_3", "after gdt.advertisers"]
    assert funds["token"] == {
        "key": f"gdt_new_access_token_{place.tenant}",
        "of": AGENT,
        "present": True,
        "why": "",
    }
    (became,) = funds["became"]
    assert (became["state"], became["run_id"], became["reason"]) == ("failed", run_id, "code 11000")
    assert [variant.partition("=")[0] for variant in report["variants"]] == ["time_line"] * 3
    assert report["became"] == []
    assert f"token-of-{AGENT}" not in json.dumps(told)


def test_an_explanation_in_words(place):
    place.fill(3)
    run_id = place.ran("gdt.funds", ["failed"])
    place.ran("gdt.funds", ["verified"], agent=OTHER)
    shown = place(explain, "10000000", "-t", place.tenant, "-d", DAY)
    assert f"list      {place.list}: gdt accounts, agent {AGENT}" in shown
    assert f"became  failed in {run_id} (partial), 2 rows, 1 calls: code 11000" in shown
    assert f"ledger    gdt.funds agent {OTHER}: verified in " in shown
    assert "became  nothing: no run of this date has it" in shown
    assert "access_token=***" in shown


def test_a_missing_token_is_told(place):
    place.desk.give(f"weixin_agents_{place.tenant}", [WX_AGENT], WX_AGENT)
    place.desk.give(f"wx_advertiser_{place.tenant}_{WX_AGENT}_20200530", ["25031101"], WX_AGENT)
    place.desk.token("wx", WX_AGENT)
    told = json.loads(place(explain, "25031101", "-t", place.tenant, "-d", DAY, "--json"))
    tokens = {call["interface"]: (call["token"]["of"], call["token"]["present"]) for call in told["calls"]}
    assert tokens["wx.funds"] == (WX_AGENT, True)
    assert tokens["wx.b.funds"] == ("25031101", False)
    assert "MISSING" in place(explain, "25031101", "-t", place.tenant, "-d", DAY)


def test_the_second_generation_uses_its_first_generation_agent_s_token(place):
    place.desk.give(f"jrtt_child_agents_v2_{place.tenant}", [SECOND], FIRST)
    place.desk.give(f"jrtt_agents_v2_{place.tenant}", [SECOND], SECOND)
    place.desk.give(f"jrtt_child_advertiser_v2_{place.tenant}_20200530", ["1664757665610000"], SECOND)
    place.desk.token("jrtt", FIRST)
    told = json.loads(place(explain, "1664757665610000", "-t", place.tenant, "-d", DAY, "--json"))
    assert {call["token"]["of"] for call in told["calls"]} == {FIRST}
    assert {call["agent"] for call in told["calls"]} == {SECOND}
    agent = json.loads(place(explain, SECOND, "-t", place.tenant, "-d", DAY, "--json"))
    called = {call["interface"]: call["agent"] for call in agent["calls"]}
    assert called == {"jrtt.child_fund": FIRST, "jrtt.child_accounts": SECOND, "jrtt.report_agent": SECOND}


def test_an_account_that_is_nowhere(place):
    place.fill(3)
    told = json.loads(place(explain, "10000000", "-t", place.tenant, "-d", "2020-06-01", "--json", code=3))
    assert (told["found"], told["calls"]) == ([], [])
    assert f"gdt_advertiser_v1.1_{place.tenant}_20200601" in {each["key"] for each in told["looked"]}
    assert [each["key"] for each in told["earlier"]] == [place.list]
    assert place(explain, "5", "-t", place.tenant, "-d", DAY, code=3) == ""
    assert f"not in {place.list}, which has 3" in place.err
    assert place.err.splitlines()[-1].startswith("ark: account 5 is in no account list of")


def test_units_that_were_folded_are_told_as_such(place):
    place.fill(3)
    place.ran("gdt.funds", ["verified"])
    with closing(open_ledger(place.settings, lambda: time.time() + 30 * 86_400)) as ledger:
        assert ledger.prune(7) == 1
    told = json.loads(place(explain, "10000000", "-t", place.tenant, "-d", DAY, "--json"))
    (became,) = next(call for call in told["calls"] if call["interface"] == "gdt.funds")["became"]
    assert (became["state"], became["reason"].split(",")[0]) == ("folded", "verified or skipped")


def test_what_is_no_account_is_refused(place):
    with pytest.raises(UsageError, match="is no id"):
        place(explain, "x1", "-t", place.tenant, "-d", DAY)
    with pytest.raises(UsageError, match="tenant_alias"):
        place(explain, "1", "-d", DAY)


def test_quotas_that_nobody_has_used(place):
    assert place(quota, "--json") == "[]\n"
    assert place(quota).startswith("nothing has used a quota")


def test_quotas_and_who_uses_them(place):
    place.measured("gdt.funds", quota=3875.0, day_quota=500_000.0, day=93.0, refused=2)
    place.measured("gdt.funds", quota=3875.0, day_quota=500_000.0, day=93.0, worker="other")
    place.measured("jrtt.fund", quota=0.0)
    gdt, jrtt = json.loads(place(quota, "--json"))
    assert (gdt["medium"], gdt["path"], gdt["interfaces"]) == ("gdt", "funds/get", ["gdt.funds"])
    assert (gdt["day"], gdt["minute"], gdt["day_left"], gdt["refused"]) == (93.0, 41.0, 930_000, 2)
    assert gdt["pace"] == pytest.approx(2 * 3875 / 120)
    assert [(user["run"], user["host"], user["pid"], user["job"]) for user in gdt["users"]] == [
        ("20200530T080102-1f2e3d4c", "host1", 4711, "dmp_task")
    ] * 2
    assert (jrtt["quota"], jrtt["day"], "jrtt.child_fund" in jrtt["interfaces"]) == (None, None, True)
    lines = place(quota).splitlines()
    assert lines[0].split("\t")[:5] == ["gdt", "-", "funds/get", "93% = 930,000", "41%"]
    assert lines[1].split("\t")[2] == f"dmp_task {place.tenant} {AGENT}"
    assert lines[1].endswith("20200530T080102-1f2e3d4c host1:4711")


def test_a_redis_that_is_away(place):
    place.environ["ARK_REDIS_URL"] = "redis://127.0.0.1:1"
    for command, words in ((quota, ()), (explain, ("1", "-t", "T1", "-d", DAY)), (plan, ("full", "-t", "T1"))):
        with pytest.raises(ServiceDownError):
            place(command, *words)


@pytest.mark.parametrize("app", ["", "1108"])
def test_a_scope_s_name_can_be_read_back(place, app):
    place.environ |= {"ARK_GDT_CLIENT_ID": app, "ARK_GDT_URL": "http://127.0.0.1:8155"}
    scope = scope_of(make("gdt.funds", place.settings))
    assert str(scope) == f"gdt:127.0.0.1:8155:{app or '-'}:funds/get"
    assert read_scope(str(scope)) == scope
    assert scope_of(make("wx.b.funds", place.settings)) is None
