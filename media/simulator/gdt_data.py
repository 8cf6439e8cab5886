"""What gdt knows about an account: funds, its own record, its ads and what each delivered on a day.

Everything is a pure function of (seed, account, day, ad). Aggregates are sums of the same numbers, so that the levels
and the hours of a day agree with each other.
"""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from itertools import accumulate
from typing import NamedTuple

from media.simulator.scenario import Delivering
from media.simulator.world import Agent, Dice

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
TIME_LINES = ("REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME")

FUND_TYPES = ("FUND_TYPE_CASH", "FUND_TYPE_GIFT", "FUND_TYPE_SHARED", "FUND_TYPE_CREDIT_ROLL")
TRADE_TYPES = ("PAY", "CHARGE", "TRANSFER_BACK", "EXPIRE")
SITE_SETS = ("SITE_SET_MOBILE_UNION", "SITE_SET_WECHAT", "SITE_SET_QZONE", "SITE_SET_TENCENT_NEWS")
OBJECT_TYPES = ("PROMOTED_OBJECT_TYPE_APP_ANDROID", "PROMOTED_OBJECT_TYPE_APP_IOS", "PROMOTED_OBJECT_TYPE_ECOMMERCE")
CITIES = ("杭州", "深圳", "北京", "上海", "成都")
TRADES = ("网络科技", "电子商务", "教育咨询", "文化传媒")


class Ad(NamedTuple):
    """One ad and where it hangs."""

    ad_id: int
    adgroup_id: int
    campaign_id: int
    site_set: str
    promoted_object_type: str
    promoted_object_id: str
    campaign_type: str


class Delivery(NamedTuple):
    """What was delivered; money in fen. All of it adds up."""

    views: int
    clicks: int
    cost: int
    downloads: int
    activations: int
    conversions: int
    amount: int


class Statement(NamedTuple):
    """Money that moved in or out of one fund, in fen; `time` in seconds since 1970."""

    trade_type: str
    time: int
    amount: int
    balance: int


