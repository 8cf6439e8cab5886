"""The views of conf/tenants.sql in a real MariaDB, and the agents in a real Redis and in the embedded one."""

import asyncio
import socket
import threading
import time
from contextlib import aclosing, closing, contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import pymysql
import pytest
import sqlalchemy as sa
from pymysql.constants.CLIENT import MULTI_STATEMENTS

from ark.accounts import embedded_redis
from ark.accounts.directory import connect
from ark.errors import ArkError, ConfigError, ServiceDownError
from ark.settings import CONF, load
from ark.tenants import lists
from ark.tenants.judge import judge
from ark.tenants.lists import Scope, aim, known, replace
from ark.tenants.rules import load_rules
from ark.tenants.views import AgentRow, TenantRow, Views, read
from handlers.registry import names
from handlers.tenants import sync
from tests.conftest import database
from tests.proxy import LimitData, Proxy, ResetPeer, Way

RULES = load_rules(names())
EVERYTHING = Scope(None, ("gdt", "jrtt", "wx"))
ETON = """
CREATE TABLE tenant (id INT PRIMARY KEY, tenant_alias VARCHAR(64), status TINYINT);
CREATE TABLE agents (
    id INT AUTO_INCREMENT PRIMARY KEY, tenant_id INT, platform_id INT, agent_id_from_platform VARCHAR(64),
    auth_status TINYINT, auth_type TINYINT
);
INSERT INTO tenant VALUES (1, 'T100117', 1), (2, 'T100118', 0);
INSERT INTO agents (tenant_id, platform_id, agent_id_from_platform, auth_status, auth_type) VALUES
    (1, 1, '1050262', 1, 1), (1, 1, '24641', 2, 1), (1, 1, '99', 0, 1), (1, 3, '3367268016', 1, 1),
    (1, 8, '4011704', 1, 1), (2, 1, '7', 1, 1), (3, 1, '8', 1, 1);
"""
VIEWS = (CONF / "tenants.sql").read_text(encoding="utf-8")
READER = "reader-of-views"


class Eton:
    """A tenants' database as seed 003 has it; `url` is that of a user who may do anything."""

    def __init__(self, url):
        self.url = url
        self.address = sa.make_url(url)
        self.run(ETON)

    def run(self, script, values=None):
        address = self.address
        with closing(
            pymysql.connect(
                host=address.host,
                port=address.port,
                user=address.username,
                password=address.password,
                database=address.database,
                client_flag=MULTI_STATEMENTS,
                autocommit=True,
            )
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(script, values)
            while cursor.nextset():
                pass

    def may_select(self, user, view):
        """As GRANT does, which the tests' own user may not."""
        values = ("127.0.0.1", self.address.database, user, view)
        columns = "Host = %s, Db = %s, User = %s, Table_name = %s, Table_priv = 'Select'"
        self.run("INSERT INTO mysql.tables_priv SET " + columns, values)
        self.run("FLUSH PRIVILEGES")

    def as_user(self, user, password):
        return self.address.set(username=user, password=password).render_as_string(hide_password=False)

    def at(self, port):
        return self.address.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)


@pytest.fixture
def empty(services, unique):
    """The tables of the tenants' database, without our views."""
    url, name = sa.make_url(services.mariadb_url), unique("eton")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield Eton(url.set(database=name).render_as_string(hide_password=False))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


@pytest.fixture
def eton(empty):
    empty.run(VIEWS)
    return empty


