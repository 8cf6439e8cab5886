"""What a run says of itself: exit code, ARK_RESULT, `ark show`, `ark runs`, and what a rerun makes of it."""

import json
from collections.abc import Callable

from tests.acceptance.conftest import COMPACT, DATE, FUNDS, Ark, Simulated

UNKNOWN_CODE = 98765

Staging = Callable[..., Simulated]


def test_a_run_is_done_and_every_cell_is_where_it_belongs(stage: Staging) -> None:
    here = stage(30)
    said = here.run()
    assert said.code == 0
    told = said.result
    assert told["status"] == "done"
    assert told["interface"] == "gdt.funds"
    assert (told["planned"], told["verified"], told["failed"], told["skipped"]) == (30, 30, 0, 0)
    assert told["requests"] == here.calls()["requests"] == 30
    assert told["rows"] == len(here.media.truth("gdt.funds", DATE))
    assert told["next"] == []
    assert here.differences(FUNDS) == (0, 0, 0)


def test_show_and_runs_tell_the_same_as_the_result(stage: Staging) -> None:
    here = stage(5, faults=[{"kind": "code", "code": UNKNOWN_CODE, "share": 1, "text": "what is that"}])
    told = here.run().result
    shown = json.loads(here.ark("show", told["run_id"], "--json").out)
    assert {key: shown["run"][key] for key in told} == told
    assert {tuple(unit) for unit in shown["units"]} == {
        ("agent", "account", "variant", "state", "reason", "rows", "requests", "trace")
    }
    assert {unit["account"] for unit in shown["units"]} == set(here.accounts)
    assert {(unit["agent"], unit["state"], unit["requests"]) for unit in shown["units"]} == {(here.agent, "failed", 1)}
    assert all(f"code {UNKNOWN_CODE}" in unit["reason"] and len(unit["trace"]) == 32 for unit in shown["units"])
    listed = json.loads(here.ark("runs", "--json").out)
    assert {key: listed[0][key] for key in told} == told


def test_a_rerun_heals_what_failed_and_fetches_nothing_else(stage: Staging) -> None:
    here = stage(40, faults=[{"kind": "code", "code": UNKNOWN_CODE, "share": 0.2}])
    first = here.run()
    told = first.result
    units = here.ark.units(told["run_id"])
    failed = {account for account, unit in units.items() if unit["state"] == "failed"}
    assert 0 < len(failed) < 40
    assert (first.code, told["status"], told["failed"]) == (3, "partial", len(failed))
    before = here.ark.rows(FUNDS.table)
    assert {key.split("|")[2] for key in before} == set(here.accounts) - failed

    here.change(faults=[])
    here.media.clear_stats()
    healed = here.ark(*told["rerun"].split()[1:])

    assert healed.code == 0
    assert healed.result["status"] == "done"
    assert (healed.result["planned"], healed.result["verified"]) == (40, 40)
    assert here.calls()["requests"] == len(failed)
    after = here.ark.rows(FUNDS.table)
    assert {key: after[key] for key in before} == before
    assert len({timestamp for timestamp, _ in after.values()}) == 1
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_rerun_of_a_whole_run_calls_nobody_and_a_second_run_makes_the_same_rows(stage: Staging) -> None:
    here = stage(20)
    told = here.run().result
    before = here.ark.rows(FUNDS.table)
    here.media.clear_stats()
    again = here.ark("rerun", told["run_id"])
    assert (again.code, again.result["verified"]) == (0, 20)
    assert here.calls()["requests"] == 0
    assert here.ark.rows(FUNDS.table) == before

    assert here.run().code == 0

    after = here.ark.rows(FUNDS.table)
    assert {key: cell["data"] for key, (_, cell) in after.items()} == {
        key: cell["data"] for key, (_, cell) in before.items()
    }
    assert min(timestamp for timestamp, _ in after.values()) > max(timestamp for timestamp, _ in before.values())


def test_only_what_failed_is_taken_up_and_the_rest_stays_open(stage: Staging) -> None:
    """`--failed` of a run that was stopped: the open units stay planned, and that is no bug of Ark."""
    bad = [{"kind": "code", "code": UNKNOWN_CODE, "share": 0.1}]
    here = stage(30, faults=bad, quota={"day": {"size": 25, "window": 86400}})
    told = here.run(http_concurrency=1).result
    assert told["status"] == "stopped"
    units = here.ark.units(told["run_id"])
    failed = [account for account, unit in units.items() if unit["state"] == "failed"]
    planned = [account for account, unit in units.items() if unit["state"] == "planned"]
    assert failed
    assert planned
    here.change(faults=[], quota=None)
    here.media.clear_stats()

    again = here.ark("rerun", told["run_id"], "--failed")

    assert here.calls()["requests"] == len(failed)
    assert again.code not in {0, 70}
    assert again.result["verified"] == 30 - len(planned)
    assert "bug" not in again.err
    assert here.ark("rerun", told["run_id"]).result["verified"] == 30


