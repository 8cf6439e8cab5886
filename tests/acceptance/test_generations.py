"""Two generations of jrtt agents: who is whose, whose token opens what, which list a job works from."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from ark.ledger import Run
from handlers import launch
from tests.interface_check import AGENT, DATE, DAY, FIRST_ID, Desk
from tests.media_server import Door, Medium, serve

CHILDREN = [str(int(AGENT) + number) for number in (1, 2, 3)]
OWN, *SERVED = CHILDREN
"""The first has a token of its own, the others are served by their first-generation agent."""
STRANGER = str(int(AGENT) + 90)
"""A first-generation agent with a child of its own."""
HIS_CHILD = str(int(AGENT) + 91)


def account(child: str, number: int) -> str:
    return str(FIRST_ID + 100 * CHILDREN.index(child) + number)


LISTED = {child: [account(child, 1), account(child, 2)] for child in CHILDREN}
SPENT = {child: [account(child, 2), account(child, 3)] for child in CHILDREN}
"""What the agents' report names: not all, and one that the list lacks."""
ALL = {each: child for child in CHILDREN for each in (*LISTED[child], *SPENT[child])}
FUND = '{"advertiser_id":%s,"balance":0.10}'
DAY_OF = '{"advertiser_id":%s,"stat_datetime":"' + DATE + ' 00:00:00","cost":1.20}'


def records(template: str, owners: Mapping[str, Sequence[str]]) -> dict[str, list[bytes]]:
    return {owner: [(template % each).encode() for each in ids] for owner, ids in owners.items()}


def doors(listed: Mapping[str, Sequence[str]] = LISTED, spent: Mapping[str, Sequence[str]] = SPENT) -> list[Door]:
    one_each = {each: [each] for each in (*ALL, *CHILDREN, HIS_CHILD, AGENT)}
    return [
        Door("/open_api/2/agent/child_agent/select/", records("%s", {AGENT: CHILDREN}), name="child_agent_ids"),
        Door("/open_api/2/agent/advertiser/select/", records("%s", listed)),
        Door("/open_api/2/report/agent/get_v2/", records('{"advertiser_id":%s,"cost":1.20}', spent)),
        Door("/open_api/2/advertiser/fund/get/", records(FUND, one_each), shape="object"),
        Door("/open_api/2/report/advertiser/get/", records(DAY_OF, one_each)),
    ]


@pytest.fixture
def world(desk: Desk) -> Desk:
    """Tokens of the first-generation agent and of one child; another agent's child is in the list."""
    desk.token("jrtt", AGENT)
    desk.token("jrtt", OWN)
    desk.give(agents_key(desk), [HIS_CHILD], STRANGER)
    return desk


def agents_key(desk: Desk) -> str:
    return f"jrtt_child_agents_v2_{desk.tenant}"


def accounts_key(desk: Desk) -> str:
    return f"jrtt_child_advertiser_v2_{desk.tenant}_{DAY}"


def started(desk: Desk) -> Counter[tuple[str, str]]:
    """(interface, agent) of every run of this tenant."""
    return Counter((run.interface, run.agent_id) for run in desk.runs())


def whole_chain() -> dict[tuple[str, str], int]:
    of_child = ("jrtt.child_accounts", "jrtt.report_agent", "jrtt.fund", "jrtt.report_advertiser")
    runs = {(interface, child): 1 for interface in of_child for child in CHILDREN}
    return {("jrtt.child_agents", AGENT): 1, ("jrtt.child_fund", AGENT): 1, **runs}


def tokens(medium: Medium, path: str) -> dict[str, set[str]]:
    """Whose token opened the calls for each owner."""
    found: dict[str, set[str]] = {}
    for call in medium.calls:
        if path in call.path:
            found.setdefault(call.owner, set()).add(call.token.removeprefix("token-of-"))
    return found


def test_from_the_first_generation_to_the_accounts_of_the_second(world):
    with serve(*doors()) as medium:
        world.at(medium)
        run = world.run("jrtt.child_agents", follow=True)
    assert (run.status, run.exit_code) == ("done", 0)
    assert all(each.exit_code == 0 for each in world.runs()), [each.error for each in world.runs()]
    assert world.members(agents_key(world)) == dict.fromkeys(CHILDREN, AGENT) | {HIS_CHILD: STRANGER}
    assert world.members(accounts_key(world)) == ALL
    assert started(world) == whole_chain()
    by_whom = {OWN: {OWN}} | {child: {AGENT} for child in SERVED}
    assert tokens(medium, "agent/advertiser/select") == by_whom
    assert tokens(medium, "report/agent") == by_whom
    assert tokens(medium, "report/advertiser") == {each: by_whom[child] for each, child in ALL.items()}
    assert tokens(medium, "fund/get") == by_whom | {each: by_whom[child] for each, child in ALL.items()}


