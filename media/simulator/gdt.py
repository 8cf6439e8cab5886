"""The dialect of gdt (Tencent Marketing API), v1.1 and v1.3 alike: who may call, how often, and the envelope.

A business refusal is HTTP 200; `code` tells. Order of the checks: interface, token, timestamp, nonce, quota,
parameters, account. Facts: the official documents of 2020 and recordings of the official SDKs; where they are silent
(which code for which parameter mistake, the texts) this is one reading.
"""

from collections.abc import Iterator, Mapping

import msgspec

from media.simulator import gdt_params as params
from media.simulator import scenario as scenarios
from media.simulator.answers import Answer, Call, Truth, same_call
from media.simulator.bodies import Bodies, Body
from media.simulator.gdt_data import GdtData
from media.simulator.gdt_desk import Page
from media.simulator.gdt_pages import Pages
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import REPORTS
from media.simulator.gdt_truth import PATHS, Truths
from media.simulator.nonces import Nonces
from media.simulator.quota import Meter, RowQuota
from media.simulator.scenario import Quotas, Scenario
from media.simulator.tokens import Grant, TokenRefusedError, TokenStore
from media.simulator.world import Agent, Dice, World

VERSIONS = ("/v1.1/", "/v1.3/")
OAUTH = "oauth/token"
MOST_NONCE = 32
QUOTA_CODES = {"minute": 11017, "day": 11018}
ROW_QUOTA_CODE = 30104
REFUSALS = {*QUOTA_CODES.values(), ROW_QUOTA_CODE}
POSTED = {"async_reports/add"}

_encode = msgspec.json.Encoder().encode


