"""jrtt.account_info asks for a hundred accounts at a time: one that is forbidden costs few calls and nobody else."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ark.ledger import Run
from ark.observers.alerts import NoAlerts
from handlers import fetcher, observers
from tests.acceptance.conftest import Ark, wait_for
from tests.interface_check import AGENT, DAY, FIRST_ID, Desk
from tests.media_server import CLOSE, Call, Door, Medium, Script, serve

if TYPE_CHECKING:
    import subprocess

PATH = "/open_api/2/advertiser/info/"
TABLE = "tenant_jrtt_advertiser_info_v2"
BATCH = 100
ONE_OF_A_HUNDRED = 1 + 2 * 7
"""Calls until the one forbidden account of a hundred is alone: both halves, seven times."""


def ids(count: int) -> list[str]:
    return [str(FIRST_ID + number) for number in range(count)]


def record(account: str) -> bytes:
    return b'{"id":%b,"name":"adv","balance":1.10}' % account.encode()


def door(accounts: Iterable[str]) -> Door:
    return Door(PATH, {account: [record(account)] for account in accounts}, shape="batch")


def laid_out(desk: Desk, medium: Medium, accounts: Iterable[str]) -> None:
    desk.at(medium)
    desk.token("jrtt", AGENT)
    desk.give(f"jrtt_accounts_v2_{desk.tenant}_{DAY}", list(accounts), AGENT)


def pulled(desk: Desk, medium: Medium, accounts: Iterable[str]) -> Run:
    laid_out(desk, medium, accounts)
    run = desk.run("jrtt.account_info")
    assert not medium.wrong
    assert run.planned == run.verified + run.failed + run.skipped
    assert sum(unit.requests for unit in desk.units(run)) == run.requests == len(medium.calls)
    return run


def states(desk: Desk, run: Run) -> dict[str, set[str]]:
    """State -> its accounts."""
    found: dict[str, set[str]] = {}
    for unit in desk.units(run):
        found.setdefault(unit.state, set()).add(unit.key.account)
    return found


def stored(desk: Desk) -> dict[str, bytes]:
    return {key.split("|")[2]: each for key, each in desk.stored(TABLE).items()}


def asked(medium: Medium) -> Counter[str]:
    return Counter(account for call in medium.calls for account in call.ids)


@pytest.mark.parametrize(("accounts", "calls"), [(1, 1), (99, 1), (100, 1), (101, 2), (250, 3), (1050, 11)])
def test_a_call_asks_for_a_hundred(desk, accounts, calls):
    with serve(door(ids(accounts))) as medium:
        run = pulled(desk, medium, ids(accounts))
    assert (run.status, run.exit_code, run.verified) == ("done", 0, accounts)
    assert stored(desk) == {account: record(account) for account in ids(accounts)}
    assert len(medium.calls) == calls
    assert set(asked(medium).values()) == {1}
    assert all(len(call.ids) <= BATCH for call in medium.calls)


@pytest.mark.parametrize("place", [0, 49, 50, 99])
def test_one_forbidden_account_is_skipped_and_99_are_verified(desk, place):
    bad = ids(BATCH)[place]
    with serve(door(ids(BATCH)), forbidden={bad}) as medium:
        run = pulled(desk, medium, ids(BATCH))
    assert (run.status, run.exit_code) == ("done", 0)
    assert states(desk, run) == {"verified": set(ids(BATCH)) - {bad}, "skipped": {bad}}
    assert desk.unit(run, bad).reason.startswith("code 40002: no permission for this account")
    assert stored(desk).keys() == set(ids(BATCH)) - {bad}
    assert len(medium.calls) <= ONE_OF_A_HUNDRED


def test_several_forbidden_accounts_in_several_batches(desk):
    bad = {ids(250)[place] for place in (0, 1, 77, 130, 249)}
    with serve(door(ids(250)), forbidden=bad) as medium:
        run = pulled(desk, medium, ids(250))
    assert states(desk, run) == {"verified": set(ids(250)) - bad, "skipped": bad}
    assert len(medium.calls) <= 3 + 2 * 7 * len(bad)


def test_where_all_are_forbidden_all_are_skipped(desk):
    with serve(door(ids(BATCH)), forbidden=set(ids(BATCH))) as medium:
        run = pulled(desk, medium, ids(BATCH))
    assert (run.status, run.exit_code, run.skipped) == ("done", 0, BATCH)
    assert len(medium.calls) == 2 * BATCH - 1


@pytest.fixture
def alarms(monkeypatch):
    """The kinds that were reported to Sentry."""
    kinds: list[str] = []

    class Alarms(NoAlerts):
        def failure(self, kind: str, *_: object, **__: object) -> None:
            kinds.append(kind)

    monkeypatch.setattr(observers, "open_alerts", lambda *_: Alarms())
    return kinds


@pytest.mark.parametrize(("accounts", "forbidden", "told"), [(2, 2, True), (2, 1, False), (1, 1, False)])
def test_a_run_that_skips_everybody_is_told(desk, alarms, accounts, forbidden, told):
    """One account may be closed; where it is all of them, the agent or its token is the wrong one."""
    with serve(door(ids(accounts)), forbidden=set(ids(accounts)[:forbidden])) as medium, capture_logs() as lines:
        run = pulled(desk, medium, ids(accounts))
    assert (run.status, run.exit_code, run.skipped) == ("done", 0, forbidden)
    assert alarms == ["AllSkipped"] * told
    warnings = [(line["log_level"], line["skipped"]) for line in lines if line["event"] == observers.ALL_SKIPPED]
    assert warnings == [("warning", accounts)] * told


def unless(bad: set[str], answer: object) -> Script:
    """A script that answers so wherever one of these accounts is asked for."""
    return lambda call: answer if bad.intersection(call.ids) else None


@pytest.mark.parametrize("code", [40000, 40001, 424242])
def test_a_code_for_one_account_fails_it_alone(desk, code):
    bad = {ids(BATCH)[37]}
    with serve(door(ids(BATCH)), script=unless(bad, code)) as medium:
        run = pulled(desk, medium, ids(BATCH))
    assert (run.status, run.exit_code) == ("partial", 3)
    assert states(desk, run) == {"verified": set(ids(BATCH)) - bad, "failed": bad}
    assert f"code {code}" in desk.unit(run, *bad).reason
    assert len(medium.calls) <= ONE_OF_A_HUNDRED


def test_an_account_that_is_missing_in_the_answer_fails_alone_and_at_once(desk):
    missing = {ids(250)[120], ids(250)[121]}
    with serve(door(set(ids(250)) - missing)) as medium:
        run = pulled(desk, medium, ids(250))
    assert (run.status, run.exit_code) == ("partial", 3)
    assert states(desk, run) == {"verified": set(ids(250)) - missing, "failed": missing}
    assert all(f"no record of account {each}" in desk.unit(run, each).reason for each in missing)
    assert len(medium.calls) == 3


@pytest.mark.parametrize("kind", ["foreign", "doubled"])
def test_a_record_too_many_fails_the_account_that_brings_it(desk, kind):
    bad = ids(BATCH)[5]
    served = door(ids(BATCH))
    more = record(bad) if kind == "doubled" else b'{"id":4711,"name":"stranger"}'
    served.records = {**served.records, bad: [record(bad), more]}
    with serve(served) as medium:
        run = pulled(desk, medium, ids(BATCH))
    assert (run.status, run.exit_code) == ("partial", 3)
    assert states(desk, run) == {"verified": set(ids(BATCH)) - {bad}, "failed": {bad}}
    assert stored(desk) == {account: record(account) for account in ids(BATCH) if account != bad}
    assert len(medium.calls) <= ONE_OF_A_HUNDRED


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"code":0}', b'{"code":0,"data":{"list":3}}', b'{"code":"0","data":[]}']
)
def test_a_body_that_is_no_answer_fails_the_account_that_brings_it(desk, body):
    bad = {ids(10)[3]}
    with serve(door(ids(10)), script=unless(bad, body)) as medium:
        run = pulled(desk, medium, ids(10))
    assert states(desk, run) == {"verified": set(ids(10)) - bad, "failed": bad}


def test_a_refused_token_fails_all_with_few_calls(desk):
    with serve(door(ids(250)), refused_tokens={f"token-of-{AGENT}"}) as medium:
        run = pulled(desk, medium, ids(250))
    assert (run.status, run.exit_code, run.failed) == ("failed", 77, 250)
    assert len(medium.calls) <= 6


def first(calls: int, answer: object) -> Script:
    """A script that answers so for the first calls."""
    seen: list[Call] = []

    def script(call: Call) -> object:
        seen.append(call)
        return answer if len(seen) <= calls else None

    return script


@pytest.mark.parametrize("answer", [50000, 40100, CLOSE], ids=["system error", "too frequent", "closed"])
def test_trouble_on_the_way_splits_no_batch(desk, answer):
    with serve(door(ids(BATCH)), script=first(2, answer)) as medium:
        run = pulled(desk, medium, ids(BATCH))
    assert (run.status, run.exit_code, run.verified) == ("done", 0, BATCH)
    assert [len(call.ids) for call in medium.calls] == [BATCH] * 3


def test_one_account_that_the_medium_cannot_bear_fails_alone(desk):
    bad = {ids(20)[7]}
    with serve(door(ids(20)), script=unless(bad, 50000)) as medium:
        desk.set(http_attempts=2)
        run = pulled(desk, medium, ids(20))
    assert (run.status, run.exit_code) == ("partial", 3)
    assert states(desk, run) == {"verified": set(ids(20)) - bad, "failed": bad}
    assert "code 50000" in desk.unit(run, *bad).reason


def test_a_medium_that_bears_nobody_is_given_up_after_few_calls(desk):
    """The whole batch has all its tries, the parts that it is cut into have one each."""
    attempts, accounts = 3, ids(20)
    with serve(door(accounts), script=lambda _: 50000) as medium:
        desk.set(http_attempts=attempts)
        run = pulled(desk, medium, accounts)
    assert (run.status, run.exit_code, run.failed) == ("failed", 3, len(accounts))
    assert len(medium.calls) <= attempts + 2 * len(accounts)
    assert [len(call.ids) for call in medium.calls].count(len(accounts)) == attempts


def test_trouble_on_the_way_that_lasts_fails_the_batch_unsplit(desk):
    with serve(door([*ids(BATCH), "7"]), script=unless(set(ids(BATCH)), CLOSE)) as medium:
        desk.set(http_attempts=2)
        run = pulled(desk, medium, [*ids(BATCH), "7"])
    assert (run.status, run.exit_code, run.verified, run.failed) == ("partial", 3, 1, BATCH)
    assert sorted(len(call.ids) for call in medium.calls) == [1, BATCH, BATCH]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_wrong_with_some_only_they_end_so(desk, monkeypatch, seed):
    monkeypatch.setattr(fetcher, "FIRST_BACKOFF", 0.01)
    chance = random.Random(seed)
    accounts = ids(230)
    bad = {each: chance.choice([40001, 50000, 40002, "missing", "doubled"]) for each in chance.sample(accounts, 9)}
    served = door(account for account in accounts if bad.get(account) != "missing")
    twice = {each: [record(each)] * 2 for each, kind in bad.items() if kind == "doubled"}
    served.records = {**served.records, **twice}

    def script(call: Call) -> object:
        if chance.random() < 0.1:
            return 40100
        return next((bad[each] for each in call.ids if bad.get(each) in {40001, 50000}), None)

    with serve(served, script=script, forbidden={each for each, kind in bad.items() if kind == 40002}) as medium:
        desk.set(http_attempts=2)
        run = pulled(desk, medium, accounts)
    skipped = {each for each, kind in bad.items() if kind == 40002}
    found = states(desk, run)
    assert found["verified"] == set(accounts) - set(bad)
    assert found.get("skipped", set()) == skipped
    assert found.get("failed", set()) == set(bad) - skipped
    assert stored(desk).keys() >= found["verified"]
    assert not any("bug" in unit.reason for unit in desk.units(run))


def test_a_rerun_asks_only_for_what_failed(desk):
    bad = {ids(250)[3], ids(250)[203]}
    with serve(door(ids(250)), script=unless(bad, 40001)) as medium:
        run = pulled(desk, medium, ids(250))
        assert states(desk, run)["failed"] == bad
        medium.script = lambda _: None
        medium.calls.clear()
        again = desk.rerun(run)
    assert (again.status, again.exit_code, again.verified) == ("done", 0, 250)
    assert [set(call.ids) for call in medium.calls] == [bad]
    assert stored(desk) == {account: record(account) for account in ids(250)}


def test_after_a_kill_only_open_accounts_are_asked_for(desk):
    """A process of its own, killed in its third batch; what was in the ledger by then is not asked for again."""
    third, release = threading.Event(), threading.Event()

    def script(_call: Call) -> None:
        if len(medium.calls) > 2:
            third.set()
            release.wait(60)

    with serve(door(ids(400)), script=script) as medium:
        laid_out(desk, medium, ids(400))
        desk.set(http_concurrency=1)
        process = start(desk, "run", "jrtt.account_info", desk.argument(), "--all", "--no-next")
        assert third.wait(30)
        wait_for(lambda: len(verified(desk)) == 2 * BATCH)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        release.set()
        done = verified(desk)
        medium.calls.clear()
        (run,) = desk.runs()
        again = desk.rerun(run)
    assert (again.status, again.exit_code, again.verified, again.rows) == ("done", 0, 400, 400), again.error
    assert asked(medium) == dict.fromkeys(set(ids(400)) - done, 1)
    assert stored(desk) == {account: record(account) for account in ids(400)}


def verified(desk: Desk) -> set[str]:
    """Accounts that the ledger has as verified by now."""
    return states(desk, desk.runs()[0]).get("verified", set())


def start(desk: Desk, *words: str) -> "subprocess.Popen[str]":
    settings = {name.removeprefix("ARK_"): value for name, value in desk.environ.items() if name != "ARK_HOME"}
    return Ark(desk.home, **settings).start(*words)
