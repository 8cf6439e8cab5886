"""HBase that is away, frozen or killed in the middle of a run, and `--verify read`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ark.stores.hbase import HBaseStore
from ark.stores.tables import catalog
from handlers.launch import How
from tests.acceptance.conftest import Said, Simulated, compare, ended, wait_for
from tests.acceptance.servers import altered
from tests.conftest import CHECKOUT, Services
from tests.proxy import CutMessage, Proxy, ResetPeer, Way

Staging = Callable[..., Simulated]

ACCOUNTS = 1000
SMALL = {"http_concurrency": 10, "hbase_batch": 40}
"""Settings under which little is under way at any moment."""
UNDER_WAY = SMALL["http_concurrency"] + (2 * HBaseStore.writers + 1) * SMALL["hbase_batch"]
"""Accounts at most: one that is called by each worker, and one for each row that is not stored yet."""
FREE = {"quota": {"minute": {"size": 0}, "day": {"size": 0}}, "nonces": {"check": False}}
LOSING = """
from ark.stores.embedded import EmbeddedStore
put = EmbeddedStore.put
def lose(self, table, rows, timestamp):
    put(self, table, [row for row in rows if {account!r} not in row.key.decode()], timestamp)
EmbeddedStore.put = lose
"""
"""A store that acknowledges the rows of one account and does not keep them."""


class Away:
    """A stage whose rows go to a table of its own in an HBase behind a proxy."""

    def __init__(self, here: Simulated, url: str, table: str) -> None:
        self._here, self._table = here, table
        self._patch = f"from media.gdt.funds import GdtFunds; GdtFunds.table = {table!r}"
        address = urlsplit(url)
        self.proxy = Proxy(str(address.hostname), int(address.port or 0))
        self._url = url

    def start(self, *words: str, **settings: object) -> "subprocess.Popen[str]":
        url = f"thrift://127.0.0.1:{self.proxy.port}"
        words = words or tuple(self._here.words("gdt.funds", "--no-next"))
        return self._here.ark.spawn(altered(self._patch, *words), **{"hbase_url": url, **SMALL, **settings})

    def requests(self) -> int:
        return int(self._here.calls()["requests"])

    def standstill(self) -> int:
        """How many calls there were when no further one came for a second."""
        seen = -1
        while seen != (now := self.requests()):
            seen = now
            time.sleep(1)
        return seen

    def differences(self) -> tuple[int, int, int]:
        """Rows that are lost, in excess, misplaced; a second version of a row is an error."""
        self._here.ark.settings["hbase_url"] = self._url
        cells = self._here.ark.rows(self._table)
        return compare(self._here.truth(), {key: value["data"] for key, (_, value) in cells.items()})


@pytest.fixture
def away(stage: Staging, services: Services, unique: Callable[[str], str]) -> Iterator[Away]:
    """The shared HBase behind a proxy, 1,000 accounts."""
    with table_of(services.hbase_url, unique("store_away")) as name:
        made = Away(stage(ACCOUNTS, **FREE), services.hbase_url, name)
        with made.proxy:
            yield made


@contextmanager
def table_of(url: str, name: str) -> Iterator[str]:
    """A table with three versions, as long as the block lasts."""
    with closing(HBaseStore(url, catalog(), batch=1000, batch_bytes=1 << 20, timeout=60)) as store:
        store.create(name)
        try:
            yield name
        finally:
            for method in ("disableTable", "deleteTable"):
                store._call(name, method, name.encode())


def done(said: Said) -> dict[str, Any]:
    """The result of a run that has lost nothing and called nothing twice."""
    assert said.code == 0, said.err
    assert (said.result["status"], said.result["verified"], said.result["requests"]) == ("done", ACCOUNTS, ACCOUNTS)
    return said.result


def test_while_the_gateway_is_away_the_run_waits_and_then_goes_on(away: Away) -> None:
    running = away.start()
    wait_for(lambda: away.requests() > ACCOUNTS // 5)
    with away.proxy.toxic(ResetPeer()):
        waiting = away.standstill()
        assert waiting < ACCOUNTS, "the medium is asked on and on, although nothing can be stored"
    done(ended(running))
    assert away.differences() == (0, 0, 0)


def test_a_gateway_that_stays_away_ends_the_run_with_69_and_a_rerun_completes_it(away: Away) -> None:
    running = away.start(hbase_patience=1)
    wait_for(lambda: away.requests() > ACCOUNTS // 5)
    with away.proxy.toxic(ResetPeer()):
        said = ended(running)
    first = said.result
    assert (said.code, first["status"], first["failed"]) == (69, "failed", 0)
    assert 0 < first["verified"] < ACCOUNTS
    again = ended(away.start("rerun", first["run_id"], "--no-next"))
    assert (again.code, again.result["verified"]) == (0, ACCOUNTS)
    assert away.requests() <= ACCOUNTS + UNDER_WAY  # only what was not stored is called again
    assert away.differences() == (0, 0, 0)


def test_answers_that_are_lost_change_nothing(away: Away) -> None:
    away.proxy.add(CutMessage(7, Way.UP, every=True))
    done(ended(away.start()))
    assert away.proxy.connections > 5
    assert away.differences() == (0, 0, 0)


def test_who_hangs_at_the_start_costs_no_call(stage: Staging) -> None:
    here = stage(5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        said = here.run(hbase_url=f"thrift://{place}")
    assert (said.code, said.result["status"], here.calls()["requests"]) == (69, "failed", 0)
    assert place in said.err


@pytest.fixture(scope="module")
def own_hbase(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], dict[str, Any]]]:
    """Starts what is not running of an HBase that may be killed; url and pids."""
    folder = tmp_path_factory.mktemp("hbase")
    shared = Path(os.environ.get("ARK_SERVICES_DIR") or CHECKOUT / ".services")
    (folder / "lib").symlink_to(shared.resolve() / "lib")

    def told(*words: str) -> str:
        command = [sys.executable, str(CHECKOUT / "bin" / "services"), *words, "--dir", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout

    yield lambda: dict(json.loads(told("start", "hbase"))["hbase"])
    told("stop", "hbase")


@pytest.fixture
def mortal(
    stage: Staging, own_hbase: Callable[[], dict[str, Any]], unique: Callable[[str], str]
) -> Iterator[tuple[Away, dict[str, Any]]]:
    """The same with an HBase of one's own, and its pids."""
    state = own_hbase()
    with table_of(state["url"], unique("store_away")) as name:
        made = Away(stage(ACCOUNTS, **FREE), state["url"], name)
        with made.proxy:
            yield made, state["pids"]


