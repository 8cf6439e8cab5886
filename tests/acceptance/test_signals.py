"""A run that is ended in the middle, by whatever means, and taken up again: nothing lost, doubled or out of place."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import BIN, FUNDS, Said, Simulated, ended, wait_for
from tests.acceptance.executor import stop_times
from tests.acceptance.readers import Table
from tests.conftest import Services
from tests.proxy import Proxy, Timeout

ACCOUNTS = 300
UNKNOWN_CODE = 98765
PROMISED = 10.0
"""Seconds from a signal to the end, whatever hangs."""
POINTS = 6
"""Random moments of a signal, for each way of starting next jobs."""

Staging = Callable[..., Simulated]


def slow(stage: Staging, accounts: int = ACCOUNTS) -> Simulated:
    """Some seconds of work."""
    return stage(accounts, latency={"seconds": 0.25})


def under_way(here: Simulated, calls: int) -> None:
    wait_for(lambda: here.calls()["requests"] >= calls)


def last_run(here: Simulated) -> str:
    return str(here.ark.json("runs")[0]["run_id"])


def taken_up(here: Simulated, run_id: str) -> int:
    """Rerun at full speed; how many calls that took."""
    here.change(latency=None)
    here.media.clear_stats()
    said = here.ark("rerun", run_id)
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", len(here.accounts))
    assert here.differences(FUNDS) == (0, 0, 0)
    assert len({timestamp for timestamp, _ in here.ark.rows(FUNDS.table).values()}) == 1
    return int(here.calls()["requests"])


def test_a_signal_stops_the_run_after_a_checkpoint(stage: Staging) -> None:
    """SIGTERM the run, SIGINT its rerun."""
    here = slow(stage)
    verified = signalled(here, here.start(), signal.SIGTERM, 143)
    verified = signalled(here, here.ark.start("rerun", last_run(here)), signal.SIGINT, 130, verified)
    assert taken_up(here, last_run(here)) == ACCOUNTS - verified


def signalled(here: Simulated, running: "subprocess.Popen[str]", number: int, code: int, before: int = 0) -> int:
    """Signal a run when it is under way; how many units it has verified by its end."""
    here.media.clear_stats()
    under_way(here, 60)
    began = time.monotonic()
    running.send_signal(number)
    said = ended(running)
    assert time.monotonic() - began < 10
    told = said.result
    assert (said.code, told["status"], told["failed"]) == (code, "stopped", 0)
    assert before + 50 <= told["verified"] < ACCOUNTS
    assert here.calls()["requests"] == told["verified"] - before
    return int(told["verified"])


def test_a_second_signal_ends_it_at_once(stage: Staging) -> None:
    here = stage(ACCOUNTS, latency={"seconds": 3})
    running = here.start(gdt_window=60)  # answers take longer than the second that these tests make of a minute
    under_way(here, 50)
    running.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    said = ended(running)
    assert time.monotonic() - began < 2
    assert said.code == 143


def stopped_in_time(running: "subprocess.Popen[str]", code: int, number: int = signal.SIGTERM) -> Said:
    """What a run says that is signalled now."""
    began = time.monotonic()
    running.send_signal(number)
    said = ended(running)
    assert time.monotonic() - began < PROMISED
    assert said.code == code
    return said


def listens(running: "subprocess.Popen[str]") -> bool:
    """Whether the interpreter has come as far as our first line."""
    status = Path(f"/proc/{running.pid}/status").read_text(encoding="ascii")
    caught = re.search(r"SigCgt:\s*(\w+)", status)
    assert caught
    return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def opened(running: "subprocess.Popen[str]") -> set[str]:
    """Names of the files that a process has open."""
    found = set()
    for each in Path(f"/proc/{running.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            found.add(each.readlink().name)
    return found


@pytest.mark.parametrize("delay", [0, 0.3, 0.6, 1.2])
def test_a_signal_before_the_first_call_is_no_trouble(stage: Staging, delay: float) -> None:
    here = slow(stage)
    running = here.start()
    wait_for(lambda: listens(running))
    time.sleep(delay)
    said = stopped_in_time(running, 143)
    assert not said.out or said.result["status"] == "stopped"
    runs = here.ark.json("runs")
    if runs:
        assert said.result["run_id"] == runs[0]["run_id"]
        taken_up(here, runs[0]["run_id"])


@contextmanager
def in_front_of(url: str) -> Iterator[tuple[Proxy, str]]:
    """A network before a service, and the service's address there."""
    address = urlsplit(url)
    with Proxy(str(address.hostname), int(address.port or 0)) as proxy:
        yield proxy, address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()


