"""One place for a scenario that is broken: a medium, its directory, a store and a ledger; Ark is run, killed, taken up.

    with grounds(EMBEDDED) as ground:
        scene = ground.scene(accounts=30)
        scene.ark.start(*scene.command)          # killed by whatever means
        outcome = scene.recover(RERUN)           # until it is done; then judged
        assert not outcome.wrong, outcome

A scene is one tenant with one agent on a date of its own, so that scenes do not meet in tables that they share.
"""

import os
import random
import secrets
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
import sqlalchemy as sa

from tests.acceptance.conftest import Ark, Said, ended
from tests.chaos.judge import ADVERTISERS, GDT, Cell, Embedded, HBase, Kind, Reader, Verdict, changed, judge, row_key
from tests.simulator import Media, simulator

if TYPE_CHECKING:
    import subprocess

LIMIT = 120.0
"""Seconds; a run that takes longer hangs."""
TRIES = 5
"""How often a scene is taken up before it counts as one that does not come to its end."""
FIRST_DAY = date(2015, 1, 1)
RERUN, AGAIN = "rerun", "again"
"""How a run that died is taken up: by `ark rerun`, as an engineer does; by its own command, as a scheduler does."""
BATCH = 20
"""Rows: small, so that a small run has many."""
SETTINGS = {"gdt_window": 1, "http_concurrency": 4, "hbase_batch": BATCH}

_days = count(random.SystemRandom().randrange(100_000))


class Unit(NamedTuple):
    """A line of the ledger, read without Ark."""

    interface: str
    version: int
    account: str
    variant: str
    state: str
    rows: int


class RunLine(NamedTuple):
    """A run in the ledger."""

    run_id: str
    interface: str
    version: int
    status: str
    trigger_key: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of a scene that was killed and taken up."""

    verdict: Verdict
    tries: int
    unfinished: list[str]
    """Runs of the chain that are not done, or were begun twice."""
    corrupt: list[str]
    """Databases that do not pass their own check."""
    early: int
    """Rows that the ledger called verified at the moment of the kill, and the store did not hold."""
    altered: int
    """Cells that a rerun has changed."""
    called: int
    """Calls that taking up took."""
    due: int
    """Units that were open, or were not planned yet: each takes one call."""
    repeated: int
    """Calls for units that had been fetched before the kill, and were open."""
    rewritten: int
    """Rows that were stored at the moment of the kill, and whose units were open: they are written twice."""

    @property
    def refetched(self) -> int:
        """Calls for units that were not open."""
        return max(0, self.called - self.due)

    @property
    def wrong(self) -> int:
        """How much is not as it must be."""
        return (
            self.verdict.wrong + len(self.unfinished) + len(self.corrupt) + self.early + self.altered + self.refetched
        )


class Leashed(Ark):
    """An Ark whose processes are known, so that none outlives whoever is interrupted while he watches it."""

    def __init__(self, home: Path, **settings: object) -> None:
        super().__init__(home, **settings)
        self._started: list[subprocess.Popen[str]] = []

    def spawn(self, command: Sequence[str], **settings: object) -> "subprocess.Popen[str]":
        self._started.append(super().spawn(command, **settings))
        return self._started[-1]

    def end(self) -> None:
        """Kill what has not ended, with its whole group."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


@dataclass(frozen=True)
class Ground:
    """Where scenes play: the services behind them, and how their tables and their ledger are read."""

    name: str
    media: Media
    redis: "redis.Redis[bytes]"
    settings: Mapping[str, object]
    reader: Callable[[Path], Reader]
    ledger: Callable[[Path], str]
    """The SQLAlchemy URL of a home's ledger."""
    arks: list["Leashed"] = field(default_factory=list)

    def scene(
        self, accounts: int = 30, kinds: tuple[Kind, ...] = GDT, latency: float = 0.004, **settings: object
    ) -> "Scene":
        """A tenant with one agent, before the medium, with an empty home; `latency` in seconds, of each answer."""
        home = Path(tempfile.mkdtemp(prefix="ark-"))
        ark = Leashed(home, **{**SETTINGS, **self.settings, "gdt_url": self.media.url, **settings})
        self.arks.append(ark)
        scene = Scene(self, ark, kinds)
        scene.plant(accounts, latency)
        return scene

    def close(self) -> None:
        """End what still runs and remove every home; scenes may be made afterwards."""
        while self.arks:
            self.arks[-1].end()
            shutil.rmtree(
                self.arks[-1].home, ignore_errors=True
            )  # half of it may be gone: who is interrupted begins anew
            self.arks.pop()


