"""The media's body codes and what a run makes of them: wait, retry, later, skip, a new token, or a failed unit."""

import threading
import time
from collections.abc import Callable

from tests.acceptance.conftest import DAILY, FUNDS, Simulated, ended, wait_for

Staging = Callable[..., Simulated]


def states(here: Simulated, run_id: str) -> dict[str, set[str]]:
    """State -> the accounts in it."""
    found: dict[str, set[str]] = {}
    for account, unit in here.ark.units(run_id).items():
        found.setdefault(unit["state"], set()).add(account)
    return found


def test_every_tenth_account_is_refused_for_ever_and_the_run_ends_all_the_same(stage: Staging) -> None:
    here = stage(60, faults=[{"kind": "code", "code": 11017, "share": 0.1}])
    said = here.run(gdt_window=0.2)
    told = said.result
    units = here.ark.units(told["run_id"])
    refused = {account for account, unit in units.items() if unit["state"] == "failed"}
    assert 0 < len(refused) < 20
    assert (said.code, told["status"], told["verified"]) == (3, "partial", 60 - len(refused))
    assert all(unit["state"] == "verified" and unit["requests"] == 1 for a, unit in units.items() if a not in refused)
    for account in refused:
        assert "11017" in units[account]["reason"]
        assert "refused in" in units[account]["reason"]
        assert "tries" not in units[account]["reason"]
        assert units[account]["requests"] > 3  # more often than http.attempts: a refusal is no try
    assert told["refused"] == here.calls()["fault_kinds"]["code"]
    assert f" calls, {told['refused']} refused by the quota, " in said.err
    assert {key.split("|")[2] for key in here.ark.rows(FUNDS.table)} == set(here.accounts) - refused


def test_the_quota_of_everybody_fails_nobody(stage: Staging) -> None:
    here = stage(150, quota={"minute": {"size": 60, "window": 1}})
    said = here.run()
    assert (said.code, said.result["status"], said.result["failed"]) == (0, "done", 0)
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_busy_system_is_asked_again_and_an_unknown_code_is_not(stage: Staging) -> None:
    busy, unknown, dead = [
        {"kind": "code", "code": code, "attempts": tries} for code, tries in ((10000, 2), (424242, 0), (10000, 0))
    ]
    here = stage(12)
    some = here.accounts
    here.change(
        faults=[
            busy | {"accounts": some[:3]},
            unknown | {"accounts": some[3:5]},
            dead | {"accounts": some[5:6]},
        ]
    )
    said = here.run()
    units = here.ark.units(said.result["run_id"])
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 9, 3)
    assert {units[account]["requests"] for account in some[:3]} == {3}
    for account in some[3:5]:
        assert (units[account]["state"], units[account]["requests"]) == ("failed", 1)
        assert "424242" in units[account]["reason"]
    assert (units[some[5]]["state"], units[some[5]]["requests"]) == ("failed", 3)
    assert "10000" in units[some[5]]["reason"]