def test_a_gateway_that_pauses_for_longer_than_the_timeout(mortal: tuple[Away, dict[str, Any]]) -> None:
    """What it was asked before it does afterwards, on connections that nobody listens to any more."""
    away, pids = mortal
    running = away.start(hbase_timeout=1)
    wait_for(lambda: away.requests() > ACCOUNTS // 5)
    os.kill(pids["gateway"], signal.SIGSTOP)
    try:
        assert away.standstill() < ACCOUNTS
        time.sleep(2.5)  # longer than hbase.timeout, twice
    finally:
        os.kill(pids["gateway"], signal.SIGCONT)
    done(ended(running))
    assert away.differences() == (0, 0, 0)


def test_a_region_server_that_is_killed_and_comes_back(
    mortal: tuple[Away, dict[str, Any]], own_hbase: Callable[[], dict[str, Any]]
) -> None:
    away, pids = mortal
    running = away.start(hbase_patience=120)
    wait_for(lambda: away.requests() > ACCOUNTS // 5)
    os.kill(pids["cluster"], signal.SIGKILL)
    own_hbase()
    done(ended(running, timeout=150))
    assert away.differences() == (0, 0, 0)


@pytest.mark.parametrize("output", ["FILE", "NONE"])
def test_an_output_that_cannot_be_read_is_not_verified(stage: Staging, output: str) -> None:
    here = stage(5)
    said = here.run("gdt.funds", "-o", output, "--verify", "read")
    assert (said.code, said.out, here.calls()["requests"]) == (2, "", 0)
    assert f"output {output} cannot be read back: leave --verify out, or take -o HBASE" in said.err
    assert here.ark.json("runs") == []
    run_id = here.run("gdt.funds", "-o", output).result["run_id"]
    refused = here.ark("rerun", run_id, "--verify", "read")
    assert refused.code == 2


def test_rows_that_were_acknowledged_and_are_not_there_are_found_by_reading(stage: Staging) -> None:
    here = stage(40)
    account = here.accounts[7]
    words = here.words("gdt.funds", "--no-next")
    losing = altered(LOSING.format(account=f"|{account}|"), *words)
    trusting = ended(here.ark.spawn(losing))
    assert trusting.code == 0  # nothing is read back that nobody asked for
    assert here.differences()[0] > 0
    said = ended(here.ark.spawn([*losing, "--verify", "read"]))
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 39, 1)
    unit = here.ark.units(said.result["run_id"])[account]
    assert unit["state"] == "failed"
    assert unit["reason"].startswith("read back: row ")
    assert f"|{account}|" in unit["reason"]
    healed = here.ark("rerun", said.result["run_id"], "--no-next", "--verify", "read")
    assert (healed.code, healed.result["verified"]) == (0, 40)
    assert here.differences() == (0, 0, 0)


def test_what_follows_is_verified_as_well() -> None:
    assert How(read_back=True).words() == ["--verify=read"]


def test_a_run_against_hbase_is_read_back(away: Away) -> None:
    done(ended(away.start(*away._here.words("gdt.funds", "--no-next", "--verify", "read"))))
    assert away.proxy.sent.count(b"getRowsWithColumns") >= ACCOUNTS // SMALL["hbase_batch"]
    assert away.differences() == (0, 0, 0)
