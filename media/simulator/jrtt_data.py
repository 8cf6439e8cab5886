"""What jrtt knows about an account: its own record, its funds, its creatives and what each delivered on a day.

Everything is a pure function of (seed, account, day, creative). Aggregates are sums of the same numbers, so that the
levels, the hours, the funds and the agents' reports agree with each other. Money is counted in fen here and told in
yuan.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from media.simulator.gdt_data import SHANGHAI
from media.simulator.scenario import Jrtt
from media.simulator.world import Agent, Dice

CITIES = ("杭州", "深圳", "北京", "上海", "成都")
TRADES = ("信息技术", "电子商务", "教育科技", "文化传媒")
INVENTORIES = ("INVENTORY_FEED", "INVENTORY_TEXT_LINK", "INVENTORY_AWEME_FEED", "INVENTORY_UNION_SLOT")
PRICINGS = ("PRICING_CPC", "PRICING_CPM", "PRICING_OCPM")
LANDING_TYPES = ("APP", "LINK", "SHOP")
BIDWORDS = 3
"""Keywords of an ad; each creative of it was found by one of them."""
COMPLETE = 8
"""The hour of the day at which yesterday is complete."""
RESTATED = 7
"""Days during which attributed conversions are still written back."""
_FIRST_OBJECT = 1_660_000_000_000_000


class Creative(NamedTuple):
    """One creative and where it hangs."""

    creative_id: int
    ad_id: int
    campaign_id: int
    bidword_id: int
    inventory: str
    pricing: str
    landing_type: str


class Delivery(NamedTuple):
    """What was delivered; money in fen. All of it adds up."""

    show: int = 0
    click: int = 0
    cost: int = 0
    convert: int = 0
    deep_convert: int = 0
    active: int = 0
    register: int = 0
    pay_count: int = 0
    attribution_convert: int = 0
    attribution_deep_convert: int = 0


class JrttData:
    """The numbers of one seed and scenario."""

    def __init__(self, seed: int, jrtt: Jrtt) -> None:
        self._jrtt = jrtt
        self.growing = jrtt.growing
        self._records = Dice(seed, "jrtt record")
        self._funds = Dice(seed, "jrtt funds")
        self._inactive = Dice(seed, "jrtt inactive")
        self._ids = Dice(seed, "jrtt objects")
        self._days = Dice(seed, "jrtt delivery")
        weights = jrtt.objects.weights or (1.0,) * len(jrtt.objects.ads)
        self._steps = [step / sum(weights) for step in accumulate(weights)]

    def inactive(self, account: str) -> bool:
        """Whether it refuses everything but being listed."""
        share = self._jrtt.inactive.share
        return account in self._jrtt.inactive.accounts or (share > 0 and self._inactive.share(account) < share)

    def name(self, account: str) -> str:
        """What an account or an agent is called."""
        dice = self._records.roll(account)
        return f"{CITIES[dice[0] % len(CITIES)]}{TRADES[dice[1] % len(TRADES)]}有限公司{dice[2]}"

    def company(self, account: str) -> int:
        """The id of the company behind an account."""
        return 1_600_000_000_000_000 + self._records.roll(account)[3] % 8

    def record(self, account: str) -> dict[str, object]:
        """Its own record."""
        dice = self._records.roll(account)
        return {
            "id": int(account),
            "name": self.name(account),
            "role": "ROLE_ADVERTISER",
            "status": "STATUS_ENABLE",
            "company": self.name(account).rstrip("0123456789"),
            "brand": "",
            "industry": f"1901{dice[4] % 10:02}",
            "first_industry_name": TRADES[dice[1] % len(TRADES)],
            "second_industry_name": TRADES[dice[5] % len(TRADES)],
            "address": CITIES[dice[0] % len(CITIES)],
            "license_no": dice[6:15].hex().upper(),
            "license_province": "",
            "promotion_area": "",
            "promotion_center_province": "",
            "reason": "",
            "create_time": f"2019-{1 + dice[7] % 12:02}-{1 + dice[8] % 28:02} 10:00:00",
            "note": "",
        }

    def agent(self, agent: Agent) -> dict[str, object]:
        """An agent's own record."""
        return {
            "agent_id": int(agent.id),
            "agent_name": self.name(agent.id),
            "customer_id": self.company(agent.id) + 8,
            "customer_name": self.name(agent.id).rstrip("0123456789"),
            "company_id": self.company(agent.id),
            "company_name": self.name(agent.id).rstrip("0123456789"),
            "account_status": "STATUS_ENABLE",
            "create_time": "2019-01-01 10:00:00",
            "role": "ROLE_CHILD_AGENT" if agent.parent else "ROLE_AGENT",
        }

    def fund(self, account: str) -> dict[str, object]:
        """What an account or an agent owns, in yuan: one record; an eighth of them own nothing."""
        dice = self._funds.roll(account)
        cash, grant, back = (int.from_bytes(dice[at : at + 4], "big") % 9_000_000 for at in (1, 5, 9))
        if dice[0] % 8 == 0:
            cash = grant = back = 0
        held = cash * (dice[13] % 10) // 100
        return {
            "advertiser_id": int(account),
            "name": self.name(account),
            "email": f"{chr(97 + dice[14] % 26)}******{dice[15] % 10}@{chr(97 + dice[16] % 26)}*******i.com",
            "balance": yuan(cash + grant),
            "valid_balance": yuan(cash - held + grant),
            "cash": yuan(cash),
            "valid_cash": yuan(cash - held),
            "grant": yuan(grant),
            "valid_grant": yuan(grant),
            "return_goods_abs": yuan(back),
            "valid_return_goods_abs": yuan(back),
            "return_goods_cost": 0.0,
        }

    def statement(self, account: str, day: date, now: float) -> dict[str, object] | None:
        """What came and went on a day, in yuan; None while the day is not settled."""
        if self.growing and not self.settled(day, now):
            return None
        dice = self._funds.roll(account, day.toordinal())
        cost = self.total(account, day, day, now).cost
        cash, reward = paid(account, cost)
        grant, other = (int.from_bytes(dice[at : at + 4], "big") % 9_000_000 for at in (1, 5))
        income = 100_000 * (dice[0] % 16 == 0)
        return {
            "date": day.isoformat(),
            "balance": yuan(grant + other),
            "grant_balance": yuan(grant),
            "non_grant_balance": yuan(other),
            "cash_cost": yuan(cash),
            "reward_cost": yuan(reward),
            "return_goods_reward_cost": 0.0,
            "shared_wallet_cost": 0.0,
            "company_wallet_cost": 0.0,
            "cost": yuan(cost),
            "frozen": 0.0,
            "income": yuan(income),
            "transfer_in": yuan(income),
            "transfer_out": 0.0,
        }

    def creatives(self, account: str) -> Iterator[Creative]:
        """Its creatives, in the order of their making."""
        objects = self._jrtt.objects
        campaign_id = 0
        for number in range(self._size(account)):
            if number % objects.per_campaign == 0:
                campaign_id = self._id(account, "campaign", number // objects.per_campaign)
            ad_id = self._id(account, "ad", number)
            for place in range(number * objects.creatives, (number + 1) * objects.creatives):
                creative_id = self._id(account, "creative", place)
                bidword_id = self._id(account, f"bidword {number}", place % BIDWORDS)
                yield Creative(creative_id, ad_id, campaign_id, bidword_id, *_kinds(ad_id, campaign_id))

    def day(self, creative: Creative, day: date, now: float) -> Delivery | None:
        """What one creative delivered on one day; None where it did not."""
        if not self.growing:
            return self._drawn(creative, day)
        return total_of([delivery for _, delivery in self.hours(creative, day, now)])

    def hours(self, creative: Creative, day: date, now: float) -> list[tuple[int, Delivery]]:
        """What one creative delivered on one day, hour by hour, as far as known; hours without are absent."""
        total = self._drawn(creative, day)
        if total is None:
            return []
        if self.growing:
            age = (self.today(now) - day).days
            total = total._replace(
                **{name: getattr(total, name) * min(max(age, 0), RESTATED) // RESTATED for name in ATTRIBUTED}
            )
        until = self.known_hours(day, now)
        return [(hour, delivery) for hour, delivery in _split(total, self._weights(creative, day)) if hour < until]

    def total(self, account: str, start: date, end: date, now: float) -> Delivery:
        """What all its creatives delivered from `start` to `end`."""
        days = days_between(start, end)
        parts = [part for each in self.creatives(account) for day in days if (part := self.day(each, day, now))]
        return total_of(parts) or Delivery()

    def spent(self, account: str, days: Sequence[date], now: float) -> bool:
        """Whether anything was spent on one of these days."""
        parts = (self.day(each, day, now) for each in self.creatives(account) for day in days)
        return any(part.cost for part in parts if part)

    def today(self, now: float) -> date:
        """The world's date in Shanghai."""
        return (
            date.fromisoformat(self._jrtt.today) if self._jrtt.today else datetime.fromtimestamp(now, SHANGHAI).date()
        )

    def settled(self, day: date, now: float) -> bool:
        """Whether a day is over and complete."""
        age = (self.today(now) - day).days
        return age > 1 or (age == 1 and datetime.fromtimestamp(now, SHANGHAI).hour >= COMPLETE)

    def known_hours(self, day: date, now: float) -> int:
        """How many hours of a day are known: those gone by today, the first half of yesterday until it is settled."""
        age = (self.today(now) - day).days
        if not self.growing or self.settled(day, now):
            return 24
        return 12 if age == 1 else datetime.fromtimestamp(now, SHANGHAI).hour if age == 0 else 0

    def _size(self, account: str) -> int:
        objects = self._jrtt.objects
        if account in objects.of:
            return objects.of[account]
        return objects.ads[min(bisect(self._steps, self._ids.share(account)), len(objects.ads) - 1)]

    def _id(self, account: str, kind: str, number: int) -> int:
        return _FIRST_OBJECT + int.from_bytes(self._ids.roll(account, kind, number)[:5], "big")

    def _drawn(self, creative: Creative, day: date) -> Delivery | None:
        dice = self._days.roll(creative.creative_id, day.toordinal())
        if dice[0] >= round(self._jrtt.objects.delivery * 256):
            return None
        show = 500 + int.from_bytes(dice[1:3], "big") % 40_000
        click = 1 + show * (1 + dice[3] % 50) // 1000
        convert = click * (dice[4] % 96) // 256
        active = click * (dice[5] % 64) // 256
        return Delivery(
            show=show,
            click=click,
            cost=click * (20 + dice[6]) + dice[7],
            convert=convert,
            deep_convert=convert * (dice[8] % 128) // 256,
            active=active,
            register=active * (dice[9] % 200) // 256,
            pay_count=active * (dice[10] % 100) // 256,
            attribution_convert=convert * (200 + dice[11] % 100) // 256,
            attribution_deep_convert=convert * (dice[12] % 128) // 256,
        )

    def _weights(self, creative: Creative, day: date) -> Sequence[int]:
        share = round(self._jrtt.objects.hours * 256)
        dice = self._days.roll("hours", creative.creative_id, day.toordinal())
        weights = [1 + dice[31 - hour % 8] if dice[hour] < share else 0 for hour in range(24)]
        if not any(weights):
            weights[dice[31] % 24] = 1
        return weights


ATTRIBUTED = ("attribution_convert", "attribution_deep_convert")


def yuan(fen: int) -> float:
    """Money as the medium tells it."""
    return fen / 100


def paid(account: str, cost: int) -> tuple[int, int]:
    """How much of a cost was cash, how much a grant."""
    grants = cost * (int(account) % 5) // 10
    return cost - grants, grants


def days_between(start: date, end: date) -> list[date]:
    """Every day from `start` to `end`."""
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def total_of(parts: Sequence[Delivery]) -> Delivery | None:
    """The sum; None of nothing."""
    if len(parts) == 1:
        return parts[0]
    return Delivery(*map(sum, zip(*parts, strict=True))) if parts else None


def _kinds(ad_id: int, campaign_id: int) -> tuple[str, str, str]:
    return (
        INVENTORIES[ad_id % len(INVENTORIES)],
        PRICINGS[ad_id // 7 % len(PRICINGS)],
        LANDING_TYPES[campaign_id % len(LANDING_TYPES)],
    )


def _split(total: Delivery, weights: Sequence[int]) -> Iterator[tuple[int, Delivery]]:
    """The day over its hours, nothing lost to rounding."""
    whole, before = sum(weights), 0
    for hour, weight in enumerate(weights):
        if weight:
            after = before + weight
            yield hour, Delivery(*[value * after // whole - value * before // whole for value in total])
            before = after
