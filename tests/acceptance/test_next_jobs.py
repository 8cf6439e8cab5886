"""What follows a run: started once in effect, told where it is still to be started, refused to whoever comes second."""

import json
from contextlib import contextmanager

import pytest

from tests.acceptance.conftest import FUNDS, Simulated, wait_for

UNKNOWN_CODE = 987654
FOLLOWERS = ["gdt.daily_report_ad", "gdt.hourly_report_ad"]
PARTIAL = [{"kind": "code", "code": UNKNOWN_CODE, "share": 0.3, "path": "funds/get"}]


def listed(here: Simulated) -> dict[str, list[str]]:
    """Interface -> the statuses of its runs, oldest first."""
    runs: dict[str, list[str]] = {}
    for run in reversed(json.loads(here.ark.read("runs", "--json"))):
        runs.setdefault(run["interface"], []).append(run["status"])
    return runs


def test_a_partial_run_starts_nothing_until_it_is_whole(stage):
    here = stage(10, faults=PARTIAL)
    first = here.ark(*here.words("gdt.funds"))
    assert (first.code, first.result["status"], first.result["next"]) == (3, "partial", [])
    assert listed(here) == {"gdt.funds": ["partial"]}
    here.change(faults=[])
    again = here.ark("rerun", first.result["run_id"])
    assert (again.code, again.result["next"]) == (0, FOLLOWERS)
    assert listed(here) == {"gdt.funds": ["done"], **{name: ["done"] for name in FOLLOWERS}}


def test_a_partial_run_starts_what_follows_where_it_is_told_to_and_again_when_it_is_whole(stage):
    here = stage(10, faults=PARTIAL)
    first = here.ark(*here.words("gdt.funds", "--trigger-on-partial"))
    assert (first.code, first.result["status"], first.result["next"]) == (3, "partial", FOLLOWERS)
    assert listed(here) == {"gdt.funds": ["partial"], **{name: ["done"] for name in FOLLOWERS}}
    still = here.ark("rerun", first.result["run_id"], "--trigger-on-partial")
    assert still.code == 3
    assert listed(here) == {"gdt.funds": ["partial"], **{name: ["done"] for name in FOLLOWERS}}
    here.change(faults=[])
    assert here.ark("rerun", first.result["run_id"]).code == 0
    assert listed(here) == {"gdt.funds": ["done"], **{name: ["done", "done"] for name in FOLLOWERS}}
    assert here.differences() == (0, 0, 0)


@contextmanager
def at_work(here: Simulated, interface: str):
    """Another process works on `interface`, all its calls under way, for as long as this lasts; its pid."""
    here.change(latency={"seconds": 20.0})
    other = here.start(interface)
    wait_for(lambda: "gdt" in here.media.stats()["media"])
    here.change(latency={"seconds": 0.0})
    try:
        yield other.pid
    finally:
        other.kill()
        other.communicate()


@pytest.mark.parametrize("dispatch", ["inprocess", "subprocess"])
def test_a_next_job_that_somebody_else_works_on_is_still_to_be_started_and_that_is_told(stage, dispatch):
    here = stage(10)
    with at_work(here, FOLLOWERS[0]):
        first = here.ark(*here.words("gdt.funds"), next_dispatch=dispatch)
        told = first.result
        assert (first.code, told["status"], told["pending"]) == (3, "done", 1)
        assert told["rerun"] == f"ark rerun {told['run_id']}"
        (shown,) = [run for run in json.loads(here.ark.read("runs", "--json")) if run["run_id"] == told["run_id"]]
        assert (shown["status"], shown["exit"], shown["pending"]) == ("done", 0, 1)
    here.media.clear_stats()
    again = here.ark("rerun", told["run_id"], next_dispatch=dispatch)
    assert again.code == 0
    assert "pending" not in again.result
    assert here.calls("funds/get")["requests"] == 0
    assert listed(here) == {"gdt.funds": ["done"], FOLLOWERS[0]: ["running", "done"], FOLLOWERS[1]: ["done"]}


def test_a_second_start_ends_with_75_and_names_the_holder(stage):
    here = stage(10)
    with at_work(here, "gdt.funds") as pid:
        second = here.run()
        assert (second.code, second.out) == (75, "")
        assert f"is being worked on by process {pid} on " in second.err
        assert "--wait" in second.err
    assert here.run().code == 0
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_second_start_that_waits_gets_in_when_the_first_is_gone(stage):
    here = stage(10)
    with at_work(here, "gdt.funds") as pid:
        waiting = here.start("gdt.funds", "--wait")
        for line in waiting.stderr:
            if f"is being worked on by process {pid}" in line:
                break
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert json.loads(out.splitlines()[-1].removeprefix("ARK_RESULT "))["status"] == "done"
    assert here.differences(FUNDS) == (0, 0, 0)
