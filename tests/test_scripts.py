"""bin/demo and bin/chaos: they come to their end, and however they end, nothing of them is left."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
HOME = re.compile(r"ARK_HOME=(\S+)")


def started() -> subprocess.Popen[str]:
    """The demo with the signals of a terminal, whatever those of this process are."""
    return subprocess.Popen(
        [CHECKOUT / "bin" / "demo"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )


def processes(word: str) -> Iterator[str]:
    """The command lines, and the environments, that hold this word."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours
        if word.encode() in text:
            yield f"{process.name} {text[:200]!r}"


def test_the_demo_comes_to_its_end():
    with started() as demo:
        told = demo.communicate()[0]
    assert demo.returncode == 0, told[-3000:]
    stored = re.findall(r"(\d+) stored +(\d+) served", told)
    assert len(stored) == 3
    assert all(ours == theirs for ours, theirs in stored)
    check_nothing_is_left(HOME.search(told)[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["$ ark doctor", "$ ark rerun"])
def test_an_interrupted_demo_leaves_nothing(number, moment):
    with started() as demo:
        told = ""
        for line in demo.stdout:
            told += line
            if line.startswith(moment):
                os.kill(demo.pid, number)
                break
        demo.communicate()
    assert demo.returncode == 128 + number
    check_nothing_is_left(HOME.search(told)[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_chaos_leaves_nothing(number):
    """Its homes, its Redis, its simulator and the run that it was about to kill are under TMPDIR, or know of it."""
    command = [CHECKOUT / "bin" / "chaos", "--points", "1000", "--seed", "1"]
    mine = tempfile.mkdtemp(prefix="ark-")
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": mine},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    ) as chaos:
        assert any(line.startswith("1: ") for line in chaos.stderr)
        os.kill(chaos.pid, number)
        chaos.communicate()
    assert chaos.returncode == 128 + number
    assert list(processes(mine)) == []
    Path(mine).rmdir()


def test_chaos_explains_itself():
    shown = subprocess.run([CHECKOUT / "bin" / "chaos", "--help"], capture_output=True, text=True, check=True)
    assert all(word in shown.stdout for word in ("--points", "--seed", "--services", "exit code"))


def check_nothing_is_left(home: str) -> None:
    assert Path(home).is_relative_to("/tmp")
    assert not Path(home).exists()
    assert list(processes(home)) == []
