"""A run that is ended in the middle, by whatever means, and taken up again: nothing lost, doubled or out of place."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import BIN, FUNDS, Simulated, ended, wait_for

ACCOUNTS = 300
UNKNOWN_CODE = 98765

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
    running = here.start()
    under_way(here, 50)
    running.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    said = ended(running)
    assert time.monotonic() - began < 2
    assert said.code in {-signal.SIGTERM, 143}


def test_a_signal_while_planning_or_connecting_is_no_trouble(stage: Staging) -> None:
    here = slow(stage)
    for delay in (0.4, 1.2):
        running = here.start()
        time.sleep(delay)
        running.send_signal(signal.SIGTERM)
        assert ended(running).code in {-signal.SIGTERM, 143}
    runs = here.ark.json("runs")
    if runs:
        taken_up(here, runs[-1]["run_id"])


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
    assert said.code == 143


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
    for closing in (">&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f"exec {words} {closing}"], env=here.ark.environment(), check=False, timeout=60
        )
        assert done.returncode == 0, closing
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
