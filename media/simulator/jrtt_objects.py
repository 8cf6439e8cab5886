"""Campaigns, ads and creatives of an account: the same objects that its reports tell about."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from media.simulator import jrtt_params as params
from media.simulator.gdt_data import SHANGHAI
from media.simulator.jrtt_data import Creative, JrttData, yuan

Record = Mapping[str, object]
MADE = 1_577_808_000
"""The first objects were made on 2020-01-01; each is ten minutes younger than the one before."""
ALL, KEPT = "ALL", "NOT_DELETE"
_STATUSES = {
    "CAMPAIGN": ("CAMPAIGN_STATUS_DELETE", "CAMPAIGN_STATUS_DISABLE", "CAMPAIGN_STATUS_ENABLE"),
    "AD": ("AD_STATUS_DELETE", "AD_STATUS_DISABLE", "AD_STATUS_DELIVERY_OK"),
    "CREATIVE": ("CREATIVE_STATUS_DELETE", "CREATIVE_STATUS_DISABLE", "CREATIVE_STATUS_DELIVERY_OK"),
}


class Kind(NamedTuple):
    """One object interface: what it is called in statuses, the field of its id, what it may be filtered by."""

    word: str
    key: str
    filters: Mapping[str, Callable[[str, Any], Any]]

    def status(self, number: int) -> str:
        """The status of one object: every tenth is deleted."""
        deleted, disabled, enabled = _STATUSES[self.word]
        return deleted if number % 10 == 0 else disabled if number % 7 == 0 else enabled

    def read_status(self, name: str, value: object) -> str:
        """The status asked for: one of them, all, or those that are not deleted."""
        known = {*_STATUSES[self.word], f"{self.word}_STATUS_{ALL}", f"{self.word}_STATUS_{KEPT}"}
        if value not in known:
            raise params.RefusedError(params.WRONG, f"{name}: takes {', '.join(sorted(known))}")
        return str(value)

    def meant(self, number: int, status: str) -> bool:
        """Whether an object is listed where `status` is asked for; without one the deleted are not."""
        own = self.status(number)
        if not status or status.endswith(KEPT):
            return own != _STATUSES[self.word][0]
        return status in {own, f"{self.word}_STATUS_{ALL}"}


OBJECTS = {
    "2/campaign/get": Kind(
        "CAMPAIGN",
        "campaign_id",
        {"ids": params.some_ids, "campaign_name": params.short, "campaign_create_time": params.one_day},
    ),
    "2/ad/get": Kind(
        "AD",
        "ad_id",
        {
            "ids": params.some_ids,
            "ad_name": params.short,
            "campaign_id": params.one_id,
            "ad_create_time": params.one_day,
            "ad_modify_time": params.one_day,
        },
    ),
    "2/creative/get": Kind(
        "CREATIVE",
        "creative_id",
        {
            "ids": params.some_ids,
            "creative_ids": params.some_ids,
            "creative_title": params.short,
            "campaign_id": params.one_id,
            "ad_id": params.one_id,
            "creative_create_time": params.one_day,
            "creative_modify_time": params.one_day,
        },
    ),
}
"""Interface -> what it lists."""


def read_filtering(interface: str, query: params.Query) -> dict[str, Any]:
    """The `filtering` of a call."""
    kind = OBJECTS[interface]
    return params.filtering(query, {**kind.filters, "status": kind.read_status})


def objects(data: JrttData, interface: str, account: str, filtering: Mapping[str, Any]) -> list[Record]:
    """The objects of one account that match, in the order of their making."""
    kind, found = OBJECTS[interface], {}
    for creative in data.creatives(account):
        number = getattr(creative, kind.key)
        if number not in found and _matches(creative, kind.key, filtering):
            found[number] = creative
    rows = [
        _ROWS[interface](each, int(account), kind.status(number), _made(place))
        for place, (number, each) in enumerate(found.items())
        if kind.meant(number, filtering.get("status", ""))
    ]
    return [row for row in rows if _named(row, filtering)]


def _matches(creative: Creative, key: str, filtering: Mapping[str, Any]) -> bool:
    asked = {"campaign_id": "campaign_id", "ad_id": "ad_id", "ids": key, "creative_ids": "creative_id"}
    return all(getattr(creative, field) in filtering[name] for name, field in asked.items() if name in filtering)


def _named(row: Record, filtering: Mapping[str, Any]) -> bool:
    for name, value in filtering.items():
        if name.endswith("_time") and not str(row[name]).startswith(value):
            return False
        if name.endswith(("_name", "_title")) and value not in str(row["title" if name.endswith("_title") else "name"]):
            return False
    return True


def _made(place: int) -> datetime:
    return datetime.fromtimestamp(MADE + 600 * place, SHANGHAI)


def _campaign(each: Creative, account: int, status: str, made: datetime) -> Record:
    number = each.campaign_id
    return {
        "id": number,
        "campaign_id": number,
        "name": campaign_name(number),
        "advertiser_id": account,
        "budget": yuan(number % 4 * 30_000),
        "budget_mode": "BUDGET_MODE_DAY" if number % 4 else "BUDGET_MODE_INFINITE",
        "landing_type": each.landing_type,
        "status": status,
        "marketing_purpose": "CONVERSION",
        "delivery_related_num": "CAMPAIGN_DELIVERY_RELATED_NUM_ONE",
        **_life("campaign", number, made),
    }


def _ad(each: Creative, account: int, status: str, made: datetime) -> Record:
    number = each.ad_id
    return {
        "id": number,
        "ad_id": number,
        "campaign_id": each.campaign_id,
        "advertiser_id": account,
        "name": ad_name(number),
        "status": status,
        "opt_status": "AD_STATUS_DISABLE" if status == "AD_STATUS_DISABLE" else "AD_STATUS_ENABLE",
        "pricing": each.pricing,
        "bid": yuan(20 + number % 500),
        "cpa_bid": yuan(1000 + number % 5000),
        "budget": yuan(30_000 + number % 9 * 10_000),
        "budget_mode": "BUDGET_MODE_DAY",
        "start_time": "2020-01-01 00:00",
        "end_time": "2020-12-31 23:59",
        "delivery_range": "DEFAULT",
        "inventory_type": [each.inventory],
        "convert_id": number // 3,
        "external_action": "AD_CONVERT_TYPE_ACTIVE",
        "download_url": "",
        "audience": {"gender": "NONE", "age": ["AGE_BETWEEN_18_23"]},
        **_life("ad", number, made),
    }


def _creative(each: Creative, account: int, status: str, made: datetime) -> Record:
    number = each.creative_id
    life = _life("creative", number, made)
    return {
        "creative_id": number,
        "ad_id": each.ad_id,
        "advertiser_id": account,
        "status": status,
        "opt_status": "CREATIVE_STATUS_DISABLE" if status == "CREATIVE_STATUS_DISABLE" else "CREATIVE_STATUS_ENABLE",
        "title": f"夏日上新 {number}",
        "image_mode": "CREATIVE_IMAGE_MODE_LARGE",
        "image_ids": [f"web.business.image/{number:x}"],
        "video_id": "",
        "third_party_id": "",
        "materials": [],
        "creative_create_time": life["creative_create_time"],
        "creative_modify_time": life["creative_modify_time"],
    }


_ROWS = {"2/campaign/get": _campaign, "2/ad/get": _ad, "2/creative/get": _creative}


def campaign_name(number: int) -> str:
    """What a campaign is called."""
    return f"campaign-{number}"


def ad_name(number: int) -> str:
    """What an ad is called."""
    return f"ad-{number}"


def _life(word: str, number: int, made: datetime) -> dict[str, object]:
    changed = made.replace(second=number % 60)
    return {
        f"{word}_create_time": f"{made:%Y-%m-%d %H:%M:%S}",
        f"{word}_modify_time": f"{changed:%Y-%m-%d %H:%M:%S}",
        "modify_time": str(int(changed.timestamp()) * 1000),
    }


_EXAMPLE = Creative(1, 1, 1, 1, "", "", "")
FIELDS = {interface: tuple(row(_EXAMPLE, 1, "", _made(0))) for interface, row in _ROWS.items()}
"""Interface -> the fields of its rows."""
