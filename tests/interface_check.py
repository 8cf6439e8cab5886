"""One interface run whole, through the real engine, and what is stored compared with what was served.

`Desk` is an ARK_HOME, a Redis and a tenant; it runs interfaces in this process. `check` serves `Sample`s of an
interface's records and looks at everything that came of them. Row keys and endpoints are written here by hand.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import pytest
import redis
import structlog

from ark.clock import today
from ark.job import decode
from ark.ledger import Run, UnitResult, open_ledger
from ark.settings import Settings, load
from handlers import launch
from handlers.registry import find
from tests.media_server import Door, Medium, Shape, serve

DATE = "2020-05-30"
DAY = DATE.replace("-", "")
PAGE = 5
"""Records per page: small, so that a few records make many pages."""
AGENT = "1650000000000001"
FIRST_ID = 1664757665610000
"""Account ids of jrtt's size; the last digit is the salt."""


class Sample(NamedTuple):
    """Records of one interface, and where they must end up.

    `record` is the medium's own text with $id or $hour where two records of an account differ, $account, $agent, $date
    and the names of `variants`; `key` is the row key, which also knows $salt, $day, $tenant, and $last of the $id.
    """

    path: str
    record: str
    key: str
    level: str = ""
    shape: Shape = "pages"
    variants: Mapping[str, Sequence[str]] = {}
    equal: Sequence[str] = ()
    beside: str = ""
    name: str = "list"

    @property
    def single(self) -> bool:
        """An account has one record of it at most."""
        return "$id" not in self.record and "$hour" not in self.record

    def combinations(self) -> list[dict[str, str]]:
        return [dict(zip(self.variants, values, strict=True)) for values in product(*self.variants.values())]


