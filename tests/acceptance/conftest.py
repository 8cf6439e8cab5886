"""Ark as its users have it: `bin/ark` in a process of its own, its settings, its files, its services."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from click.testing import CliRunner

from handlers.cli.main import cli, main
from media.gdt.daily_report_ad import GdtDailyReportAd
from media.gdt.hourly_report_ad import GdtHourlyReportAd
from tests.conftest import CHECKOUT, Services, database
from tests.simulator import Media, simulator

BIN = str(CHECKOUT / "bin" / "ark")
DATE = "2020-05-30"
COMPACT = DATE.replace("-", "")
DATABASE = database(9)
"""The Redis database of these tests: what is in it is theirs."""
LONGEST_LINE = 4000
PYCACHE = str(CHECKOUT / ".pytest_cache" / "bytecode")


class Said(NamedTuple):
    """What a process has left behind."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """ARK_RESULT, which is the last line on stdout, the only one of its kind, and adds up."""
        lines = self.out.splitlines()
        assert lines, f"nothing on stdout; stderr: {self.err[-2000:]}"
        assert [line.startswith("ARK_RESULT ") for line in lines[:-1]].count(True) == 0
        assert lines[-1].startswith("ARK_RESULT {"), lines[-1]
        assert len(lines[-1]) < LONGEST_LINE
        assert self.out.endswith("\n")
        result: dict[str, Any] = json.loads(lines[-1].removeprefix("ARK_RESULT "))
        assert result["v"] == 1
        assert result["exit"] == self.code
        ended = result["verified"] + result["failed"] + result["skipped"]
        assert ended <= result["planned"]
        assert ended == result["planned"] or (result["status"] != "done" and "rerun" in result)
        assert ("rerun" in result) == (result["status"] != "done" or "pending" in result)
        return result


class Ark:
    """One ARK_HOME and its settings; calling it runs one command to its end."""

    def __init__(self, home: Path, **settings: object) -> None:
        self.home = home
        self.settings = settings

    def environment(self, **settings: object) -> dict[str, str]:
        given = {f"ARK_{name.upper()}": str(value) for name, value in {**self.settings, **settings}.items()}
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": PYCACHE, "ARK_HOME": str(self.home), **given}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a start would compile all libraries anew: two seconds
        return environment

    def start(self, *words: str, **settings: object) -> "subprocess.Popen[str]":
        """A process of bin/ark."""
        return self.spawn([BIN, *words], **settings)

    def spawn(self, command: Sequence[str], **settings: object) -> "subprocess.Popen[str]":
        """A process with our settings, in a process group of its own."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env=self.environment(**settings) | {"PYTHONPATH": str(CHECKOUT)},
            cwd="/",
            start_new_session=True,
        )

    def __call__(self, *words: str, timeout: float = 60, **settings: object) -> Said:
        return ended(self.start(*words, **settings), timeout)

    def read(self, *words: str) -> str:
        """What a command that only reads prints, run in this process: to start one takes a second."""
        shown = CliRunner().invoke(cli, words, env=self.environment(), prog_name="ark", standalone_mode=False)
        if shown.exception is not None:
            raise shown.exception
        return shown.stdout

    def refusal(self, *words: str) -> Said:
        """What a command that is refused before it works says, told by the last door in this process."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.environment().items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main([*words])
        return Said(int(end.value.code or 0), out.getvalue(), err.getvalue())

    def json(self, *words: str) -> Any:
        return json.loads(self.read(*words, "--json"))

    def units(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Account (and variant, if any) -> its unit, as `ark show --json` has it."""
        units = self.json("show", run_id)["units"]
        return {" ".join(filter(None, (unit["account"], unit["variant"]))): unit for unit in units}

    def rows(self, table: str, *words: str) -> dict[str, tuple[int, Any]]:
        """Row key -> (timestamp, value) of a table; a second cell or version of a row is an error."""
        lines = self.read("rows", table, "--limit", "1000000", "--versions", "9", "--json", *words).splitlines()
        cells = [json.loads(line) for line in lines]
        found = {cell["row"]: (cell["timestamp"], cell["value"]) for cell in cells}
        assert len(found) == len(cells)
        return found


