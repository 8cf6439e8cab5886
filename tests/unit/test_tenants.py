"""Which rows of the tenants' views count, what a sync changes, which heads start and when no other one does."""

import re
import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.accounts.members import LIMIT
from ark.clock import today
from ark.errors import ConfigError, InputDataError, TokenError, UsageError
from ark.settings import load
from ark.tenants import views as views_module
from ark.tenants.judge import CHILD, PARENT, Agent, judge
from ark.tenants.lists import AgentSet, Changes, Known, Scope, Target, aim, compare
from ark.tenants.rules import load_rules
from ark.tenants.views import AgentRow, TenantRow, Views, read
from handlers.registry import names
from handlers.tenants import Head, Outcome, conclude, heads, job_of, start

RULES = load_rules(names())
GDT, JRTT, WX = 1, 3, 8
EVERYTHING = Scope(None, ("gdt", "jrtt", "wx"))
SHIPPED = """
[counts]
tenant_status = [1]
auth_status = [1, 2]
auth_type = [1]
[platforms]
gdt = 1
jrtt = 3
[redis]
tenants = "ark_tenants"
[heads]
gdt.agents = ["gdt.advertisers"]
"""


def agent_row(agent=1050262, platform=GDT, tenant="T1", status=1, kind=1, level=None):
    return AgentRow(tenant, platform, agent, status, kind, level)


def judged(agents, tenants=(("T1", 1),)):
    """What is judged, and what was told."""
    told = []
    views = Views([TenantRow(*tenant) for tenant in tenants], list(agents))
    return judge(views, RULES, ["jrtt"], told.append), told


def ids(found, medium="gdt", tenant="T1"):
    return {agent.id: level for agent, level in found.agents.items() if agent[:2] == (medium, tenant)}


def test_who_counts():
    rows = [
        agent_row(1),
        agent_row(2, status=2),
        agent_row(3, status=0),
        agent_row(4, kind=2),
        agent_row(5, platform=WX),
        agent_row(6, tenant="T2"),
        agent_row(7, platform=JRTT, level="child"),
        agent_row(8, platform=JRTT, level="parent"),
    ]
    found, told = judged(rows, [("T1", 1), ("T2", 0), ("T3", 1)])
    assert ids(found) == {"1": PARENT, "2": PARENT}
    assert ids(found, "wx") == {"5": PARENT}
    assert ids(found, "jrtt") == {"7": CHILD, "8": PARENT}
    assert (found.active, found.ended, len(found.agents)) == ({"T1", "T3"}, {"T2"}, 5)
    assert (found.faults, told) == (0, [])


@pytest.mark.parametrize("value", [7, "7", Decimal(7)])
def test_a_number_may_be_text_or_decimal(value):
    found, _ = judged([agent_row(value, status=Decimal(1), kind="1")], [("T1", "1")])
    assert ids(found) == {"7": PARENT}


@pytest.mark.parametrize(
    "agent", ["", None, "abc", "-5", "0", "007", " 7", "7 ", 1.5, b"7", LIMIT, str(LIMIT), 2**63, "٣", True * 0]
)
def test_an_agent_id_that_is_none_is_told_and_the_rest_goes_on(agent):
    found, (line,) = judged([agent_row(agent), agent_row(9)])
    assert ids(found) == {"9": PARENT}
    assert found.faults == 1
    assert re.match(r"ark_agents, row 1 \('T1', 1, .*\): agent_id_from_platform is .*; correct it", line)


