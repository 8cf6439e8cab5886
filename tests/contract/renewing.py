"""A stage for tests that renew tokens: a scripted medium, a tenant in Redis, a home for the spool."""

import asyncio
import json
import threading
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import redis

from ark.accounts.directory import connect
from ark.accounts.keys import Keys
from ark.accounts.token_spool import TokenSpool
from ark.http import HttpClient
from ark.settings import load
from handlers.oauth import find
from handlers.refresh import Refresher, Target

AGENT, OTHER = "1050262", "4011704"
RESET = "no answer"
LONG = 5000.0
"""Seconds of patience where a second takes some milliseconds."""


class Medium(ThreadingHTTPServer):
    """Issues `access-N` and `refresh-N`; a refresh token is good once where it rotates. Speaks gdt and jrtt.

    `script` holds what the next calls get instead: RESET, a code, bytes. `answering` is called before each answer.
    """

    daemon_threads = True

    def __init__(self, *, rotates: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.rotates, self.good = rotates, {"refresh-0"}
        self.asked: list[str] = []
        self.script: list[str | int | bytes] = []
        self.answering = lambda: None
        self.status = 200
        self.lock = threading.Lock()

    def issue(self, token: str) -> dict[str, object]:
        if token not in self.good:
            return {"code": 11011 if token.isdigit() else 40107, "message": "refresh token used"}
        number = len(self.asked)
        data = {"access_token": f"access-{number}", "expires_in": 86400, "access_token_expires_in": 86400}
        if self.rotates:
            self.good = self.good - {token} | {f"refresh-{number}"}
            data["refresh_token"] = f"refresh-{number}"
        return {"code": 0, "message": "OK", "data": data}


class Desk(BaseHTTPRequestHandler):
    server: Medium
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(dict(parse_qsl(urlsplit(self.path).query))["refresh_token"])

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["refresh_token"])

    def answer(self, token: str) -> None:
        medium = self.server
        with medium.lock:
            medium.asked.append(token)
            scripted = medium.script.pop(0) if medium.script else None
            answer = medium.issue(token) if scripted in {None, RESET} else {"code": scripted, "message": "scripted"}
        medium.answering()
        if scripted == RESET:
            self.close_connection = True
            return
        body = scripted if isinstance(scripted, bytes) else json.dumps(answer).encode()
        self.send_response(medium.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Stage:
    """A tenant whose agent has access-0 and refresh-0 in Redis, and a home for the spool."""

    def __init__(self, url, home, medium, tenant, section="jrtt"):
        self.medium, self.section, self.tenant = medium, section, tenant
        self.keys = Keys.of(section, tenant, date(2020, 5, 30), AGENT)
        name = section.upper()
        self.environ = {
            "ARK_REDIS_URL": url,
            "ARK_HOME": str(home),
            f"ARK_{name}_URL": medium.url,
            f"ARK_{name}_CLIENT_ID": "1660000000000001",
            f"ARK_{name}_CLIENT_SECRET": "client-s3cr3t",
        }
        self.settings = load(self.environ)
        self.target = Target(section, tenant, self.keys)
        self.spool = TokenSpool(home / "tokens", self.keys.refresh_tokens)
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.put("access-0", "refresh-0")

    def put(self, access, refresh, agent=AGENT):
        self.client.zadd(self.keys.tokens, {access: int(agent)})
        self.client.zadd(self.keys.refresh_tokens, {refresh: int(agent)})

    def stored(self, agent=AGENT):
        """The agent's tokens in Redis: access, refresh."""
        keys = (self.keys.tokens, self.keys.refresh_tokens)
        return tuple([*self.client.zrangebyscore(key, agent, agent)] for key in keys)

    @property
    def spooled(self):
        return [each.access for each in self.spool.of(AGENT)]

    @asynccontextmanager
    async def refresher(self):
        """An engine with a Redis connection of its own, for which time passes at once."""
        async with AsyncExitStack() as stack:
            directory = await stack.enter_async_context(aclosing(await connect(self.settings)))
            http = await stack.enter_async_context(HttpClient(self.settings.http))
            yield Refresher(self.target, self.settings, find(self.section), directory, http, moment)

    def renew(self, *refused, patience=0.0):
        async def go():
            async with self.refresher() as engine:
                await engine.renew(AGENT, refused, patience)

        asyncio.run(go())


async def moment(_seconds):
    await asyncio.sleep(0.001)
