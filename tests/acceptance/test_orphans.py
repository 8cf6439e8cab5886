"""Who started a run is gone: the run goes too, unless it was asked to stay. No process is left behind, ever."""

import json
import os
import pty
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.acceptance.conftest import BIN, DATE, FUNDS, Simulated, wait_for
from tests.acceptance.executor import WRAPPER, Execution, living
from tests.acceptance.test_signals import last_run, slow, taken_up, under_way

Staging = Callable[..., Simulated]

SOON = 6.0
"""Seconds until an orphan is gone: it looks after its parent once a second, then stops as after a signal."""


def argument(here: Simulated) -> str:
    """A run as one string, as the platform's page has it."""
    job = {"agent_id": here.agent, "tenant_alias": here.tenant, "data_date": DATE, "redis_accounts_key": here.key}
    return f"run gdt.funds {quote(json.dumps(job))} --no-next"


@pytest.fixture
def wrapper(tmp_path: Path) -> str:
    path = tmp_path / "job.sh"
    path.write_text(WRAPPER, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def gone(here: Simulated, seconds: float = SOON) -> None:
    wait_for(lambda: not living(here.ark.home), seconds)


def stopped(here: Simulated) -> None:
    """The last run is stopped after a checkpoint, and nobody calls the medium any more."""
    gone(here)
    calls = here.calls()["requests"]
    run = here.ark.json("runs")[0]
    assert (run["status"], run["exit"]) == ("stopped", 143)
    assert 0 < run["verified"] < len(here.accounts)
    assert here.calls()["requests"] == calls
    taken_up(here, last_run(here))


def test_the_platform_stops_it_directly(stage: Staging, tmp_path: Path) -> None:
    here = slow(stage)
    execution = Execution([BIN, "exec", argument(here)], here.ark.environment(), tmp_path / "job.log")
    under_way(here, 60)
    began = time.monotonic()
    execution.destroy()
    assert execution.wait() == 143
    assert time.monotonic() - began < 10
    lines = execution.log.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("ARK_RESULT ") for line in lines) == 1
    stopped(here)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_platform_stops_a_shell_in_between(stage: Staging, wrapper: str, tmp_path: Path, number: int) -> None:
    here = slow(stage)
    execution = Execution([wrapper, argument(here)], here.ark.environment(), tmp_path / "job.log")
    under_way(here, 60)
    execution.destroy(number)
    assert execution.wait(20) == -number
    assert '"status":"stopped","exit":143' in execution.log.read_text(encoding="utf-8")
    stopped(here)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_a_shell_that_dies_while_ark_starts_leaves_nobody(
    stage: Staging, wrapper: str, tmp_path: Path, seconds: float
) -> None:
    here = slow(stage)
    execution = Execution([wrapper, argument(here)], here.ark.environment(), tmp_path / "job.log")
    wait_for(lambda: living(here.ark.home), 20)
    time.sleep(seconds)
    execution.destroy(signal.SIGKILL)
    execution.wait(20)
    gone(here, 10)
    assert here.calls()["requests"] < len(here.accounts)


def test_an_ark_that_is_killed_takes_its_next_job_along(stage: Staging) -> None:
    here = stage(60)
    here.change(latency={"seconds": 0.3}, objects={"ads": [1]})
    running = here.ark.start(*here.words("gdt.funds"), http_concurrency=10, next_dispatch="subprocess")
    wait_for(lambda: here.calls("daily_reports/get")["requests"] > 10)
    running.kill()
    running.wait()
    assert living(here.ark.home)  # it does not go at once: it checkpoints
    running.communicate(timeout=SOON)  # until nobody holds our pipes any more
    gone(here)
    runs = {run["interface"]: run for run in here.ark.json("runs")}
    assert (runs["gdt.daily_report_ad"]["status"], runs["gdt.daily_report_ad"]["exit"]) == ("stopped", 143)
    assert here.calls("hourly_reports/get")["requests"] == 0


@pytest.mark.parametrize("survivor", ["nohup", "setsid"])
def test_who_is_asked_to_stay_stays(stage: Staging, tmp_path: Path, survivor: str) -> None:
    here = slow(stage, 150)
    script = f"{survivor} {shlex.join([BIN, *here.words('gdt.funds', '--no-next')])} > out 2> err < /dev/null &"
    subprocess.run(["sh", "-c", script], env=here.ark.environment(), cwd=tmp_path, check=True)
    under_way(here, 20)
    gone(here, 30)
    assert [(run["status"], run["exit"]) for run in here.ark.json("runs")] == [("done", 0)]
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_terminal_that_goes_away_does_not_end_the_run(stage: Staging) -> None:
    """The window is closed while the bar is drawn: SIGHUP to the group, and every write to it fails from then on."""
    here = slow(stage, 150)
    master, terminal = pty.openpty()
    running = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "sh", "-c", f"exec {shlex.join([BIN, *here.words('gdt.funds', '--no-next')])}"],
        env=here.ark.environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    under_way(here, 20)
    os.read(master, 65536)
    os.close(master)
    assert running.wait(60) == 0
    assert [(run["status"], run["exit"]) for run in here.ark.json("runs")] == [("done", 0)]
    assert here.differences(FUNDS) == (0, 0, 0)
    (log,) = (here.ark.home / "log" / "gdt").glob(f"funds_*_{DATE.replace('-', '')}.log")
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_a_hangup_does_not_end_the_run(stage: Staging) -> None:
    here = slow(stage, 150)
    running = here.start()
    under_way(here, 20)
    running.send_signal(signal.SIGHUP)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert '"status":"done"' in out