class Scene:
    """One tenant's chain of interfaces, from the first one's command to the last one's table."""

    def __init__(self, ground: Ground, ark: Ark, kinds: tuple[Kind, ...]) -> None:
        self.ground, self.ark, self.kinds = ground, ark, kinds
        self.media = ground.media
        self.tenant = f"T{secrets.randbelow(9 * 10**8) + 10**8}"
        self.agent = str(secrets.randbelow(9_000_000) + 1_000_000)
        self.date = (FIRST_DAY + timedelta(next(_days) % 1900)).isoformat()
        self.reader = ground.reader(ark.home)

    def plant(self, accounts: int, latency: float) -> None:
        """Have the medium serve this agent, and Redis know its token, and its accounts unless the chain lists them."""
        agent = {"tenant": self.tenant, "id": self.agent, "accounts": accounts}
        gdt = {"agents": [agent], "objects": {"ads": [1], "delivery": 0.7}, "latency": {"seconds": latency}}
        self.media.set_scenario({"seed": secrets.randbelow(2**40), "gdt": gdt}, replace=True)
        self.media.clear_stats()
        self.accounts = self.media.accounts(self.agent)
        token = self.media.directory()[0]["token"]
        self.ground.redis.zadd(f"gdt_new_access_token_{self.tenant}", {token: int(self.agent)})
        self.ground.redis.zadd(f"gdt_agents_v2_{self.tenant}", {self.agent: int(self.agent)})
        if self.kinds[0] is not ADVERTISERS:
            key = f"gdt_advertiser_v1.1_{self.tenant}_{self.date.replace('-', '')}"
            self.ground.redis.zadd(key, dict.fromkeys(self.accounts, int(self.agent)))

    def change(self) -> None:
        """From now on the medium has other values for the same accounts, and answers at once."""
        before = self.media.scenario()
        (agent,) = before["gdt"]["agents"]
        token = self.media.directory()[0]["token"]
        same = agent | {"accounts": 0, "account_ids": self.accounts, "token": token}
        self.media.set_scenario({"seed": before["seed"] + 1, "gdt": {"agents": [same], "latency": None}})

    @property
    def command(self) -> list[str]:
        """The words of the first run."""
        words = ["run", self.kinds[0].interface, "-t", self.tenant, "-g", self.agent, "-d", self.date]
        return [*words, *(["--all"] if self.kinds[0] is not ADVERTISERS else []), *self.alone]

    @property
    def alone(self) -> list[str]:
        """What keeps a chain of one interface from going on."""
        return ["--no-next"] if len(self.kinds) == 1 else []

    def requests(self) -> Counter[str]:
        """Calls by path since the stage was planted."""
        counted = self.media.stats()["media"].get("gdt", {})
        return Counter({path: figures["requests"] for path, figures in counted.items()})

    # The ledger, read without Ark

    def runs(self) -> list[RunLine]:
        """Every run of this tenant, oldest first."""
        query = "SELECT run_id, interface, version, status, trigger_key FROM api_result_log WHERE tenant = :tenant"
        return [RunLine(*row) for row in self._told(f"{query} ORDER BY number")]

    def units(self) -> list[Unit]:
        """Every unit of those runs."""
        query = (
            "SELECT interface, version, account, variant, state, u.rows FROM api_result_unit u"
            " JOIN api_result_log l ON l.number = u.run WHERE tenant = :tenant"
        )
        return [Unit(*row) for row in self._told(query)]

    def _told(self, query: str) -> list[tuple[Any, ...]]:
        url = self.ground.ledger(self.ark.home)
        if url.startswith("sqlite") and not Path(sa.make_url(url).database or "").exists():
            return []
        engine = sa.create_engine(url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sa.text(query), {"tenant": self.tenant})]
        except sa.exc.OperationalError as error:
            if "no such table" in str(error):  # killed before it had any
                return []
            raise
        finally:
            engine.dispose()

    # The store

    def cells(self) -> dict[str, list[Cell]]:
        """Interface -> the cells of this tenant that are in effect."""
        return {
            kind.interface: [
                cell for cell in self.reader.cells(kind.table, self.date, newest=True) if self.tenant in cell.row
            ]
            for kind in self.kinds
        }

    def judged(self) -> Verdict:
        """The three numbers as they are now; the newest run of each interface is in effect."""
        versions: dict[str, list[int]] = {}
        for run in self.runs():
            versions.setdefault(run.interface, []).append(run.version)
        names = {"tenant": self.tenant, "agents": [self.agent], "date": self.date}
        return judge(self.media, self.reader, self.kinds, versions=versions, **names)

    # What is done about it

    def recover(self, how: str = RERUN) -> Outcome:
        """Take up what is left until it is done, and judge."""
        corrupt, units, cells, fetched = self.corrupt(), self.units(), self.cells(), self.requests().total()
        tries = 0
        while self.unfinished(how) and tries < TRIES:
            tries += 1
            self.take_up(how)
        after = self.cells()
        settled = [unit for unit in units if unit.state in {"verified", "skipped"}]
        stands = how != AGAIN  # else what follows has a newer version, and is another run's
        return Outcome(
            verdict=self.judged(),
            tries=tries,
            unfinished=self.unfinished(how),
            corrupt=corrupt + self.corrupt(),
            early=self._early(settled, cells),
            altered=sum(len(changed(cells[name], after[name])) for name in cells) if stands else 0,
            called=self.requests().total() - fetched,
            due=len(self.units()) - len(settled if stands else units),
            repeated=max(0, fetched - len(settled)),
            rewritten=sum(map(len, cells.values())) - sum(unit.rows for unit in settled) if stands else 0,
        )

    def take_up(self, how: str) -> Said:
        """What somebody does who finds that the run has died."""
        return ended(self.ark.start(*self.again(how)), LIMIT)

    def again(self, how: str) -> list[str]:
        """The words that take it up."""
        known = [run.run_id for run in self.runs() if run.trigger_key is None]
        return self.command if how == AGAIN or not known else ["rerun", known[0], *self.alone]

    def unfinished(self, how: str = RERUN) -> list[str]:
        """What is not as it must be: of each interface one run, the last one, is done."""
        runs = self.runs()
        latest = {run.interface: run.status for run in runs}
        found = [f"{kind.interface} is {latest.get(kind.interface, 'missing')}" for kind in self.kinds]
        found = [each for each in found if not each.endswith(" done")]
        if how != AGAIN:
            begun = Counter(run.interface for run in runs)
            found += [f"{interface} was begun {times} times" for interface, times in begun.items() if times > 1]
        return found

    def corrupt(self) -> list[str]:
        """Ledger and embedded tables that do not pass SQLite's own check."""
        return [
            f"{file.name}: {said}"
            for file in [*self.ark.home.glob("*.sqlite"), *self.ark.home.glob("tables/*.sqlite")]
            if (said := _integrity(file)) != "ok"
        ]

    def _early(self, settled: list[Unit], cells: Mapping[str, list[Cell]]) -> int:
        """Rows missing from the store, of units that are verified."""
        missing = 0
        for kind in self.kinds:
            stored = {cell.row for cell in cells[kind.interface]}
            verified = {(unit.account, unit.variant) for unit in settled if unit.interface == kind.interface}
            asked = {"fields": list(kind.asked)} if kind.asked else {}
            for each in self.media.truth(kind.interface, self.date, **asked) if verified else ():
                whole = ("", "") in verified  # a list interface has one unit
                if whole or (each["account"], each["variant"]) in verified:
                    missing += row_key(kind, each, self.date) not in stored
        return missing


