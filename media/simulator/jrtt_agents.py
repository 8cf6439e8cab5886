"""Reports of jrtt's agents: the accounts that spent something, with what they spent.

Which accounts did is a walk over all of them; the outcome is kept for the last few agents and periods, four bytes an
account, because it is asked for page by page. Where numbers grow with the clock, the walk is done anew for each page.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterator
from datetime import date, timedelta

from media.simulator.jrtt_data import JrttData, days_between, paid, yuan
from media.simulator.jrtt_params import Pager
from media.simulator.jrtt_reports import figures
from media.simulator.world import Agent, World

KEPT = 16
COST_KINDS = ("gd", "ocpm", "ocpc", "cpm", "cpa", "cpc", "cpt", "cpv")
Period = tuple[date, date]
Row = dict[str, object]


class AgentReports:
    """The agents' reports of one world."""

    def __init__(self, world: World, data: JrttData) -> None:
        self._world = world
        self._data = data
        self._walked: OrderedDict[tuple[int, Period], array[int]] = OrderedDict()

    def by_day(self, agent: Agent, period: Period, pager: Pager, now: float) -> tuple[list[Row], int]:
        """A row per account and day, one page of them, and how many there are."""
        days = days_between(*period)
        if len(days) == 1:
            places = self._places(agent, period, now)
            some = places[pager.start : pager.start + pager.size]
            return [self.row_of_day(self._world.account(agent, each), days[0], now) for each in some], len(places)
        rows, total = [], 0
        for account, day in self.spent(agent, days, now):
            if pager.start <= total < pager.start + pager.size:
                rows.append(self.row_of_day(account, day, now))
            total += 1
        return rows, total

    def by_account(
        self, agent: Agent, period: Period, pager: Pager, now: float, accounts: frozenset[int] | None = None
    ) -> tuple[list[Row], int]:
        """A row per account, one page of them, and how many there are."""
        if accounts is None:
            places = self._places(agent, period, now)
            some = [self._world.account(agent, each) for each in places[pager.start : pager.start + pager.size]]
            return [self.row(agent, each, period, now) for each in some], len(places)
        named = [each for each in map(str, sorted(accounts)) if self._world.find(each) == agent]
        found = [each for each in named if self._data.spent(each, days_between(*period), now)]
        part = found[pager.start : pager.start + pager.size]
        return [self.row(agent, each, period, now) for each in part], len(found)

    def spent(self, agent: Agent, days: list[date], now: float) -> Iterator[tuple[str, date]]:
        """Every account and day on which it spent something."""
        for account in self._world.accounts(agent):
            for day in days:
                if self._data.spent(account, [day], now):
                    yield account, day

    def row_of_day(self, account: str, day: date, now: float) -> Row:
        """One row of the first version."""
        total = self._data.total(account, day, day, now)
        cash, grants = paid(account, total.cost)
        told = figures(total, ("cost", "show", "click", "convert", "ctr"))
        kinds = {f"cost_{kind}": yuan(total.cost if kind == "ocpm" else 0) for kind in COST_KINDS}
        return {
            "advertiser_id": int(account),
            "date": day.isoformat(),
            **told,
            "ad_num": len({creative.ad_id for creative in self._data.creatives(account)}),
            **kinds,
            "stat_cash": yuan(cash),
            "stat_grants": yuan(grants),
        }

    def row(self, agent: Agent, account: str, period: Period, now: float) -> Row:
        """One row of the second version."""
        total = self._data.total(account, *period, now)
        cash, grants = paid(account, total.cost)
        fund = self._data.fund(account)
        before = self._data.total(account, period[0] - timedelta(days=1), period[0] - timedelta(days=1), now)
        return {
            "advertiser_id": int(account),
            "advertiser_name": self._data.name(account),
            "agent_id": int(agent.id),
            "cost": yuan(total.cost),
            "cash_cost": yuan(cash),
            "grants_cost": yuan(grants),
            **figures(total, ("show", "click", "ctr")),
            "cpc": figures(total)["avg_click_cost"],
            "cpm": figures(total)["avg_show_cost"],
            "total_balance": fund["balance"],
            "valid_balance": fund["valid_balance"],
            "yesterday_cost": yuan(before.cost),
        }

    def _places(self, agent: Agent, period: Period, now: float) -> "array[int]":
        """The places of the accounts that spent something."""
        key = (agent.slot, period)
        if key in self._walked:
            return self._walked[key]
        walk = enumerate(self._world.accounts(agent))
        days = days_between(*period)
        places = array("I", (place for place, account in walk if self._data.spent(account, days, now)))
        if not self._data.growing:
            self._walked[key] = places
            if len(self._walked) > KEPT:
                self._walked.popitem(last=False)
        return places