class GdtData:
    """The numbers of one seed and scenario; those of another medium under its `name`."""

    fund_types: tuple[str, ...] = FUND_TYPES
    site_sets: tuple[str, ...] = SITE_SETS
    campaign_types: tuple[str, ...] = ("CAMPAIGN_TYPE_NORMAL",)

    def __init__(self, seed: int, gdt: Delivering, name: str = "gdt") -> None:
        self._gdt = gdt
        self._funds = Dice(seed, f"{name} funds")
        self._accounts = Dice(seed, f"{name} advertiser")
        self._inactive = Dice(seed, f"{name} inactive")
        self._ids = Dice(seed, f"{name} objects")
        self._days = Dice(seed, f"{name} delivery")
        weights = gdt.objects.weights or (1.0,) * len(gdt.objects.ads)
        self._steps = [step / sum(weights) for step in accumulate(weights)]

    def funds(self, account: str) -> list[dict[str, object]]:
        """Its funds: one to four kinds; the last kind may be empty."""
        dice = self._funds.roll(account)
        rows = []
        for place in range(1 + dice[0] % len(self.fund_types)):
            balance = (
                int.from_bytes(dice[4 * place + 1 : 4 * place + 5], "big") % 90_000_000 if dice[24 + place] % 8 else 0
            )
            rows.append({
                "fund_type": self.fund_types[place],
                "balance": balance,
                "fund_status": "FUND_STATUS_NORMAL" if balance else "FUND_STATUS_NOT_ENOUGH",
                "realtime_cost": balance // 1000 % 50_000,
            })  # fmt: skip
        return rows

    def statements(self, account: str, fund_type: str, day: date) -> list[Statement]:
        """What moved one of its funds on one day: nearly always a payment, the rarer kinds now and then."""
        if all(row["fund_type"] != fund_type for row in self.funds(account)):
            return []
        dice = self._funds.roll(account, fund_type, day.toordinal())
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).timestamp())
        return [
            Statement(
                trade,
                midnight + 20_000 * place + dice[4 * place + 1],
                1 + int.from_bytes(dice[4 * place + 2 : 4 * place + 4], "big") * 10,
                int.from_bytes(dice[16:20], "big") % 90_000_000,
            )
            for place, trade in enumerate(TRADE_TYPES)
            if dice[4 * place] < (240, 80, 16, 8)[place]
        ]

    def inactive(self, account: str) -> bool:
        """Whether it refuses everything but being listed."""
        share = self._gdt.inactive.share
        return account in self._gdt.inactive.accounts or (share > 0 and self._inactive.share(account) < share)

    def advertiser(self, agent: Agent, account: str) -> dict[str, object]:
        """Its own record, the fields that are not empty."""
        dice = self._accounts.roll(account)
        inactive = self.inactive(account)
        return {
            "account_id": int(account),
            "corporation_name": f"{CITIES[dice[0] % len(CITIES)]}{TRADES[dice[1] % len(TRADES)]}有限公司{dice[2]}",
            "daily_budget": dice[3] * 10_000,
            "system_status": "CUSTOMER_STATUS_SUSPEND" if inactive else "CUSTOMER_STATUS_NORMAL",
            "reject_message": "",
            "system_industry_id": 21474836480 + dice[4],
            "agency_account_id": int(agent.id),
            "mdm_id": 1000 + dice[2],
        }

    def told(self, path: str, agent: Agent, account: str, _day: date, _now: float) -> Sequence[Mapping[str, object]]:
        """The records of an interface that serves what is known of an account."""
        return [self.advertiser(agent, account)] if path == "advertiser/get" else self.funds(account)

    def beside(self, _agent: Agent, _account: str) -> Mapping[str, str]:
        """What a report tells about an account beside its id."""
        return {}

    def ads(self, account: str) -> list[Ad]:
        """Its ads, in the order of their making."""
        objects = self._gdt.objects
        ads = []
        campaign = adgroup = -1
        campaign_id = adgroup_id = 0
        object_type = object_id = campaign_type = ""
        for number in range(self._size(account)):
            if number // objects.per_adgroup != adgroup:
                adgroup = number // objects.per_adgroup
                adgroup_id = self._id(account, "adgroup", adgroup)
                if adgroup // objects.per_campaign != campaign:
                    campaign = adgroup // objects.per_campaign
                    campaign_id = self._id(account, "campaign", campaign)
                    object_type = OBJECT_TYPES[campaign_id % len(OBJECT_TYPES)]
                    object_id = str(1_105_000_000 + campaign % 3)
                    campaign_type = self.campaign_types[campaign_id % len(self.campaign_types)]
            ad_id = self._id(account, "ad", number)
            site_set = self.site_sets[ad_id % len(self.site_sets)]
            ads.append(Ad(ad_id, adgroup_id, campaign_id, site_set, object_type, object_id, campaign_type))
        return ads

    def day(self, ad: Ad, day: date, time_line: str, now: float) -> Delivery | None:
        """What one ad delivered on one day; None where it did not."""
        if self._gdt.growing:
            return total_of([delivery for _, delivery in self.hours(ad, day, time_line, now)])
        return self._total(ad, day, time_line)

    def hours(self, ad: Ad, day: date, time_line: str, now: float) -> list[tuple[int, Delivery]]:
        """What one ad delivered on one day, hour by hour, as far as known; hours without delivery are absent."""
        total = self._total(ad, day, time_line)
        if total is None:
            return []
        until = 24
        if self._gdt.growing:
            total, until = self._grown(total, day, now)
        return [(hour, delivery) for hour, delivery in _split(total, self._weights(ad, day)) if hour < until]

    def today(self, now: float) -> date:
        """The world's date in Shanghai."""
        return date.fromisoformat(self._gdt.today) if self._gdt.today else datetime.fromtimestamp(now, SHANGHAI).date()

    def _size(self, account: str) -> int:
        objects = self._gdt.objects
        if account in objects.of:
            return objects.of[account]
        return objects.ads[min(bisect(self._steps, self._ids.share(account)), len(objects.ads) - 1)]

    def _id(self, account: str, kind: str, number: int) -> int:
        return 1_000_000 + int.from_bytes(self._ids.roll(account, kind, number)[:5], "big")

    def _total(self, ad: Ad, day: date, time_line: str) -> Delivery | None:
        dice = self._days.roll(ad.ad_id, day.toordinal())
        if dice[0] >= round(self._gdt.objects.delivery * 256):
            return None
        return _restated(_drawn(dice), TIME_LINES.index(time_line), dice[8])

    def _weights(self, ad: Ad, day: date) -> Sequence[int]:
        share = round(self._gdt.objects.hours * 256)
        dice = self._days.roll("hours", ad.ad_id, day.toordinal())
        weights = [1 + dice[31 - hour % 8] if dice[hour] < share else 0 for hour in range(24)]
        if not any(weights):
            weights[dice[31] % 24] = 1
        return weights

    def _grown(self, total: Delivery, day: date, now: float) -> tuple[Delivery, int]:
        """What is known of a day at `now`: hours gone by today, a part of yesterday before 08:00, late conversions."""
        moment = datetime.fromtimestamp(now, SHANGHAI)
        age = (self.today(now) - day).days
        late = 70 + 30 * min(max(age, 0), 7) // 7
        total = total._replace(**{name: getattr(total, name) * late // 100 for name in CONVERSIONS})
        if age == 1 and moment.hour < 8:  # noqa: PLR2004 -- 08:00, when the medium has yesterday complete
            return total, 12
        return total, moment.hour if age == 0 else 24 if age > 0 else 0


CONVERSIONS = ("downloads", "activations", "conversions", "amount")


def _drawn(dice: bytes) -> Delivery:
    views = 500 + int.from_bytes(dice[1:3], "big") % 40_000
    clicks = 1 + views * (1 + dice[3] % 50) // 1000
    downloads = clicks * (dice[4] % 64) // 256
    conversions = clicks * (dice[6] % 96) // 256
    return Delivery(
        views=views,
        clicks=clicks,
        cost=clicks * (20 + dice[5]) + dice[7],
        downloads=downloads,
        activations=downloads * (128 + dice[7] % 128) // 256,
        conversions=conversions,
        amount=conversions * (100 + 40 * dice[4]),
    )


def _restated(total: Delivery, line: int, luck: int) -> Delivery:
    """The day as one time line counts it: views, clicks and cost agree, conversions are told at different times."""
    share = (256, 180 + luck % 60, 120 + luck % 50)[line]
    return total._replace(**{name: getattr(total, name) * share // 256 for name in CONVERSIONS})


def total_of(parts: Sequence[Delivery]) -> Delivery | None:
    """The sum; None of nothing."""
    if len(parts) == 1:
        return parts[0]
    return Delivery(*map(sum, zip(*parts, strict=True))) if parts else None


def _split(total: Delivery, weights: Sequence[int]) -> Iterator[tuple[int, Delivery]]:
    """The day over its hours, nothing lost to rounding; each has views, for there are more of them than weight."""
    whole, before = sum(weights), 0
    for hour, weight in enumerate(weights):
        if weight:
            after = before + weight
            yield hour, Delivery(*[value * after // whole - value * before // whole for value in total])
            before = after
