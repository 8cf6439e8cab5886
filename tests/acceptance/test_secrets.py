"""No token, refresh token, client secret or password is in anything that Ark leaves behind, whatever goes wrong.

Every secret of these tests begins and ends alike and has a number of its own in between: who finds the beginning or the
end of one, in any spelling, has found a part of it.
"""

import base64
import gzip
import json
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from tests.acceptance.canaries import Watch, canaries, canary, hits, spellings
from tests.acceptance.conftest import CASH, COMPACT, DATE, FUNDS, Ark, Said, Stage, ended
from tests.acceptance.readers import Database, Sentry, Table, Topic
from tests.acceptance.servers import altered
from tests.acceptance.test_listeners import receiver
from tests.conftest import Services
from tests.hostile import CLOSE, RESET, Call, answer, good, hostile

if TYPE_CHECKING:
    import redis

MANY = 990
WX_FUNDS = {"errcode": 0, "data": {"list": [{"fund_type": "CASH", "balance": 1}]}}


class Story:
    """Everything that was done, and every place where something of it may be."""

    def __init__(self, folder: Path, services: Services, directory: "redis.Redis[bytes]", redis_url: str) -> None:
        self.folder, self.services, self.directory, self.redis_url = folder, services, directory, redis_url
        self.sinks: dict[str, bytes] = {}
        self.run_ids: dict[str, str] = {}
        self.environments = b""
        self.set: set[str] = set()
        self._homes = count()

    def ark(self, **settings: object) -> Ark:
        """An Ark with a home of its own under `folder`."""
        home = self.folder / str(next(self._homes))
        return Ark(home, redis_url=self.redis_url, gdt_window=1, wx_window=1, wx_b_window=1, **settings)

    def given(self, secret: str) -> str:
        """A secret that a setting of the environment holds."""
        self.set.add(secret)
        return secret

    def tell(self, name: str, said: Said, *codes: int) -> Said:
        """Keep what a process has said; it ended as it should."""
        assert said.code in codes, f"{name}: exit {said.code}, {said.err[-1500:]}"
        self.sinks |= {f"{name}, stdout": said.out.encode(), f"{name}, stderr": said.err.encode()}
        if "ARK_RESULT" in said.out:
            self.run_ids[name] = said.result["run_id"]
        return said

    def keep_files(self) -> None:
        """Every file of every home, but the spool and the embedded Redis, whose purpose is to hold tokens."""
        for file in self.folder.rglob("*"):
            words = file.relative_to(self.folder).parts
            if file.is_file() and not {"tokens", "redis"} & set(words[1:2]):
                self.sinks[str(file)] = file.read_bytes()


def planted(story: Story, ark: Ark, url: str, accounts: Iterable[str]) -> Stage:
    """A stage whose token is a canary."""
    made = Stage(ark, story.directory, url, list(accounts))
    made.fill(canary())
    return made


def thrown_back(call: Call, token: str, kind: int) -> Iterable[Any]:
    """Error pages, messages, headers, records and broken connections that quote the call, in the envelopes of both."""
    in_base64 = base64.b64encode(f"?token={token}".encode()).decode()
    said = lambda text: json.dumps({"code": 31033, "errcode": 31033, "message": text, "errmsg": text})  # noqa: E731
    steps: list[list[Any]] = [
        [answer(good(CASH) if "v1.1" in call.path and "marketing" not in call.path else json.dumps(WX_FUNDS))],
        [answer(f"<html>no {call.target} here</html>", 404)],
        [answer(said(f"token {token} is not for you"))],
        [answer("", 302, {"Location": f"http://127.0.0.1:9/{call.target}"})],
        [answer(said("see " + call.target.replace("&", "\\u0026")))],
        [answer(said("enough"), headers={"X-TSA-Trace-Id": f"trace-{quote(token)}"})],
        [answer("<html>", headers={"Content-Type": f"text/{token}"})],
        [answer(json.dumps({"code": 0, "errcode": 0, "data": {"list": [{"fund_type": f"{token}|x"}]}}))],
        [answer(said(f"{in_base64} {quote(quote(token))}"))],
        [answer(said("enough"), headers={"X-TSA-Trace-Id": token.encode().hex()[:8] + token})],
        [answer(json.dumps({"code": 11002, "errcode": 40001, "message": token, "errmsg": token}))],
        [answer(said("x" * 3000 + token))],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + call.target.encode(), CLOSE],
        [f"HTTP/1.1 {token}\r\n\r\n".encode(), RESET],
        [answer(json.dumps({"code": 0, "errcode": 0, "data": {"list": token, "page_info": {"total_number": token}}}))],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: " + quote(token).encode() + b"\r\nContent-Length: 3\r\n\r\nabc"],
    ]
    return steps[kind % len(steps)]


