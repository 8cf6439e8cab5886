"""Who works on a job: one run at a time, on SQLite and on the real MariaDB, told by processes of their own."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import date

import pytest

from ark.ledger import Figures, LeaseHeldError, LeaseLostError, NewRun, UnitKey, UnitResult, intents, open_ledger
from ark.ledger.database import Database
from ark.settings import load

NEW = NewRun("gdt.funds", "tenant_gdt_funds_get_v2", "gdt", "T100117", "1050262", date(2020, 5, 30), "{}", "HBASE")
OTHERS = {
    "interface": "gdt.advertisers",
    "tenant": "T100118",
    "agent_id": "1050263",
    "data_date": date(2020, 5, 31),
}
LIFE = 30_000
UNIT = UnitKey("1050262", "10000001", "")
HOLDER = """
import sys
from datetime import date
from ark.ledger import NewRun, open_ledger
from ark.settings import load
ledger = open_ledger(load({"ARK_HOME": sys.argv[1], "ARK_LEDGER_URL": sys.argv[2]}))
run = ledger.begin(NewRun(*sys.argv[3:8], date.fromisoformat(sys.argv[8]), "{}", "HBASE"))
print(run.run_id, flush=True)
sys.stdin.read()
ledger.finish(run.run_id, "stopped", 143, 1.0, 0)
"""


@pytest.fixture
def ledger(ark_home, url):
    with closing(open_ledger(load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}))) as opened:
        yield opened


@pytest.fixture
def holder(ark_home, url):
    """Another process that works on NEW: its Popen, and its run's id."""

    @contextmanager
    def held():
        words = [*map(str, NEW[:5]), NEW.data_date.isoformat()]
        command = [sys.executable, "-c", HOLDER, str(ark_home), url, *words]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as child:
            try:
                yield child, child.stdout.readline().strip()
            finally:
                child.kill()

    return held


@pytest.fixture
def later(monkeypatch):
    """Moves the ledger's clock, as every process of this test sees it, by so many milliseconds."""
    moment = Database.moment

    def shift(ms):
        monkeypatch.setattr(Database, "moment", lambda self, connection: moment(self, connection) + ms)

    return shift


def test_a_second_start_is_told_who_works_on_the_job(ledger, holder):
    with holder() as (child, run_id):
        with pytest.raises(LeaseHeldError, match=f"gdt.funds of T100117/1050262 .* process {child.pid} on .*{run_id}"):
            ledger.begin(NEW)
        with pytest.raises(LeaseHeldError, match=f"process {child.pid} "):
            ledger.reopen(run_id)
        assert [run.run_id for run in ledger.runs()] == [run_id]
        child.communicate("")
    assert ledger.begin(NEW).run_id != run_id


@pytest.mark.parametrize("field", OTHERS)
def test_other_jobs_are_not_held_up(ledger, holder, field):
    with holder():
        assert ledger.begin(NEW._replace(**{field: OTHERS[field]})).attempt == 1


def test_a_killed_holder_holds_up_nobody_on_its_machine(ledger, holder):
    with holder() as (child, run_id):
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has asked for its exit code yet
        assert ledger.reopen(run_id).attempt == 2


def test_a_holder_that_was_not_heard_of_for_the_lease_s_life_is_overtaken(ledger, holder, later):
    with holder() as (child, run_id):
        child.send_signal(signal.SIGSTOP)
        later(LIFE - 5_000)
        with pytest.raises(LeaseHeldError):
            ledger.reopen(run_id)
        later(LIFE + 100)
        assert ledger.reopen(run_id).attempt == 2
        child.send_signal(signal.SIGCONT)
        _, said = child.communicate("")
        assert child.returncode == 1
        assert f"LeaseLostError: run {run_id} lost its lease to process {os.getpid()} on " in said
        assert ledger.run(run_id).status == "planning"