def test_the_largest_id_is_kept_exactly():
    found, told = judged([agent_row(LIMIT - 1)])
    assert (ids(found), told) == ({str(LIMIT - 1): PARENT}, [])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"platform": 2}, "platform_id is 2, known are 1 gdt, 3 jrtt, 8 wx"),
        ({"platform": None}, "platform_id is NULL"),
        ({"status": None}, "auth_status is NULL: it must be a whole number"),
        ({"kind": None}, "auth_type is NULL"),
        ({"status": "yes"}, "auth_status is 'yes'"),
        ({"tenant": None}, "tenant_alias is NULL"),
        ({"tenant": ""}, "tenant_alias is ''"),
        ({"tenant": "T 1"}, "tenant_alias is 'T 1'"),
        ({"tenant": "T11"}, "tenant_alias T11 is not in ark_tenants, did you mean T1?"),
        ({"level": "CHILD"}, "agent_level is 'CHILD': it must be parent, child or NULL"),
        ({"level": "child"}, "agent_level is child, but gdt has one generation of agents"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_view_row_and_column(changed, words):
    found, (line,) = judged([agent_row(9), agent_row(7, **changed)])
    assert ids(found) == {"9": PARENT}
    assert line.startswith("ark_agents, row 2 (")
    assert words in line


def test_an_agent_that_is_there_twice_counts_once():
    found, (line,) = judged([agent_row(7), agent_row("7"), agent_row(7, status=0), agent_row(7, platform=WX)])
    assert (ids(found), ids(found, "wx"), found.unclear) == ({"7": PARENT}, {"7": PARENT}, set())
    assert "row 2" in line
    assert "agent_id_from_platform 7 is there twice" in line


def test_a_row_that_does_not_count_needs_no_id():
    found, told = judged([agent_row(None, status=0), agent_row(9), agent_row("x", tenant="T2")], [("T1", 1), ("T2", 0)])
    assert (ids(found), told) == ({"9": PARENT}, [])


def test_an_agent_that_cannot_be_judged_stays_as_it_is():
    found, _ = judged([agent_row(9), agent_row(7, status=None), agent_row(8, platform=JRTT, level="?")])
    assert found.unclear == {Agent("gdt", "T1", "7"), Agent("jrtt", "T1", "8")}


@pytest.mark.parametrize("rows", [[("T2", None)], [("T2", 0), ("T2", 1)], [("T2", None), ("T2", 1)], [("T2", "on")]])
def test_a_tenant_that_cannot_be_judged_has_neither_ended_nor_agents(rows):
    found, told = judged([agent_row(9), agent_row(7, tenant="T2")], [("T1", 1), *rows])
    assert (found.active, found.ended, found.unclear_tenants) == ({"T1"}, set(), {"T2"})
    assert set(found.agents) == {Agent("gdt", "T1", "9")}
    assert found.faults == len(told) >= 1
    assert all(re.match(r"ark_tenants, row [23] \('T2'\): (status|tenant_alias) ", line) for line in told)


def test_a_tenant_that_is_there_twice_with_one_status_is_told_and_served():
    found, (line,) = judged([agent_row(9)], [("T1", 1), ("T1", 1)])
    assert found.active == {"T1"}
    assert "T1 is there twice" in line


@pytest.mark.parametrize(
    ("agents", "tenants", "words"),
    [
        ([agent_row()], [], "ark_tenants has no row: nothing is changed"),
        ([], [("T1", 1)], "ark_agents has no row: nothing is changed"),
        ([agent_row()], [("T1", 0)], "no tenant in ark_tenants has status 1"),
        ([agent_row()], [("T1", None)], "no tenant in ark_tenants"),
        (
            [agent_row(status=0)],
            [("T1", 1)],
            r"no agent in ark_agents is usable: .* auth_status 1 or 2 and auth_type 1",
        ),
        ([agent_row("x"), agent_row(None)], [("T1", 1)], "no agent in ark_agents is usable"),
        ([agent_row(tenant="T2")], [("T1", 1), ("T2", 0)], "no agent in ark_agents is usable"),
    ],
)
def test_where_nothing_is_usable_nothing_is_done(agents, tenants, words):
    with pytest.raises(InputDataError, match=words):
        judged(agents, tenants)


VALUES = st.one_of(
    st.none(), st.integers(-3, 9), st.sampled_from(["", "1", "x", "T1", "T2", b"1", 1.5, Decimal("1.0")])
)


@given(st.lists(st.tuples(*[VALUES] * 6)), st.lists(st.tuples(VALUES, VALUES)))
def test_whatever_the_views_hold_only_usable_agents_come_out(agents, tenants):
    rows = [agent_row(77, tenant="T9"), *(AgentRow(*row) for row in agents)]
    found, told = judged(rows, [("T9", 1), *tenants])
    assert len(told) == found.faults
    assert all(agent.id.isdecimal() and 0 < int(agent.id) < LIMIT for agent in found.agents)
    assert not found.active & found.ended
    assert not found.unclear & set(found.agents)


def known_from_before(*tenants):
    return Known(frozenset(tenants), frozenset())


def contents(target, **there):
    """What the sets of T1 hold: key -> {member: score}; the others are empty."""
    return {one: [(m.encode(), float(s)) for m, s in there.get(one.key, {}).items()] for one in target.sets}


def changes_of(rows, tenants=(("T1", 1),), scope=EVERYTHING, known=(), **there):
    target = aim(judged(rows, tenants)[0], RULES, known_from_before(*known), scope)
    return compare(contents(target, **there), target)


def spelled(agents):
    return [" ".join(agent) for agent in agents]


def test_what_comes_goes_moves_and_stays():
    rows = [
        agent_row(1),
        agent_row(2),
        agent_row(11, platform=JRTT),
        agent_row(12, platform=JRTT, level="child"),
        agent_row(13, platform=JRTT, level="child"),
    ]
    changes = changes_of(
        rows,
        gdt_agents_v2_T1={"1": 1, "3": 3},
        jrtt_one_agents_v2_T1={"11": 11, "12": 12},
        jrtt_agents_v2_T1={"11": 11, "12": 12},
    )
    assert spelled(changes.added) == ["gdt T1 2", "jrtt T1 13"]
    assert spelled(changes.removed) == ["gdt T1 3"]
    assert spelled(changes.changed) == ["jrtt T1 12"]
    assert changes.unchanged == 2
    assert changes.lists == {
        Agent("gdt", "T1", "1"): {"agents"},
        Agent("gdt", "T1", "2"): {"agents"},
        Agent("jrtt", "T1", "11"): {"agents", "all_agents"},
        Agent("jrtt", "T1", "12"): {"all_agents"},
        Agent("jrtt", "T1", "13"): {"all_agents"},
    }


def test_another_spelling_of_a_member_is_a_change_of_the_same_agent():
    changes = changes_of([agent_row(1)], gdt_agents_v2_T1={"agency one": 1})
    assert (changes.added, changes.removed, spelled(changes.changed)) == ([], [], ["gdt T1 1"])


def test_a_member_whose_score_is_no_agent_goes():
    changes = changes_of([agent_row(1)], gdt_agents_v2_T1={"1": 1, "x": 0.5})
    assert spelled(changes.removed) == ["gdt T1 'x' (0.5)"]
    assert changes.unchanged == 1


def test_agents_that_cannot_be_judged_stay_where_they_are():
    rows = [agent_row(1), agent_row(2, status=None), agent_row(3, status=None)]
    changes = changes_of(rows, gdt_agents_v2_T1={"1": 1, "two": 2})
    assert (changes.added, changes.removed, changes.changed, changes.unchanged) == ([], [], [], 2)


def test_tenants_that_ended_lose_their_agents_whether_they_are_in_the_view_or_known_from_before():
    rows = [agent_row(1, tenant="T9"), agent_row(2, tenant="T1")]
    changes = changes_of(
        rows, [("T9", 1), ("T1", 0)], known=["T2"], gdt_agents_v2_T1={"2": 2}, gdt_agents_v2_T2={"3": 3}
    )
    assert spelled(changes.added) == ["gdt T9 1"]
    assert spelled(changes.removed) == ["gdt T1 2", "gdt T2 3"]


def test_the_list_of_tenants_follows():
    found, _ = judged([agent_row(1)], [("T1", 1), ("T2", 0), ("T3", None)])
    target = aim(found, RULES, known_from_before("T2", "T3", "T4"), EVERYTHING)
    assert (target.listed, target.unlisted) == ({"T1"}, {"T2", "T4"})
    assert {one.tenant for one in target.sets} == {"T1", "T2", "T4"}


def test_a_scope_leaves_everything_else_alone():
    found, _ = judged([agent_row(1), agent_row(2, tenant="T2")], [("T1", 1), ("T2", 1), ("T3", 0)])
    target = aim(found, RULES, known_from_before("T3"), Scope("T1", ("gdt",)))
    assert [one.key for one in target.sets] == ["gdt_agents_v2_T1"]
    assert (target.listed, target.unlisted) == ({"T1"}, set())
    assert aim(found, RULES, known_from_before("T3"), Scope("T3", ("gdt",))).unlisted == set()
    assert aim(found, RULES, known_from_before("T3"), Scope("T3", EVERYTHING.media)).unlisted == {"T3"}


def test_a_tenant_nobody_knows_is_refused_with_the_nearest():
    found, _ = judged([agent_row(1, tenant="T100117")], [("T100117", 1)])
    with pytest.raises(UsageError, match="no tenant T100118 in ark_tenants, did you mean T100117"):
        aim(found, RULES, known_from_before(), Scope("T100118", EVERYTHING.media))


class Database(NamedTuple):
    path: str
    url: str

    def run(self, script):
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "tenants.db"
    made = Database(str(path), f"sqlite:///{path}")
    made.run("""
        CREATE TABLE ark_tenants (tenant_alias, status);
        CREATE TABLE ark_agents
            (tenant_alias, platform_id, agent_id_from_platform, auth_status, auth_type, agent_level);
        INSERT INTO ark_tenants VALUES ('T2', 0), ('T1', 1);
        INSERT INTO ark_agents VALUES ('T1', 3, '9', 1, 1, 'child'), ('T1', 1, 7, 1, 1, NULL);
    """)
    return made


def test_the_views_are_read_in_order(database):
    assert read(database.url) == Views(
        [TenantRow("T1", 1), TenantRow("T2", 0)],
        [AgentRow("T1", 1, 7, 1, 1, None), AgentRow("T1", 3, "9", 1, 1, "child")],
    )


@pytest.mark.parametrize("view", ["ark_tenants", "ark_agents"])
def test_a_missing_view_is_named_with_the_file_that_makes_it(database, view):
    database.run(f"DROP TABLE {view}")
    with pytest.raises(ConfigError, match=rf"{view} cannot be read in .*create the views of conf/tenants\.sql"):
        read(database.url)


def test_a_missing_column_is_named(database):
    database.run("ALTER TABLE ark_agents DROP COLUMN agent_level")
    with pytest.raises(ConfigError, match=r"agent_level.*conf/tenants\.sql"):
        read(database.url)


def test_more_rows_than_anybody_has_are_refused(database, monkeypatch):
    monkeypatch.setattr(views_module, "MOST_ROWS", 2)
    assert len(read(database.url).agents) == 2
    database.run("INSERT INTO ark_agents SELECT * FROM ark_agents LIMIT 1")
    with pytest.raises(InputDataError, match=r"ark_agents in .* has more than 2 rows: narrow the view"):
        read(database.url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "tenant.url is not set: set ARK_TENANT_URL"),
        ("sqlite://", "must be mysql"),
        ("sqlite:////nowhere/tenants.db", "nowhere/tenants.db does not exist: correct ARK_TENANT_URL"),
        ("postgresql://a:canary@host/name", "must be mysql"),
        ("mysql+pymysql://a:canary@host", "must be mysql"),
        ("mysql+pymysql://a:canary@host:x/name", "must be mysql"),
    ],
)
def test_a_url_that_is_none_of_ours_names_the_setting(url, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read(url)
    assert "ARK_TENANT_URL" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_what_is_no_database_is_told(tmp_path):
    path = tmp_path / "text"
    path.write_text("not a database, but long enough to be looked at as one" * 50, encoding="ascii")
    with pytest.raises(ConfigError, match=r"file is not a database.*ARK_TENANT_URL"):
        read(f"sqlite:///{path}")


def rules_of(tmp_path, text):
    path = tmp_path / "tenants.toml"
    path.write_text(text, encoding="utf-8")
    return load_rules(["gdt.advertisers", "jrtt.accounts"], path)


def test_the_shipped_rules_are_those_of_seed_003():
    assert RULES.platforms == {"gdt": 1, "jrtt": 3, "wx": 8}
    assert (RULES.counts.tenant_status, RULES.counts.auth_status, RULES.counts.auth_type) == ([1], [1, 2], [1])
    assert RULES.heads_of("gdt", {"agents"}) == ["gdt.advertisers"]
    assert RULES.heads_of("jrtt", {"agents", "all_agents"}) == ["jrtt.accounts", "jrtt.child_agents"]
    assert RULES.heads_of("jrtt", {"all_agents"}) == []
    assert RULES.heads_of("wx", {"agents"}) == ["wx.advertisers"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "gdt.advertisers",
            "gdt.advertiser",
            r"gdt\.agents in \[heads\] .*'gdt.advertiser', did you mean gdt.advertisers",
        ),
        ("gdt.advertisers", "jrtt.accounts", "starts jrtt.accounts: that is not one of gdt"),
        ("gdt.agents", "gtd.agents", "names 'gtd', which .platforms. does not, did you mean gdt"),
        ("gdt.agents", "wx.agents", r"names 'wx', which \[platforms\] does not; there are gdt, jrtt"),
        ("gdt.agents", "gdt.all_agents", r"names gdt.all_agents, which \[redis\] of conf/gdt.toml does not"),
        ("gdt.agents", "gdt.accounts", "not as expected.*accounts"),
        ("jrtt = 3", "jrtt = 1", "platform 1 2 times"),
        ("jrtt = 3", "nowhere = 3", "medium 'nowhere' is unknown"),
        ("[1, 2]", "[]", "not as expected.*auth_status"),
        ('"ark_tenants"', '""', "not as expected.*tenants"),
        ("[redis]", "[reddis]", r"not as expected.*it has the sections \[counts\]"),
        ("[counts]", "[counts", "not as expected"),
    ],
)
def test_a_wrong_file_of_rules_is_told(tmp_path, old, new, words):
    assert rules_of(tmp_path, SHIPPED)
    assert old in SHIPPED
    with pytest.raises(ConfigError, match=words) as caught:
        rules_of(tmp_path, SHIPPED.replace(old, new, 1))
    assert "toml" in str(caught.value)