class Desk:
    """Where interfaces are run: a home, a Redis, one tenant."""

    def __init__(self, home: Path, redis_url: str, tenant: str, **settings: object) -> None:
        self.home, self.tenant = home, tenant
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self.environ = {"ARK_HOME": str(home), "ARK_REDIS_URL": redis_url, "ARK_HTTP_CONCURRENCY": "8"}
        self.set(**settings)

    def set(self, **settings: object) -> None:
        """`gdt_url="http://..."` and the like."""
        self.environ |= {f"ARK_{name.upper()}": str(value) for name, value in settings.items()}

    def at(self, medium: Medium) -> None:
        """Have all media be this server, with small pages and a quick clock."""
        for section in ("gdt", "jrtt", "wx", "wx_b"):
            options = {"url": medium.url, "list_page": PAGE, "report_page": PAGE, "window": 0.05}
            self.set(**{f"{section}_{name}": value for name, value in options.items()})

    @property
    def settings(self) -> Settings:
        return load(self.environ)

    def give(self, key: str, members: Sequence[str], score: str) -> None:
        self.redis.zadd(key, dict.fromkeys(members, int(score)))

    def token(self, medium: str, owner: str) -> None:
        name = "wx_authorizer" if medium == "wx_b" else f"{medium}_new"
        self.give(f"{name}_access_token_{self.tenant}", [f"token-of-{owner}"], owner)

    def members(self, key: str) -> dict[str, str]:
        """Account -> agent, as they stand in a list of Redis."""
        return {member: str(int(score)) for member, score in self.redis.zrange(key, 0, -1, withscores=True)}

    def argument(self, **keys: Any) -> str:
        return json.dumps({"agent_id": AGENT, "tenant_alias": self.tenant, "data_date": DATE, **keys})

    def run(self, interface: str, *, follow: bool = False, restate: bool = False, **keys: Any) -> Run:
        """Run an interface on an argument, to its end."""
        start = launch.restate if restate else launch.run
        job = decode(self.argument(**keys), today())
        return start(self.settings, interface, job, self.ended, launch.How(follow=follow))

    def rerun(self, run: Run) -> Run:
        return launch.rerun(self.settings, run.run_id, self.ended, launch.How(follow=False), only_failed=False)

    def ended(self, run: Run) -> None:
        self.last = run

    def runs(self, *, provisional: bool = False) -> list[Run]:
        with closing(open_ledger(self.settings)) as ledger:
            return [run for run in ledger.runs(100, provisional=provisional) if run.tenant == self.tenant]

    def units(self, run: Run) -> list[UnitResult]:
        with closing(open_ledger(self.settings)) as ledger:
            return list(ledger.units(run.run_id))

    def unit(self, run: Run, account: str) -> UnitResult:
        (found,) = [unit for unit in self.units(run) if unit.key.account == account]
        return found

    def cells(self, table: str) -> dict[str, tuple[int, bytes]]:
        """Row key -> (timestamp, the cell's bytes) of this tenant, read without any of Ark's code."""
        path = self.home / "tables" / f"{table}.sqlite"
        if not path.exists():
            return {}
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT row, col, ts, val FROM cell").fetchall()
        assert {column for _, column, _, _ in rows} <= {b"info:data"}
        return {
            row.decode(): (time, bytes(cell)) for row, _, time, cell in rows if self.tenant in row.decode().split("|")
        }

    def stored(self, table: str) -> dict[str, bytes]:
        """Row key -> the record's own bytes."""
        before = b'{"tenant_alias":"%b","data":' % self.tenant.encode()
        found = {}
        for key, (time, cell) in self.cells(table).items():
            after = b',"timestamp":%d}' % (time // 1000)
            assert cell.startswith(before)
            assert cell.endswith(after)
            found[key] = cell[len(before) : -len(after)]
        return found


def served(sample: Sample, tenant: str, agent: str, account: str, count: int) -> dict[str, bytes]:
    """Row key -> record: `count` records of one account under each of its variants."""
    found = {}
    for variant in sample.combinations():
        for number in range(count):
            values = {
                "account": account,
                "agent": agent,
                "salt": account[-1],
                "date": DATE,
                "day": DAY,
                "tenant": tenant,
                "hour": str(number % 24),
                "id": str(FIRST_ID + 7 * number),
                "last": str(FIRST_ID + 7 * number)[-1],
                **variant,
            }
            record = Template(sample.record).substitute(values).encode()
            found[Template(sample.key).substitute(values)] = record
    assert len(found) == count * len(sample.combinations()), "the sample's key is not unique"
    return found


def check(desk: Desk, name: str, sample: Sample, counts: Sequence[int] | None = None) -> None:
    """Run an interface that works by account, on one account per count, and compare."""
    handler = find(name)
    counts = _counts(sample) if counts is None else counts
    accounts = [str(FIRST_ID + 11 * number) for number in range(len(counts))]
    if handler.works_on != "accounts":
        accounts[0] = AGENT
    expected = [
        served(sample, desk.tenant, AGENT, account, count) for account, count in zip(accounts, counts, strict=True)
    ]
    door = door_of(sample, {a: list(dict.fromkeys(rows.values())) for a, rows in zip(accounts, expected, strict=True)})
    _fill(desk, handler.section, handler.works_on, accounts)
    with serve(door) as medium:
        desk.at(medium)
        run = desk.run(name)
    units = len(accounts) * len(sample.combinations())
    assert not medium.wrong
    assert {call.day for call in medium.calls} == {DATE if handler.complete_at or "cost" in name else ""}
    assert (run.status, run.exit_code) == ("done", 0), [unit.reason for unit in desk.units(run) if unit.reason][:3]
    assert (run.planned, run.verified) == (units, units)
    assert desk.stored(handler.table) == {key: record for rows in expected for key, record in rows.items()}
    assert run.rows == sum(map(len, expected))
    batches = -(-len(accounts) // handler.batch)
    calls = batches if sample.shape == "batch" else _pages(sample, counts) * len(sample.combinations())
    assert len(medium.calls) == calls == run.requests


def check_list(desk: Desk, name: str, sample: Sample, key: str, count: int, *, old: Mapping[str, str]) -> Run:
    """Run an interface that works by agent and brings accounts; `old` is what its Redis list held before."""
    rows = served(sample, desk.tenant, AGENT, "0", count)
    for account, agent in old.items():
        desk.give(key, [account], agent)
    desk.token(find(name).section, AGENT)
    before = desk.stored(find(name).table)
    with serve(door_of(sample, {AGENT: list(rows.values())})) as medium:
        desk.at(medium)
        run = desk.run(name)
    assert not medium.wrong
    if run.exit_code == 0:
        assert (run.planned, run.verified, run.rows) == (1, 1, count)
        stored = {key: record for key, record in desk.stored(find(name).table).items() if key not in before}
        assert stored == rows
        assert len(medium.calls) == run.requests == max(1, -(-count // PAGE))
    return run


def door_of(sample: Sample, records: Mapping[str, Sequence[bytes]]) -> Door:
    how = {name: getattr(sample, name) for name in ("level", "shape", "name", "equal")}
    return Door(sample.path, records, beside=sample.beside.encode(), **how)


def _counts(sample: Sample) -> list[int]:
    if sample.shape in {"object", "batch"}:
        return [1, 1, 1]
    if sample.single:
        return [0, 1, 1]
    return [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 1] if sample.shape == "pages" else [0, 1, 3]


def _pages(sample: Sample, counts: Sequence[int]) -> int:
    return sum(max(1, -(-count // PAGE)) if sample.shape == "pages" else 1 for count in counts)


def _fill(desk: Desk, section: str, works_on: str, accounts: Sequence[str]) -> None:
    for owner in accounts if section == "wx_b" else [AGENT]:
        desk.token(section, owner)
    desk.give(
        {
            "gdt accounts": f"gdt_advertiser_v1.1_{desk.tenant}_{DAY}",
            "jrtt accounts": f"jrtt_accounts_v2_{desk.tenant}_{DAY}",
            "jrtt agents": f"jrtt_one_agents_v2_{desk.tenant}",
            "jrtt child_agents": f"jrtt_child_agents_v2_{desk.tenant}",
            "wx accounts": f"wx_advertiser_{desk.tenant}_{AGENT}_{DAY}",
            "wx_b accounts": f"wx_advertiser_{desk.tenant}_{AGENT}_{DAY}",
        }[f"{section} {works_on}"],
        accounts,
        AGENT,
    )


@contextmanager
def untouched_process() -> Iterator[None]:
    """What a run sets for the whole process is left alone or put back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "_calm_collector", lambda: None)
        patch.setattr(launch, "_log_to_file", lambda *_: None)
        structlog.configure([structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
        yield
    structlog.reset_defaults()