@pytest.fixture
def reader(eton, unique):
    """The url of a user who may select from the two views, and nothing else."""
    user = unique("reader")
    eton.run(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{READER}'")
    for view in ("ark_tenants", "ark_agents"):
        eton.may_select(user, view)
    yield eton.as_user(user, READER)
    eton.run(f"DROP USER {user}@'127.0.0.1'")


@pytest.mark.services
def test_the_shipped_views_show_the_tables_of_the_seed(eton, reader):
    eton.run(VIEWS)  # a second time changes nothing
    assert read(reader) == Views(
        [TenantRow("T100117", 1), TenantRow("T100118", 0)],
        [
            AgentRow("T100117", 1, "1050262", 1, 1, None),
            AgentRow("T100117", 1, "24641", 2, 1, None),
            AgentRow("T100117", 1, "99", 0, 1, None),
            AgentRow("T100117", 3, "3367268016", 1, 1, None),
            AgentRow("T100117", 8, "4011704", 1, 1, None),
            AgentRow("T100118", 1, "7", 1, 1, None),
        ],
    )


@pytest.mark.services
def test_other_types_of_columns_count_the_same(eton):
    eton.run("""
        ALTER TABLE agents MODIFY agent_id_from_platform BIGINT, MODIFY auth_status VARCHAR(4),
            MODIFY auth_type BOOLEAN, MODIFY platform_id DECIMAL(10), ADD agent_level ENUM('parent', 'child');
        UPDATE agents SET agent_level = 'child' WHERE platform_id = 3;
        CREATE OR REPLACE VIEW ark_agents AS SELECT tenant_alias, platform_id, agent_id_from_platform, auth_status,
            auth_type, agent_level FROM agents JOIN tenant ON tenant.id = agents.tenant_id;
    """)
    told = []
    found = judge(read(eton.url), RULES, ["jrtt"], told.append)
    assert told == []
    assert {(agent.medium, agent.id): level for agent, level in found.agents.items()} == {
        ("gdt", "1050262"): "parent",
        ("gdt", "24641"): "parent",
        ("jrtt", "3367268016"): "child",
        ("wx", "4011704"): "parent",
    }


@pytest.mark.services
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("DROP VIEW ark_tenants", "ark_tenants cannot be read"),
        ("DROP VIEW ark_agents", "ark_agents cannot be read"),
        ("DROP TABLE agents", "ark_agents cannot be read"),
        (
            "CREATE OR REPLACE VIEW ark_agents AS SELECT tenant_alias FROM tenant",
            "ark_agents cannot be read .*platform_id",
        ),
    ],
)
def test_a_view_that_is_not_as_described_names_the_file(eton, script, words):
    eton.run(script)
    with pytest.raises(ConfigError, match=rf"{words}.*create the views of conf/tenants\.sql"):
        read(eton.url)


@pytest.mark.services
def test_a_user_who_may_not_see_the_views_is_told_so(eton, reader):
    eton.run("DELETE FROM mysql.tables_priv WHERE Table_name = 'ark_agents' AND Db = %s", (eton.address.database,))
    eton.run("FLUSH PRIVILEGES")
    with pytest.raises(ConfigError, match=r"ark_agents cannot be read"):
        read(reader)


@pytest.mark.services
@pytest.mark.parametrize("change", [{"password": "canary"}, {"username": "nobody"}, {"database": "nothing_here"}])
def test_a_refusal_names_the_setting_and_no_password(eton, change):
    with pytest.raises(ConfigError, match=r"refuses what tenant.url says .*correct ARK_TENANT_URL") as caught:
        read(eton.address.set(**change).render_as_string(hide_password=False))
    assert "canary" not in str(caught.value)
    assert eton.address.password not in str(caught.value)


def test_a_database_that_is_away_is_told():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        with pytest.raises(ServiceDownError, match=r"does not answer .*correct ARK_TENANT_URL"):
            read(f"mysql+pymysql://ark:canary@127.0.0.1:{holder.getsockname()[1]}/eton")


def test_a_database_that_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ServiceDownError, match="does not answer"):
        read(f"mysql+pymysql://ark:canary@127.0.0.1:{silent.getsockname()[1]}/eton?read_timeout=1")


@pytest.mark.services
def test_a_view_that_takes_for_ever_is_given_up(eton):
    eton.run("CREATE OR REPLACE VIEW ark_tenants AS SELECT tenant_alias, SLEEP(2) AS status FROM tenant")
    with pytest.raises(ServiceDownError, match="does not answer"):
        read(f"{eton.url}&read_timeout=1")