@pytest.fixture
def hbase(stage: Staging, services: Services) -> Iterator[Callable[[], tuple[Simulated, Proxy]]]:
    """A slow run into the real HBase, through a network that can hang."""
    with in_front_of(services.hbase_url) as (proxy, url):
        here = slow(stage)
        here.ark.settings |= {"hbase_url": url, "hbase_batch": 10}

        def make() -> tuple[Simulated, Proxy]:
            here.ark("tables", "create", FUNDS.table)
            return here, proxy

        yield make
    with closing(Table(services.hbase_url, FUNDS.table)) as table:
        keys = (key.decode() for key, _ in table._table.scan(filter=b"KeyOnlyFilter()"))
        table.remove([key for key in keys if here.tenant in key])


def test_a_store_that_hangs_from_the_first(hbase: Callable[[], tuple[Simulated, Proxy]]) -> None:
    here, proxy = hbase()
    proxy.add(Timeout())
    before = proxy.connections
    running = here.start()
    wait_for(lambda: proxy.connections > before)
    said = stopped_in_time(running, 143)
    told = said.result
    assert (told["status"], told["planned"], told["requests"]) == ("stopped", 0, 0)
    assert here.ark.json("runs")[0]["status"] == "stopped"
    assert "left behind" not in said.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (0, 75)])
def test_a_store_that_hangs_in_mid_run(hbase: Callable[[], tuple[Simulated, Proxy]], number: int, code: int) -> None:
    """Signalled, or (0) past its deadline. What the store has taken stays verified, the rest is taken up."""
    here, proxy = hbase()
    deadline = {} if number else {"run_deadline": 3}
    running = here.start("gdt.funds", **deadline)
    under_way(here, 60)
    hangs = Timeout()
    proxy.add(hangs)
    if number:
        time.sleep(1)  # until nothing moves any more
        said = stopped_in_time(running, code, number)
    else:
        said = ended(running, 3 + PROMISED + 3)
    told = said.result
    assert (said.code, told["status"]) == (code, "stopped")
    assert 0 <= told["verified"] < told["planned"] == ACCOUNTS
    assert "left behind" not in said.err  # the result was written in time
    proxy.remove(hangs)
    here.change(latency=None)
    again = here.ark("rerun", told["run_id"], "--no-next")
    assert (again.code, again.result["verified"]) == (0, ACCOUNTS)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (0, 75)])
def test_a_directory_that_hangs_while_the_plan_is_made(
    stage: Staging, services: Services, number: int, code: int
) -> None:
    here = slow(stage)
    with in_front_of(here.ark.settings["redis_url"]) as (proxy, url):
        proxy.add(Timeout())
        running = here.start("gdt.funds", redis_url=url, **({} if number else {"run_deadline": 0.3}))
        wait_for(lambda: proxy.connections > 0)
        began = time.monotonic()
        said = stopped_in_time(running, code, number) if number else ended(running)
        assert time.monotonic() - began < PROMISED
        assert (said.code, said.result["status"]) == (code, "stopped")


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Somebody else has the ledger's write lock."""
    with closing(sqlite3.connect(home / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (0, 75)])
def test_a_ledger_that_is_locked(stage: Staging, number: int, code: int) -> None:
    """Nobody can write a result: the line on stdout tells what is known, the process leaves all the same."""
    here = slow(stage)
    running = here.start("gdt.funds", **({} if number else {"run_deadline": 3}))
    under_way(here, 60)
    with locked(here.ark.home):
        time.sleep(1)  # until a settling transaction waits for the lock
        said = stopped_in_time(running, code, number) if number else ended(running, 3 + PROMISED)
    told = said.result
    assert (said.code, told["status"], told["planned"]) == (code, "stopped", ACCOUNTS)
    assert told["run_id"] == last_run(here)
    assert "left behind" in said.err
    assert here.ark.json("runs")[0]["status"] == "running"
    taken_up(here, told["run_id"])


def test_a_ledger_that_is_locked_before_the_run_begins(stage: Staging) -> None:
    here = slow(stage, 5)
    assert here.run().code == 0
    with locked(here.ark.home):
        running = here.start()
        wait_for(lambda: "ledger.sqlite" in opened(running))
        time.sleep(0.5)  # until it waits for the lock
        said = stopped_in_time(running, 143)
    assert said.out == ""
    assert "stopped by signal 15" in said.err


@pytest.mark.parametrize("dispatch", ["inprocess", "subprocess"])
def test_a_signal_at_any_moment(stage: Staging, dispatch: str) -> None:
    """Of a run with next jobs: the code is the signal's, one result, no process stays behind."""
    here = stage(20)
    here.change(latency={"seconds": 0.05}, objects={"ads": [1]})
    moments = [random.uniform(0.3, 5) for _ in range(POINTS)]

    def start() -> "subprocess.Popen[str]":
        return here.ark.start(*here.words("gdt.funds"), http_concurrency=5, next_dispatch=dispatch)

    for stopped in stop_times(start, here.ark.home, moments):
        assert stopped.seconds < PROMISED
        assert stopped.orphans == 0
        assert stopped.code == 143 or (stopped.code == 0 and '"status":"done"' in stopped.out)
        lines = stopped.out.splitlines()
        assert [line.startswith("ARK_RESULT ") for line in lines] == [True] * len(lines)
        assert len(lines) <= 1
        assert all(json.loads(line.removeprefix("ARK_RESULT "))["exit"] == stopped.code for line in lines)


