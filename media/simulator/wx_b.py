"""WeChat's own dialect of wx (api.weixin.qq.com/marketing): errcode, a token per account, an agency_token beside it.

A refusal is HTTP 200; `errcode` tells. Order of the checks: interface, access_token, agency_token, version, quota,
parameters. The errcodes are WeChat's general ones; which of them /marketing uses for a mistake in the parameters, for
an agency_token or for an account that took its authorization back is not documented, so that this is one reading.
"""

from collections.abc import Iterator, Mapping

import msgspec

from media.simulator.answers import Answer, Call, Truth
from media.simulator.gdt_desk import Page
from media.simulator.gdt_params import RefusedError
from media.simulator.quota import Meter
from media.simulator.scenario import Quotas, Scenario
from media.simulator.tokens import TokenRefusedError
from media.simulator.world import World
from media.simulator.wx_b_data import WxBData
from media.simulator.wx_b_pages import BAD_JSON, BAD_PARAMETER, WxBPages
from media.simulator.wx_b_tokens import AccountTokens, AgencyTokens

MARKETING = "/marketing/"
TOKEN = "cgi-bin/token"  # noqa: S105 -- a path
VERSIONS = {"funds/get": "v1.1"}
QUOTA_CODES = {"minute": 45011, "day": 45009}
TOKEN_CODES = {"unknown": 40001, "expired": 42001}
GDT_JSON = 12003
"""What the parameters' reader, gdt's, calls bad JSON; all else it refuses is a bad parameter."""
GDT_CODES = range(12000, 19000)

_encode = msgspec.json.Encoder().encode


class WxB:
    """The dialect as one scenario has it, with its state: tokens, nonces, counters."""

    name = "wx_b"

    def __init__(self, scenario: Scenario, now: float) -> None:
        self._scenario = scenario
        self._wx = wx = scenario.wx_b
        self._start = now
        self.world = World(scenario.seed, self.name, wx.agents)
        self._data = WxBData(scenario.seed, wx, self.name)
        self._pages = WxBPages(self.world, self._data)
        self._tokens = AccountTokens(self.world, wx.tokens, scenario.seed, now)
        self._agency_tokens = AgencyTokens(wx.nonces)
        self._meters: dict[tuple[str, str], Meter] = {}

    def changed(self, scenario: Scenario, now: float) -> "WxB":
        """The same medium under another scenario; what did not change goes on counting."""
        new = WxB(scenario, now)
        was, will = self._wx, scenario.wx_b
        if (self._scenario.seed, was.agents, was.tokens) == (scenario.seed, will.agents, will.tokens):
            new._tokens = self._tokens
        if was.nonces == will.nonces:
            new._agency_tokens = self._agency_tokens
        new._meters = {key: meter for key, meter in self._meters.items() if meter.quotas == new._quotas(key[1])}
        return new

    def interface(self, path: str) -> str | None:
        if path.startswith(MARKETING):
            return path[len(MARKETING) :]
        return TOKEN if path == f"/{TOKEN}" else None

    def knows(self, call: Call) -> bool:
        return bool(self.subject(call))

    def subject(self, call: Call) -> str:
        try:
            return self._tokens.account(call.query.get("access_token", ""), call.now)
        except TokenRefusedError:
            return ""

    def answer(self, call: Call) -> Answer:
        headers = {"Content-Type": "application/json"}
        try:
            if call.interface == TOKEN:
                return Answer(_encode(self._renewed(call)), headers)
            page = self._served(call)
        except RefusedError as error:
            code = _errcode(error.code)
            body = _encode({"errcode": code, "errmsg": str(error)})
            return Answer(body, headers, code, refused=code in QUOTA_CODES.values())
        data = page.beside if page.rows is None else {"list": page.rows, **page.beside}
        return Answer(_encode({"errcode": 0, "errmsg": "", "data": data}), headers, rows=len(page.rows or ()))

    def truth(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        try:
            yield from self._pages.truth(interface, query, now)
        except RefusedError as error:
            raise ValueError(str(error)) from error

    def directory(self) -> Iterator[Mapping[str, object]]:
        """Every account, since each has its own token; `api_key` is its agency's."""
        for agent in self.world.agents:
            for account in self.world.accounts(agent):
                yield {
                    "medium": self.name,
                    "tenant": agent.tenant,
                    "agent": agent.id,
                    "api_key": agent.token,
                    "account": account,
                    "token": self._tokens.token(account),
                    "appid": self._tokens.appid(account),
                    "secret": self._wx.tokens.secret,
                }

    def quotas(self, now: float) -> dict[str, object]:
        return {
            f"{account} {interface}": {
                name: {"size": counter.quota.size, "used": counter.used(now), "percent": counter.percent(now)}
                for name, counter in (("minute", meter.minute), ("day", meter.day))
            }
            for (account, interface), meter in self._meters.items()
        }

    def _served(self, call: Call) -> Page:
        if call.interface not in self._pages.served:
            raise RefusedError(40066, "invalid url")
        if call.method != "GET":
            raise RefusedError(43001, "GET is required")
        account = self._caller(call)
        version = VERSIONS.get(call.interface, "v1.0")
        if call.query.get("version") != version:
            raise RefusedError(BAD_PARAMETER, f"version must be {version}")
        self._spend(account, call)
        return self._pages.served[call.interface](call, account)

    def _caller(self, call: Call) -> str:
        token = call.query.get("access_token", "")
        if not token:
            raise RefusedError(41001, "access_token is missing")
        try:
            account = self._tokens.account(token, call.now)
        except TokenRefusedError as error:
            raise RefusedError(TOKEN_CODES[error.kind], f"access_token is {error.kind}") from None
        self._check_agency(account, call)
        if self._data.inactive(account):
            raise RefusedError(50001, "the account has not authorized this")
        return account

    def _check_agency(self, account: str, call: Call) -> None:
        signed = call.query.get("agency_token", "")
        if not signed and not self._wx.service_provider:
            return
        agent = self.world.find(account)
        problem = self._agency_tokens.problem(signed, agent, call.now) if agent and signed else "it is missing"
        if problem:
            raise RefusedError(TOKEN_CODES["unknown"], f"agency_token is refused: {problem}")

    def _spend(self, account: str, call: Call) -> None:
        key = (account, call.interface)
        if key not in self._meters:
            self._meters[key] = Meter(self._quotas(call.interface), self._start)
        refused = self._meters[key].take(call.now)
        if refused:
            raise RefusedError(QUOTA_CODES[refused], f"calls of this account exceed the limit per {refused}")

    def _quotas(self, interface: str) -> Quotas:
        return self._wx.quota_of.get(interface, self._wx.quota)

    def _renewed(self, call: Call) -> Mapping[str, object]:
        query = call.query
        if query.get("grant_type") != "client_credential":
            raise RefusedError(40002, "grant_type must be client_credential")
        if query.get("secret") != self._wx.tokens.secret:
            raise RefusedError(40125, "secret is wrong")
        try:
            token = self._tokens.renew(query.get("appid", ""), call.now)
        except TokenRefusedError:
            raise RefusedError(40013, "appid is unknown") from None
        return {"access_token": token, "expires_in": int(self._wx.tokens.life)}


def _errcode(code: int) -> int:
    if code not in GDT_CODES:
        return code
    return BAD_JSON if code == GDT_JSON else BAD_PARAMETER