def test_inactive_accounts_are_skipped_with_their_reason(stage: Staging) -> None:
    here = stage(20, inactive={"share": 0.2})
    said = here.run()
    told = said.result
    assert (said.code, told["status"], told["failed"]) == (0, "done", 0)
    assert told["skipped"] > 0
    skipped = [unit for unit in here.ark.units(told["run_id"]).values() if unit["state"] == "skipped"]
    assert len(skipped) == told["skipped"]
    assert all("32211" in unit["reason"] for unit in skipped)
    assert here.differences(FUNDS) == (0, 0, 0)


def test_the_result_line_stays_short_however_many_units_fail(stage: Staging) -> None:
    here = stage(300, faults=[{"kind": "body", "text": "x" * 5000}])
    said = here.run(http_attempts=1)
    assert (said.code, said.result["failed"], said.result["status"]) == (3, 300, "failed")
    assert len(said.err.splitlines()) < 30


def test_file_output_is_whole_json_lines(stage: Staging) -> None:
    here = stage(15)
    said = here.run("gdt.funds", "-o", "FILE")
    assert (said.code, said.result["verified"]) == (0, 15)
    folder = here.ark.home / "files" / COMPACT / here.tenant
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{FUNDS.table}_{COMPACT}_1.json"]
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == said.result["rows"] == len(here.media.truth("gdt.funds", DATE))
    assert not (here.ark.home / "tables").exists() or FUNDS.table not in str(list((here.ark.home / "tables").iterdir()))


def test_a_dry_run_calls_nobody_and_shows_no_token(stage: Staging) -> None:
    here = stage(7)
    token = here.media.directory()[0]["token"]
    shown = here.ark.read(*here.words("gdt.daily_report_ad", "--dry-run", "--json"))
    plan = json.loads(shown)
    assert (plan["accounts"], plan["calls"]) == (7, 21)
    assert len(plan["urls"]) == len(plan["row_keys"]) == 3
    assert token not in shown
    assert here.calls("daily_reports/get")["requests"] == 0
    assert here.ark.json("runs") == []


def test_the_short_forms_take_tenant_and_date_from_the_key(stage: Staging) -> None:
    here = stage(6)
    said = here.ark("run", "gdt.funds", "-g", here.agent, "-k", here.key, "--no-next")
    assert said.code == 0
    assert f"tenant {here.tenant}" in said.err
    assert f"date {DATE}" in said.err
    one = ["run", "gdt.funds", "-g", here.agent, "-a", here.accounts[0], "--dry-run", "--json"]
    assert json.loads(here.ark.read(*one, "-t", here.tenant, "-d", COMPACT))["accounts"] == 1
    here.ark.settings["run_tenant"] = here.tenant
    assert json.loads(here.ark.read(*one))["accounts"] == 1
    everything = here.ark("run", "gdt.funds", "-g", here.agent, "-d", DATE, "--all", "--no-next")
    assert (everything.code, everything.result["planned"]) == (0, 6)


def test_the_scheduler_s_two_values_may_stand_behind_flags(stage: Staging) -> None:
    here = stage(3)
    said = here.run("gdt.funds", "0", "1")
    assert (said.code, said.result["verified"]) == (0, 3)
    assert "shard 0 of 1: not used" in said.err


def test_a_whole_command_line_comes_as_one_string(stage: Staging) -> None:
    """As XXL-JOB hands it over, with a job's name of the scheduler and the shard behind it."""
    here = stage(4)
    text = here.ark.read("args", "encode", "-g", here.agent, "-k", here.key).strip()
    said = here.ark("exec", f"run dmp_task_gdt_api_3 {text} -o HBASE --no-next", "0", "1")
    assert (said.code, said.result["interface"], said.result["verified"]) == (0, "gdt.funds", 4)
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_list_interface_fills_the_list_that_the_next_job_works_from(stage: Staging) -> None:
    here = stage(230)
    here.redis.zadd(here.key, {"999": int(here.agent)})
    said = here.ark("run", "dmp_gdt_api_advertiser_list", "-t", here.tenant, "-g", here.agent, "-d", DATE)
    assert (said.code, said.result["planned"], said.result["rows"]) == (0, 1, 230)
    assert said.result["next"] == ["gdt.funds"]
    assert sorted(here.redis.zrange(here.key, 0, -1)) == sorted(account.encode() for account in here.accounts)
    assert here.calls("advertiser/get")["requests"] == 3
    assert here.calls("funds/get")["requests"] == 230
    assert here.differences(FUNDS) == (0, 0, 0)


def test_an_unknown_run_is_a_plain_word(ark: Ark) -> None:
    for words in (["show", "20200530T080102-1f2e3d4c"], ["rerun", "20200530T080102-1f2e3d4c"]):
        said = ark.refusal(*words)
        assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