KINDS = 16


def many_tokens(story: Story, database: Database) -> None:
    """An interface whose accounts have a token each: many tokens through each way to fail. MySQL, Kafka, Sentry."""
    listeners = {"kafka_url": story.services.kafka_url, "sentry_dsn": story.services.sentry_dsn}
    ark = story.ark(**listeners, ledger_url=database.url, http_attempts=1)
    ark.settings["wx_b_agency_key"] = story.given(canary())
    tokens = {canary(): f"{number}" for number in range(10_000_000, 10_000_000 + MANY)}
    tenant = f"T{secrets.randbelow(10**9)}"
    accounts = f"wx_advertiser_{tenant}_77_{COMPACT}"
    story.directory.zadd(f"wx_authorizer_access_token_{tenant}", {token: int(owner) for token, owner in tokens.items()})
    story.directory.zadd(accounts, dict.fromkeys(tokens.values(), 77))

    def script(call: Call) -> Iterable[Any]:
        token = call.query["access_token"]
        return thrown_back(call, token, int(tokens[token]) % KINDS)

    with hostile(script) as server:
        ark.settings["wx_b_url"] = server.url
        words = ["run", "wx.b.funds", "-g", "77", "-k", accounts, "--no-next"]
        said = story.tell("many tokens", ark(*words), 3)
        assert said.result["verified"] >= MANY // KINDS
        assert said.result["failed"] >= MANY // KINDS * (KINDS - 2)
        story.tell("many tokens, to files", ark(*words, "-o", "FILE", "--json"), 3)
        story.tell("many tokens, once more", ark("rerun", said.result["run_id"], "--no-next"), 3)
    story.sinks["show"] = ark.read("show", said.result["run_id"]).encode()
    story.sinks["show --json"] = ark.read("show", said.result["run_id"], "--json").encode()
    story.sinks["runs --json"] = ark.read("runs", "--json").encode()
    story.directory.delete(f"wx_authorizer_access_token_{tenant}", accounts)


OTHER_TABLE = """
from media.gdt.funds import GdtFunds
GdtFunds.table = "no_such_table"
"""
BUG = """
import importlib
from ark.errors import LocalDiskError
def broken(*_):
    raise {error}("a bug with " + {token}[::-1])
async def broken_later(*_):
    broken()
setattr(importlib.import_module({module!r}).{owner}, {method!r}, {function})
"""
BUGS = {
    "in a unit": ("handlers.records", "RecordReader", "rows", "broken", "ValueError", 3),
    "in a run": ("handlers.outcomes", "Outcomes", "verified", "broken", "RuntimeError", 70),
    "at the end": ("handlers.runner", "Runner", "_finish", "broken_later", "RuntimeError", 70),
    "of the ledger": ("ark.ledger", "Ledger", "settle", "broken", "LocalDiskError", 74),
}
"""Where it is, and the exit code. The token stands there backwards: nobody may find it on our command line."""


def stores(story: Story) -> None:
    """gdt's own dialect into the real HBase; a store that is away, and one without the table; nothing at all."""
    ark = story.ark(http_attempts=1, kafka_url="127.0.0.1:9", hbase_url=story.services.hbase_url)
    first = secrets.randbelow(10**8) * 100
    accounts = [str(10**10 + first + kind) for kind in range(KINDS)]
    with hostile(lambda call: thrown_back(call, call.query["access_token"], int(call.account[-2:]))) as server:
        here = planted(story, ark, server.url, accounts)
        story.tell("HBase", here.run(), 3)
        story.tell("HBase away", here.run(hbase_url="thrift://127.0.0.1:9"), 69)
        words = here.words("gdt.funds", "--no-next")
        story.tell("HBase without the table", ended(ark.spawn(altered(OTHER_TABLE, *words))), 78)
        story.tell("dry-run", here.run("gdt.funds", "--dry-run"), 0)
        here.clear()
    table = Table(story.services.hbase_url, FUNDS.table)
    mine = {key: cell for key, cell in table.raw() if not set(accounts).isdisjoint(key.split("|"))}
    table.remove(mine)
    table.close()
    assert len(mine) == 1
    story.sinks["HBase cells"] = b"".join(mine.values()) + repr(mine).encode()