@pytest.mark.services
def test_nothing_is_ever_written(eton):
    """A function that writes is as near as a view comes to it."""
    eton.run("CREATE FUNCTION sneak() RETURNS INT MODIFIES SQL DATA BEGIN UPDATE tenant SET status = 9; RETURN 1; END")
    eton.run("CREATE OR REPLACE VIEW ark_tenants AS SELECT tenant_alias, sneak() AS status FROM tenant")
    with pytest.raises((ArkError, sa.exc.DBAPIError)):
        read(eton.url)
    eton.run(VIEWS)
    assert read(eton.url).tenants == [TenantRow("T100117", 1), TenantRow("T100118", 0)]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Its url; the server of the wheel, 6.2, the oldest that Ark supports."""
    home = tmp_path_factory.mktemp("home")
    yield embedded_redis.ensure(home, embedded_redis._bundled())
    embedded_redis.stop(home)


@pytest.fixture(params=["embedded", pytest.param("services", marks=pytest.mark.services)])
def url(request):
    """The embedded server, and a real one in a database that no other test uses."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    return urlunsplit(urlsplit(request.getfixturevalue("services").redis_url)._replace(path=f"/{database(12)}"))


@contextmanager
def redis_client(url):
    """The client's own commands, one by one."""
    import redis

    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield client


@pytest.fixture
def client(url):
    with redis_client(url) as opened:
        opened.flushdb()
        yield opened
        opened.flushdb()


def agent_row(agent, platform=1, tenant="T1", level=None, status=1):
    return AgentRow(tenant, platform, agent, status, 1, level)


def replaced(url, rows, tenants=(("T1", 1),), *, dry_run=False, scope=EVERYTHING):
    """Bring Redis to what these rows say; what that changed."""

    async def go():
        directory = await connect(load({"ARK_REDIS_URL": url}))
        async with aclosing(directory):
            judged = judge(Views([TenantRow(*each) for each in tenants], rows), RULES, ["jrtt"], lambda line: None)
            target = aim(judged, RULES, await known(directory, RULES, judged), scope)
            return await replace(directory, target, dry_run=dry_run)

    return asyncio.run(go())


def stored(client):
    return {key: dict(client.zrange(key, 0, -1, withscores=True)) for key in sorted(client.scan_iter("*"))}


ROWS = [
    agent_row(1050262),
    agent_row(24641),
    agent_row(3367268016, 3),
    agent_row(84421955984, 3, level="child"),
    agent_row(4011704, 8),
    agent_row(2**53 - 1, 1, "T2"),
]
STORED = {
    "ark_tenants": {"T1": 0, "T2": 0},
    "gdt_agents_v2_T1": {"1050262": 1050262, "24641": 24641},
    "gdt_agents_v2_T2": {str(2**53 - 1): 2**53 - 1},
    "jrtt_agents_v2_T1": {"3367268016": 3367268016, "84421955984": 84421955984},
    "jrtt_one_agents_v2_T1": {"3367268016": 3367268016},
    "weixin_agents_T1": {"4011704": 4011704},
}
BOTH = (("T1", 1), ("T2", 1))


def test_the_sets_are_those_of_the_design(url, client):
    changes = replaced(url, ROWS, BOTH)
    assert stored(client) == STORED
    assert len(changes.added) == 6
    assert (changes.removed, changes.changed, changes.unchanged) == ([], [], 0)


def test_a_second_time_changes_nothing(url, client):
    replaced(url, ROWS, BOTH)
    for key in STORED:
        client.expire(key, 1000)  # what is rewritten would lose it
    changes = replaced(url, ROWS, BOTH)
    assert (changes.added, changes.removed, changes.changed, changes.unchanged) == ([], [], [], 6)
    assert all(client.ttl(key) > 0 for key in STORED)
    assert stored(client) == STORED


def test_a_dry_run_tells_the_same_and_writes_nothing(url, client):
    client.zadd("gdt_agents_v2_T1", {"7": 7})
    before = stored(client)
    told = replaced(url, ROWS, BOTH, dry_run=True)
    assert stored(client) == before
    assert told == replaced(url, ROWS, BOTH)


