"""What a rerun may take up, and how a command's wishes reach the jobs that follow."""

from contextlib import closing
from datetime import date

import msgspec
import pytest

from ark.errors import ConfigError
from ark.job import Job
from ark.ledger import LeaseHeldError, NewRun, Trigger, UnitKey, UnitResult, open_ledger
from ark.settings import load
from handlers import launch
from handlers.jobs import load_jobs
from handlers.registry import names

NEW = NewRun(
    interface="gdt.funds",
    table="tenant_gdt_funds_get_v2",
    medium="gdt",
    tenant="T1",
    agent_id="1",
    data_date=date(2020, 5, 30),
    job="{}",
    output="HBASE",
)
JOB = Job(agent_id="1", tenant_alias="T1", data_date=date(2020, 5, 30))


@pytest.fixture
def settings(ark_home):
    return load({"ARK_HOME": str(ark_home)})


@pytest.fixture
def begin(settings):
    """Begins a run whose rows go to `store`."""

    def begun(store):
        ledger = open_ledger(settings)
        run = ledger.begin(NEW._replace(store=store))
        ledger.close()
        return run

    return begun


def test_rows_go_on_into_the_store_they_were_in(settings, begin):
    launch._check_store(settings, begin(launch._store(settings)))
    with pytest.raises(ConfigError, match="thrift://elsewhere:9090"):
        launch._check_store(settings, begin("thrift://elsewhere:9090"))


class Busy:
    """A job that somebody works on until it was asked for `times` times."""

    def __init__(self, times):
        self.asked, self.times = 0, times

    def __call__(self):
        self.asked += 1
        if self.asked <= self.times:
            raise LeaseHeldError("being worked on by process 7 on host h")
        return self.asked


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only while launch sleeps."""
    passed = [0.0]
    monkeypatch.setattr(launch.time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(launch.time, "sleep", lambda seconds: passed.__setitem__(0, passed[0] + seconds))
    return passed


def test_who_does_not_wait_is_told_at_once(settings, clock):
    busy = Busy(1)
    with pytest.raises(LeaseHeldError, match="process 7"):
        launch._taken(busy, settings, launch.How())
    assert busy.asked == 1


def test_who_waits_gets_the_job_when_it_is_free(settings, clock):
    assert launch._taken(Busy(100), settings, launch.How(wait=True)) == 101
    assert clock[0] == 100 * launch.LOOK_AGAIN


def test_waiting_ends_with_the_deadline(ark_home, clock):
    settings = load({"ARK_HOME": str(ark_home), "ARK_RUN_DEADLINE": "20"})
    with pytest.raises(LeaseHeldError):
        launch._taken(Busy(10_000), settings, launch.How(wait=True))
    assert 20 < clock[0] <= 20 + 2 * launch.LOOK_AGAIN


def test_a_partial_run_starts_what_follows_only_where_it_was_asked_to(settings, begin):
    run = msgspec.structs.replace(begin("embedded:"), interface="gdt.advertisers")
    default, eager, alone = (
        launch._followers(load_jobs(names()), run, JOB, how)
        for how in (launch.How(), launch.How(on_partial=True), launch.How(follow=False, on_partial=True))
    )
    assert default("partial", ()) == alone("partial", ()) == alone("done", ()) == []
    assert eager("failed", ()) == default("stopped", ()) == []
    whole, part = default("done", ()), eager("partial", ())
    assert [trigger.job for trigger in whole] == [trigger.job for trigger in part] != []
    assert not {trigger.key for trigger in whole} & {trigger.key for trigger in part}
    assert eager("done", ()) == whole


def test_a_next_job_s_own_process_is_told_the_same():
    assert launch.How().words() == []
    assert launch.How(on_partial=True, wait=True).words() == ["--trigger-on-partial", "--wait"]
    assert launch.How(day_share=30).words() == ["--day-share=30"]


@pytest.mark.parametrize(("ended", "code"), [(143, 143), (130, 130), (78, 3), (0, 3)])
def test_a_next_job_s_process_that_ends_before_its_run_began(ark_home, monkeypatch, ended, code):
    """A signal that stopped it stops us; else it is still to be started, and that is told."""
    settings = load({"ARK_HOME": str(ark_home), "ARK_NEXT_DISPATCH": "subprocess"})
    monkeypatch.setattr(launch, "_spawn", lambda *_: ended)
    with closing(open_ledger(settings)) as ledger:
        run = ledger.begin(NEW)
        ledger.plan(run.run_id, [UnitKey("1", "2", "")])
        ledger.freeze(run.run_id)
        ledger.settle(run.run_id, [UnitResult(UnitKey("1", "2", ""), "verified")])
        done = ledger.finish(run.run_id, "done", 0, 1.0, 0, [Trigger("k", "gdt.daily_report_ad", "%7B%7D")])
        told = launch._follow(settings, ledger, done, lambda _: None, launch.How())
    assert (told.status, told.exit_code, told.pending) == ("done", code, 1)
