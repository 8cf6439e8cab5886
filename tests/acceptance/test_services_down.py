"""A service that is away: what the work needs ends the run before any call; what only listens costs nothing."""

import json
import re
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import FUNDS, Said, Simulated, ended
from tests.conftest import Services

Staging = Callable[..., Simulated]

OTHER_TABLE = """
import sys
from handlers.cli.main import main
from media.gdt.funds import GdtFunds
GdtFunds.table = sys.argv.pop(1)
main()
"""
"""Ark, where gdt.funds writes to a table of another name."""


@pytest.fixture
def closed() -> Iterator[str]:
    """An address that is taken and refuses every connection."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


def told_in_a_line(said: Said, *words: str) -> None:
    """The last line of stderr, or all of it where no run began, says which service, which setting."""
    text = " ".join(said.err.splitlines()[-4:])
    for word in words:
        assert word in text, said.err


@pytest.mark.services
def test_a_missing_table_ends_the_run_before_the_first_call(stage: Staging, services: Services) -> None:
    here = stage(5)
    table = f"no_such_table_{secrets.token_hex(4)}"
    words = [sys.executable, "-c", OTHER_TABLE, table, *here.words("gdt.funds", "--no-next")]
    said = ended(here.ark.spawn(words, hbase_url=services.hbase_url))
    assert (said.code, said.result["status"], here.calls()["requests"]) == (78, "failed", 0)
    told_in_a_line(said, table, "ark tables create")


@pytest.mark.parametrize(
    ("setting", "url"),
    [("hbase", "thrift://{}"), ("redis", "redis://{}/2"), ("ledger", "mysql+pymysql://ark:canary-password@{}/ark")],
)
def test_what_a_run_needs_ends_it_with_69(stage: Staging, closed: str, setting: str, url: str) -> None:
    here = stage(5)
    said = here.run(**{f"{setting}_url": url.format(closed)})
    assert (said.code, here.calls()["requests"]) == (69, 0)
    told_in_a_line(said, closed)
    assert re.search(f"ARK_{setting.upper()}_URL|{setting}.url", said.err)
    assert "canary-password" not in said.out + said.err
    if setting == "ledger":  # no run has begun, so there is none to tell of
        assert said.out == ""
        assert said.err.splitlines()[-1].startswith("ark: ledger ")
    else:
        assert said.result["status"] == "failed"


def test_a_broker_that_is_away_costs_no_record(stage: Staging, closed: str) -> None:
    here = stage(5)
    said = here.run(kafka_url=closed)
    assert (said.code, said.result["status"]) == (0, "done")
    (spill,) = here.ark.home.rglob("*gdt_api_log*")
    records = [json.loads(line) for line in spill.read_text(encoding="utf-8").splitlines()]
    assert [record["log_type"] for record in records] == ["API_JOB_ATSRT", "API_JOB_END"]
    assert {record["run_id"] for record in records} == {said.result["run_id"]}
    told_in_a_line(said, spill.name)


def test_a_receiver_of_alarms_that_is_away_changes_nothing(stage: Staging, closed: str) -> None:
    here = stage(5)
    here.change(faults=[{"kind": "code", "code": 98765, "accounts": here.accounts[:1]}])
    told = here.run(sentry_dsn=f"http://key@{closed}/1").result
    assert (told["exit"], told["verified"], told["failed"]) == (3, 4, 1)


def test_two_homes_do_not_disturb_each_other(stage: Staging, tmp_path: Path) -> None:
    """The same job at the same time, on embedded stores, for one of them with a fault that the other does not know."""
    here = stage(60, latency={"seconds": 0.2})
    there = here.at(tmp_path / "other")
    first, second = here.start(), there.start("gdt.funds", "-a", here.accounts[0])
    assert (ended(second).result["planned"], ended(first).result["verified"]) == (1, 60)
    assert here.differences(FUNDS) == (0, 0, 0)
    assert {key.split("|")[2] for key in there.ark.rows(FUNDS.table)} == {here.accounts[0]}
    assert [len(each.ark.json("runs")) for each in (here, there)] == [1, 1]