def test_old_members_and_ended_tenants_go_and_what_is_not_ours_stays(url, client):
    replaced(url, [*ROWS, agent_row(5, 3, "T3"), agent_row(5, 8, "T4")], [*BOTH, ("T3", 1), ("T4", 1)])
    client.zadd("gdt_agents_v2_T1", {"an agency": 24641, "another": 7})
    client.zrem("gdt_agents_v2_T1", "24641")
    client.zadd("jrtt_child_agents_v2_T1", {"84421955984": 3367268016})
    client.zadd("gdt_new_access_token_T3", {"token": 5})
    changes = replaced(url, ROWS, [*BOTH, ("T4", 0)])  # T3 has left the view
    assert [" ".join(agent) for agent in changes.removed] == ["gdt T1 7", "jrtt T3 5", "wx T4 5"]
    assert [" ".join(agent) for agent in changes.changed] == ["gdt T1 24641"]
    others = {"jrtt_child_agents_v2_T1": {"84421955984": 3367268016}, "gdt_new_access_token_T3": {"token": 5}}
    assert stored(client) == STORED | others


def test_second_generation_agents_that_the_medium_has_listed_stay(url, client):
    """The view does not know 5 and 6; the medium has listed 5 for an agent that counts, and 6 for one that left."""
    client.zadd("jrtt_agents_v2_T1", {"5": 5, "6": 6, "an agency": 84421955984})
    client.zadd("jrtt_one_agents_v2_T1", {"5": 5, "84421955984": 84421955984})
    client.zadd("jrtt_child_agents_v2_T1", {"5": 3367268016, "6": 7, "84421955984": 3367268016})
    changes = replaced(url, ROWS, BOTH)
    assert [" ".join(agent) for agent in changes.removed] == ["jrtt T1 6"]
    assert [" ".join(agent) for agent in changes.changed] == ["jrtt T1 5", "jrtt T1 84421955984"]
    assert stored(client)["jrtt_agents_v2_T1"] == STORED["jrtt_agents_v2_T1"] | {"5": 5}
    assert stored(client)["jrtt_one_agents_v2_T1"] == STORED["jrtt_one_agents_v2_T1"]
    assert replaced(url, ROWS, BOTH).unchanged == 7


def test_a_scope_touches_nothing_else(url, client):
    client.zadd("gdt_agents_v2_T2", {"7": 7})
    replaced(url, ROWS, BOTH, scope=Scope("T1", ("gdt",)))
    assert stored(client) == {
        "ark_tenants": {"T1": 0},
        "gdt_agents_v2_T1": STORED["gdt_agents_v2_T1"],
        "gdt_agents_v2_T2": {"7": 7},
    }


def test_a_thousand_tenants(url, client):
    tenants = [(f"T{number}", 1) for number in range(1000)]
    rows = [agent_row(agent, platform, tenant) for tenant, _ in tenants for agent, platform in ((7, 1), (8, 3), (9, 8))]
    assert len(replaced(url, rows, tenants).added) == 3000
    assert replaced(url, rows, tenants).unchanged == 3000
    assert client.dbsize() == 4001


def test_a_key_of_another_type_is_named(url, client):
    client.set("jrtt_agents_v2_T1", "text")
    with pytest.raises(ConfigError, match=r"jrtt_agents_v2_T1 in Redis at .* is no sorted set"):
        replaced(url, ROWS, BOTH)
    client.delete("jrtt_agents_v2_T1")
    client.set("ark_tenants", "text")
    with pytest.raises(ConfigError, match=r"ark_tenants in Redis at .* is no sorted set"):
        replaced(url, ROWS, BOTH)
    assert client.dbsize() == 1


def test_readers_see_all_of_the_old_or_all_of_the_new(url, client):
    """All media change between two states; a reader looks at all of them in one transaction."""
    two = [agent_row(agent, platform) for agent in (1, 2) for platform in (1, 3, 8)]
    three = [agent_row(agent, platform) for agent in (2, 3, 4) for platform in (1, 3, 8)]
    replaced(url, two)
    seen, ended = set(), threading.Event()

    def look():
        with redis_client(url) as other:
            while not ended.is_set():
                with other.pipeline() as pipe:
                    for key in ("gdt_agents_v2_T1", "jrtt_one_agents_v2_T1", "jrtt_agents_v2_T1", "weixin_agents_T1"):
                        pipe.zrange(key, 0, -1)
                    seen.add(tuple(map(tuple, pipe.execute())))

    reading = threading.Thread(target=look)
    reading.start()
    for rows in (three, two) * 10:
        replaced(url, rows)
    ended.set()
    reading.join()
    assert seen <= {(("1", "2"),) * 4, (("2", "3", "4"),) * 4}


