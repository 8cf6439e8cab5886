"""The ledger on SQLite and on the real MariaDB: one suite, and what can go wrong with each."""

import random
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import date

import pymysql
import pytest
import sqlalchemy as sa

from ark import redact
from ark.errors import ConfigError, InputDataError, InternalError, LocalDiskError, ServiceDownError, UsageError
from ark.ledger import (
    FAILED,
    OPEN,
    AlreadyRunError,
    Figures,
    NewRun,
    NextJob,
    Trigger,
    UnitKey,
    UnitResult,
    database,
    open_ledger,
    units,
)
from ark.ledger.database import ContentionError
from ark.settings import load

NOON = 1_590_811_200.0  # 2020-05-30 04:00 UTC
DAY = 86_400
NEW = NewRun("gdt.funds", "tenant_gdt_funds_get_v2", "gdt", "T100117", "1050262", date(2020, 5, 30), "{}", "HBASE")


class Clock:
    def __init__(self):
        self.seconds = NOON

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(ark_home, url, clock):
    """Opens the ledger, as often as wanted."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_ledger(settings(ark_home, url), clock)))


@pytest.fixture
def ledger(opened):
    return opened()


def settings(home, url=""):
    return load({"ARK_HOME": str(home), "ARK_LEDGER_URL": url})


def keys(count, agent="1050262"):
    return [UnitKey(agent, str(10_000_000 + number), "") for number in range(count)]


def planned(ledger, units_of_run, new=NEW):
    run = ledger.begin(new)
    ledger.plan(run.run_id, units_of_run)
    ledger.freeze(run.run_id)
    return run.run_id


def finished(ledger, results, new=NEW, next_jobs=()):
    """A finished run with these results."""
    run_id = planned(ledger, [result.key for result in results], new)
    ledger.settle(run_id, results)
    return ledger.finish(run_id, "partial", 3, 1.5, 2, next_jobs)


def verified(key, rows=2):
    return UnitResult(key, "verified", "", rows, rows, 1, 720, 271, 0, "")


def failed(key, reason="code 11000: 系统错误"):
    return UnitResult(key, "failed", reason, None, 0, 3, 90, 800, 11000, "trace-1")


# Runs


def test_a_run_begins_in_planning_and_is_known_by_its_id(ledger):
    run = ledger.begin(NEW._replace(store="thrift://u:s3cret@127.0.0.1:9090"))
    assert re.fullmatch(r"20200530T040000-[0-9a-f]{8}", run.run_id)
    assert (run.status, run.exit_code, run.finished_at, run.frozen) == ("planning", None, None, False)
    assert (run.started_at, run.data_date, run.next, run.error) == (int(NOON * 1000), date(2020, 5, 30), [], "")
    assert (run.host, run.store) == (socket.gethostname(), "thrift://u:***@127.0.0.1:9090")
    assert ledger.run(run.run_id) == run


def test_runs_come_newest_first(ledger, clock):
    begun = []
    for _ in range(4):
        begun.append(ledger.begin(NEW))
        clock.seconds += 1
    assert ledger.runs(3) == begun[:0:-1]


def test_an_unknown_run_is_refused_with_the_nearest(ledger):
    with pytest.raises(UsageError, match="it holds none yet"):
        ledger.run("20200530T040000-00000000")
    run_id = ledger.begin(NEW).run_id
    with pytest.raises(UsageError, match=f"did you mean {run_id}"):
        ledger.run(run_id[:-1])


def test_versions_of_one_table_and_date_only_grow(ledger, opened, clock):
    first = ledger.begin(NEW)
    assert first.version == int(NOON * 1000)
    assert opened().begin(NEW._replace(agent_id="1050263")).version == first.version + 1
    clock.seconds -= 3600
    assert ledger.begin(NEW).version == first.version + 2
    assert ledger.begin(NEW._replace(data_date=date(2020, 5, 29))).version == first.version - 3_600_000
    assert ledger.begin(NEW._replace(table="tenant_other_v1")).version == first.version - 3_600_000
    clock.seconds += DAY
    assert ledger.begin(NEW).version == int(clock.seconds * 1000)
    assert ledger.reopen(first.run_id).version == first.version


def test_versions_differ_when_many_begin_at_once(opened):
    ledgers = [opened() for _ in range(4)]
    begun = []

    def begin(ledger, agent):
        begun.extend(ledger.begin(NEW._replace(agent_id=agent)) for _ in range(10))

    together([(begin, ledger, str(number)) for number, ledger in enumerate(ledgers)])
    assert len({run.version for run in begun}) == len({run.run_id for run in begun}) == 40


def test_one_trigger_key_begins_one_run(ledger, opened):
    new = NEW._replace(trigger_key="run-1/gdt.daily_report_ad")
    run = ledger.begin(new)
    with pytest.raises(AlreadyRunError) as caught:
        opened().begin(new)
    assert caught.value.run_id == run.run_id
    assert {ledger.begin(NEW).trigger_key, ledger.begin(NEW).trigger_key} == {None}
    assert len(ledger.runs()) == 3


def test_one_trigger_key_begins_one_run_when_many_try_at_once(opened):
    new = NEW._replace(trigger_key="run-1/gdt.daily_report_ad")
    outcomes = []

    def begin(ledger):
        try:
            outcomes.append(ledger.begin(new).run_id)
        except AlreadyRunError as error:
            outcomes.append(error.run_id)

    together([(begin, opened()) for _ in range(4)])
    assert len(outcomes) == 4
    assert len(set(outcomes)) == 1


# Units


def test_planning_may_be_repeated(ledger):
    run = ledger.begin(NEW)
    ledger.plan(run.run_id, keys(3))
    ledger.plan(run.run_id, keys(5))
    ledger.plan(run.run_id, [])
    assert ledger.freeze(run.run_id) == 5
    ledger.settle(run.run_id, [verified(key) for key in keys(2)])
    ledger.plan(run.run_id, keys(5))
    assert ledger.figures(run.run_id) == Figures(planned=5, verified=2, rows=4, requests=2, bytes=1440)
    run = ledger.run(run.run_id)
    assert (run.status, run.frozen, run.planned) == ("running", True, 5)


def test_an_empty_plan_is_not_whole(ledger):
    run = ledger.begin(NEW)
    assert ledger.freeze(run.run_id) == 0
    ledger.finish(run.run_id, "failed", 3, 0.1, 0, (), "nothing to do")
    assert ledger.reopen(run.run_id).status == "planning"


def test_open_units_come_in_order_and_each_once(ledger):
    wanted = [
        UnitKey(agent, account, variant)
        for agent in ("", "1", "10", "2")
        for account in ("", "10", "9")
        for variant in ("", "time_line=REPORTING_TIME", "time_line=REQUEST_TIME")
    ]
    run_id = planned(ledger, random.Random(7).sample(wanted, len(wanted)))
    planned(ledger, keys(4))  # another run's units stay out of it
    for limit in (1, 2, 5, 36, 100):
        found, after = [], None
        while page := ledger.open_units(run_id, after, limit):
            assert len(page) <= limit
            found += page
            after = page[-1]
        assert found == wanted


def test_open_units_are_those_in_the_states_asked_for(ledger):
    one, two, three, four = keys(4)
    run_id = planned(ledger, [one, two, three, four])
    ledger.settle(run_id, [verified(one), failed(two), UnitResult(three, "fetched")])
    assert ledger.open_units(run_id, None, 10) == [three, four]
    assert ledger.open_units(run_id, None, 10, FAILED) == [two]
    assert ledger.open_units(run_id, None, 10, OPEN + FAILED) == [two, three, four]
    assert ledger.open_units(run_id, three, 10, OPEN + FAILED) == [four]


def test_what_is_settled_comes_back_exactly(ledger):
    results = [
        UnitResult(UnitKey("1050262", "9223372036854775807", ""), "verified", "", 2**62, 2**62, 1, 2**60, 3, 0, "t"),
        UnitResult(UnitKey("1050262", "abc", "x=1"), "failed", "余额 \U0001f4b8 不足", None, 0, 3, 0, 0, -1, "跟踪"),
        UnitResult(UnitKey("1050262", "abC", "x=1"), "skipped", "no right to it", None, 0, 1, 0, 0, 11002, ""),
        UnitResult(UnitKey("1050262", "\uff41bc", "x=1"), "planned"),
    ]
    run_id = planned(ledger, [result.key for result in results])
    ledger.settle(run_id, results)
    assert sorted(ledger.units(run_id)) == sorted(results)
    assert list(ledger.units(run_id, "skipped")) == [results[2]]
    ledger.settle(run_id, [failed(results[0].key)])
    assert list(ledger.units(run_id, "failed"))[:1] == [failed(results[0].key)]


def test_a_reason_is_one_short_line_without_secrets(ledger):
    redact.register("8f2bb1c0d7aa4e21")
    (key,) = keys(1)
    reason = "HTTP 500\n\x1b[31m access_token=8f2bb1c0d7aa4e21\ud800 " + "文" * 600
    done = finished(ledger, [UnitResult(key, "failed", reason, trace="\udcff" * 300)])
    (unit,) = ledger.units(done.run_id)
    assert unit.reason.startswith("HTTP 500 [31m access_token=*** 文文")
    assert len(unit.reason) == 500
    assert len(unit.trace) < 192


def test_an_unplanned_unit_is_noticed(ledger):
    run_id = planned(ledger, keys(1))
    with pytest.raises(InternalError, match=run_id):
        finish_with(ledger, run_id, [verified(key) for key in keys(2)])
    assert ledger.run(run_id).status == "running"


def finish_with(ledger, run_id, results):
    """SQLite tells at once that a unit was never planned, MySQL when the run is to end."""
    ledger.settle(run_id, results)
    ledger.finish(run_id, "done", 0, 1.5, 0)


def test_units_are_streamed_over_many_pages(ledger):
    run_id = planned(ledger, keys(2500))
    ledger.settle(run_id, [failed(key) for key in keys(2500)[::2]])
    assert [unit.key for unit in ledger.units(run_id)] == keys(2500)
    assert [unit.key for unit in ledger.units(run_id, "failed")] == keys(2500)[::2]


# Results and next jobs


def test_the_result_is_counted_from_the_units(ledger, clock):
    one, two, three, four = keys(4)
    clock.seconds += 60
    run_id = planned(ledger, [one, two, three, four])
    ledger.settle(run_id, [verified(one), failed(two), UnitResult(three, "skipped", "no right to it", requests=1)])
    run = ledger.finish(run_id, "stopped", 143, 1.25, 7, (), "stopped by\nsignal 15")
    assert ledger.run(run_id) == run
    assert (run.planned, run.verified, run.failed, run.skipped, run.open) == (4, 1, 1, 1, 1)
    assert (run.rows, run.requests, run.bytes, run.refused, run.seconds) == (2, 5, 810, 7, 1.25)
    assert (run.status, run.exit_code, run.error) == ("stopped", 143, "stopped by signal 15")
    assert run.finished_at == int(clock.seconds * 1000)


def test_next_jobs_are_kept_with_the_result_and_sent_once(ledger, opened):
    jobs = [Trigger("r/a", "gdt.a", "%7B%7D"), Trigger("r/b", "gdt.b", "{'accounts': '余额'}")]
    run = finished(ledger, [verified(key) for key in keys(1)], next_jobs=jobs)
    assert run.next == ["gdt.a", "gdt.b"]
    assert opened().next_jobs(run.run_id) == [NextJob(job, sent=False, run=None) for job in jobs]
    ledger.mark_sent("r/a")
    ledger.reopen(run.run_id)
    ledger.finish(run.run_id, "done", 0, 1.0, 0, jobs)
    assert [(each.trigger, each.sent) for each in ledger.next_jobs(run.run_id)] == [(jobs[0], True), (jobs[1], False)]


def test_a_next_job_is_open_until_it_is_done_with_all_that_follows_it(ledger):
    def ended_as(status, key, *next_jobs):
        run_id = planned(ledger, keys(1), NEW._replace(trigger_key=key, agent_id=key))
        ledger.settle(run_id, [verified(keys(1)[0])])
        ledger.finish(run_id, status, 0, 1.0, 0, next_jobs)
        ledger.mark_sent(key)
        return run_id

    top = finished(ledger, [verified(keys(1)[0])], next_jobs=[Trigger("a", "gdt.a", "{}"), Trigger("b", "gdt.b", "{}")])
    assert ledger.pending(top.run_id) == 2
    ended_as("done", "a")
    assert ledger.pending(top.run_id) == 1
    below = ended_as("done", "b", Trigger("c", "gdt.c", "{}"))
    assert (ledger.pending(top.run_id), ledger.pending(below)) == (1, 1)
    last = ended_as("partial", "c")
    assert (ledger.pending(top.run_id), ledger.pending(below), ledger.pending(last)) == (1, 1, 0)
    ledger.reopen(last)
    ledger.finish(last, "done", 0, 1.0, 0)
    assert (ledger.pending(top.run_id), ledger.pending(below)) == (0, 0)


def test_intents_that_a_later_result_does_not_want_go_unless_they_were_sent(ledger):
    jobs = [Trigger("r/a:partial", "gdt.a", "{}"), Trigger("r/b:partial", "gdt.b", "{}")]
    run = finished(ledger, [verified(key) for key in keys(1)], next_jobs=jobs)
    ledger.mark_sent("r/a:partial")
    ledger.reopen(run.run_id)
    whole = [Trigger("r/a", "gdt.a", "{}"), Trigger("r/b", "gdt.b", "{}")]
    ledger.finish(run.run_id, "done", 0, 1.0, 0, whole)
    assert [each.trigger for each in ledger.next_jobs(run.run_id) if not each.sent] == whole


def test_what_has_begun_is_not_forgotten_by_a_result_that_wants_nothing(ledger):
    """A follower of a partial run that a signal has stopped, and a rerun that starts none."""
    early = [Trigger("r/a:partial", "gdt.a", "{}"), Trigger("r/b:partial", "gdt.b", "{}")]
    run = finished(ledger, [verified(key) for key in keys(1)], next_jobs=early)
    begun = ledger.begin(NEW._replace(trigger_key="r/a:partial", agent_id="7"))
    ledger.reopen(run.run_id)
    ledger.finish(run.run_id, "partial", 3, 1.0, 0)
    assert [(each.trigger, each.run.run_id) for each in ledger.next_jobs(run.run_id)] == [(early[0], begun.run_id)]
    ledger.reopen(run.run_id)
    whole = [Trigger("r/a", "gdt.a", "{}")]
    ledger.finish(run.run_id, "done", 0, 1.0, 0, whole)
    assert [each.trigger for each in ledger.next_jobs(run.run_id)] == whole


def test_result_and_next_jobs_are_one_transaction(ledger):
    run_id = planned(ledger, keys(1))
    with pytest.raises(sa.exc.IntegrityError):
        ledger.finish(run_id, "done", 0, 1.0, 0, [Trigger("r/a", "gdt.a", "{}"), Trigger("r/b", None, "{}")])
    assert ledger.run(run_id).status == "running"
    assert ledger.next_jobs(run_id) == []


EARLY = NEW._replace(provisional=True, store="embedded:/home", job='{"account_list":[],"output":"HBASE"}')
FINAL = EARLY._replace(provisional=False)
SOME = '{"account_list":["10000000"],"output":"HBASE"}'


def ended(ledger, new, accounts=3, status="done"):
    """A run of so many accounts that has a result."""
    run_id = planned(ledger, keys(accounts), new)
    ledger.settle(run_id, [verified(key) for key in keys(accounts)])
    return ledger.finish(run_id, status, 0 if status == "done" else 3, 1.0, 0)


def provisional(ledger):
    return [run.run_id for run in ledger.runs(provisional=True)]


@pytest.mark.parametrize(
    ("change", "accounts", "status"),
    [
        ({"provisional": True}, 3, "done"),
        ({}, 3, "partial"),
        ({"job": SOME}, 1, "done"),
        ({"output": "NONE"}, 3, "done"),
        ({"output": "FILE"}, 3, "done"),
        ({"store": "thrift://elsewhere:9090"}, 3, "done"),
        ({"table": "another_table"}, 3, "done"),
        ({"interface": "gdt.advertisers"}, 3, "done"),
        ({"tenant": "T2"}, 3, "done"),
        ({"agent_id": "7"}, 3, "done"),
        ({"data_date": date(2020, 5, 29)}, 3, "done"),
    ],
)
def test_a_provisional_run_is_not_made_good_by_another_kind_of_run(ledger, change, accounts, status):
    early = ended(ledger, EARLY)
    later = ended(ledger, FINAL._replace(**change), accounts, status)
    assert provisional(ledger) == [later.run_id] * later.provisional + [early.run_id]


@pytest.mark.parametrize(("early", "final"), [(3, 3), (3, 4), (3, 2)])
def test_a_later_run_of_all_accounts_makes_a_provisional_one_good(ledger, early, final):
    """However many there are by then: an account that was closed meanwhile is in no list any more."""
    ended(ledger, FINAL, early)
    run = ended(ledger, EARLY, early)
    assert provisional(ledger) == [run.run_id]
    ended(ledger, FINAL, final)
    assert provisional(ledger) == []


def test_a_run_of_some_accounts_is_made_good_by_the_same_accounts(ledger):
    run = ended(ledger, EARLY._replace(job=SOME), 1)
    assert provisional(ledger) == [run.run_id]
    ended(ledger, FINAL._replace(job=SOME), 1)
    assert provisional(ledger) == []


def test_a_run_is_taken_up_where_it_was_left(ledger, opened):
    one, two = keys(2)
    run = finished(ledger, [verified(one), failed(two)])
    again = opened()
    taken = again.reopen(run.run_id)
    assert (taken.status, taken.version, taken.finished_at, taken.exit_code) == ("running", run.version, None, None)
    assert again.open_units(run.run_id, None, 10, FAILED) == [two]
    again.settle(run.run_id, [verified(two)])
    run = again.finish(run.run_id, "done", 0, 0.5, 0)
    assert (run.planned, run.verified, run.failed, run.status) == (2, 2, 0, "done")


def test_a_run_that_was_killed_while_planning_plans_again(ledger, opened):
    run = ledger.begin(NEW)
    ledger.plan(run.run_id, keys(3))
    ledger.close()
    again = opened()
    assert again.reopen(run.run_id).status == "planning"
    again.plan(run.run_id, keys(5))
    assert again.freeze(run.run_id) == 5
    assert again.reopen(run.run_id).status == "running"


# Pruning


def test_old_units_are_folded_but_failed_ones_stay(ledger, clock, monkeypatch):
    monkeypatch.setattr(units, "FOLD", 3)
    some = sorted([*keys(7), *keys(5, agent="2"), UnitKey("2", "10000000", "x=1")])
    old = finished(ledger, [failed(key) if key in some[::5] else verified(key) for key in some])
    unfinished = planned(ledger, keys(2))
    clock.seconds += 8 * DAY
    young = finished(ledger, [verified(key) for key in keys(2)])
    assert ledger.prune(7) == 10
    assert ledger.run(old.run_id) == old
    assert ledger.figures(old.run_id) == Figures(13, 10, 3, 0, 20, 19, 7470)
    assert [unit.key for unit in ledger.units(old.run_id)] == some[::5]
    assert ledger.prune(7) == 0
    assert len(list(ledger.units(unfinished))) == len(list(ledger.units(young.run_id))) == 2


def test_what_failed_can_be_taken_up_after_pruning(ledger, clock):
    one, two, three = keys(3)
    run_id = finished(ledger, [verified(one), failed(two), failed(three)]).run_id
    clock.seconds += 8 * DAY
    ledger.prune(7)
    ledger.reopen(run_id)
    ledger.settle(run_id, [verified(two)])
    assert ledger.prune(7) == 0  # it is being worked on
    run = ledger.finish(run_id, "partial", 3, 0.5, 0)
    assert (run.planned, run.verified, run.failed, run.rows) == (3, 2, 1, 4)
    clock.seconds += 8 * DAY
    assert ledger.prune(7) == 1
    assert ledger.figures(run_id).verified == 2
    assert [unit.key for unit in ledger.units(run_id)] == [three]


# Processes

WORKER = """
import sys
from pathlib import Path
from ark.ledger import UnitKey, UnitResult, open_ledger
from ark.settings import load
ledger = open_ledger(load({"ARK_HOME": sys.argv[1], "ARK_LEDGER_URL": sys.argv[2]}))
"""
PLANNER = (
    WORKER
    + """
