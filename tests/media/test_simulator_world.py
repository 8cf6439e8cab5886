"""The simulated world: ids, places, numbers."""

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.simulator.gdt_data import TIME_LINES, GdtData, total_of
from media.simulator.gdt_reports import LEVELS, Query, grouped
from media.simulator.scenario import Agents, Scenario, ScenarioError
from media.simulator.world import World

DAY = date(2020, 5, 30)


def world(*groups: Agents, seed: int = 7) -> World:
    return World(seed, "gdt", groups)


@given(st.integers(0, 2**63), st.integers(0, 2), st.integers(0, 99_999))
def test_the_way_back_from_an_account_needs_no_table(seed, slot, index):
    place = world(Agents(count=3, accounts=100_000), seed=seed)
    assert place.find(place.account(place.agents[slot], index)) == place.agents[slot]


def test_hundreds_of_thousands_of_ids_are_unique_and_meet_every_salt():
    place = world(Agents(count=2, accounts=150_000))
    ids = [account for agent in place.agents for account in place.accounts(agent)]
    assert len(set(ids)) == 300_000
    assert ids != sorted(ids)
    salts = Counter(account[-1] for account in ids)
    assert set(salts) == set("0123456789")
    assert max(salts.values()) < 1.05 * min(salts.values())
    assert not set(ids) & set(place.by_id)


def test_accounts_that_do_not_exist_have_no_agent():
    place = world(Agents(count=2, accounts=1000))
    known = {account for agent in place.agents for account in place.accounts(agent)}
    strangers = [str(number) for number in range(10_000_000, 10_050_000) if str(number) not in known]
    assert not any(place.find(account) for account in strangers)
    assert not any(
        place.find(text)
        for text in ("", "0", "-1", "abc", "012345678", "²", "99999999999999999999", place.agents[0].id)
    )


def test_named_accounts_come_first_and_pages_fit_together():
    place = world(Agents(id="1050262", account_ids=("10707125", "20458"), accounts=5))
    agent = place.by_id["1050262"]
    ids = list(place.accounts(agent))
    assert ids[:2] == ["10707125", "20458"]
    assert [each for start in range(0, 9, 3) for each in place.accounts(agent, start, start + 3)] == ids
    assert place.find("20458") == agent


def test_more_accounts_leave_the_others_as_they_were():
    few, many = world(Agents(count=2, accounts=10)), world(Agents(count=2, accounts=20))
    assert list(few.accounts(few.agents[1])) == list(many.accounts(many.agents[1]))[:10]
    assert [agent.token for agent in few.agents] == [agent.token for agent in many.agents]


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ((Agents(id="5555"), Agents(id="5555")), "agents: an id is named twice"),
        ((Agents(account_ids=("1", "1")),), "account_ids: an id is named twice"),
        ((Agents(id="5555", account_ids=("5555",)),), "also a generated id"),
        ((Agents(count=512), Agents(count=512), Agents()), "1024 at most"),
    ],
)
def test_a_world_that_contradicts_itself_is_refused(groups, text):
    with pytest.raises(ScenarioError, match=text):
        world(*groups)


def data(text: str = "{}") -> GdtData:
    return GdtData(7, Scenario.parse(text.encode(), json=True).gdt)


@pytest.mark.parametrize("time_line", TIME_LINES)
@pytest.mark.parametrize("level", LEVELS)
def test_levels_and_hours_agree_with_each_other(level, time_line):
    numbers = data('{"gdt":{"objects":{"ads":[14],"delivery":0.9}}}')
    ids = tuple(name for name in LEVELS[level] if name != "site_set")
    total = grouped(numbers, Query("daily_reports/get", "10707125", DAY, DAY, ("date",), time_line), 0)[0].delivery
    for interface, first in (("daily_reports/get", "date"), ("hourly_reports/get", "hour")):
        groups = grouped(numbers, Query(interface, "10707125", DAY, DAY, (first, *ids), time_line), 0)
        assert total_of([group.delivery for group in groups]) == total
        assert all(group.delivery.views > 0 for group in groups)


def test_time_lines_tell_the_same_cost_and_other_conversions():
    numbers = data('{"gdt":{"objects":{"ads":[14]}}}')
    told = [
        grouped(numbers, Query("daily_reports/get", "10707125", DAY, DAY, ("date",), line), 0)[0].delivery
        for line in TIME_LINES
    ]
    assert len({(each.views, each.clicks, each.cost) for each in told}) == 1
    assert len({each.conversions for each in told}) == 3


def test_objects_are_distributed_and_can_be_set():
    numbers = data('{"gdt":{"objects":{"ads":[0,2],"weights":[1,3],"of":{"10707125":250}}}}')
    sizes = Counter(len(numbers.ads(str(account))) for account in range(10_000_000, 10_002_000))
    assert set(sizes) == {0, 2}
    assert 400 < sizes[0] < 600
    ads = numbers.ads("10707125")
    assert len({ad.ad_id for ad in ads}) == 250
    assert len({ad.adgroup_id for ad in ads}) == 84
    assert len({ad.campaign_id for ad in ads}) == 42


def test_a_growing_day_grows_and_yesterday_is_complete_at_eight():
    numbers = data('{"gdt":{"growing":true,"objects":{"ads":[14],"delivery":1.0}}}')
    midnight = 1_590_768_000  # 2020-05-30 00:00 in Shanghai

    def cost(day: date, hour: int) -> int:
        query = Query("daily_reports/get", "10707125", day, day, ("date",), "REQUEST_TIME")
        groups = grouped(numbers, query, midnight + 3600 * hour)
        return groups[0].delivery.cost if groups else 0

    today = [cost(DAY, hour) for hour in range(24)]
    assert today == sorted(today)
    assert today[0] == 0 < today[12] < today[23]
    assert cost(date(2020, 5, 29), 7) < cost(date(2020, 5, 29), 8) == cost(date(2020, 5, 29), 20)
    assert cost(date(2020, 5, 31), 5) == 0
