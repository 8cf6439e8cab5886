"""The main sentence on the real services: the scheduler's argument goes in, and everything is where it belongs."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from tests.acceptance.conftest import DAILY, FUNDS, HOURLY, Ark, Kind, Simulated, compare
from tests.acceptance.readers import Cell, Database, Sentry, Table, Topic
from tests.conftest import CHECKOUT, Services, database
from tests.simulator import Media

pytestmark = pytest.mark.services

ARGUMENTS = json.loads((CHECKOUT / "tests/data/seed003-arguments.json").read_text(encoding="utf-8"))
"""As the scheduler hands them over, one in each encoding (seed 003)."""
TENANT, AGENT = "T100117", "1050262"
ACCOUNTS = 40
UNKNOWN_CODE = 98765
CLAIM = "claimed by a test"
SEED_KEYS = {
    *("tenant", "cur_job", "interface", "agent_id", "data_date"),
    *("argv", "log_content", "log_type", "log_time"),
}
TOKEN = 'canary/of+main="\\&%='
"""With everything that URLs, JSON and shells spell in another way."""


class World(NamedTuple):
    """Ark with nothing embedded, and all that it talks to."""

    ark: Ark
    tables: dict[Kind, Table]
    topic: Topic
    sentry: Sentry
    database: Database

    def mine(self, kind: Kind, here: Simulated, version: int) -> dict[str, Cell]:
        """Every cell of the shared table that this run has written or should have, wherever it went."""
        accounts = set(here.accounts)
        return {
            key: cell
            for key, cell in self.tables[kind].cells()
            if cell.timestamp == version or not accounts.isdisjoint(key.split("|"))
        }

    @contextmanager
    def tidied(self, here: Simulated) -> Iterator[None]:
        """Delete what was written: the tables are not ours alone."""
        try:
            yield
        finally:
            for kind, table in self.tables.items():
                table.remove(self.mine(kind, here, 0))


@pytest.fixture
def world(ark_home: Path, services: Services) -> Iterator[World]:
    database = Database(services.mariadb_url, f"main_job_{secrets.token_hex(4)}")
    topic = Topic(services.kafka_url, "gdt_api_log")
    tables = {kind: Table(services.hbase_url, kind.table) for kind in (FUNDS, DAILY, HOURLY)}
    ark = Ark(
        ark_home,
        hbase_url=services.hbase_url,
        kafka_url=services.kafka_url,
        ledger_url=database.url,
        sentry_dsn=services.sentry_dsn,
        gdt_window=1,
    )
    yield World(ark, tables, topic, Sentry(services.sentry_api, services.sentry_dsn), database)
    for each in (topic, *tables.values()):
        each.close()
    database.drop()


@pytest.fixture
def own_redis(services: Services) -> Iterator["redis.Redis[bytes]"]:
    """A database of the real Redis that nobody else uses: the argument fixes the names of its keys."""
    server = services.redis_url.rpartition("/")[0]
    for number in map(database, range(10, 16)):
        client = redis.Redis.from_url(f"{server}/{number}")
        if client.set(CLAIM, "", nx=True, ex=600):
            alone = client.dbsize() == 1
            if alone:
                yield client
                client.flushdb()
            client.delete(CLAIM)
            if alone:
                return
        client.close()
    raise RuntimeError("databases 10 to 15 of the Redis are all in use")


@pytest.mark.parametrize(("argument", "date"), [(ARGUMENTS[0], "2020-05-30"), (ARGUMENTS[1], "2020-05-10")])
def test_the_main_job(world: World, own_redis: "redis.Redis[bytes]", media: Media, argument: str, date: str) -> None:
    """One account fails at first; the rerun heals it, and then the next jobs run."""
    ark = world.ark
    ark.settings["redis_url"] = url_of(own_redis)
    here = Simulated(ark, own_redis, media, tenant=TENANT, agent=AGENT, date=date)
    here.plant(ACCOUNTS, token=TOKEN, seed=secrets.randbelow(2**40), objects={"ads": [0, 1, 5], "delivery": 0.9})
    bad = here.accounts[7]
    here.change(faults=[{"kind": "code", "code": UNKNOWN_CODE, "accounts": [bad]}])
    with world.tidied(here):
        assert ark("tables", "create", *[kind.table for kind in world.tables]).code == 0

        first = ark("run", "gdt.funds", argument)

        told = first.result
        assert (first.code, told["status"], told["planned"], told["failed"]) == (3, "partial", ACCOUNTS, 1)
        assert told["next"] == []
        (event,) = world.sentry.events(told["run_id"])
        assert event["data"]["tags"]["error_code"] == f"code {UNKNOWN_CODE}"
        assert bad in json.dumps(event["data"]["extra"])

        here.change(faults=[])
        healed = ark(*told["rerun"].split()[1:], timeout=120)

        told = healed.result
        assert (healed.code, told["status"], told["verified"]) == (0, "done", ACCOUNTS)
        assert told["next"] == [DAILY.interface, HOURLY.interface]
        check_the_calls(here)
        check_the_ledger(world.database, told["run_id"], told["next"], date)
        for kind in world.tables:
            check_the_table(world, here, kind)
        messages = world.topic.values()
        check_the_event_log([each for each in map(json.loads, messages) if each["run_id"] == told["run_id"]], date)
    sinks = [first.out, first.err, healed.out, healed.err, json.dumps(event), *map(bytes.decode, messages)]
    assert [sink for sink in sinks if "canary" in sink] == []


def check_the_calls(here: Simulated) -> None:
    """As few as can be, each signed anew: no nonce was refused, no timestamp."""
    stats = here.media.stats()["media"]["gdt"]
    assert {path: (counted["requests"], counted["codes"].keys()) for path, counted in stats.items()} == {
        "funds/get": (ACCOUNTS + 1, {"0"}),
        "daily_reports/get": (3 * ACCOUNTS, {"0"}),
        "hourly_reports/get": (3 * ACCOUNTS, {"0"}),
    }


def url_of(client: "redis.Redis[bytes]") -> str:
    known = client.get_connection_kwargs()
    return f"redis://{known['host']}:{known['port']}/{known['db']}"


def check_the_ledger(database: Database, run_id: str, follow: list[str], date: str) -> None:
    """The run, its units, and the runs that its end has triggered, each once."""
    (run,) = database.rows("SELECT * FROM api_result_log WHERE run_id = :run", run=run_id)
    assert (run["status"], run["exit_code"], run["tenant"], run["agent_id"]) == ("done", 0, TENANT, AGENT)
    assert (str(run["data_date"]), run["table"], run["output"]) == (date, FUNDS.table, "HBASE")
    units = database.rows("SELECT * FROM api_result_unit WHERE run = :number", number=run["number"])
    assert (len(units), {unit["state"] for unit in units}) == (ACCOUNTS, {"verified"})
    assert sum(unit["rows"] for unit in units) == run["rows"]
    assert all(unit["agent"] == AGENT and unit["bytes"] > 0 and len(unit["trace"]) == 32 for unit in units)
    sent = database.rows("SELECT * FROM api_result_trigger WHERE run = :number ORDER BY job", number=run["number"])
    assert [trigger["job"] for trigger in sent if trigger["sent_at"]] == follow
    for trigger in sent:
        runs = database.rows("SELECT * FROM api_result_log WHERE trigger_key = :key", key=trigger["trigger_key"])
        assert [(run["interface"], run["status"], run["verified"]) for run in runs] == [
            (trigger["job"], "done", 3 * ACCOUNTS)
        ]


def check_the_table(world: World, here: Simulated, kind: Kind) -> None:
    """Cell by cell against what the medium has served."""
    (run,) = world.database.rows("SELECT version, `rows` FROM api_result_log WHERE `table` = :name", name=kind.table)
    cells = world.mine(kind, here, run["version"])
    expected = here.truth(kind)
    assert len(expected) > ACCOUNTS
    assert compare(expected, {key: cell.value["data"] for key, cell in cells.items()}) == (0, 0, 0)
    assert len(cells) == run["rows"]
    assert {cell.timestamp for cell in cells.values()} == {run["version"]}
    assert {(*cell.value, cell.value["tenant_alias"], cell.value["timestamp"]) for cell in cells.values()} == {
        ("tenant_alias", "data", "timestamp", TENANT, run["version"] // 1000)
    }


def check_the_event_log(records: list[dict[str, object]], date: str) -> None:
    """What a reader of gdt_api_log finds about the run and its rerun."""
    assert all(record.keys() > SEED_KEYS for record in records)
    assert [record["log_type"] for record in records] == [
        *("API_JOB_ATSRT", "API_UNIT_FAILURES", "API_JOB_END"),
        *("API_JOB_ATSRT", "API_NEXT_JOB", "API_NEXT_JOB", "API_JOB_END"),
    ]
    for record in records:
        assert (record["tenant"], record["agent_id"], record["data_date"]) == (TENANT, AGENT, date)
        assert record["interface"] == "funds/get"
