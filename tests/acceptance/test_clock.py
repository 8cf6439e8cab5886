"""A machine whose clock is wrong, jumps, or lives in another zone: the same cells as with the right one."""

import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import CASH, FUNDS, Ark, Said, Simulated, Stage, ended, staged, wait_for
from tests.acceptance.servers import altered
from tests.hostile import answer, good, hostile

if TYPE_CHECKING:
    import subprocess

Staging = Callable[..., Simulated]

DAY, HOUR = 86400, 3600
CLOCK = """
import datetime, importlib, os, pkgutil, sys, time
import ark, handlers, media
real, true = time.time, datetime.datetime

def shifted():
    return real() + {ahead} + ({jump} if os.path.exists({signal!r}) else 0)

class Shifted(true):
    @classmethod
    def now(cls, tz=None):
        return true.fromtimestamp(shifted(), tz)

time.time = shifted
time.time_ns = lambda: int(shifted() * 1e9)
for package in (ark, handlers, media):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "__main__" not in found.name and not found.name.startswith(("media.simulator", "handlers.cli.simulate")):
            importlib.import_module(found.name)
for name, module in list(sys.modules.items()):
    if name.startswith(("ark.", "handlers.", "media.")) and getattr(module, "datetime", None) is true:
        module.datetime = Shifted
"""
"""Every clock of the wall that Python has is so many seconds ahead, and jumps once the file `signal` is there."""
TRUSTING = {"check": False}
"""A medium that does not look at the time of a call."""


def start(
    here: Stage, *more: str, ahead: float = 0, jump: float = 0, signal: Path = Path("/nowhere")
) -> "subprocess.Popen[str]":
    patch = CLOCK.format(ahead=ahead, jump=jump, signal=str(signal))
    return here.ark.spawn(altered(patch, *here.words("gdt.funds", "--no-next", *more)))


def sane(here: Simulated, said: Said, began: float) -> None:
    """The run is done, every cell is where it belongs, and no duration is negative or longer than it was."""
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", len(here.accounts))
    assert here.differences(FUNDS) == (0, 0, 0)
    assert 0 < said.result["seconds"] < time.monotonic() - began
    assert not re.search(r"(rate|eta|seconds)=-", said.err)


def logged(said: Said) -> float:
    """The moment of its first log line, unix seconds: proof that the clock was wrong."""
    line = next(line for line in said.err.splitlines() if " info " in line)
    return datetime.fromisoformat(line.split()[0]).timestamp()


@pytest.mark.parametrize("ahead", [DAY, -DAY])
def test_a_clock_that_is_off_by_a_day_changes_no_cell(stage: Staging, ahead: int) -> None:
    here = stage(100, nonces=TRUSTING)
    began = time.monotonic()
    said = ended(start(here, ahead=ahead))
    sane(here, said, began)
    assert abs(logged(said) - time.time() - ahead) < HOUR
    (version,) = {timestamp for timestamp, _ in here.ark.rows(FUNDS.table).values()}
    assert abs(version / 1000 - time.time() - ahead) < HOUR


def test_a_clock_that_jumps_back_in_mid_run_changes_no_cell(stage: Staging, tmp_path: Path) -> None:
    """Neither does it hold up the quota's windows: those are counted by a clock that only ever grows."""
    here = stage(400, nonces=TRUSTING, latency={"seconds": 0.1}, quota={"minute": {"size": 100, "window": 1}})
    signal = tmp_path / "jump"
    began = time.monotonic()
    running = start(here, jump=-HOUR, signal=signal)
    wait_for(lambda: here.calls()["requests"] > 60)
    signal.touch()
    said = ended(running)
    sane(here, said, began)
    moments = [datetime.fromisoformat(record["@timestamp"]).timestamp() for record in events(here)]
    assert moments[-1] - moments[0] < -HOUR / 2
    assert len({timestamp for timestamp, _ in here.ark.rows(FUNDS.table).values()}) == 1


def events(here: Simulated) -> list[dict[str, str]]:
    path = here.ark.home / "log" / "gdt_api_log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_newer_run_of_an_earlier_clock_is_still_the_newer(ark: Ark, directory: Any) -> None:
    """What was fetched last is what is kept, although the clock of the run before was a day ahead."""
    balances = iter([100, 200, 300])
    medium = hostile(lambda _: [answer(good(CASH | {"balance": next(balances)}))])
    with medium as server, staged(ark, directory, server.url, ["10000001"]) as here:
        for ahead, balance in ((DAY, 100), (0, 200), (-DAY, 300)):
            assert ended(start(here, ahead=ahead)).code == 0
            ((_, value),) = ark.rows(FUNDS.table).values()
            assert value["data"]["balance"] == balance


@pytest.mark.parametrize("ahead", [DAY, -DAY])
def test_what_the_medium_refuses_for_the_clock_is_explained_and_taken_up(stage: Staging, ahead: int) -> None:
    here = stage(20)
    said = ended(start(here, ahead=ahead))
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 0, 20)
    (unit, *_) = here.ark.units(said.result["run_id"]).values()
    assert "clock" in unit["reason"]
    again = here.ark("rerun", said.result["run_id"], "--no-next")
    assert (again.code, again.result["verified"]) == (0, 20)
    assert here.differences(FUNDS) == (0, 0, 0)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Kiritimati", "nonsense"])
def test_the_zone_of_the_machine_changes_no_cell(stage: Staging, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = stage(20)
    monkeypatch.setenv("TZ", zone)
    began = time.monotonic()
    sane(here, here.run(), began)