class Gdt:
    """gdt as one scenario has it, with its state: tokens, nonces, counters."""

    name = "gdt"
    account_type = "ACCOUNT_TYPE_QQ"
    pages: type[Pages] = Pages
    data: type[GdtData] = GdtData
    paths: Mapping[str, str] = PATHS
    foreign: tuple[str, ...] = ("wechat_",)
    """How interfaces begin that are at the same addresses but of another medium."""

    def __init__(self, scenario: Scenario, now: float) -> None:
        self._scenario = scenario
        self._gdt = gdt = self.section(scenario)
        self._start = now
        self.world = World(scenario.seed, self.name, gdt.agents)
        data = self.data(scenario.seed, gdt, self.name)
        self._pages = self.pages(self.world, data, gdt)
        self._truths = Truths(self.world, data, self._pages.money, self._pages.levels, self.paths)
        self._tokens = TokenStore(self.world, gdt.tokens, scenario.seed, now)
        self._nonces = Nonces(gdt.nonces.tolerance, gdt.nonces.limit)
        self._meters: dict[tuple[str, str], Meter] = {}
        self._row_quotas: dict[tuple[str, str], RowQuota] = {}
        self._bodies = Bodies(gdt.report_cache)
        self._traces = Dice(scenario.seed, f"{self.name} traces {now}")
        self._answered = 0
        self._apps = {agent.app for agent in self.world.agents}

    def section(self, scenario: Scenario) -> scenarios.Gdt:
        """Its part of the scenario."""
        return scenario.gdt

    def changed(self, scenario: Scenario, now: float) -> "Gdt":
        """The same medium under another scenario; what did not change goes on counting."""
        new: Gdt = type(self)(scenario, now)
        was, will = self._gdt, new._gdt
        new._pages.tasks.made = self._pages.tasks.made
        if (self._scenario.seed, was.agents, was.tokens) == (scenario.seed, will.agents, will.tokens):
            new._tokens = self._tokens
        if was.nonces == will.nonces:
            new._nonces = self._nonces
        if was.rows == will.rows:
            new._row_quotas = self._row_quotas
        new._meters = {key: meter for key, meter in self._meters.items() if meter.quotas == new._quotas(key[1])}
        return new

    def interface(self, path: str) -> str | None:
        if path.startswith(VERSIONS):
            named = path[len(VERSIONS[0]) :]
            return None if named.startswith(self.foreign) else named
        return OAUTH if path == f"/{OAUTH}" else None

    def knows(self, call: Call) -> bool:
        names = ("refresh_token", "authorization_code") if call.interface == OAUTH else ("access_token",)
        return any(self._tokens.knows(call.query.get(name, "")) for name in names)

    def subject(self, call: Call) -> str:
        if "account_id" in call.query:
            return call.query["account_id"]
        try:
            return self._tokens.agent(call.query.get("access_token", ""), call.now).id
        except TokenRefusedError:
            return ""

    def answer(self, call: Call) -> Answer:
        self._answered += 1
        trace = self._traces.roll(self._answered)[:16].hex()
        headers = {"Content-Type": "application/json", "X-TSA-Trace-Id": trace}
        try:
            if call.interface == OAUTH:
                return Answer(_success(self._oauth(call)), headers)
            body = self._served(call, headers)
        except RefusedError as error:
            message = f"{error} trace_id: {trace}" if error.code == ROW_QUOTA_CODE else str(error)
            refusal = _encode({"code": error.code, "message": message, "message_cn": message})
            return Answer(refusal, headers, error.code, refused=error.code in REFUSALS)
        headers["Content-Type"] = body.kind
        return Answer(body.content, headers, rows=body.rows)

    def truth(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        try:
            yield from self._truths.told(interface, query, now)
        except RefusedError as error:
            raise ValueError(str(error)) from error

    def directory(self) -> Iterator[Mapping[str, object]]:
        for agent in self.world.agents:
            yield {
                "medium": self.name,
                "tenant": agent.tenant,
                "agent": agent.id,
                "accounts": agent.size,
                "token": agent.token,
                "refresh_token": self._tokens.refresh_token(agent),
                "authorization_code": self._tokens.code(agent),
                "client_id": agent.app,
                "client_secret": self._gdt.tokens.secret,
            }

    def quotas(self, now: float) -> dict[str, object]:
        return {
            f"{app} {interface}": {
                name: {"size": counter.quota.size, "used": counter.used(now), "percent": counter.percent(now)}
                for name, counter in (("minute", meter.minute), ("day", meter.day))
            }
            for (app, interface), meter in self._meters.items()
        }

    def _served(self, call: Call, headers: dict[str, str]) -> Body:
        if call.interface not in self._pages.served or call.method != ("POST" if call.interface in POSTED else "GET"):
            raise RefusedError(12007, "unknown interface or wrong method")
        agent = self._caller(call)
        self._spend(agent.app, call, headers)
        rows_left = self._row_quota(call) if call.interface in REPORTS else None
        if rows_left and rows_left.frozen(call.now):
            raise RefusedError(ROW_QUOTA_CODE, "request limit reached, retry after one minute")
        body = self._remembered(call, agent) if call.interface in REPORTS else self._made(call, agent)
        if rows_left:
            rows_left.add(body.rows, call.now)
        return body

    def _remembered(self, call: Call, agent: Agent) -> Body:
        """A report as it was served before, if it was."""
        if self._gdt.growing:
            return self._made(call, agent)
        key = (call.interface, agent.id, *same_call(call))
        body = self._bodies.get(key)
        if body is None:
            body = self._made(call, agent)
            self._bodies.put(key, body)
        return body

    def _made(self, call: Call, agent: Agent) -> Body:
        page = self._pages.served[call.interface](call, agent)
        if isinstance(page, bytes):
            return Body(page, 0, "text/csv")
        return Body(_success(self._listed(page)), len(page.rows or ()))

    def _caller(self, call: Call) -> Agent:
        query = call.query
        if not ("access_token" in query and "timestamp" in query and "nonce" in query):
            raise RefusedError(12000, "access_token, timestamp and nonce are required")
        token, nonce = query["access_token"], query["nonce"]
        if not token:
            raise RefusedError(11005, "access_token is empty")
        try:
            agent = self._tokens.agent(token, call.now)
        except TokenRefusedError as error:
            raise RefusedError(
                {"unknown": 11002, "expired": 11000}[error.kind], f"access_token is {error.kind}"
            ) from None
        if self._gdt.nonces.check:
            self._check_fresh(token, nonce, query["timestamp"], call.now)
        return agent

    def _check_fresh(self, token: str, nonce: str, timestamp: str, now: float) -> None:
        try:
            age = abs(now - int(timestamp))
        except ValueError:
            raise RefusedError(params.WRONG_TYPE, "timestamp must be an integer") from None
        if age > self._gdt.nonces.tolerance:
            raise RefusedError(12101, "timestamp is expired")
        if not nonce or len(nonce) > MOST_NONCE or not self._nonces.use(token, nonce, now):
            raise RefusedError(12100, "nonce is not valid or was used before")

    def _spend(self, app: str, call: Call, headers: dict[str, str]) -> None:
        key = (app, call.interface)
        if key not in self._meters:
            self._meters[key] = Meter(self._quotas(call.interface), self._start)
        meter = self._meters[key]
        refused = meter.take(call.now)
        day, minute = meter.percents(call.now)
        headers["X-RateLimit-Remaining"] = f"{day}%,{minute}%"
        if refused:
            raise RefusedError(QUOTA_CODES[refused], f"calls of this app exceed the limit per {refused}")

    def _quotas(self, interface: str) -> Quotas:
        return self._gdt.quota_of.get(interface, self._gdt.quota)

    def _row_quota(self, call: Call) -> RowQuota | None:
        """The rows of this (interface, level); None where they are not limited."""
        if not self._gdt.rows.size:
            return None
        key = (call.interface, call.query.get("level", ""))
        return self._row_quotas.setdefault(key, RowQuota(self._gdt.rows.size, self._gdt.rows.window, self._start))

    def _listed(self, page: Page) -> Mapping[str, object]:
        if page.rows is None:
            return page.beside
        if page.rows or self._gdt.empty_list == "list":
            return {"list": page.rows, **page.beside}
        return page.beside if self._gdt.empty_list == "absent" else {"list": None, **page.beside}

    def _oauth(self, call: Call) -> Mapping[str, object]:
        query = call.query
        if query.get("client_id") not in self._apps or query.get("client_secret") != self._gdt.tokens.secret:
            raise RefusedError(11007, "client_id or client_secret is wrong")
        kind = params.choice(query, "grant_type", ("authorization_code", "refresh_token"))
        credential = params.required(query, kind)
        try:
            if kind == "refresh_token":
                return _granted(self._tokens.refresh(credential, call.now), call.now)
            grant = self._tokens.authorize(credential, call.now)
        except TokenRefusedError as error:
            raise RefusedError(_OAUTH_CODES[kind, error.kind], f"{kind} is {error.kind}") from None
        return {**_granted(grant, call.now), "authorizer_info": _authorizer(grant.agent, self.account_type)}


_OAUTH_CODES = {
    ("authorization_code", "unknown"): 11009,
    ("authorization_code", "used"): 11010,
    ("refresh_token", "unknown"): 11011,
    ("refresh_token", "expired"): 11012,
}


def _success(data: Mapping[str, object]) -> bytes:
    return _encode({"code": 0, "message": "", "message_cn": "", "data": data})


def _granted(grant: Grant, now: float) -> dict[str, object]:
    return {
        "access_token": grant.access,
        "refresh_token": grant.refresh,
        "access_token_expires_in": int(grant.access_ends - now),
        "refresh_token_expires_in": int(grant.refresh_ends - now),
    }


def _authorizer(agent: Agent, account_type: str) -> dict[str, object]:
    return {
        "account_uin": 100_000_000 + agent.slot,
        "account_id": int(agent.id),
        "scope_list": ["ads_management", "ads_insights", "account_management"],
        "wechat_account_id": "",
        "account_role_type": "ACCOUNT_ROLE_TYPE_AGENCY",
        "account_type": account_type,
        "role_type": "ROLE_TYPE_ROOT",
    }
