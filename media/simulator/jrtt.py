"""The dialect of jrtt (Ocean Engine open API v2): who may call, how often, and the envelope.

A business refusal is HTTP 200; `code` tells. Order of the checks: interface, token, quota, parameters, account. A path
that is not there, or a wrong method, is HTTP 404 with a gateway's page. Facts: third-party clients of 2019 to 2021 and
recordings of the official SDK; where they are silent this is one reading.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from media.simulator import jrtt_params as params
from media.simulator.answers import Answer, Call, Truth, parameters, same_call
from media.simulator.bodies import Bodies, Body
from media.simulator.gdt_data import SHANGHAI
from media.simulator.jrtt_data import JrttData
from media.simulator.jrtt_pages import Pages
from media.simulator.jrtt_params import RefusedError
from media.simulator.jrtt_truth import TruthTeller
from media.simulator.quota import Bucket
from media.simulator.scenario import Quota, Scenario
from media.simulator.tokens import Grant, TokenRefusedError, TokenStore
from media.simulator.world import Agent, Dice, World

ROOT = "/open_api/"
ACCESS, REFRESH, GRANTED = "oauth2/access_token", "oauth2/refresh_token", "oauth2/advertiser/get"
OAUTH = {
    ACCESS: ("auth_code", ("app_id", "secret", "grant_type", "auth_code")),
    REFRESH: ("refresh_token", ("app_id", "secret", "grant_type", "refresh_token")),
}
"""Interface that gives tokens -> its grant_type, which also names the credential, and the parameters it takes."""
NO_TOKEN, UNKNOWN_TOKEN, EXPIRED_TOKEN = 40104, 40105, 40102
ILLEGAL_PARTNER = 40101
OAUTH_CODES = {
    ("auth_code", "unknown"): 40107,
    ("auth_code", "used"): 40115,
    ("auth_code", "expired"): 40110,
    ("refresh_token", "unknown"): 40107,
    ("refresh_token", "expired"): 40103,
}
NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
REPORTS = "2/report/"

_encode = msgspec.json.Encoder().encode


class ThrottledError(RefusedError):
    """A call too many."""


class Jrtt:
    """jrtt as one scenario has it, with its state: tokens, counters."""

    name = "jrtt"

    def __init__(self, scenario: Scenario, now: float) -> None:
        self._scenario = scenario
        self._jrtt = jrtt = scenario.jrtt
        self._start = now
        self.world = World(scenario.seed, self.name, jrtt.agents)
        data = JrttData(scenario.seed, jrtt)
        self._pages = Pages(self.world, data, jrtt)
        self._data = data
        self._truth = TruthTeller(self.world, data)
        self._tokens = TokenStore(self.world, jrtt.tokens, scenario.seed, now)
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._bodies = Bodies(jrtt.report_cache)
        self._requests = Dice(scenario.seed, f"jrtt requests {now}")
        self._answered = 0
        self._apps = {agent.app for agent in self.world.agents}

    def changed(self, scenario: Scenario, now: float) -> "Jrtt":
        """The same medium under another scenario; what did not change goes on counting."""
        new = Jrtt(scenario, now)
        was, will = self._jrtt, scenario.jrtt
        if (self._scenario.seed, was.agents, was.tokens) == (scenario.seed, will.agents, will.tokens):
            new._tokens = self._tokens
        new._buckets = {key: bucket for key, bucket in self._buckets.items() if bucket.quota == new._quota(key[1])}
        return new

    def interface(self, path: str) -> str | None:
        return path[len(ROOT) :].removesuffix("/") if path.startswith(ROOT) else None

    def knows(self, call: Call) -> bool:
        return self._tokens.knows(call.headers.get("Access-Token", ""))

    def subject(self, call: Call) -> str:
        given = parameters(call)
        named = given.get("advertiser_id") or given.get("agent_id")
        if named:
            return named
        try:
            return self._tokens.agent(call.headers.get("Access-Token", ""), call.now).id
        except TokenRefusedError:
            return ""

    def answer(self, call: Call) -> Answer:
        self._answered += 1
        moment = datetime.fromtimestamp(call.now, SHANGHAI)
        request_id = f"{moment:%Y%m%d%H%M%S}{self._requests.roll(self._answered)[:10].hex().upper()}"
        headers = {"Content-Type": "application/json"}
        method = "POST" if call.interface in OAUTH else "GET"
        if call.method != method or call.interface not in {*self._pages.doors, *OAUTH, GRANTED}:
            return Answer(NOT_FOUND, {"Content-Type": "text/html"}, code=404, status=404)
        try:
            body = self._served(call, headers)
        except RefusedError as error:
            refusal = _encode({"code": error.code, "message": str(error), "request_id": request_id, "data": {}})
            return Answer(refusal, headers, error.code, refused=isinstance(error, ThrottledError))
        told = {"code": 0, "message": "OK", "request_id": request_id, "data": msgspec.Raw(body.content)}
        return Answer(_encode(told), headers, rows=body.rows)

    def truth(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        try:
            yield from self._truth.told(interface, query, now)
        except RefusedError as error:
            raise ValueError(str(error)) from error

    def directory(self) -> Iterator[Mapping[str, object]]:
        for agent in self.world.agents:
            yield {
                "medium": self.name,
                "tenant": agent.tenant,
                "agent": agent.id,
                "generation": agent.generation,
                "parent": agent.parent,
                "accounts": agent.size,
                "token": agent.token,
                "refresh_token": self._tokens.refresh_token(agent) if agent.token else "",
                "authorization_code": self._tokens.code(agent) if agent.token else "",
                "client_id": agent.app,
                "client_secret": self._jrtt.tokens.secret,
            }

    def quotas(self, now: float) -> dict[str, object]:
        return {
            f"{app} {interface}": {
                "second": {"size": bucket.quota.size, "used": bucket.used(now), "percent": bucket.percent(now)}
            }
            for (app, interface), bucket in self._buckets.items()
        }

    def _served(self, call: Call, headers: dict[str, str]) -> Body:
        if call.interface in OAUTH:
            return Body(_encode(self._granted(call)), 0)
        if call.interface == GRANTED:
            return Body(_encode(self._accounts_of_token(call)), 1)
        caller = self._caller(call.headers.get("Access-Token", ""), call.now)
        self._spend(caller.app, call, headers)
        door = self._pages.doors[call.interface]
        query = params.given(call, door.known)
        key = (call.interface, caller.id, *same_call(call))
        cached = call.interface.startswith(REPORTS) and not self._jrtt.growing
        body = self._bodies.get(key) if cached else None
        if body is None:
            page = door.serve(query, caller, call)
            body = Body(_encode(page.data), page.rows)
            if cached:
                self._bodies.put(key, body)
        return body

    def _caller(self, token: str, now: float) -> Agent:
        if not token:
            raise RefusedError(NO_TOKEN, "Access-Token is empty")
        try:
            return self._tokens.agent(token, now)
        except TokenRefusedError as error:
            code = EXPIRED_TOKEN if error.kind == "expired" else UNKNOWN_TOKEN
            raise RefusedError(code, f"access_token is {error.kind}") from None

    def _spend(self, app: str, call: Call, headers: dict[str, str]) -> None:
        key = (app, call.interface)
        if key not in self._buckets:
            self._buckets[key] = Bucket(self._quota(call.interface), self._start)
        bucket = self._buckets[key]
        if bucket.has(call.now):
            bucket.spend(call.now)
            return
        bucket.refuse(call.now)
        if self._jrtt.throttle == "40110":
            seconds = max(1, math.ceil(bucket.shut_for(call.now)))
            headers.update({"X-RateLimit-Dimension": "developer_qps", "X-RateLimit-RetryIn": str(seconds)})
            raise ThrottledError(40110, "the developer's quota of this interface is exceeded")
        raise ThrottledError(40100, "Too many requests. Please retry later")

    def _quota(self, interface: str) -> Quota:
        size = self._jrtt.qps_of.get(interface, self._jrtt.qps)
        penalty = self._jrtt.retry_in if self._jrtt.throttle == "40110" else 0
        return Quota(kind="bucket", size=size, window=1, penalty=penalty)

    def _granted(self, call: Call) -> dict[str, object]:
        kind, known = OAUTH[call.interface]
        query = params.given(call, known)
        self._check_app(params.required(query, "app_id"), params.required(query, "secret"))
        params.choice(query, "grant_type", (kind,), kind)
        credential = params.required(query, kind)
        try:
            if call.interface == REFRESH:
                return _tokens(self._tokens.refresh(credential, call.now), call.now)
            grant = self._tokens.authorize(credential, call.now)
        except TokenRefusedError as error:
            raise RefusedError(OAUTH_CODES[kind, error.kind], f"{kind} is {error.kind}") from None
        agent = int(grant.agent.id)
        named = {"advertiser_id": agent, "advertiser_name": self._data.name(grant.agent.id)}
        return {**_tokens(grant, call.now), "advertiser_ids": [agent], **named}

    def _check_app(self, app: str, secret: str) -> None:
        if app not in self._apps or secret != self._jrtt.tokens.secret:
            raise RefusedError(ILLEGAL_PARTNER, "app_id or secret is wrong")

    def _accounts_of_token(self, call: Call) -> dict[str, object]:
        query = params.given(call, ("access_token", "app_id", "secret"))
        if "app_id" in query or "secret" in query:
            self._check_app(params.required(query, "app_id"), params.required(query, "secret"))
        agent = self._caller(query.get("access_token") or call.headers.get("Access-Token", ""), call.now)
        row = {
            "advertiser_id": int(agent.id),
            "advertiser_name": self._data.name(agent.id),
            "advertiser_role": 4 if agent.parent else 3,
            "is_valid": True,
            "account_role": "CHILD_AGENT" if agent.parent else "AGENT",
        }
        return {"list": [row]}


def _tokens(grant: Grant, now: float) -> dict[str, object]:
    return {
        "access_token": grant.access,
        "refresh_token": grant.refresh,
        "expires_in": int(grant.access_ends - now),
        "refresh_token_expires_in": int(grant.refresh_ends - now),
    }
