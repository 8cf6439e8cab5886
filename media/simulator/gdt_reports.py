"""Report rows of gdt: what was delivered, filtered, grouped, ordered, and cut down to the fields asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from media.simulator.gdt_data import Ad, Delivery, GdtData, total_of
from media.simulator.gdt_fields import FIELDS
from media.simulator.world import Dice

REPORTS = ("daily_reports/get", "hourly_reports/get")
LEVELS = {
    "REPORT_LEVEL_ADVERTISER": (),
    "REPORT_LEVEL_CAMPAIGN": ("campaign_id",),
    "REPORT_LEVEL_ADGROUP": ("adgroup_id", "site_set"),
    "REPORT_LEVEL_AD": ("ad_id", "site_set"),
    "REPORT_LEVEL_PROMOTED_OBJECT": ("promoted_object_type", "promoted_object_id"),
}
"""Level -> what it may be grouped by beside the date or the hour (site_set by day only)."""

DEFAULT_FIELDS = (
    "account_id", "date", "hour", "campaign_id", "adgroup_id", "ad_id", "promoted_object_type", "promoted_object_id",
    "view_count", "valid_click_count", "ctr", "cpc", "cost", "conversions_count",
)  # fmt: skip
"""Served where `fields` is not sent."""

_AD_KEYS = ("campaign_id", "adgroup_id", "ad_id", "site_set", "promoted_object_type", "promoted_object_id")
FILTERS = (*_AD_KEYS, "hour")
Value = int | float | str


class Condition(NamedTuple):
    """One entry of `filtering`; values are text, numbers too."""

    field: str
    operator: str
    values: tuple[str, ...]

    def holds(self, value: object) -> bool:
        """Whether a record whose field has this value is meant."""
        return OPERATORS[self.operator](value, self.values)


OPERATORS: Mapping[str, Callable[[Any, tuple[str, ...]], bool]] = {
    "EQUALS": lambda value, texts: str(value) in texts,
    "IN": lambda value, texts: str(value) in texts,
    "CONTAINS": lambda value, texts: any(text in str(value) for text in texts),
    "LESS": lambda value, texts: value < int(texts[0]),
    "LESS_EQUALS": lambda value, texts: value <= int(texts[0]),
    "GREATER": lambda value, texts: value > int(texts[0]),
    "GREATER_EQUALS": lambda value, texts: value >= int(texts[0]),
}


class Query(NamedTuple):
    """What a report is asked for, without its page and its fields."""

    interface: str
    account: str
    start: date
    end: date
    group_by: tuple[str, ...]
    time_line: str
    filtering: tuple[Condition, ...] = ()
    order_by: tuple[tuple[str, bool], ...] = ()
    """Fields to sort by, each with whether it descends."""
    beside: Mapping[str, Value] = MappingProxyType({})
    """What every row tells about the account beside its id."""


class Group(NamedTuple):
    """One row before projection: what it is about, and what was delivered."""

    about: Mapping[str, Value]
    delivery: Delivery


def grouped(data: GdtData, query: Query, now: float) -> list[Group]:
    """All rows of a report, in order, before projection."""
    told = tuple(dict.fromkeys(name for key in query.group_by for name in _IMPLIED.get(key, (key,))))
    sums: dict[tuple[Value, ...], list[Delivery]] = {}
    about: dict[tuple[Value, ...], Mapping[str, Value]] = {}
    for keys, delivery in _facts(data, query, now):
        place = tuple(keys[name] for name in query.group_by)
        if place not in sums:
            sums[place] = []
            about[place] = {"account_id": int(query.account), **query.beside, **{name: keys[name] for name in told}}
        sums[place].append(delivery)
    totals = ((place, total_of(parts)) for place, parts in sums.items())
    return _ordered([Group(about[place], total) for place, total in totals if total], query)


def project(group: Group, wanted: Iterable[tuple[str, "Metric | None"]]) -> dict[str, Value]:
    """One row; a field about something that the row is not grouped by is left out."""
    row: dict[str, Value] = {}
    for name, metric in wanted:
        if metric is not None:
            row[name] = metric(group.delivery)
        elif name in group.about:
            row[name] = group.about[name]
    return row


def _facts(data: GdtData, query: Query, now: float) -> Iterator[tuple[Mapping[str, Value], Delivery]]:
    """What each ad delivered: per day, or per hour of the one day of an hourly report."""
    ads = [(ad, {**ad._asdict(), **_names(ad)}) for ad in data.ads(query.account)]
    ads = [(ad, keys) for ad, keys in ads if _matches(keys, query.filtering, _AD_KEYS)]
    day = query.start
    while day <= query.end:
        for ad, keys in ads:
            if query.interface == "daily_reports/get":
                total = data.day(ad, day, query.time_line, now)
                if total:
                    yield {"date": day.isoformat(), **keys}, total
            else:
                for hour, delivery in data.hours(ad, day, query.time_line, now):
                    if _matches({"hour": hour}, query.filtering, ("hour",)):
                        yield {"hour": hour, **keys}, delivery
        day += timedelta(days=1)


def _names(ad: Ad) -> dict[str, Value]:
    return {
        "campaign_name": f"campaign-{ad.campaign_id}",
        "adgroup_name": f"adgroup-{ad.adgroup_id}",
        "ad_name": f"ad-{ad.ad_id}",
    }


_CAMPAIGN = ("campaign_id", "campaign_name", "promoted_object_type", "promoted_object_id")
_ADGROUP = ("adgroup_id", "adgroup_name", *_CAMPAIGN)
_IMPLIED = {
    "ad_id": ("ad_id", "ad_name", "site_set", *_ADGROUP),
    "adgroup_id": _ADGROUP,
    "campaign_id": _CAMPAIGN,
}
"""What follows from a field that a report is grouped by."""


def _matches(values: Mapping[str, object], filtering: tuple[Condition, ...], names: tuple[str, ...]) -> bool:
    return all(each.holds(values[each.field]) for each in filtering if each.field in names)


def _ordered(groups: list[Group], query: Query) -> list[Group]:
    """By what is grouped, then stably by `order_by`, the first of it weighing most."""
    groups.sort(key=lambda group: [group.about[name] for name in query.group_by])
    for name, descends in reversed(query.order_by):
        column = columns((name,), query.interface)
        groups.sort(key=lambda group: project(group, column).get(name, 0), reverse=descends)
    return groups


Metric = Callable[[Delivery], int | float]


def _per(over: str, under: str, times: int = 1) -> Metric:
    return lambda it: getattr(it, over) * times // getattr(it, under) if getattr(it, under) else 0


def _rate(over: str, under: str) -> Metric:
    return lambda it: round(getattr(it, over) / getattr(it, under), 4) if getattr(it, under) else 0.0


_METRICS: Mapping[str, Metric] = {
    "view_count": lambda it: it.views,
    "valid_click_count": lambda it: it.clicks,
    "cost": lambda it: it.cost,
    "ctr": _rate("clicks", "views"),
    "cpc": _per("cost", "clicks"),
    "thousand_display_price": _per("cost", "views", 1000),
    "download_count": lambda it: it.downloads,
    "download_rate": _rate("downloads", "clicks"),
    "download_cost": _per("cost", "downloads"),
    "activated_count": lambda it: it.activations,
    "activated_rate": _rate("activations", "downloads"),
    "activated_cost": _per("cost", "activations"),
    "conversions_count": lambda it: it.conversions,
    "conversions_rate": _rate("conversions", "clicks"),
    "conversions_cost": _per("cost", "conversions"),
    "order_amount": lambda it: it.amount,
    "order_roi": _rate("amount", "cost"),
}
_ABOUT = {"account_id", "hour", "date"}


@lru_cache(maxsize=256)
def columns(fields: tuple[str, ...], interface: str) -> tuple[tuple[str, Metric | None], ...]:
    """Each field with its metric; None where it says what the row is about."""
    types = FIELDS[interface]
    return tuple((name, _metric(name, types[name])) for name in fields)


def _metric(name: str, kind: str) -> Metric | None:
    if name in _METRICS:
        return _METRICS[name]
    if kind not in {"int", "float"} or name.endswith("_id") or name in _ABOUT:
        return None
    share = 1 + Dice(0, "gdt metric").roll(name)[0] % 64
    if kind == "float":
        return lambda it: round(it.conversions * share / (it.clicks * 64), 4) if it.clicks else 0.0
    if name.endswith(("_cost", "_price")):
        return lambda it: it.cost // (it.clicks * share // 256) if it.clicks * share // 256 else 0
    return lambda it: it.conversions * share // 64