def bugs(story: Story) -> None:
    """Errors of our own that hold the token: log, reason, alarm, crash file."""
    with hostile(lambda _: [answer(good(CASH))]) as server, receiver() as alarms:
        for name, (module, owner, method, function, error, code) in BUGS.items():
            here = planted(story, story.ark(sentry_dsn=alarms.dsn), server.url, ["10000001", "10000002"])
            token = repr(canaries[-1][::-1])
            patch = BUG.format(module=module, owner=owner, method=method, function=function, error=error, token=token)
            broken = here.ark.spawn(altered(patch, *here.words("gdt.funds", "--no-next")))
            out, err = broken.communicate(timeout=60)  # a traceback may be in there
            story.tell(f"a bug {name}", Said(broken.returncode, out, err), code)
            here.clear()
        assert len(alarms.bodies) >= 2
        for number, body in enumerate(alarms.bodies):
            story.sinks[f"alarm {number}"] = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    assert any(path.name == "crash.log" for path in story.folder.rglob("*"))


def renewals(story: Story) -> None:
    """A token that is refused and renewed, one that cannot be renewed, and every way to say so with it."""
    answers: Iterator[Callable[[Call], Iterable[Any]]] = iter(
        [
            lambda call: [answer(json.dumps({"code": 11011, "message": f"no: {call.target}"}))],
            lambda call: [answer(f"<html>{call.target}", 500)],
            lambda call: [answer("", 302, {"Location": f"http://127.0.0.1:9{call.target}"})],
            lambda _: [answer(json.dumps({"code": 0, "data": {"access_token": canary(), "refresh_token": 7}}))],
            lambda call: [call.target.encode(), CLOSE],
            lambda _: [answer(json.dumps({"code": 0, "data": pair()}))],
        ]
    )

    def pair() -> dict[str, object]:
        return {"access_token": canary(), "refresh_token": canary(), "access_token_expires_in": 86400}

    def script(call: Call) -> Iterable[Any]:
        if "oauth" in call.path:
            return next(answers)(call)
        token = call.query["access_token"]
        return [answer(json.dumps({"code": 11002, "message": f"token {token} has expired"}))]

    app = {"gdt_client_id": "77", "gdt_client_secret": story.given(canary())}
    with hostile(script) as server:
        here = planted(story, story.ark(**app, http_attempts=1), server.url, ["10000001"])
        refresh = f"gdt_new_refresh_token_{here.tenant}"
        words = ["tokens", "refresh", "-m", "gdt", "-t", here.tenant]
        here.redis.zadd(refresh, {canary(): int(here.agent)})
        story.tell("refused in a run", here.run(), 77)
        for number in range(4):
            story.tell(f"renewal {number}", here.ark(*words), 69, 70, 75, 77, 3)
            here.redis.delete(refresh)
            here.redis.zadd(refresh, {canary(): int(here.agent)})
            shutil.rmtree(here.ark.home / "tokens", ignore_errors=True)
        story.tell("renewed", here.ark(*words, "--json"), 0)
        assert next(answers, None) is None
        here.clear()


def services_that_refuse(story: Story) -> None:
    """Passwords in URLs, of servers that are away and of servers that want another one; settings and doctor."""
    secret = lambda: quote(story.given(canary()), safe="")  # noqa: E731
    maria = sa.make_url(story.services.mariadb_url).set(password=story.given(canary()))
    wrong = maria.render_as_string(hide_password=False)
    at = story.redis_url.removeprefix("redis://")
    with hostile(lambda _: [answer(good(CASH))]) as server:
        here = planted(story, story.ark(), server.url, ["10000001"])
        story.tell("Redis away", here.run(redis_url=f"redis://:{secret()}@127.0.0.1:9/2"), 69)
        story.tell("Redis refuses", here.run(redis_url=f"redis://nobody:{secret()}@{at}"), 77)
        story.tell("ledger away", here.run(ledger_url=f"mysql+pymysql://ark:{secret()}@127.0.0.1:9/ark"), 69)
        story.tell("ledger refuses", here.run(ledger_url=wrong), 78)
        story.tell("no ledger", here.run(ledger_url=f"postgres://ark:{secret()}@127.0.0.1/ark"), 78)
        story.tell("no dsn", here.run(sentry_dsn=story.given(canary())), 0)
        story.tell("Sentry away", here.run(sentry_dsn=f"http://{secret()}:{secret()}@127.0.0.1:9/1"), 0)
        everything = {
            "redis_url": f"redis://:{secret()}@127.0.0.1:9/2",
            "ledger_url": f"mysql+pymysql://ark:{secret()}@127.0.0.1:9/ark",
            "tenant_url": f"mysql+pymysql://ark:{secret()}@127.0.0.1:9/ark",
            "sentry_dsn": f"http://{secret()}@127.0.0.1:9/1",
            "gdt_client_secret": story.given(canary()),
            "wx_b_agency_key": story.given(canary()),
        }
        for words in (["doctor"], ["doctor", "--json"], ["settings"], ["settings", "--json"], ["tenants", "sync"]):
            story.tell(" ".join(words), here.ark(*words, **everything), 0, 69, 78)
        story.tell("tenants refuse", here.ark("tenants", "sync", tenant_url=wrong), 69, 78)
        file = story.folder.parent / "settings.toml"
        file.write_text(f"[redis]\nurl = {json.dumps('redis://:' + secret() + '@127.0.0.1:9/2')}\n", encoding="utf-8")
        file.chmod(0o644)
        story.tell("settings that all may read", here.ark("settings", conf=file), 78)
        here.clear()


