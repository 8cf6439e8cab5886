"""Which list a job works from: the one it names, else the one of its agent's generation."""

from datetime import date

import pytest

from ark.accounts.keys import Keys
from ark.errors import UsageError
from ark.job import Job
from handlers.lists import check_level, disagreement, list_key
from media.jrtt.agent_fund import JrttAgentFund
from media.jrtt.child_fund import JrttChildFund
from media.jrtt.fund import JrttFund

DAY = date(2020, 5, 30)
KEYS = Keys.of("jrtt", "T1", DAY, "7")


def job(**given: str) -> Job:
    return Job(agent_id="7", tenant_alias="T1", data_date=DAY, **given)


@pytest.mark.parametrize(
    ("interface", "given", "key"),
    [
        (JrttFund, {}, KEYS.accounts),
        (JrttFund, {"agent_level": "parent"}, KEYS.accounts),
        (JrttFund, {"agent_level": "child"}, KEYS.child_accounts),
        (JrttFund, {"agent_level": "child", "redis_accounts_key": "mine"}, "mine"),
        (JrttAgentFund, {}, KEYS.agents),
        (JrttChildFund, {"agent_level": "parent"}, KEYS.child_agents),
    ],
)
def test_the_list_of_the_generation(interface, given, key):
    assert list_key(interface, job(**given), KEYS) == key


@pytest.mark.parametrize("level", ["CHILD", "2", "child_agent"])
def test_a_level_that_says_nothing_is_refused_where_there_are_generations(level):
    with pytest.raises(UsageError, match=f"agent_level is '{level}': write 'parent' .* 'child'"):
        check_level(job(agent_level=level), KEYS)
    check_level(job(agent_level=level), Keys.of("gdt", "T1", DAY, "7"))


@pytest.mark.parametrize("level", ["", "parent", "child"])
def test_a_known_level_is_taken(level):
    check_level(job(agent_level=level), KEYS)


def test_level_and_key_that_differ_are_told():
    assert "second generation: the key holds" in disagreement(
        job(agent_level="parent", redis_accounts_key=KEYS.child_accounts), KEYS
    )
    assert "first generation" in disagreement(job(agent_level="child", redis_accounts_key=KEYS.accounts), KEYS)
    for level, key in (("child", KEYS.child_accounts), ("", KEYS.child_accounts), ("parent", "mine")):
        assert not disagreement(job(agent_level=level, redis_accounts_key=key), KEYS)
