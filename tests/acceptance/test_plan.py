"""`ark plan`, `ark explain` and `ark quota` around a real run: they foretell it, tell of it, and call no medium."""

import json
import signal
from collections.abc import Callable
from itertools import islice

import pytest

from tests.acceptance.conftest import BIN, DATE, Ark, Simulated, ended

pytestmark = pytest.mark.services

Staging = Callable[..., Simulated]


def test_a_plan_foretells_what_the_run_does(stage: Staging) -> None:
    here = stage(30)
    before = json.loads(here.ark.read("plan", *here.words("gdt.funds")[1:], "--json"))
    assert (before["accounts"], before["forecast"]["calls"], before["standing"]["status"]) == (30, 30, "none")
    assert here.calls()["requests"] == 0
    assert not (here.ark.home / "ledger.sqlite").exists()
    done = here.run("gdt.funds").result
    assert done["requests"] == before["forecast"]["calls"]
    after = json.loads(here.ark.read("plan", *here.words("gdt.funds")[1:], "--json"))
    assert (after["standing"]["status"], after["standing"]["run_id"]) == ("done", done["run_id"])
    assert after["seen"]["requests_per_unit"] == 1
    assert after["forecast"]["seconds"] > 0
    assert [run["run_id"] for run in after["last"]] == [done["run_id"]]
    assert here.calls()["requests"] == done["requests"]


def test_what_is_missing_of_a_tenant_s_day(stage: Staging) -> None:
    here = stage(12, faults=[{"path": "funds/get", "kind": "code", "code": 99001, "share": 0.3}])
    done = here.run("gdt.funds").result
    assert done["status"] == "partial"
    full = json.loads(here.ark.read("plan", "full", "-t", here.tenant, "-d", DATE, "--media", "gdt", "--json"))
    standings = {job["interface"]: job["standing"] for job in full["jobs"]}
    assert standings["gdt.funds"]["status"] == "partial"
    assert standings["gdt.funds"]["failed"] == done["failed"]
    assert standings["gdt.daily_report_ad"]["status"] == "none"
    assert {job["accounts"] for job in full["jobs"] if job["interface"] != "gdt.advertisers"} == {12}


def test_a_failed_account_is_explained_without_its_token(stage: Staging) -> None:
    here = stage(8, faults=[{"path": "funds/get", "kind": "code", "code": 99001}])
    token = here.media.directory()[0]["token"]
    done = here.run("gdt.funds").result
    calls = here.calls()["requests"]
    shown = here.ark.read("explain", here.accounts[0], "-t", here.tenant, "-d", DATE)
    assert f"failed in {done['run_id']}" in shown
    assert "code 99001" in shown
    assert token not in shown
    told = json.loads(here.ark.read("explain", here.accounts[0], "-t", here.tenant, "-d", DATE, "--json"))
    assert token not in json.dumps(told)
    assert here.calls()["requests"] == calls


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_watched_quota_ends_on_ctrl_c(ark: Ark, how: tuple[str, ...]) -> None:
    process = ark.start("quota", "--watch", *how)
    assert process.stdout is not None
    assert len([*islice(process.stdout, 2)]) == 2
    process.send_signal(signal.SIGINT)
    said = ended(process)
    assert (said.code, said.err.split()) == (130, ["ark:", "interrupted"])


def test_a_watched_quota_ends_when_nobody_reads_it(ark: Ark) -> None:
    said = ended(ark.spawn(["bash", "-c", f"set -o pipefail; {BIN} quota --watch | head -n 1"]))
    assert (said.code, len(said.out.splitlines()), said.err) == (0, 1, "")


def test_a_redis_that_is_away_is_told_in_one_line(ark: Ark) -> None:
    said = ark("quota", redis_url="redis://127.0.0.1:1")
    assert (said.code, said.out, len(said.err.splitlines())) == (69, "", 1)