def ended(process: "subprocess.Popen[str]", timeout: float = 60) -> Said:
    """What a process says until it ends; a traceback is never among it."""
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        sys.stderr.write(f"{out[-3000:]}{err[-3000:]}")  # pytest shows it with the failure
        raise
    assert "Traceback" not in err, err
    assert "Traceback" not in out
    return Said(process.returncode, out, err)


CASH = {"fund_type": "FUND_TYPE_CASH", "balance": 120000, "fund_status": "FUND_STATUS_NORMAL", "realtime_cost": 100}
"""A record of funds/get."""


class Kind(NamedTuple):
    """An interface as a reader of its table knows it: the fields of the row key as seed 003 designs them."""

    interface: str
    table: str
    key: tuple[str, ...]
    asked: Sequence[str] = ()
    """The fields a report is asked for; empty: all there are."""


FUNDS = Kind("gdt.funds", "tenant_gdt_funds_get_v2", ("salt", "date", "account", "agent", "fund_type", "tenant"))
DAILY = Kind(
    "gdt.daily_report_ad",
    "tenant_gdt_daily_report_ad_v3",
    ("salt", "date", "account", "agent", "ad_id", "tenant", "time_line"),
    GdtDailyReportAd.fields,
)
HOURLY = Kind(
    "gdt.hourly_report_ad",
    "tenant_gdt_hourly_report_ad_v3",
    ("salt", "date", "account", "agent", "hour", "ad_id", "time_line", "tenant"),
    GdtHourlyReportAd.fields,
)


class Stage:
    """A tenant with one agent whose token and accounts are in Redis, and the medium that serves them."""

    def __init__(
        self,
        ark: Ark,
        directory: "redis.Redis[bytes]",
        url: str,
        accounts: Sequence[str],
        *,
        tenant: str = "",
        agent: str = "",
        date: str = DATE,
    ) -> None:
        self.ark, self.redis, self.url, self.date = ark, directory, url, date
        self.tenant = tenant or f"T{random.randrange(10**8, 10**9)}"
        self.agent = agent or str(random.randrange(1_000_000, 10_000_000))
        self.accounts = list(accounts)
        self.key = f"gdt_advertiser_v1.1_{self.tenant}_{date.replace('-', '')}"
        ark.settings["gdt_url"] = url

    def fill(self, token: str) -> None:
        """Lay Redis out as production has it."""
        score = int(self.agent)
        self.redis.zadd(f"gdt_new_access_token_{self.tenant}", {token: score})
        self.redis.zadd(f"gdt_agents_v2_{self.tenant}", {self.agent: score})
        for start in range(0, len(self.accounts), 10_000):
            self.redis.zadd(self.key, dict.fromkeys(self.accounts[start : start + 10_000], score))

    def clear(self) -> None:
        for key in self.redis.scan_iter(f"*_{self.tenant}*"):
            self.redis.delete(key)

    def words(self, interface: str, *more: str) -> list[str]:
        return ["run", interface, "-g", self.agent, "-k", self.key, *more]

    def run(self, interface: str = "gdt.funds", *more: str, **settings: Any) -> Said:
        """`ark run`, without what follows it."""
        return self.ark(*self.words(interface, "--no-next", *more), **settings)

    def at(self, home: Path) -> "Stage":
        """The same stage for an Ark with another home."""
        other = copy(self)
        other.ark = Ark(home, **self.ark.settings)
        return other

    def start(self, interface: str = "gdt.funds", *more: str, **settings: Any) -> "subprocess.Popen[str]":
        return self.ark.start(*self.words(interface, "--no-next", *more), **settings)


