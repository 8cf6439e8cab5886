"""`ark plan`, `ark explain` and `ark quota` around a real run: they foretell it, tell of it, and call no medium."""

import json
import signal
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from tests.acceptance.conftest import BIN, DATE, Ark, Simulated, ended, wait_for

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


def test_the_quota_shows_who_uses_it_now_and_what_it_was_afterwards(stage: Staging) -> None:
    here = stage(300, quota={"minute": {"size": 120, "window": 2}}, latency={"seconds": 0.1})
    here.ark.settings |= {"gdt_client_id": here.tenant, "gdt_window": 2}

    def looked() -> dict[str, Any]:
        return dict(*(view for view in here.ark.json("quota") if view["app"] == here.tenant))

    def shown() -> bool:
        view = looked()
        return bool(view) and view["pace"] > 0 and None not in (view["minute"], view["day"], view["quota"])

    running = here.start("gdt.funds", http_concurrency=4)
    wait_for(shown)
    during, process = looked(), running.pid
    said = ended(running)
    after = looked()

    assert (said.code, said.result["status"]) == (0, "done")
    (user,) = during["users"]
    assert (user["run"], user["pid"], user["interface"]) == (said.result["run_id"], process, "gdt.funds")
    assert (user["tenant"], user["agent"], user["spent"]) == (here.tenant, here.agent, "")
    assert (user["share"], user["lives"]) == (100.0, True)
    assert 0 < user["pace"] == during["pace"] < 60
    assert 0 < user["sent"] < 300
    assert (during["path"], during["interfaces"]) == ("funds/get", ["gdt.funds"])
    assert 0 <= during["minute"] < 100
    assert 0 < during["day"] <= 100
    (user,) = after["users"]
    assert (user["lives"], user["share"], user["pace"], user["sent"]) == (False, 0.0, 0.0, 300)
    assert after["pace"] == 0.0
    assert after["quota"] == pytest.approx(120, rel=0.15)


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