def test_what_follows_is_started_once_though_the_run_died_before_it(world, monkeypatch):
    with serve(*doors()) as medium:
        world.at(medium)
        with monkeypatch.context() as patch:
            patch.setattr(launch, "_follow", lambda _settings, _ledger, done, *_: done)  # it died here
            run = world.run("jrtt.child_agents", follow=True)
        assert started(world) == {("jrtt.child_agents", AGENT): 1}
        for _ in range(2):
            launch.rerun(world.settings, run.run_id, world.ended, launch.How(), only_failed=False)
    assert started(world) == whole_chain()


def test_a_child_that_left_is_taken_out_and_a_strangers_stays(world):
    gone = str(int(AGENT) + 50)
    world.give(agents_key(world), [gone], AGENT)
    with serve(*doors()) as medium:
        world.at(medium)
        run = world.run("jrtt.child_agents")
    assert run.exit_code == 0
    assert world.members(agents_key(world)) == dict.fromkeys(CHILDREN, AGENT) | {HIS_CHILD: STRANGER}


def test_a_child_without_accounts_stops_nobody(world):
    empty = SERVED[0]
    rest = [child for child in CHILDREN if child != empty]
    with serve(*doors({c: LISTED[c] for c in rest}, {c: SPENT[c] for c in rest})) as medium:
        world.at(medium)
        run = world.run("jrtt.child_agents", follow=True)
    assert (run.status, run.exit_code) == ("done", 0)
    assert world.members(accounts_key(world)) == {each: child for each, child in ALL.items() if child != empty}
    done = {(each.interface, each.agent_id) for each in world.runs() if each.exit_code == 0}
    lacking = {("jrtt.fund", empty), ("jrtt.report_advertiser", empty)}
    assert done == set(whole_chain()) - lacking


def child_job(child: str, **keys: str) -> dict[str, str]:
    return {"agent_id": child, "agent_level": "child", **keys}


@pytest.mark.parametrize("known", [True, False], ids=["its agent has none", "its agent is unknown"])
@pytest.mark.parametrize("interface", ["jrtt.child_accounts", "jrtt.report_agent", "jrtt.fund"])
def test_without_any_token_both_keys_are_named(desk, interface, known):
    child = SERVED[0]
    desk.token("jrtt", STRANGER)
    desk.give(accounts_key(desk), [account(child, 1)], child)
    if known:
        desk.give(agents_key(desk), [child], AGENT)
    with serve(*doors()) as medium:
        desk.at(medium)
        run = desk.run(interface, **child_job(child))
    assert (run.status, run.exit_code) == ("failed", 77)
    (unit,) = desk.units(run)
    assert f"jrtt_new_access_token_{desk.tenant}" in unit.reason
    assert agents_key(desk) in unit.reason
    assert not medium.calls


def test_a_childs_own_token_goes_first_and_its_refusal_is_told(world):
    world.give(agents_key(world), CHILDREN, AGENT)
    with serve(*doors(), refused_tokens={f"token-of-{OWN}"}) as medium:
        world.at(medium)
        run = world.run("jrtt.child_accounts", **child_job(OWN))
    assert (run.status, run.exit_code) == ("failed", 77)
    assert {call.token for call in medium.calls} == {f"token-of-{OWN}"}


def test_the_agents_report_adds_accounts_and_takes_none_away(world):
    child = SERVED[0]
    world.give(agents_key(world), CHILDREN, AGENT)
    world.give(accounts_key(world), ["4711"], child)
    world.give(accounts_key(world), ["4712"], OWN)
    for spent in (SPENT, {child: []}):
        with serve(*doors(spent=spent)) as medium:
            world.at(medium)
            assert world.run("jrtt.report_agent", **child_job(child)).exit_code == 0
        now = dict.fromkeys(["4711", *SPENT[child]], child) | {"4712": OWN}
        assert world.members(accounts_key(world)) == now


