"""A machine that has no file or port left for a call: that is no fault of the medium, and costs no unit a try."""

import resource
import time
from typing import Any

import pytest

from tests.acceptance.conftest import BIN, CASH, Ark, ended, staged, wait_for
from tests.acceptance.test_http_faults import check_all_are_stored, numbered
from tests.hostile import CLOSE, answer, good, hostile

LAST = answer(good(CASH), headers={"Connection": "close"})
"""After which a socket of its own is needed for the next call."""


def starve(pid: int, seconds: float) -> None:
    """For so long the process can open no file: that is the fault, and it lasts by the clock of its machine."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, 4096))
    time.sleep(seconds)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))


@pytest.mark.parametrize(("soft", "hard", "fewer"), [(40, 4096, False), (96, 96, True), (64, 64, True)])
def test_calls_are_as_many_as_there_may_be_open_files(
    ark: Ark, directory: Any, soft: int, hard: int, fewer: bool
) -> None:
    accounts = numbered(300)
    with hostile(lambda _: (0.05, LAST, CLOSE)) as server, staged(ark, directory, server.url, accounts) as here:
        command = ["prlimit", f"--nofile={soft}:{hard}", BIN, *here.words("gdt.funds", "--no-next")]
        said = ended(ark.spawn(command))
        assert (said.code, said.result["verified"], len(server.calls)) == (0, 300, 300)
        assert ("ulimit -n" in said.err) == fewer
        check_all_are_stored(here)


def test_no_file_left_in_mid_run_is_waited_for(ark: Ark, directory: Any) -> None:
    accounts = numbered(400)
    with hostile(lambda _: (0.1, LAST, CLOSE)) as server, staged(ark, directory, server.url, accounts) as here:
        command = ["prlimit", "--nofile=1024:4096", BIN, *here.words("gdt.funds", "--no-next")]
        running = ark.spawn(command, http_concurrency=20)
        wait_for(lambda: len(server.calls) > 60)
        starve(running.pid, 2.5)
        said = ended(running)
        assert (said.code, said.result["verified"]) == (0, 400)
        assert said.result["requests"] == len(server.calls) == 400
        assert said.err.count("a call cannot be sent from this machine") == 1
        check_all_are_stored(here)


def test_no_file_left_for_longer_than_the_patience_ends_the_run_and_says_why(ark: Ark, directory: Any) -> None:
    with hostile(lambda _: (0.1, LAST, CLOSE)) as server, staged(ark, directory, server.url, numbered(4000)) as here:
        command = ["prlimit", "--nofile=1024:4096", BIN, *here.words("gdt.funds", "--no-next")]
        running = ark.spawn(command, http_concurrency=20, http_patience=3)
        wait_for(lambda: len(server.calls) > 60)
        starve(running.pid, 6)
        said = ended(running)
        assert (said.code, said.result["failed"]) == (69, 0)
        assert "does not answer" not in said.err
        assert "ulimit -n" in said.err