def test_rules_that_are_not_there_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        load_rules([], tmp_path / "absent.toml")


CHANGES = Changes(
    [],
    [],
    [],
    3,
    {
        Agent("gdt", "T1", "7"): frozenset({"agents"}),
        Agent("jrtt", "T1", "8"): frozenset({"agents", "all_agents"}),
        Agent("jrtt", "T1", "9"): frozenset({"all_agents"}),
    },
)


def test_the_heads_of_each_agent():
    assert [(head.interface, head.agent.id, head.level) for head in heads(RULES, CHANGES)] == [
        ("gdt.advertisers", "7", PARENT),
        ("jrtt.accounts", "8", PARENT),
        ("jrtt.child_agents", "8", PARENT),
    ]


def test_heads_may_be_started_for_the_second_generation_too():
    both = msgspec.structs.replace(RULES, heads={"jrtt": {"all_agents": ["jrtt.x"], "agents": ["jrtt.y", "jrtt.x"]}})
    assert [(head.interface, head.agent.id, head.level) for head in heads(both, CHANGES)] == [
        ("jrtt.x", "8", PARENT),
        ("jrtt.y", "8", PARENT),
        ("jrtt.x", "9", CHILD),
    ]


def test_the_argument_of_a_head():
    job = job_of(Head("jrtt.accounts", Agent("jrtt", "T1", "8"), CHILD), date(2020, 5, 30))
    assert (job.agent_id, job.agents_list, job.tenant_alias) == ("8", ("8",), "T1")
    assert (job.data_date, job.agent_level) == (date(2020, 5, 30), "child")
    assert (job.media_name, job.cur_job_name, job.redis_accounts_key) == ("jrtt", "jrtt.accounts", "")