def test_what_follows_the_agents_report_works_from_the_list_that_it_feeds(world):
    with serve(*doors()) as medium:
        world.at(medium)
        run = world.run("jrtt.report_agent", agent_id=OWN, follow=True)
    assert run.exit_code == 0
    assert [(each.interface, each.exit_code) for each in reversed(world.runs())] == [
        ("jrtt.report_agent", 0),
        ("jrtt.fund", 0),
        ("jrtt.report_advertiser", 0),
    ]
    assert {call.owner for call in medium.calls} == {OWN, *SPENT[OWN]}


def test_the_report_of_a_first_generation_agent_leaves_the_second_generations_list_alone(world):
    """There the accounts would stand under its own id, and keep the child's from being listed under the child's."""
    child = SERVED[0]
    world.give(f"jrtt_one_agents_v2_{world.tenant}", [AGENT], AGENT)
    world.give(agents_key(world), CHILDREN, AGENT)
    world.give(accounts_key(world), ["4712"], OWN)
    with serve(*doors(spent={AGENT: [*LISTED[child], "4713"]})) as medium:
        world.at(medium)
        assert world.run("jrtt.report_agent", agent_id=AGENT).exit_code == 0
        assert world.members(accounts_key(world)) == {"4712": OWN}
        stored = {key.split("|")[2] for key in world.stored("tenant_jrtt_report_agent_get_v2")}
        assert stored == {*LISTED[child], "4713"}
        assert world.run("jrtt.child_accounts", **child_job(child)).exit_code == 0
    assert world.members(accounts_key(world)) == dict.fromkeys(LISTED[child], child) | {"4712": OWN}


def fund_of(desk: Desk, **keys: object) -> tuple[Run, set[str]]:
    """A run of jrtt.fund, and the accounts it asked for."""
    with serve(*doors()) as medium:
        desk.at(medium)
        run = desk.run("jrtt.fund", **keys)
    assert run.exit_code == 0, desk.units(run)
    return run, {call.owner for call in medium.calls}


def test_the_level_or_the_key_says_which_accounts_are_meant(world):
    first, second = account(OWN, 1), account(OWN, 2)
    key = f"jrtt_accounts_v2_{world.tenant}_{DAY}"
    world.give(key, [first], OWN)
    world.give(accounts_key(world), [second], OWN)
    assert fund_of(world, agent_id=OWN)[1] == {first}
    assert fund_of(world, **child_job(OWN))[1] == {second}
    assert fund_of(world, agent_id=OWN, redis_accounts_key=accounts_key(world))[1] == {second}
    assert fund_of(world, **child_job(OWN), redis_accounts_key=key)[1] == {first}
    assert fund_of(world, **child_job(OWN), account_list=[account(OWN, 3)])[1] == {account(OWN, 3)}


@pytest.mark.parametrize("named", [True, False], ids=["key", "all"])
def test_the_balance_of_children_opens_with_their_own_tokens_or_their_agents(world, named):
    world.give(agents_key(world), CHILDREN, AGENT)
    key = {"redis_accounts_key": agents_key(world)} if named else {}
    with serve(*doors()) as medium:
        world.at(medium)
        run = world.run("jrtt.child_fund", **key)
    assert (run.status, run.exit_code, run.verified) == ("done", 0, 3)
    assert tokens(medium, "fund/get") == {OWN: {OWN}} | {child: {AGENT} for child in SERVED}
    rows = {f"{child[-1]}|{DAY}|{child}|{AGENT}|{world.tenant}": (FUND % child).encode() for child in CHILDREN}
    assert world.stored("tenant_jrtt_child_fund_get_v2") == rows


@pytest.mark.parametrize(("refused", "failed"), [(OWN, {OWN}), (AGENT, set(SERVED))])
def test_a_token_that_is_refused_costs_only_whom_it_opens(world, refused, failed):
    world.give(agents_key(world), CHILDREN, AGENT)
    with serve(*doors(), refused_tokens={f"token-of-{refused}"}) as medium:
        world.at(medium)
        run = world.run("jrtt.child_fund")
    assert (run.status, run.exit_code) == ("partial", 77)
    assert {unit.key.account for unit in world.units(run) if unit.state == "failed"} == failed
    assert {unit.key.account for unit in world.units(run) if unit.state == "verified"} == set(CHILDREN) - failed
