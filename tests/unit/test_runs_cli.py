import json
from contextlib import closing
from datetime import date

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ark.errors import UsageError
from ark.ledger import NewRun, Run, Trigger, UnitKey, UnitResult, open_ledger
from ark.report import result, result_line
from ark.settings import load
from handlers.cli import runs as module

NEW = NewRun("gdt.funds", "tenant_gdt_funds_get_v2", "gdt", "T100117", "1050262", date(2020, 5, 30), "{}", "HBASE")
NOON = 1_590_811_200.0
ONE, TWO, THREE = (UnitKey("1050262", str(account), "") for account in (1, 2, 3))

FINISHED = Run(
    **NEW._asdict(),
    run_id="20200530T040000-1f2e3d4c",
    status="partial",
    exit_code=3,
    version=1,
    started_at=0,
    finished_at=1,
    host="h",
    pid=1,
    attempt=1,
    frozen=True,
    planned=7,
    verified=5,
    failed=1,
    skipped=1,
    rows=14,
    requests=9,
    refused=2,
    bytes=5040,
    seconds=1.2345,
    next=[],
    error="",
)


@pytest.fixture
def settings(ark_home):
    return load({"ARK_HOME": str(ark_home)})


@pytest.fixture
def ledger(settings):
    with closing(open_ledger(settings, lambda: NOON)) as opened:
        yield opened


@pytest.fixture
def run_id(ledger):
    """A run of three units: one verified, one failed, one that nothing has become of."""
    run = ledger.begin(NEW)
    ledger.plan(run.run_id, [ONE, TWO, THREE])
    ledger.freeze(run.run_id)
    reason = "code 11000 (系统错误)\tagain"
    ledger.settle(run.run_id, [UnitResult(ONE, "verified", "", 2, 2, 1), UnitResult(TWO, "failed", reason, trace="t")])
    return run.run_id


@pytest.fixture
def call(settings):
    def called(command, *words):
        done = CliRunner().invoke(command, words, obj=settings)
        if isinstance(done.exception, UsageError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return called


def test_the_result_line_has_the_keys_of_the_contract():
    line = result_line(FINISHED)
    assert line.startswith('ARK_RESULT {"v":1,"run_id":"20200530T040000-1f2e3d4c","interface":"gdt.funds",')
    assert json.loads(line.removeprefix("ARK_RESULT ")) == {
        "v": 1,
        "run_id": "20200530T040000-1f2e3d4c",
        "interface": "gdt.funds",
        "status": "partial",
        "exit": 3,
        "planned": 7,
        "verified": 5,
        "failed": 1,
        "skipped": 1,
        "rows": 14,
        "requests": 9,
        "refused": 2,
        "seconds": 1.23,
        "next": [],
        "rerun": "ark rerun 20200530T040000-1f2e3d4c",
    }


@pytest.mark.parametrize(
    ("change", "offered"),
    [
        ({"verified": 6, "failed": 0, "status": "done"}, False),
        ({"verified": 6, "failed": 0, "status": "failed"}, True),
        ({"verified": 6}, True),
        ({"verified": 5, "failed": 0}, True),
        ({"planned": 0, "verified": 0, "failed": 0, "skipped": 0, "frozen": False}, True),
    ],
)
def test_a_rerun_is_offered_where_something_is_left_to_do(change, offered):
    assert ("rerun" in result(msgspec.structs.replace(FINISHED, **change))) is offered


@given(st.lists(st.text(max_size=300)))
def test_the_result_line_is_short_and_has_one_closing_bracket_less(names):
    line = result_line(msgspec.structs.replace(FINISHED, next=names))
    told = json.loads(line.removeprefix("ARK_RESULT "))
    assert len(line) < 4_000
    assert "\n" not in line
    assert ")" not in line
    assert told["next"] == names[: len(names) - told.get("next_left_out", 0)]


def test_show_json_is_the_document_of_the_contract(call, run_id):
    shown = json.loads(call(module.show, run_id, "--json"))
    assert {
        key: shown["run"][key] for key in ("run_id", "status", "exit", "planned", "verified", "failed", "rows")
    } == {
        "run_id": run_id,
        "status": "running",
        "exit": None,
        "planned": 3,
        "verified": 1,
        "failed": 1,
        "rows": 2,
    }
    unit = {"agent": "1050262", "variant": "", "reason": "", "rows": 0, "requests": 0, "trace": ""}
    assert shown["units"] == [
        unit | {"account": "1", "state": "verified", "rows": 2, "requests": 1},
        unit | {"account": "2", "state": "failed", "reason": "code 11000 (系统错误) again", "trace": "t"},
        unit | {"account": "3", "state": "planned"},
    ]


def test_show_is_one_line_per_unit(call, run_id):
    lines = call(module.show, run_id, "--state", "failed").splitlines()
    assert lines[0] == f"{run_id} gdt.funds running"
    assert "planned 3 = verified 1 + failed 1 + skipped 0 + open 1; 2 rows, 1 calls, 0 refused" in lines
    assert f"take up: ark rerun {run_id}" in lines
    assert lines[-1] == "failed\t1050262\t2\t\t0\t0\tt\tcode 11000 (系统错误) again"


def test_show_of_a_finished_run_tells_its_result(call, ledger, run_id):
    ledger.finish(run_id, "stopped", 143, 2.5, 1, [Trigger("k", "gdt.a", "{}")], "stopped by signal 15")
    lines = call(module.show, run_id).splitlines()
    assert lines[0] == f"{run_id} gdt.funds stopped, exit 143"
    assert "stopped by signal 15" in lines
    assert len([line for line in lines if "\t" in line]) == 3


def test_show_json_of_a_run_without_units(call, ledger):
    shown = json.loads(call(module.show, ledger.begin(NEW).run_id, "--json"))
    assert (shown["units"], shown["run"]["status"]) == ([], "planning")


def test_show_of_an_unknown_run_names_the_nearest(call, run_id):
    with pytest.raises(UsageError, match=f"did you mean {run_id}"):
        call(module.show, run_id[:-2])


def test_runs_is_one_line_per_run_newest_first(call, ledger, run_id):
    ledger.finish(run_id, "partial", 3, 2.5, 0)
    assert call(module.runs) == (
        f"{run_id}\t2020-05-30 12:00:00\tgdt.funds\tT100117\t1050262\t2020-05-30\tpartial\t3\t1/3\t1\t2\n"
    )
    ledger.begin(NEW)
    ledger.begin(NEW)
    assert len(call(module.runs, "--limit", "2").splitlines()) == 2


def test_runs_json_is_a_list(call, run_id):
    (run,) = json.loads(call(module.runs, "--json"))
    assert (run["run_id"], run["verified"], run["rerun"]) == (run_id, 1, f"ark rerun {run_id}")
    assert (run["tenant"], run["data_date"], run["started"]) == ("T100117", "2020-05-30", "2020-05-30 12:00:00")


def test_runs_of_an_empty_ledger(call):
    assert json.loads(call(module.runs, "--json")) == []
    assert not call(module.runs)


def test_runs_on_a_terminal_is_a_table(ledger, run_id, capsys):
    module._print_table(ledger.runs())
    assert run_id in capsys.readouterr().out


def test_the_states_on_offer_are_those_of_the_ledger():
    from ark.ledger.records import STATES

    assert set(module.STATES) == set(STATES)