class Simulated(Stage):
    """A stage whose medium is the simulator."""

    def __init__(self, ark: Ark, directory: "redis.Redis[bytes]", media: Media, **names: str) -> None:
        super().__init__(ark, directory, media.url, (), **names)
        self.media = media

    def plant(self, accounts: int, token: str = "", seed: int = 20200531, **scenario: Any) -> None:
        agent = {"tenant": self.tenant, "id": self.agent, "accounts": accounts, "token": token}
        self.media.set_scenario({"seed": seed, "gdt": {"agents": [agent], **scenario}}, replace=True)
        self.media.clear_stats()
        self.accounts = self.media.accounts(self.agent)
        self.fill(self.media.directory()[0]["token"])

    def change(self, **scenario: Any) -> None:
        self.media.set_scenario({"gdt": scenario})

    def calls(self, path: str = "funds/get") -> dict[str, Any]:
        """What the medium counted for one interface."""
        return dict(self.media.stats()["media"].get("gdt", {}).get(path, {"requests": 0, "codes": {}}))

    def differences(self, kind: Kind = FUNDS) -> tuple[int, int, int]:
        """Rows of the embedded table that are lost, in excess (duplicated), misplaced."""
        cells = self.ark.rows(kind.table, "--date", self.date)
        return compare(self.truth(kind), {key: value["data"] for key, (_, value) in cells.items()})

    def truth(self, kind: Kind = FUNDS) -> dict[str, Any]:
        """Row key -> record, as the medium has it."""
        asked = {"fields": list(kind.asked)} if kind.asked else {}
        served = self.media.truth(kind.interface, self.date, **asked)
        return {row_key(each, kind.key, self.date): each["record"] for each in served}


def row_key(truth: Mapping[str, Any], fields: Sequence[str], date: str) -> str:
    """The seed's design: salt|yyyymmdd|account|agent|...|tenant, here written anew."""
    known = {
        "salt": truth["account"][-1],
        "date": date.replace("-", ""),
        "account": truth["account"],
        "agent": truth["agent"],
        "tenant": truth["tenant"],
        "time_line": truth["variant"].removeprefix("time_line="),
    }
    return "|".join(known[field] if field in known else str(truth["record"][field]) for field in fields)


def compare(expected: Mapping[str, Any], stored: Mapping[str, Any]) -> tuple[int, int, int]:
    """(lost, duplicated, misplaced): keys that are missing, that nobody served, that hold another record."""
    misplaced = sum(expected[key] != stored[key] for key in expected.keys() & stored.keys())
    return len(expected.keys() - stored.keys()), len(stored.keys() - expected.keys()), misplaced


@pytest.fixture(scope="session")
def directory(services: Services) -> Iterator["redis.Redis[bytes]"]:
    """A database of the real Redis."""
    client = redis.Redis.from_url(services.redis_url.rpartition("/")[0] + f"/{DATABASE}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def redis_url(services: Services) -> str:
    return services.redis_url.rpartition("/")[0] + f"/{DATABASE}"


@pytest.fixture
def ark(ark_home: Path, redis_url: str) -> Ark:
    """Tokens and accounts from the real Redis; everything else under its home; a quick clock."""
    return Ark(ark_home, redis_url=redis_url, gdt_window=1)


@pytest.fixture(scope="module")
def module_ark(redis_url: str) -> Iterator[Ark]:
    """The same for what many tests look at."""
    home = Path(tempfile.mkdtemp(prefix="ark-"))
    yield Ark(home, redis_url=redis_url, gdt_window=1)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def media() -> Iterator[Media]:
    """One simulator for all; `stage` gives it a scenario of its own."""
    with simulator() as running:
        yield running


@pytest.fixture
def stage(ark: Ark, directory: "redis.Redis[bytes]", media: Media) -> Iterator[Callable[..., Simulated]]:
    """Make the stage of a test: `stage(accounts=20, faults=[...])`; what it does not name is the simulator's own."""
    made: list[Simulated] = []

    def make(accounts: int = 20, **scenario: Any) -> Simulated:
        made.append(Simulated(ark, directory, media))
        made[-1].plant(accounts, **scenario)
        return made[-1]

    yield make
    for each in made:
        each.clear()


@contextmanager
def staged(
    ark: Ark, directory: "redis.Redis[bytes]", url: str, accounts: Sequence[str], token: str = ""
) -> Iterator[Stage]:
    """A stage before any medium at `url`, with a token nobody checks."""
    made = Stage(ark, directory, url, accounts)
    made.fill(token or f"token-of-{made.tenant}")
    try:
        yield made
    finally:
        made.clear()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Return when `condition` holds; an error if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def peak_memory(process: "subprocess.Popen[str]") -> int:
    """Wait for the end; the most bytes that were resident until then."""
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):  # missing once it has ended
                peak = int(line.split()[1]) << 10
        time.sleep(0.02)
    return peak