def test_who_was_overtaken_writes_nothing_more(ledger, ark_home, url, later, monkeypatch):
    run_id = ledger.begin(NEW).run_id
    ledger.plan(run_id, [UNIT])
    ledger.freeze(run_id)
    later(LIFE + 1)
    monkeypatch.setattr("ark.process.identity", lambda: "another")
    with closing(open_ledger(load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}))) as successor:
        successor.reopen(run_id)
        for write in (
            lambda: ledger.plan(run_id, [UNIT._replace(account="2")]),
            lambda: ledger.freeze(run_id),
            lambda: ledger.settle(run_id, [UnitResult(UNIT, "verified", rows=7)]),
            lambda: ledger.finish(run_id, "done", 0, 1.0, 0),
            lambda: ledger.renew(run_id),
        ):
            with pytest.raises(LeaseLostError, match=f"run {run_id} lost its lease to process {os.getpid()} on "):
                write()
        assert successor.figures(run_id) == Figures(planned=1)
        assert successor.run(run_id).status == "running"
        successor.settle(run_id, [UnitResult(UNIT, "verified", rows=2)])
        assert successor.finish(run_id, "done", 0, 1.0, 0).rows == 2


def test_a_lease_that_ran_out_is_still_ours_while_nobody_wants_it(ledger, later):
    run_id = ledger.begin(NEW).run_id
    later(10 * LIFE)
    ledger.renew(run_id)
    ledger.plan(run_id, [UNIT])
    assert ledger.freeze(run_id) == 1


def test_a_renewed_lease_lives_on(ledger, ark_home, url, later):
    run_id = ledger.begin(NEW).run_id
    later(LIFE - 1_000)
    ledger.renew(run_id)
    later(LIFE + 1_000)
    with closing(open_ledger(load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}))) as other:
        with pytest.raises(LeaseHeldError):
            other.begin(NEW)
        later(2 * LIFE)
        assert other.begin(NEW).run_id != run_id


def test_the_same_process_may_try_again_after_an_attempt_without_a_result(ledger):
    first = ledger.begin(NEW)
    second = ledger.begin(NEW)
    with pytest.raises(LeaseLostError, match=f"lost its lease to process .*{second.run_id}"):
        ledger.freeze(first.run_id)


def test_another_thread_of_the_process_is_somebody_else(ledger, ark_home, url):
    environ = {"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}
    run_id = ledger.begin(NEW).run_id
    with closing(open_ledger(load(environ))) as other:
        with pytest.raises(LeaseHeldError, match=f"process {os.getpid()} on .*{run_id}"):
            other.begin(NEW)
        ledger.close()  # without a result: whoever comes next need not wait
        assert other.reopen(run_id).attempt == 2


def test_a_run_that_is_done_is_nobody_s(ledger, ark_home, url):
    run_id = ledger.begin(NEW).run_id
    ledger.plan(run_id, [UNIT])
    ledger.freeze(run_id)
    ledger.settle(run_id, [UnitResult(UNIT, "verified", rows=2)])
    done = ledger.finish(run_id, "done", 0, 1.0, 0)
    assert ledger.reopen(run_id) == done
    with closing(open_ledger(load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}))) as other:
        assert other.begin(NEW).attempt == 1


def test_who_comes_while_a_run_ends_is_told_and_disturbs_nothing(ledger, ark_home, url, monkeypatch):
    """On MySQL the two used to wait for each other's locks."""
    keep = intents.keep
    ending = threading.Event()

    def slowly(*arguments):
        ending.set()
        time.sleep(0.5)
        keep(*arguments)

    monkeypatch.setattr(intents, "keep", slowly)
    run_id = ledger.begin(NEW).run_id
    ledger.plan(run_id, [UNIT])
    ledger.freeze(run_id)
    ledger.settle(run_id, [UnitResult(UNIT, "verified", rows=2)])
    with ThreadPoolExecutor(1) as thread:
        finishing = thread.submit(ledger.finish, run_id, "done", 0, 1.0, 0)
        assert ending.wait(10)
        with closing(open_ledger(load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}))) as other:
            while not finishing.done():
                try:
                    other.begin(NEW)
                except LeaseHeldError:
                    continue
                break
            assert finishing.result(10).status == "done"
            assert [run.status for run in other.runs()] in (["planning", "done"], ["done"])


def test_nobody_writes_for_a_run_that_he_has_not_begun(ledger, ark_home, url):
    run_id = ledger.begin(NEW).run_id
    stranger = open_ledger(load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url}))
    with closing(stranger), pytest.raises(LeaseLostError):
        stranger.plan(run_id, [UNIT])