from datetime import date
from ark.ledger import NewRun
day = date(2020, 5, 30)
run_id = ledger.begin(NewRun("gdt.funds", "funds", "gdt", "T1", sys.argv[3], day, "{}", "HBASE")).run_id
for start in range(0, 10_000, 500):
    ledger.plan(run_id, [UnitKey("1", f"{number:09}", "") for number in range(start, start + 500)])
print(ledger.freeze(run_id))
"""
)
SETTLER = (
    WORKER
    + """
run_id, after, pages = ledger.reopen(sys.argv[3]).run_id, None, 0
while page := ledger.open_units(run_id, after, 100):
    ledger.settle(run_id, [UnitResult(key, "verified", rows=1) for key in page])
    after, pages = page[-1], pages + 1
    print(pages, flush=True)
"""
)
OPENER = WORKER + "print('open')"


@contextmanager
def process(script, home, url, *words):
    command = [sys.executable, "-c", script, str(home), url, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def together(calls):
    """Call all functions at once, each in its thread."""
    threads = [threading.Thread(target=function, args=arguments) for function, *arguments in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_many_processes_create_the_ledger_at_once(ark_home, url, opened):
    with ExitStack() as stack:
        children = [stack.enter_context(process(OPENER, ark_home, url)) for _ in range(4)]
        assert [child.communicate(timeout=60) for child in children] == [("open\n", "")] * 4
    assert opened().runs() == []


def test_two_processes_plan_different_runs_at_once(ledger, ark_home, url):
    with ExitStack() as stack:
        children = [stack.enter_context(process(PLANNER, ark_home, url, agent)) for agent in ("1", "2")]
        assert [child.communicate(timeout=60) for child in children] == [("10000\n", "")] * 2
    assert sorted((run.agent_id, run.planned) for run in ledger.runs()) == [("1", 10_000), ("2", 10_000)]


@pytest.mark.parametrize("pages", [1, 7, 20])
def test_a_killed_process_leaves_whole_transactions(ledger, opened, ark_home, url, pages):
    run_id = planned(ledger, keys(5_000))
    ledger.finish(run_id, "stopped", 143, 1.0, 0)
    with process(SETTLER, ark_home, url, run_id) as child:
        for _ in range(pages):
            settled = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        settled = max([settled, *map(int, child.stdout.read().split())])
        assert child.wait(timeout=60) == -signal.SIGKILL
    figures = opened().figures(run_id)
    assert figures.planned == 5_000
    assert figures.verified in {settled * 100, settled * 100 + 100}  # the last one may not have been told
    with process(SETTLER, ark_home, url, run_id) as child:
        assert not child.communicate(timeout=60)[1]
    assert ledger.figures(run_id) == Figures(5_000, 5_000, rows=5_000)


# What can go wrong


def test_another_schema_version_is_refused(ledger, ark_home, url):
    engine = sa.create_engine(url or f"sqlite:///{ark_home}/ledger.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE api_result_schema SET version = 99")
    engine.dispose()
    with pytest.raises(ConfigError, match=r"schema version 99, this Ark needs version 3: .*ARK_LEDGER_URL"):
        open_ledger(settings(ark_home, url))


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h/db", "sqlite://", "sqlite:///:memory:", "mysql+pymysql://h"])
def test_another_kind_of_database_is_refused(ark_home, url):
    with pytest.raises(ConfigError, match=r"ledger\.url must be mysql\+pymysql://") as caught:
        open_ledger(settings(ark_home, url))
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(ark_home):
    (ark_home / "file").touch()
    with pytest.raises(LocalDiskError, match="file/home cannot be created"):
        open_ledger(settings(ark_home / "file" / "home"))


def test_a_file_that_is_no_ledger_is_named(ark_home):
    (ark_home / "ledger.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(LocalDiskError, match=r"ledger\.sqlite cannot be used"):
        open_ledger(settings(ark_home))


def test_a_full_disk_fails_and_leaves_what_was_whole(ark_home, monkeypatch):
    with closing(open_ledger(settings(ark_home))) as ledger:
        run = ledger.begin(NEW)
        ledger.plan(run.run_id, keys(100))
    monkeypatch.setattr(database, "PRAGMAS", (*database.PRAGMAS, "PRAGMA max_page_count=40"))
    with closing(open_ledger(settings(ark_home))) as ledger:
        ledger.reopen(run.run_id)
        with pytest.raises(LocalDiskError, match=r"ledger\.sqlite cannot be used \(.*full.*\): see free space"):
            ledger.plan(run.run_id, keys(100_000))
        assert ledger.freeze(run.run_id) == 100


def test_a_read_only_ledger_fails(ark_home, monkeypatch):
    open_ledger(settings(ark_home)).close()
    monkeypatch.setattr(database, "PRAGMAS", (*database.PRAGMAS, "PRAGMA query_only=ON"))
    with (
        closing(open_ledger(settings(ark_home))) as ledger,
        pytest.raises(LocalDiskError, match=r"ledger\.sqlite cannot be used \(.*readonly.*\)"),
    ):
        ledger.begin(NEW)


def test_a_lock_that_is_not_given_back_is_told(ark_home, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with closing(open_ledger(settings(ark_home))) as ledger, closing(open_ledger(settings(ark_home))) as other:
        run = ledger.begin(NEW)
        with other._database.write():
            with pytest.raises(ServiceDownError, match="has been locked by another process"):
                ledger.plan(run.run_id, keys(1))
            assert ledger.run(run.run_id) == run  # readers do not wait
        ledger.plan(run.run_id, keys(1))


def test_a_dead_mysql_is_named_without_its_password(ark_home):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceDownError, match=f"ledger 127.0.0.1:{port}/ark does not answer") as caught:
        open_ledger(settings(ark_home, f"mysql+pymysql://app:s3cret@127.0.0.1:{port}/ark"))
    assert "s3cret" not in str(caught.value)


def test_a_frozen_mysql_is_given_up(ark_home):
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and never says a word
        port = listener.getsockname()[1]
        url = f"mysql+pymysql://app:s3cret@127.0.0.1:{port}/ark?read_timeout=1"
        with pytest.raises(ServiceDownError, match=f"127.0.0.1:{port}"):
            open_ledger(settings(ark_home, url))


@pytest.mark.services
def test_a_wrong_password_or_database_is_a_setting(ark_home, mariadb):
    parts = sa.make_url(mariadb)
    for wrong in (parts.set(password="s3cret"), parts.set(database="nowhere")):
        with pytest.raises(ConfigError, match="refuses what ledger") as caught:
            open_ledger(settings(ark_home, wrong.render_as_string(hide_password=False)))
        assert "s3cret" not in str(caught.value)


@pytest.mark.services
def test_an_id_that_mysql_cannot_hold_is_input_data(ark_home, mariadb):
    with closing(open_ledger(settings(ark_home, mariadb))) as ledger:
        run = ledger.begin(NEW)
        with pytest.raises(InputDataError, match="account"):
            ledger.plan(run.run_id, [UnitKey("1", "9" * 65, "")])


@pytest.mark.services
def test_connections_that_the_server_closed_are_replaced(ark_home, mariadb):
    with closing(open_ledger(settings(ark_home, mariadb))) as ledger:
        run_id = planned(ledger, keys(1))
        disconnect_all(mariadb)
        ledger.settle(run_id, [verified(key) for key in keys(1)])
        assert ledger.figures(run_id).verified == 1


def disconnect_all(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        listed = connection.exec_driver_sql("SHOW PROCESSLIST").mappings().all()
        own = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar()
        for entry in listed:
            if entry["db"] == engine.url.database and entry["Id"] != own:
                connection.exec_driver_sql(f"KILL {entry['Id']}")
    engine.dispose()


@pytest.mark.services
def test_a_deadlock_is_tried_again(ark_home, mariadb):
    """Another writer holds the second unit and then wants the first, which the ledger's transaction holds."""
    parts = sa.make_url(mariadb)
    one, two = keys(2)
    take = "UPDATE api_result_unit SET ms = ms + 1 WHERE account = %s"
    with closing(open_ledger(settings(ark_home, mariadb))) as ledger:
        run_id = planned(ledger, [one, two])
        other = pymysql.connect(
            host=parts.host, port=parts.port, user=parts.username, password=parts.password, database=parts.database
        )
        with closing(other), other.cursor() as cursor:
            cursor.execute(take, [two.account])
            settling = threading.Thread(target=ledger.settle, args=(run_id, [verified(one), verified(two)]))
            settling.start()
            wait_for_lock(mariadb)
            with suppress(pymysql.err.OperationalError):  # unless it was this one's turn to give way
                cursor.execute(take, [one.account])
            other.rollback()
            settling.join(60)
        assert ledger.figures(run_id).verified == 2


def wait_for_lock(url):
    engine = sa.create_engine(url, isolation_level="READ UNCOMMITTED")
    waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    with engine.connect() as connection:
        while not connection.exec_driver_sql(waiting).scalar():
            connection.rollback()
    engine.dispose()


@pytest.mark.services
def test_a_lock_that_is_held_too_long_is_told(ark_home, mariadb, monkeypatch):
    monkeypatch.setattr(database, "TRIES", 1)
    with closing(open_ledger(settings(ark_home, mariadb))) as ledger:
        run_id = planned(ledger, keys(1))
        with closing(open_ledger(settings(ark_home, mariadb))) as other, other._database.write() as connection:
            connection.exec_driver_sql("UPDATE api_result_unit SET ms = 1")
            with ledger._database.read() as session:
                session.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 1")
            with pytest.raises(ContentionError, match="1205"):
                ledger.settle(run_id, [verified(key) for key in keys(1)])
