"""What each interface of WeChat's own dialect serves, once a call is let through; and the same records as truth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import msgspec

from media.simulator import gdt_params as params
from media.simulator.answers import Call, Truth
from media.simulator.gdt_desk import Page, page_info
from media.simulator.gdt_money import MOST_DAYS
from media.simulator.gdt_objects import MADE, OBJECTS
from media.simulator.gdt_params import RefusedError
from media.simulator.gdt_reports import Condition
from media.simulator.world import World
from media.simulator.wx_b_data import LEVELS, RENAMED, Record, WxBData

BAD_JSON, BAD_PARAMETER = 47001, 40097
REALTIME = "realtime_cost"


class _Days(msgspec.Struct):
    begin_date: str
    end_date: str


class _Filter(msgspec.Struct):
    """WeChat's clients send conditions without values too: those limit nothing."""

    field: str
    operator: str = "EQUALS"
    values: list[str] = []


class WxBPages:
    """The interfaces of one scenario; without state."""

    def __init__(self, world: World, data: WxBData) -> None:
        self._world = world
        self._data = data
        self.served: Mapping[str, Callable[[Call, str], Page]] = {
            "advertiser/get": lambda _, account: Page(None, data.itself(account)),
            "sp_entrustment/get": lambda *_: Page(None, {"entrusted": True}),
            "funds/get": lambda _, account: Page(data.funds(account)),
            "daily_reports/get": self.report,
            "realtime_cost/get": self.realtime_cost,
            "wechat_ad_leads/get": self.leads,
            "user_action_sets/get": self.action_sets,
            **dict.fromkeys(OBJECTS, self.objects),
        }

    def report(self, call: Call, account: str) -> Page:
        """Rows where something was delivered, one page of them."""
        start, end = params.date_range(params.required(call.query, "date_range"))
        return _page(call, self._data.report(account, _level(call.query), start, _ending(start, end), call.now))

    def realtime_cost(self, call: Call, account: str) -> Page:
        """What today has cost so far."""
        if params.day(params.required(call.query, "date"), "date") != self._data.today(call.now):
            raise RefusedError(BAD_PARAMETER, "date must be today")
        conditions = _conditions(call.query, ("campaign_id", "adgroup_id"))
        return _page(call, self._data.cost_today(account, _level(call.query), call.now, conditions))

    def leads(self, call: Call, account: str) -> Page:
        """Telephone numbers that were left; its range begins with begin_date."""
        text = params.required(call.query, "date_range")
        try:
            days = msgspec.json.decode(text, type=_Days)
        except msgspec.ValidationError as error:
            raise RefusedError(BAD_PARAMETER, f"date_range: {error}") from None
        except msgspec.DecodeError:
            raise RefusedError(BAD_JSON, "date_range is not valid JSON") from None
        start, end = params.day(days.begin_date, "begin_date"), params.day(days.end_date, "end_date")
        conditions = _conditions(call.query, ("campaign_id",))
        rows = self._data.leads(account, start, _ending(start, end), call.now)
        return _page(call, [row for row in rows if all(each.holds(row[each.field]) for each in conditions)])

    def action_sets(self, call: Call, _account: str) -> Page:
        """The sets of user actions, no paging."""
        rows = [
            {
                "user_action_set_id": number,
                "description": f"set-{number}",
                "activate_status": True,
                "created_time": MADE,
            }
            for number in (7, 8)
        ]
        one = call.query.get("user_action_set_id")
        return Page([row for row in rows if one in {None, str(row["user_action_set_id"])}])

    def objects(self, call: Call, account: str) -> Page:
        """Campaigns, adgroups, ads or creatives, one page of them: all, the one named, or those that match."""
        key, filters = OBJECTS[call.interface]
        conditions = _conditions(call.query, tuple(RENAMED.get(name, name) for name in filters))
        if key in call.query:
            conditions = (*conditions, Condition(key, "EQUALS", (call.query[key],)))
        return _page(call, self._data.objects(call.interface, account, conditions))

    def truth(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        """Every record of `interface` as clients name it, after `b.`; raises KeyError for an unknown one."""
        records = self._records(interface, query, now)
        for agent in self._world.agents:
            if query.get("agent", agent.id) != agent.id or query.get("tenant", agent.tenant) != agent.tenant:
                continue
            for account in [query["account"]] if "account" in query else self._world.accounts(agent):
                if self._world.find(account) is agent and not self._data.inactive(account):
                    for record in records(account):
                        yield Truth(agent.tenant, agent.id, account, "", record)

    def _records(self, interface: str, query: Mapping[str, str], now: float) -> Callable[[str], Sequence[Record]]:
        data, day = self._data, params.day(query["date"], "date")
        if interface == REALTIME:
            level = _level({"level": "CAMPAIGN", **query})
            return lambda account: data.cost_today(account, level, now) if day == data.today(now) else []
        told: dict[str, Callable[[str], Sequence[Record]]] = {
            "advertiser": lambda account: [data.itself(account)],
            "funds": data.funds,
            "daily_report_campaign": lambda account: data.report(account, "CAMPAIGN", day, day, now),
            "daily_report_adgroup": lambda account: data.report(account, "ADGROUP", day, day, now),
            **{path.removesuffix("/get"): _objects(data, path) for path in OBJECTS},
        }
        return told[interface]


def _objects(data: WxBData, path: str) -> Callable[[str], Sequence[Record]]:
    return lambda account: data.objects(path, account)


def _page(call: Call, rows: Sequence[Record]) -> Page:
    page = params.number(call.query, "page", 1, 99_999)
    size = params.number(call.query, "page_size", 10, 100)
    return Page(rows[(page - 1) * size : page * size], page_info(page, size, len(rows)))


def _level(query: Mapping[str, str]) -> str:
    """The level, with or without its prefix: which of both WeChat takes is not told."""
    bare = {**query, "level": query.get("level", "").removeprefix("REPORT_LEVEL_")}
    return params.choice(bare, "level", tuple(LEVELS))


def _ending(start: date, end: date) -> date:
    if not 0 <= (end - start).days < MOST_DAYS:
        raise RefusedError(BAD_PARAMETER, f"date_range must span 1 to {MOST_DAYS} days")
    return end


def _conditions(query: Mapping[str, str], allowed: tuple[str, ...]) -> tuple[Condition, ...]:
    """The conditions that have values, checked as gdt checks them."""
    try:
        sent = msgspec.json.decode(query.get("filtering", "[]"), type=list[_Filter])
    except msgspec.ValidationError as error:
        raise RefusedError(BAD_PARAMETER, f"filtering: {error}") from None
    except msgspec.DecodeError:
        raise RefusedError(BAD_JSON, "filtering is not valid JSON") from None
    text = msgspec.json.encode([each for each in sent if each.values]).decode()
    return params.filtering(text, allowed)