def simulated(story: Story) -> None:
    """`ark simulate --fill-redis` with given tokens, and a chain of jobs of which each starts a process."""
    tenant, agent = f"T{secrets.randbelow(10**9)}", str(10**6 + secrets.randbelow(10**6))
    planted = f"tenant = {json.dumps(tenant)}, id = {json.dumps(agent)}, accounts = 2, token = {json.dumps(canary())}"
    scenario = story.folder.parent / "scenario.toml"
    scenario.write_text(f"[gdt]\nagents = [{{ {planted} }}]\n", encoding="utf-8")
    ark = story.ark(next_dispatch="subprocess")
    serving = ark.start("simulate", "--scenario", str(scenario), "--fill-redis")
    assert serving.stdout is not None
    first = serving.stdout.readline()
    ark.settings["gdt_url"] = json.loads(first)["url"]
    try:
        story.tell("chain", ark("run", "gdt.advertisers", "-g", agent, "-t", tenant, "-d", DATE), 0)
    finally:
        serving.send_signal(signal.SIGTERM)
        out, err = serving.communicate(timeout=20)
    story.sinks |= {"simulate, stdout": (first + out).encode(), "simulate, stderr": err.encode()}
    for key in story.directory.scan_iter(f"*_{tenant}*"):
        story.directory.delete(key)


@pytest.fixture(scope="module")
def story(services: Services, directory: "redis.Redis[bytes]", redis_url: str) -> Iterator[Story]:
    """All of it, once."""
    with tempfile.TemporaryDirectory(prefix="ark-") as folder:
        made = Story(Path(folder, "homes"), services, directory, redis_url)
        database = Database(services.mariadb_url, f"secrets_{secrets.token_hex(4)}")
        topic = Topic(services.kafka_url, "wx_api_log")
        try:
            with Watch(made.folder) as watch:
                many_tokens(made, database)
                for act in (stores, bugs, renewals, services_that_refuse, simulated):
                    act(made)
            made.keep_files()
            made.sinks["Kafka"] = b"\n".join(topic.values())
            made.sinks["Sentry"] = alarms_of(made)
            made.sinks["ledger in MySQL"] = everything_in(database)
            made.sinks["command lines"] = b"\n".join(watch.lines)
            made.environments = b"\n".join(watch.environments)
        finally:
            topic.close()
            database.drop()
        yield made


def alarms_of(story: Story) -> bytes:
    events = Sentry(story.services.sentry_api, story.services.sentry_dsn).events(story.run_ids["many tokens"])
    assert len(events) >= 5
    return json.dumps(events).encode() + repr(events).encode()


def everything_in(database: Database) -> bytes:
    names = [name for row in database.rows("SHOW TABLES") for name in row.values()]
    kept = {name: database.rows(f"SELECT * FROM {name}") for name in names}  # noqa: S608 - our own names
    assert len(kept["api_result_unit"]) >= MANY
    return repr(kept).encode()


@pytest.mark.services
def test_no_part_of_a_secret_is_in_any_sink(story: Story) -> None:
    """Homes, output, Kafka, Sentry, HBase, embedded tables, FILE output, SQLite and MySQL ledger, process list."""
    assert len(set(canaries)) >= 1000
    assert hits(story.sinks) == {}
    names = " ".join(story.sinks)
    for part in ("ledger.sqlite", "funds_", "crash.log", "api_log.jsonl", "spill.jsonl", "/tables/", "/files/"):
        assert part in names
    assert b"API_JOB_END" in story.sinks["Kafka"]
    assert b"handlers.cli" in story.sinks["command lines"]


def test_no_token_is_in_an_environment(story: Story) -> None:
    """Only what was set there, as the settings have it."""
    assert b"ARK_HOME" in story.environments
    spelled = {each: (each.encode(), quote(each, safe="").encode()) for each in canaries}
    found = {each for each, forms in spelled.items() if any(form in story.environments for form in forms)}
    assert found
    assert found <= story.set


@pytest.mark.parametrize("spell", range(len(list(spellings("x" * 20)))))
def test_a_secret_that_leaks_is_found(spell: int) -> None:
    """The search itself: each spelling of a whole secret, in the middle of a text, is a hit."""
    leaked = list(spellings(canary()))[spell]
    assert hits({"sink": f"before {leaked} after".encode()})