def test_a_medium_that_says_the_day_is_spent_is_believed_and_the_rest_is_for_tomorrow(stage: Staging) -> None:
    here = stage(60)
    here.change(faults=[{"kind": "code", "code": 11018, "accounts": here.accounts[25:]}])
    said = here.run(http_concurrency=5)
    told = said.result
    assert (said.code, told["status"], told["failed"]) == (75, "stopped", 0)
    assert 0 < told["refused"] <= 5
    left = states(here, told["run_id"])
    assert len(left["planned"]) == 60 - told["verified"]
    assert "11018" in said.err
    assert "after 00:00 Asia/Shanghai" in said.err

    here.change(faults=[])  # the next day
    here.media.clear_stats()
    again = here.ark("rerun", told["run_id"])

    assert (again.code, again.result["status"], again.result["verified"]) == (0, "done", 60)
    assert here.calls()["requests"] == 60 - told["verified"]
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_token_that_expires_in_mid_run_is_read_again_once(stage: Staging) -> None:
    """Fifty calls in parallel are refused; a new token is in Redis by then."""
    here = stage(400, latency={"seconds": 0.1})
    (agent,) = here.media.directory()
    key = f"gdt_new_access_token_{here.tenant}"
    reads = Reads(here, key)
    running = here.start()
    with reads:
        wait_for(lambda: here.calls()["requests"] > 60)
        here.redis.delete(key)
        here.redis.zadd(key, {"the-new-token": int(here.agent)})
        here.change(agents=[{"tenant": here.tenant, "id": here.agent, "accounts": 400, "token": "the-new-token"}])
        said = ended(running)
    assert agent["token"] != "the-new-token"
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 400)
    assert here.calls()["codes"]["11002"] <= 50
    assert reads.count == 2
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_token_that_stays_refused_fails_its_agent_plainly(stage: Staging) -> None:
    here = stage(300, tokens={"life": 86400})
    here.change(agents=[{"tenant": here.tenant, "id": here.agent, "accounts": 300, "token_age": 90_000}])
    said = here.run()
    told = said.result
    assert (said.code, told["status"], told["failed"]) == (77, "failed", 300)
    assert here.calls()["codes"].keys() == {"11000"}
    assert here.calls()["requests"] <= 150  # those in flight, each tried once more, and a few drawn meanwhile
    (unit, *_) = here.ark.units(told["run_id"]).values()
    assert f"gdt_new_access_token_{here.tenant}" in unit["reason"]


def test_no_token_at_all_is_told_with_the_key(stage: Staging) -> None:
    here = stage(5)
    here.redis.delete(f"gdt_new_access_token_{here.tenant}")
    said = here.run()
    assert (said.code, said.result["failed"], here.calls()["requests"]) == (77, 5, 0)
    assert f"gdt_new_access_token_{here.tenant}" in next(iter(here.ark.units(said.result["run_id"]).values()))["reason"]


def test_pages_and_time_lines_come_whole(stage: Staging) -> None:
    """Reports of several pages in three time lines, with a few troubles on the way."""
    here = stage(8, latency={"seconds": 0.01})
    here.change(
        objects={"ads": [0, 3], "of": {here.accounts[0]: 2100}, "delivery": 1},
        faults=[
            {"kind": "code", "code": 51001, "pages": [2], "attempts": 1},
            {"kind": "status", "status": 502, "pages": [3], "attempts": 1},
        ],
    )
    said = here.run("gdt.daily_report_ad")
    assert (said.code, said.result["planned"], said.result["verified"]) == (0, 24, 24)
    assert here.differences(DAILY) == (0, 0, 0)
    assert said.result["rows"] == len(here.truth(DAILY)) > 6300


class Reads:
    """Counts how often Redis is asked for the tokens, as MONITOR tells."""

    def __init__(self, here: Simulated, key: str) -> None:
        self.count = 0
        self._key = key
        self._here = here

    def __enter__(self) -> None:
        self._monitor = self._here.redis.monitor()
        self._monitor.__enter__()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._here.redis.set(f"end of {self._key}", "", ex=1)
        self._thread.join(10)
        self._monitor.__exit__(None, None, None)

    def _count(self) -> None:
        for command in self._monitor.listen():
            words = command["command"].split()
            if words[0].upper() == "SET":
                return
            self.count += words[0].upper() == "ZRANGEBYSCORE" and words[1] == self._key


def test_a_deadline_stops_cleanly_and_the_rest_is_taken_up(stage: Staging) -> None:
    here = stage(100, latency={"seconds": 0.2})
    began = time.monotonic()
    said = here.run(run_deadline=1, http_concurrency=5)
    assert time.monotonic() - began < 15
    told = said.result
    assert (said.code, told["status"], told["failed"]) == (75, "stopped", 0)
    assert 0 < told["verified"] < 100
    here.change(latency=None)
    assert here.ark("rerun", told["run_id"]).result["verified"] == 100
    assert here.differences(FUNDS) == (0, 0, 0)