def _integrity(file: Path) -> str:
    """What SQLite says of a file: `ok`."""
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            return " ".join(connection.exec_driver_sql("PRAGMA integrity_check").scalars())
    except sa.exc.DatabaseError as error:
        return str(error.orig)
    finally:
        engine.dispose()


@contextmanager
def embedded() -> Iterator[Ground]:
    """Everything under ARK_HOME; the embedded Redis is one for all scenes, and is not killed with them."""
    from ark.accounts import embedded_redis

    home = Path(tempfile.mkdtemp(prefix="ark-"))
    url = embedded_redis.ensure(home, "")
    client = redis.Redis.from_url(url)
    try:
        with (
            simulator() as media,
            closing(Ground("embedded", media, client, {"redis_url": url}, Embedded, _own_ledger)) as ground,
        ):
            yield ground
    finally:
        client.close()
        embedded_redis.stop(home)
        shutil.rmtree(home)


def _own_ledger(home: Path) -> str:
    return f"sqlite:///{home}/ledger.sqlite"


def _reader(hbase: str) -> Callable[[Path], Reader]:
    return lambda _: HBase(hbase)


@contextmanager
def real(hbase: str, redis_url: str, mariadb: str, kafka: str) -> Iterator[Ground]:
    """The real services; a database of its own on the MariaDB, and tables that keep three versions on that HBase."""
    from tests.acceptance.readers import Database

    database = Database(mariadb, f"chaos_{secrets.token_hex(4)}")
    client = redis.Redis.from_url(redis_url)
    settings = {"redis_url": redis_url, "hbase_url": hbase, "kafka_url": kafka, "ledger_url": database.url}
    try:
        with (
            simulator() as media,
            closing(Ground("real", media, client, settings, _reader(hbase), lambda _: database.url)) as ground,
        ):
            yield ground
    finally:
        client.close()
        database.drop()
