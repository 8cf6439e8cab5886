"""The frame around the dialects: connections, latency, faults, statistics.

Beside the media's own paths:

    GET    /_sim/stats       counts by medium and interface, quotas, calls in flight, connections
    DELETE /_sim/stats       begin counting at 0
    GET    /_sim/truth       ?interface=gdt.funds&date=2020-05-30 [&tenant=] [&agent=] [&account=] [&fields=["…"]]
                             [&group_by=["…"]]
                             JSON lines {"tenant","agent","account","variant","record"}: every record of that day as it
                             will be served, faults aside. `record` has all fields that are served, or those asked for.
                             gdt: advertisers, funds, fund_statements_daily (variant `fund_type=…`), realtime_cost
                             (today only; ADVERTISER or [&level=]), campaigns, adgroups, ads, adcreatives, and
                             daily_report_ and hourly_report_ with advertiser, campaign, adgroup, ad, promoted_object;
                             these in all three time lines (variant `time_line=…`), grouped by date or hour and the
                             level's id.
                             wx: as gdt, without realtime_cost and promoted_object, with agency and daily_cost; wx.b.:
                             advertiser, funds, daily_report_campaign, daily_report_adgroup, realtime_cost (CAMPAIGN or
                             [&level=]), campaigns, adgroups, ads, adcreatives.
                             jrtt: child_agents, accounts, child_accounts (bare ids), account_info, fund, agent_fund,
                             child_fund, fund_daily_stat, report_agent, report_ with advertiser, campaign, ad, creative,
                             integrated, campaigns, ads, creatives; more of its query: `media.simulator.jrtt_truth`.
    GET    /_sim/directory   JSON lines: every agent with its tenant, number of accounts, tokens
    GET    /_sim/accounts    ?medium=gdt&agent=1050262: JSON lines of its account ids
    GET    /_sim/scenario    the scenario as it is, JSON
    POST   /_sim/scenario    JSON or TOML merged into it (`?replace=1`: in place of it)
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from media.simulator import delivery
from media.simulator.answers import Answer, Call, Dialect
from media.simulator.faults import ON_CONNECTION, Faults, bent, spoiled
from media.simulator.gdt import Gdt
from media.simulator.jrtt import Jrtt
from media.simulator.scenario import Fault, Latency, Medium, Scenario, ScenarioError
from media.simulator.stats import Stats
from media.simulator.wx import Wx
from media.simulator.wx_b import WxB

DIALECTS: tuple[Callable[[Scenario, float], Dialect], ...] = (Gdt, Wx, WxB, Jrtt)
LINES_AT_ONCE = 200
LONGEST_LINE = 1 << 16
"""All fields of a report by name make 10 KB of URL."""


class Room:
    """One medium with its latency and its faults."""

    def __init__(self, dialect: Dialect, scenario: Scenario) -> None:
        medium: Medium = getattr(scenario, dialect.name)
        self.dialect = dialect
        self.faults = Faults(scenario.seed, dialect.name, medium.faults)
        self.wait = waits(medium.latency, random.Random(scenario.seed))

    def changed(self, scenario: Scenario, now: float) -> "Room":
        """The room under another scenario; tries of faults that stay the same are remembered."""
        room = Room(self.dialect.changed(scenario, now), scenario)
        if room.faults.faults == self.faults.faults:
            room.faults = self.faults
        return room


def waits(latency: Latency, dice: random.Random) -> Callable[[], float]:
    """Seconds to wait before each answer."""

    def wait() -> float:
        seconds = latency.seconds
        if latency.kind == "lognormal":
            seconds *= dice.lognormvariate(0, latency.sigma)
        return seconds * latency.factor if latency.tail and dice.random() < latency.tail else seconds

    return wait


class Simulator:
    """All media of one scenario behind one port."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._scenario = scenario
        self._stats = Stats()
        self._rooms = [Room(dialect(scenario, clock()), scenario) for dialect in DIALECTS]
        self._doors: Mapping[tuple[str, str], Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
            ("GET", "/_sim/stats"): self._told_stats,
            ("DELETE", "/_sim/stats"): self._cleared_stats,
            ("GET", "/_sim/truth"): self._told_truth,
            ("GET", "/_sim/directory"): self._told_directory,
            ("GET", "/_sim/accounts"): self._told_accounts,
            ("GET", "/_sim/scenario"): self._told_scenario,
            ("POST", "/_sim/scenario"): self._changed_scenario,
        }

    async def listen(self, port: int) -> int:
        """Serve on 127.0.0.1; port 0 takes a free one. Returns the port."""
        server = _Server(self._handle, self._stats)
        runner = web.ServerRunner(server, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        bound: int = runner.addresses[0][1]
        return bound

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/_sim/"):
            return await self._sim(request, path)
        self._stats.enter()
        try:
            named = {room: room.dialect.interface(path) for room in self._rooms}
            meant = [(room, interface) for room, interface in named.items() if interface is not None]
            if meant:
                body = await request.read() if request.can_read_body else b""
                pairs = parse_qsl(query, keep_blank_values=True)
                parameters = dict(pairs)
                repeated = len(pairs) > len(parameters)
                now = self._clock()
                calls = [
                    (room, Call(interface, request.method, parameters, request.headers, body, now, repeated))
                    for room, interface in meant
                ]
                room, call = next((each for each in calls if each[0].dialect.knows(each[1])), calls[0])
                return await self._answered(request, room, call)
        finally:
            self._stats.leave()
        self._stats.unknown += 1
        return web.json_response({"error": f"no medium has the path {path}"}, status=404)

    async def _answered(self, request: web.BaseRequest, room: Room, call: Call) -> web.StreamResponse:
        fault = room.faults.pick(call, room.dialect.subject(call)) if room.faults.faults else None
        answer = room.dialect.answer(bent(fault, call) if fault else call)
        if fault and answer.code == 0:
            room.faults.note(fault, call)
            self._stats.answered(room.dialect.name, call.interface, answer, fault.kind)
            answer = spoiled(fault, call, answer)
        else:
            fault = None
            self._stats.answered(room.dialect.name, call.interface, answer, "")
        return await self._sent(request, answer, fault, room.wait())

    async def _sent(
        self, request: web.BaseRequest, answer: Answer, fault: Fault | None, seconds: float
    ) -> web.StreamResponse:
        if seconds:
            await asyncio.sleep(seconds)
        if fault and fault.kind in ON_CONNECTION:
            return await delivery.broken(request, answer, fault)
        return delivery.whole(answer)

    async def _sim(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        door = self._doors.get((request.method, path))
        if door is None:
            return _problem(f"{request.method} {path}: there is {', '.join(' '.join(key) for key in self._doors)}", 404)
        try:
            return await door(request)
        except (ScenarioError, ValueError) as error:
            return _problem(str(error), 400)
        except KeyError as error:
            return _problem(f"unknown or missing: {error}", 400)

    async def _told_stats(self, _request: web.BaseRequest) -> web.Response:
        quotas = {room.dialect.name: room.dialect.quotas(self._clock()) for room in self._rooms}
        return _document(self._stats.told(quotas))

    async def _cleared_stats(self, _request: web.BaseRequest) -> web.Response:
        self._stats.clear()
        return _document({})

    async def _told_truth(self, request: web.BaseRequest) -> web.StreamResponse:
        medium, _, interface = request.query["interface"].replace("wx.b.", "wx_b.", 1).partition(".")
        records = self._room(medium).dialect.truth(interface, request.query, self._clock())
        return await _streamed(request, (record._asdict() for record in records))

    async def _told_directory(self, request: web.BaseRequest) -> web.StreamResponse:
        return await _streamed(request, (entry for room in self._rooms for entry in room.dialect.directory()))

    async def _told_accounts(self, request: web.BaseRequest) -> web.StreamResponse:
        world = self._room(request.query["medium"]).dialect.world
        return await _streamed(request, world.accounts(world.by_id[request.query["agent"]]))

    async def _told_scenario(self, _request: web.BaseRequest) -> web.Response:
        return _document(self._scenario)

    async def _changed_scenario(self, request: web.BaseRequest) -> web.Response:
        text = await request.read()
        json = text.lstrip().startswith(b"{")
        whole = request.query.get("replace") == "1"
        scenario = Scenario.parse(text, json=json) if whole else self._scenario.patched(text, json=json)
        now = self._clock()
        self._rooms = [room.changed(scenario, now) for room in self._rooms]
        self._scenario = scenario
        return _document(scenario)

    def _room(self, medium: str) -> Room:
        return {room.dialect.name: room for room in self._rooms}[medium]


class _Server(web.Server):
    """Counts connections."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], stats: Stats) -> None:
        super().__init__(handler, handler_cancellation=True, keepalive_timeout=300, max_line_size=LONGEST_LINE)
        self._stats = stats

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._stats.connections += 1
        self._stats.open_connections += 1
        super().connection_made(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._stats.open_connections -= 1
        super().connection_lost(handler, exc)


def _document(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _problem(text: str, status: int) -> web.Response:
    return web.json_response({"error": text}, status=status)


async def _streamed(request: web.BaseRequest, values: Iterable[object]) -> web.StreamResponse:
    """JSON lines, some at a time, so that calls are answered in between."""
    lines = (msgspec.json.encode(value) + b"\n" for value in values)
    chunk = b"".join(islice(lines, LINES_AT_ONCE))  # before the headers: a bad query is an error, not half an answer
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
    await response.prepare(request)
    while chunk:
        await response.write(chunk)
        await asyncio.sleep(0)
        chunk = b"".join(islice(lines, LINES_AT_ONCE))
    await response.write_eof()
    return response