def test_kill_9_again_and_again_loses_nothing(stage: Staging) -> None:
    here = slow(stage)
    running = here.start()
    for calls in (1, 100, 60):
        here.media.clear_stats()
        under_way(here, calls)
        running.kill()
        assert ended(running).code == -signal.SIGKILL
        running = here.ark.start("rerun", last_run(here))
    here.media.clear_stats()
    under_way(here, 1)
    running.kill()
    ended(running)
    verified = sum(unit["state"] == "verified" for unit in here.ark.units(last_run(here)).values())
    assert taken_up(here, last_run(here)) == ACCOUNTS - verified


def test_a_signal_while_a_next_job_runs_ends_the_whole_process(stage: Staging) -> None:
    """What follows is stopped as well, and the next of its kind is not begun; a rerun takes all of it up."""
    here = stage(60)
    here.change(latency={"seconds": 0.3}, objects={"ads": [1]})
    running = here.ark.start(*here.words("gdt.funds"), http_concurrency=10)
    wait_for(lambda: here.calls("daily_reports/get")["requests"] > 10)
    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    said = ended(running)
    assert time.monotonic() - began < 10
    assert here.calls("hourly_reports/get")["requests"] == 0
    assert said.result["interface"] == "gdt.funds"
    assert (said.code, said.result["pending"]) == (143, 2)
    here.change(latency={"seconds": 0.0})
    assert here.ark(*said.result["rerun"].split()[1:]).code == 0
    runs = json.loads(here.ark.read("runs", "--json"))
    assert sorted((run["interface"], run["status"]) for run in runs) == [
        ("gdt.daily_report_ad", "done"),
        ("gdt.funds", "done"),
        ("gdt.hourly_report_ad", "done"),
    ]


def test_a_reader_that_leaves_does_not_end_the_run(stage: Staging) -> None:
    """`ark run ... | head -1`, and a log pipe whose reader has died."""
    here = slow(stage, 150)
    words = [BIN, *here.words("gdt.funds", "--no-next")]
    with subprocess.Popen(
        words, env=here.ark.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        running.stderr.readline()
        running.stderr.close()
        assert running.wait(60) == 0
    assert here.ark.json("runs")[0]["status"] == "done"
    assert here.differences(FUNDS) == (0, 0, 0)


@pytest.mark.parametrize("closed", ["stdout", "both"])
def test_a_failure_keeps_its_exit_code_whoever_listens(stage: Staging, closed: str) -> None:
    here = stage(5, faults=[{"kind": "code", "code": UNKNOWN_CODE}])
    read, write = os.pipe()
    os.close(read)
    streams = {
        "stdout": write if closed in {"stdout", "both"} else subprocess.DEVNULL,
        "stderr": write if closed in {"stderr", "both"} else subprocess.DEVNULL,
    }
    done = subprocess.run(
        [BIN, *here.words("gdt.funds", "--no-next")], env=here.ark.environment(), check=False, timeout=60, **streams
    )
    os.close(write)
    assert here.calls()["requests"] == 5
    assert done.returncode == 3
    assert here.ark.json("runs")[0]["exit"] == 3


def test_closed_descriptors_do_no_harm(stage: Staging) -> None:
    here = stage(5)
    words = " ".join(f"'{word}'" for word in [BIN, *here.words("gdt.funds", "--no-next")])
    for streams in (">&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f"exec {words} {streams}"], env=here.ark.environment(), check=False, timeout=60
        )
        assert done.returncode == 0, streams
    assert [run["status"] for run in here.ark.json("runs")] == ["done"] * 2


def test_the_command_line_of_the_process_names_no_token(stage: Staging) -> None:
    here = slow(stage, 100)
    token = here.media.directory()[0]["token"]
    running = here.start()
    under_way(here, 10)
    process = Path(f"/proc/{running.pid}")
    command_line = (process / "cmdline").read_bytes()
    assert token.encode() not in command_line + (process / "environ").read_bytes()
    assert re.search(rb"python[^\0]*\0-m\0handlers\.cli\0run\0", command_line)  # exec: no shell in between
    assert ended(running).code == 0


def test_a_next_job_in_a_process_of_its_own_does_not_outlive_us(stage: Staging) -> None:
    here = stage(60)
    here.change(latency={"seconds": 0.3}, objects={"ads": [1]})
    running = here.ark.start(*here.words("gdt.funds"), http_concurrency=10, next_dispatch="subprocess")
    wait_for(lambda: here.calls("daily_reports/get")["requests"] > 10)
    running.send_signal(signal.SIGTERM)
    assert ended(running).code == 143
    before = here.calls("daily_reports/get")["requests"]
    time.sleep(1)
    assert here.calls("daily_reports/get")["requests"] == before
    assert here.calls("hourly_reports/get")["requests"] == 0
