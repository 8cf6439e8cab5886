"""What the ledger has seen, on SQLite and on MariaDB."""

from contextlib import closing
from datetime import date

import pytest

from ark.ledger import NewRun, UnitKey, UnitResult, open_ledger
from ark.ledger.history import FOLDED, open_history
from ark.settings import load

DAY = date(2020, 5, 30)
NOON = 1_590_811_200.0
FUNDS, REPORT = "gdt.funds", "gdt.daily_report_ad"
EVERY = [FUNDS, REPORT]


@pytest.fixture
def settings(ark_home, url):
    return load({"ARK_HOME": str(ark_home), "ARK_LEDGER_URL": url})


@pytest.fixture
def clock():
    return [NOON]


@pytest.fixture
def ledger(settings, clock):
    with closing(open_ledger(settings, lambda: clock[0])) as opened:
        yield opened


def ran(ledger, status="done", *units, interface=FUNDS, tenant="T1", agent="7", day=DAY):
    """A run of these units: (account, variant, state)."""
    run = ledger.begin(NewRun(interface, "table", "gdt", tenant, agent, day, "{}", "HBASE"))
    keys = [UnitKey(agent, account, variant) for account, variant, _ in units] or [UnitKey(agent, "1", "")]
    ledger.plan(run.run_id, keys)
    ledger.freeze(run.run_id)
    results = [UnitResult(key, unit[2], "why") for key, unit in zip(keys, units, strict=False)]
    ledger.settle(run.run_id, results or [UnitResult(keys[0], "verified", rows=2, requests=1)])
    ledger.finish(run.run_id, status, 0, 1.5, 0)
    return run.run_id


def test_there_is_no_history_before_there_is_a_ledger_and_none_is_made(settings):
    with open_history(settings) as history:
        assert history.last(FUNDS) == history.of_day(EVERY, "T1", DAY) == []
        assert history.fates(EVERY, "T1", DAY, "1") == history.folded(EVERY, "T1", DAY, ["7"]) == []
    assert list(settings.home.iterdir()) == []
    with closing(open_ledger(settings)):
        pass


def test_the_last_runs_that_ended_well_newest_first(settings, ledger):
    first, second = ran(ledger), ran(ledger, "partial")
    ran(ledger, "stopped")
    other_agent, other_tenant = ran(ledger, agent="8"), ran(ledger, tenant="T2")
    ran(ledger, interface=REPORT)
    with open_history(settings) as history:
        assert [run.run_id for run in history.last(FUNDS, "T1", "7")] == [second, first]
        assert [run.run_id for run in history.last(FUNDS, "T1")] == [other_agent, second, first]
        assert [run.run_id for run in history.last(FUNDS, limit=2)] == [other_tenant, other_agent]
        assert history.last("gdt.nothing") == []


def test_all_runs_of_a_date(settings, ledger):
    mine = [ran(ledger, "failed"), ran(ledger, interface=REPORT, agent="8")]
    ran(ledger, tenant="T2")
    ran(ledger, day=date(2020, 5, 29))
    with open_history(settings) as history:
        assert [run.run_id for run in history.of_day(EVERY, "T1", DAY)] == mine[::-1]
        assert [run.run_id for run in history.of_day([REPORT], "T1", DAY)] == mine[1:]


def test_what_became_of_an_account_the_newest_first(settings, ledger):
    units = [("1", "a", "failed"), ("1", "b", "verified"), ("2", "a", "verified")]
    first = ran(ledger, "partial", *units, interface=REPORT)
    second = ran(ledger, "done", ("1", "a", "verified"), interface=REPORT)
    ran(ledger, "done", ("1", "", "verified"), tenant="T2")
    with open_history(settings) as history:
        fates = history.fates(EVERY, "T1", DAY, "1")
    assert [(each.run_id, each.status, each.unit.key.variant, each.unit.state) for each in fates] == [
        (second, "done", "a", "verified"),
        (first, "partial", "a", "failed"),
        (first, "partial", "b", "verified"),
    ]
    assert fates[1].unit.reason == "why"


def test_an_agent_s_own_unit_is_found_by_the_agent(settings, ledger):
    run_id = ran(ledger, "done", ("", "", "verified"))
    ran(ledger, "done", ("5", "", "verified"))
    with open_history(settings) as history:
        assert [fate.run_id for fate in history.fates(EVERY, "T1", DAY, "7")] == [run_id]
        assert history.fates(EVERY, "T1", DAY, "8") == []


def test_runs_whose_units_were_folded(settings, ledger, clock):
    run_id = ran(ledger, "partial", ("1", "", "verified"), ("2", "", "failed"))
    clock[0] += 30 * 86_400
    assert ledger.prune(7) == 1
    with open_history(settings) as history:
        assert history.fates(EVERY, "T1", DAY, "1") == []
        assert [fate.unit.state for fate in history.fates(EVERY, "T1", DAY, "2")] == ["failed"]
        (folded,) = history.folded(EVERY, "T1", DAY, ["7", "8"])
        assert (folded.run_id, folded.unit.state, folded.unit.key.agent) == (run_id, FOLDED, "7")
        assert history.folded(EVERY, "T1", DAY, ["8"]) == []