def test_what_somebody_else_changes_meanwhile_is_seen(url, client, monkeypatch):
    """Another writer comes between the reading and the transaction: what is written fits what is there then."""
    contents, intruders = lists._contents, [{"7": 7}]

    async def disturbed(directory, target):
        found = await contents(directory, target)
        if intruders:
            client.zadd("gdt_agents_v2_T1", intruders.pop())
        return found

    monkeypatch.setattr(lists, "_contents", disturbed)
    replaced(url, ROWS, BOTH)
    assert stored(client) == STORED


def through(proxy, url):
    return urlunsplit(urlsplit(url)._replace(netloc=f"127.0.0.1:{proxy.port}"))


@pytest.mark.services
def test_a_connection_that_breaks_at_any_byte_leaves_nothing_or_all(services, monkeypatch):
    """Where only the answer is lost, the next attempt finds the work done, and tells all the same what was done."""
    url = urlunsplit(urlsplit(services.redis_url)._replace(path=f"/{database(12)}"))
    address = urlsplit(url)
    contents, found = lists._contents, []

    async def observed(directory, target):
        found.append(await contents(directory, target))
        return found[-1]

    monkeypatch.setattr(lists, "_contents", observed)
    with redis_client(url) as client:
        for way, positions in ((Way.UP, range(1, 1900, 37)), (Way.DOWN, range(1, 700, 7))):
            for position in positions:
                client.flushdb()
                with Proxy(address.hostname, address.port) as proxy:
                    proxy.add(LimitData(position, way))
                    changes = replaced(through(proxy, url), ROWS, BOTH)
                assert stored(client) == STORED
                assert len(changes.added) == 6
        client.flushdb()
    assert any(any(each.values()) for each in found)


@pytest.mark.services
def test_a_redis_that_goes_away_in_between_leaves_nothing_or_all(services):
    url = urlunsplit(urlsplit(services.redis_url)._replace(path=f"/{database(12)}"))
    address = urlsplit(url)
    with redis_client(url) as client:
        for position in range(200, 3000, 400):
            client.flushdb()
            with Proxy(address.hostname, address.port) as proxy:
                over = threading.Event()
                gone = threading.Thread(target=reset_at, args=(proxy, position, over), daemon=True)
                gone.start()
                with suppress(ServiceDownError):
                    replaced(through(proxy, url), ROWS, BOTH)
                over.set()
                gone.join()
            assert stored(client) in ({}, STORED)
        client.flushdb()


def reset_at(proxy, position, over):
    """Once so many bytes were sent: no connection any more."""
    while len(proxy.sent) < position and not over.is_set():
        time.sleep(0.0005)
    proxy.add(ResetPeer())


@pytest.mark.services
def test_a_whole_sync(eton, reader, url, client):
    settings = load({"ARK_REDIS_URL": url, "ARK_TENANT_URL": reader})
    told = []
    done = sync(settings, RULES, EVERYTHING, told.append, dry_run=False)
    assert (done.tenants, done.faults, told) == (1, 0, [])
    assert [" ".join(agent) for agent in done.changes.added] == [
        "gdt T100117 24641",
        "gdt T100117 1050262",
        "jrtt T100117 3367268016",
        "wx T100117 4011704",
    ]
    eton.run("DELETE FROM agents WHERE agent_id_from_platform = '24641'; UPDATE tenant SET status = 1")
    done = sync(settings, RULES, EVERYTHING, told.append, dry_run=False)
    assert [" ".join(agent) for agent in done.changes.removed] == ["gdt T100117 24641"]
    assert [" ".join(agent) for agent in done.changes.added] == ["gdt T100118 7"]
    before = stored(client)
    eton.run("UPDATE tenant SET status = 0")
    with pytest.raises(ArkError, match="no tenant in ark_tenants has status 1"):
        sync(settings, RULES, EVERYTHING, told.append, dry_run=False)
    assert stored(client) == before