class Ended(NamedTuple):
    """What a run tells of itself, as far as it is asked."""

    run_id: str
    status: str
    exit_code: int


class Launcher:
    """Stands for `handlers.launch.run`: each run ends with the next of `codes`."""

    def __init__(self, *codes):
        self.codes = list(codes)
        self.started = []

    def __call__(self, settings, interface, job):
        self.started.append(job.agent_id)
        code = self.codes.pop(0)
        if isinstance(code, Exception):
            raise code
        return Ended(f"run-{job.agent_id}", "failed" if code else "done", code)


def started(*codes, count=3):
    launcher, told = Launcher(*codes), []
    wanted = [Head("gdt.advertisers", Agent("gdt", "T1", str(number)), PARENT) for number in range(1, count + 1)]
    outcomes = list(start(load({}), wanted, today(), launcher, told.append))
    assert [outcome.head for outcome in outcomes] == wanted
    return outcomes, launcher.started, told


def test_each_agent_is_a_run_of_its_own():
    outcomes, begun, told = started(0, 0, 0)
    assert begun == ["1", "2", "3"]
    assert [outcome.run_id for outcome in outcomes] == ["run-1", "run-2", "run-3"]
    assert (conclude(0, outcomes), told) == (0, [])


@pytest.mark.parametrize("code", [3, 65, 70, 74, 77, 78])
def test_one_agents_failure_does_not_stop_the_others(code):
    outcomes, begun, _ = started(0, code, 0)
    assert begun == ["1", "2", "3"]
    assert [outcome.exit for outcome in outcomes] == [0, code, 0]
    assert conclude(0, outcomes) == code


