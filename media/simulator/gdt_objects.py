"""Campaigns, adgroups, ads and creatives of an account: the same objects that its reports tell about."""

from collections.abc import Mapping
from typing import NamedTuple

from media.simulator.gdt_data import Ad, GdtData
from media.simulator.gdt_reports import Condition

Record = Mapping[str, object]
MADE = 1_577_836_800
"""The first objects were made on 2020-01-01 in UTC; each is a minute younger than the one before."""


class Kind(NamedTuple):
    """One object interface: the field that identifies its rows, and what may be filtered by."""

    key: str
    filters: tuple[str, ...]


_TIMES = ("created_time", "last_modified_time")
OBJECTS = {
    "campaigns/get": Kind(
        "campaign_id",
        ("campaign_id", "configured_status", "campaign_name", "campaign_type", "promoted_object_type", *_TIMES),
    ),
    "adgroups/get": Kind("adgroup_id", ("campaign_id", "adgroup_id", "adgroup_name", "promoted_object_type", *_TIMES)),
    "ads/get": Kind("ad_id", ("campaign_id", "adgroup_id", "ad_id", "ad_name", "adcreative_id", *_TIMES)),
    "adcreatives/get": Kind("adcreative_id", ("campaign_id", "adcreative_id", "adcreative_name", *_TIMES)),
}
"""Interface -> what it lists."""


def objects(
    data: GdtData, interface: str, account: str, filtering: tuple[Condition, ...], *, deleted: bool
) -> list[Record]:
    """The objects of one account that match; every tenth is a deleted one, listed only if asked for."""
    key = OBJECTS[interface].key
    found: dict[object, Record] = {}
    for number, ad in enumerate(data.ads(account)):
        row = _ROWS[interface](ad, MADE + 60 * number)
        if row[key] not in found:
            found[row[key]] = row
    return [
        row
        for row in found.values()
        if row["is_deleted"] == deleted and all(each.holds(row.get(each.field)) for each in filtering)
    ]


def _campaign(ad: Ad, made: int) -> Record:
    return {
        "campaign_id": ad.campaign_id,
        "campaign_name": f"campaign-{ad.campaign_id}",
        "configured_status": _status(ad.campaign_id),
        "campaign_type": ad.campaign_type,
        "promoted_object_type": ad.promoted_object_type,
        "daily_budget": ad.campaign_id % 100 * 10_000,
        "speed_mode": "SPEED_MODE_STANDARD",
        **_life(ad.campaign_id, made),
    }


def _adgroup(ad: Ad, made: int) -> Record:
    return {
        "campaign_id": ad.campaign_id,
        "adgroup_id": ad.adgroup_id,
        "adgroup_name": f"adgroup-{ad.adgroup_id}",
        "site_set": [ad.site_set],
        "optimization_goal": "OPTIMIZATIONGOAL_CLICK",
        "billing_event": "BILLINGEVENT_CLICK",
        "bid_amount": 20 + ad.adgroup_id % 500,
        "daily_budget": 0,
        "promoted_object_type": ad.promoted_object_type,
        "promoted_object_id": ad.promoted_object_id,
        "targeting_id": ad.adgroup_id // 2,
        "targeting": {"age": [{"min": 18, "max": 18 + ad.adgroup_id % 40}], "gender": ["MALE"]},
        "begin_date": "2020-01-01",
        "end_date": "2020-12-31",
        "time_series": "1" * 336,
        "configured_status": _status(ad.adgroup_id),
        "system_status": _status(ad.adgroup_id),
        **_life(ad.adgroup_id, made),
    }


def _ad(ad: Ad, made: int) -> Record:
    return {
        "campaign_id": ad.campaign_id,
        "adgroup_id": ad.adgroup_id,
        "ad_id": ad.ad_id,
        "ad_name": f"ad-{ad.ad_id}",
        "adcreative_id": ad.ad_id + 1,
        "adcreative": {"adcreative_id": ad.ad_id + 1},
        "configured_status": _status(ad.ad_id),
        "system_status": _status(ad.ad_id),
        "impression_tracking_url": "",
        "click_tracking_url": "",
        **_life(ad.ad_id, made),
    }


def _adcreative(ad: Ad, made: int) -> Record:
    return {
        "campaign_id": ad.campaign_id,
        "adcreative_id": ad.ad_id + 1,
        "adcreative_name": f"adcreative-{ad.ad_id + 1}",
        "adcreative_template_id": 529,
        "adcreative_elements": {"title": "夏日上新", "image": f"{ad.ad_id:x}"},
        "page_type": "PAGE_TYPE_DEFAULT",
        "site_set": [ad.site_set],
        "promoted_object_type": ad.promoted_object_type,
        "promoted_object_id": ad.promoted_object_id,
        "is_dynamic_creative": False,
        **_life(ad.ad_id, made),
    }


_ROWS = {"campaigns/get": _campaign, "adgroups/get": _adgroup, "ads/get": _ad, "adcreatives/get": _adcreative}


def _status(number: int) -> str:
    return "AD_STATUS_SUSPEND" if number % 5 == 0 else "AD_STATUS_NORMAL"


def _life(number: int, made: int) -> dict[str, object]:
    return {"created_time": made, "last_modified_time": made + number % 86400, "is_deleted": number % 10 == 0}
