"""Report rows of jrtt: what was delivered, filtered, grouped and ordered.

An advertiser's report has a row for every day or hour that is known, of zeros where nothing was delivered; the other
reports have rows only where something was. Those of campaigns, ads and creatives leave deleted objects out unless the
status asked for is the one that means all.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from media.simulator.jrtt_data import Delivery, JrttData, days_between, total_of, yuan
from media.simulator.jrtt_objects import OBJECTS, ad_name, campaign_name

Value = int | float | str

ID, TIME = "STAT_GROUP_BY_FIELD_ID", "STAT_GROUP_BY_FIELD_STAT_TIME"
_COMMON = {
    TIME: ("stat_datetime",),
    "STAT_GROUP_BY_INVENTORY": ("inventory",),
    "STAT_GROUP_BY_PRICING": ("pricing",),
    "STAT_GROUP_BY_LANDING_TYPE": ("landing_type",),
}
_CAMPAIGN = ("campaign_id", "campaign_name")
_AD = ("ad_id", "ad_name", *_CAMPAIGN)


class Level(NamedTuple):
    """One flat report: its groups, each with the fields it puts into a row, and the ids it may be filtered by."""

    groups: Mapping[str, tuple[str, ...]]
    filters: tuple[str, ...] = ()
    kind: str = ""
    """The interface that lists the objects of its rows."""


LEVELS = {
    "2/report/advertiser/get": Level({ID: ("advertiser_id",), **_COMMON}),
    "2/report/campaign/get": Level({ID: _CAMPAIGN, **_COMMON}, ("campaign_ids",), "2/campaign/get"),
    "2/report/ad/get": Level({ID: _AD, **_COMMON}, ("campaign_ids", "ad_ids"), "2/ad/get"),
    "2/report/creative/get": Level(
        {ID: ("creative_id", *_AD), **_COMMON}, ("campaign_ids", "ad_ids", "creative_ids"), "2/creative/get"
    ),
}
"""Flat report -> what it takes."""

DAY, HOUR = "STAT_GROUP_BY_TIME_DAY", "STAT_GROUP_BY_TIME_HOUR"
INTEGRATED: Mapping[str, tuple[str, ...]] = {
    DAY: ("stat_datetime",),
    HOUR: ("stat_datetime",),
    "STAT_GROUP_BY_ADVERTISER_ID": ("advertiser_id",),
    "STAT_GROUP_BY_CAMPAIGN_ID": _CAMPAIGN,
    "STAT_GROUP_BY_AD_ID": ("ad_id", "ad_name"),
    "STAT_GROUP_BY_CREATIVE_ID": ("creative_id",),
    "STAT_GROUP_BY_BIDWORD_ID": ("bidword_id", "bidword"),
}
"""Group of the integrated report -> its dimensions."""
INTEGRATED_FILTERS = ("campaign_id", "ad_id", "creative_id")


class Asked(NamedTuple):
    """What a report is asked for, without its page and its fields. `keys` are the fields that tell its rows apart."""

    account: str
    start: date
    end: date
    keys: tuple[str, ...]
    hourly: bool = False
    kind: str = ""
    status: str = ""
    filters: Mapping[str, frozenset[int]] = {}
    """Field -> the ids that count."""
    order: str = ""
    descends: bool = True
    zeros: bool = False
    """Whether days and hours without delivery have a row."""


class Group(NamedTuple):
    """One row before projection: what it is about, and what was delivered."""

    about: Mapping[str, Value]
    delivery: Delivery


def grouped(data: JrttData, asked: Asked, now: float) -> list[Group]:
    """All rows of a report, in order."""
    sums: dict[tuple[Value, ...], list[Delivery]] = {}
    if asked.zeros and set(asked.keys) <= {"advertiser_id", "stat_datetime"}:
        for moment in _moments(data, asked, now):
            sums[_place(asked, {"advertiser_id": int(asked.account), "stat_datetime": moment})] = [Delivery()]
    for about, delivery in _facts(data, asked, now):
        sums.setdefault(_place(asked, about), []).append(delivery)
    groups = [
        Group(dict(zip(asked.keys, place, strict=True)), total)
        for place, parts in sorted(sums.items())
        if (total := total_of(parts))
    ]
    if asked.order:
        groups.sort(key=lambda group: _value(group, asked.order), reverse=asked.descends)
    return groups


def flat(group: Group, account: str, fields: tuple[str, ...]) -> dict[str, Value]:
    """A row of a flat report."""
    return {**figures(group.delivery, fields), **group.about, "advertiser_id": int(account)}


def nested(group: Group, fields: tuple[str, ...]) -> dict[str, object]:
    """A row of the integrated report."""
    return {"dimensions": group.about, "metrics": figures(group.delivery, fields)}


def figures(delivery: Delivery, fields: tuple[str, ...] = ()) -> dict[str, Value]:
    """The metrics asked for, all if none are."""
    return {name: METRICS[name](delivery) for name in fields or METRICS}


def _place(asked: Asked, about: Mapping[str, Value]) -> tuple[Value, ...]:
    return tuple(about[name] for name in asked.keys)


def _value(group: Group, name: str) -> Value:
    return group.about[name] if name in group.about else METRICS[name](group.delivery)


def _moments(data: JrttData, asked: Asked, now: float) -> Iterator[str]:
    """Every day, or every hour, of which something is known."""
    for day in days_between(asked.start, asked.end):
        hours = data.known_hours(day, now)
        for hour in range(hours if asked.hourly else min(hours, 1)):
            yield _moment(day, hour)


def _facts(data: JrttData, asked: Asked, now: float) -> Iterator[tuple[Mapping[str, Value], Delivery]]:
    """What each creative that counts delivered, by day or by hour."""
    kind = OBJECTS.get(asked.kind)
    days = days_between(asked.start, asked.end)
    for creative in data.creatives(asked.account):
        if not all(getattr(creative, name) in ids for name, ids in asked.filters.items()):
            continue
        if kind and not kind.meant(getattr(creative, kind.key), asked.status):
            continue
        about: dict[str, Value] = {
            **creative._asdict(),
            "advertiser_id": int(asked.account),
            "campaign_name": campaign_name(creative.campaign_id),
            "ad_name": ad_name(creative.ad_id),
            "bidword": f"关键词{creative.bidword_id % 1000}",
        }
        for day in days:
            if asked.hourly:
                for hour, delivery in data.hours(creative, day, now):
                    yield {**about, "stat_datetime": _moment(day, hour)}, delivery
            elif total := data.day(creative, day, now):
                yield {**about, "stat_datetime": _moment(day, 0)}, total


def _moment(day: date, hour: int) -> str:
    return f"{day} {hour:02}:00:00"


Metric = Callable[[Delivery], int | float]


def _count(name: str) -> Metric:
    return lambda it: int(getattr(it, name))


def _per(under: str, times: int = 1) -> Metric:
    """What one of them cost, in yuan."""
    return lambda it: yuan(it.cost * times // getattr(it, under)) if getattr(it, under) else 0.0


def _percent(over: str, under: str) -> Metric:
    return lambda it: round(100 * getattr(it, over) / getattr(it, under), 2) if getattr(it, under) else 0.0


METRICS: Mapping[str, Metric] = {
    "cost": lambda it: yuan(it.cost),
    "show": _count("show"),
    "click": _count("click"),
    "ctr": _percent("click", "show"),
    "avg_show_cost": _per("show", 1000),
    "avg_click_cost": _per("click"),
    "convert": _count("convert"),
    "convert_cost": _per("convert"),
    "convert_rate": _percent("convert", "click"),
    "deep_convert": _count("deep_convert"),
    "deep_convert_cost": _per("deep_convert"),
    "deep_convert_rate": _percent("deep_convert", "convert"),
    "attribution_convert": _count("attribution_convert"),
    "attribution_convert_cost": _per("attribution_convert"),
    "attribution_deep_convert": _count("attribution_deep_convert"),
    "attribution_deep_convert_cost": _per("attribution_deep_convert"),
    "active": _count("active"),
    "active_cost": _per("active"),
    "active_rate": _percent("active", "click"),
    "register": _count("register"),
    "active_register_cost": _per("register"),
    "pay_count": _count("pay_count"),
    "active_pay_cost": _per("pay_count"),
}
"""Metric -> how it follows from what was delivered; money in yuan, rates in percent."""