def test_a_run_that_does_not_begin_is_told_and_does_not_stop_the_others():
    outcomes, begun, told = started(0, TokenError("no token of agent 2"), 0)
    assert begun == ["1", "2", "3"]
    assert told == ["gdt.advertisers T1 2 did not begin: no token of agent 2"]
    assert conclude(0, outcomes) == 77


@pytest.mark.parametrize("code", [69, 75, 130, 143])
def test_after_a_signal_a_spent_quota_or_a_service_down_nothing_is_started(code):
    outcomes, begun, _ = started(0, code, count=4)
    assert begun == ["1", "2"]
    assert [(outcome.status, outcome.exit) for outcome in outcomes[2:]] == [("not started", None)] * 2
    assert conclude(0, outcomes) == code


@pytest.mark.parametrize(
    ("faults", "codes", "code"),
    [
        (0, [], 0),
        (2, [], 3),
        (0, [77, 3], 77),
        (0, [0, 3, 77], 3),
        (1, [0, 75], 3),
        (1, [3, 143], 143),
        (0, [0, None], 0),
    ],
)
def test_the_exit_code_is_a_signals_else_the_first_that_is_not_0(faults, codes, code):
    assert conclude(faults, [Outcome(None, exit=exit_code) for exit_code in codes]) == code


def test_a_set_is_named_by_its_key():
    one = AgentSet("gdt", "T1", "agents", "gdt_agents_v2_T1")
    target = Target({one: frozenset({"1"})}, frozenset(), frozenset(), "ark_tenants", frozenset(), frozenset())
    assert spelled(compare({one: []}, target).added) == ["gdt T1 1"]
