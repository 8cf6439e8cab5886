"""bin/services as its users meet it; what would disturb the running services happens in directories of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import happybase
import pytest
import redis
from sqlalchemy import create_engine, text

from tests.conftest import Services
from tests.services import install
from tests.services.process import Daemon, ServiceError, identity, wait

COMMAND = [sys.executable, str(Path(__file__).resolve().parents[2] / "bin" / "services")]
UNAVAILABLE = 69


class Private:
    """bin/services on one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *words: str) -> list[str]:
        return [*COMMAND, *words, "--dir", str(self.folder)]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False)

    def start(self, *names: str) -> dict[str, Any]:
        done = self.run("start", *names)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def make_private(tmp_path: Path) -> Iterator[Callable[[str], Private]]:
    made: list[Private] = []

    def make(name: str) -> Private:
        made.append(Private(tmp_path / name))
        return made[-1]

    yield make
    for private in made:
        assert private.run("stop").returncode == 0


@pytest.fixture
def private(make_private: Callable[[str], Private]) -> Private:
    return make_private("services")


def test_a_second_start_changes_nothing(private: Private) -> None:
    assert private.start("redis", "mariadb") == private.start("redis", "mariadb")


def test_racing_starts_make_one_server(private: Private) -> None:
    racing = [
        subprocess.Popen(private.command("start", "redis"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert len({starter.communicate()[0] for starter in racing}) == 1


def test_two_directories_run_side_by_side(make_private: Callable[[str], Private]) -> None:
    states = [make_private(name).start("redis", "mariadb") for name in ("one", "two")]
    for number, state in enumerate(states):
        with redis.Redis.from_url(state["redis"]["url"]) as client:
            client.set("who", number)
        engine = create_engine(state["mariadb"]["url"])
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE who AS SELECT :number AS number"), {"number": number})
        engine.dispose()
    for number, state in enumerate(states):
        with redis.Redis.from_url(state["redis"]["url"]) as client:
            assert client.get("who") == str(number).encode()
        engine = create_engine(state["mariadb"]["url"])
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT number FROM who")) == number
        engine.dispose()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_start_brings_a_dead_or_frozen_server_back_with_its_data(private: Private, ending: signal.Signals) -> None:
    before = private.start("redis")["redis"]
    with redis.Redis.from_url(before["url"]) as client:
        client.set("kept", "yes")
    os.kill(before["pids"]["server"], ending)
    assert wait(lambda: private.run("status", "redis").returncode == UNAVAILABLE, 10)

    after = private.start("redis")["redis"]

    assert after["url"] == before["url"]
    with redis.Redis.from_url(after["url"]) as client:
        assert client.get("kept") == b"yes"


def test_mariadb_survives_a_kill(private: Private) -> None:
    before = private.start("mariadb")["mariadb"]
    engine = create_engine(before["url"], pool_pre_ping=True)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))
    os.kill(before["pids"]["server"], signal.SIGKILL)
    assert private.start("mariadb")["mariadb"]["url"] == before["url"]
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT number FROM kept")) == 7
    engine.dispose()


def test_stop_ends_what_it_started_and_status_tells(private: Private) -> None:
    state = private.start("redis", "mariadb")
    assert private.run("status", "redis", "mariadb").returncode == 0
    assert private.run("stop", "mariadb").returncode == 0
    shown = private.run("status", "redis", "mariadb", "--json")
    assert shown.returncode == UNAVAILABLE
    now = json.loads(shown.stdout)
    assert now["redis"] == state["redis"]
    assert not now["mariadb"]["up"]
    assert now["mariadb"]["pids"] == {"server": None}


def test_stop_leaves_a_process_with_a_reused_pid_alone(private: Private) -> None:
    private.start("redis")
    private.run("stop")
    pid_file = private.folder / "redis" / "server.pid"
    with subprocess.Popen(["sleep", "60"]) as foreign:
        pid_file.write_text(f"{foreign.pid} 1\n")
        assert private.run("stop").returncode == 0
        assert foreign.poll() is None
        foreign.kill()


@pytest.mark.parametrize("text", ["", "garbage", "1", "0 0"])
def test_a_pid_file_that_says_nothing_names_nobody(tmp_path: Path, text: str) -> None:
    daemon = Daemon("server", tmp_path)
    daemon.pid_file.write_text(text)
    assert daemon.pid() is None


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    daemon = Daemon("server", tmp_path)
    with subprocess.Popen(["sleep", "60"]) as child:
        daemon.pid_file.write_text(identity(child.pid))
        assert daemon.pid() == child.pid
        child.kill()
        assert wait(lambda: daemon.pid() is None, 10)


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(private: Private) -> None:
    private.start("redis")
    private.run("stop")
    (private.folder / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    done = private.run("start", "redis")
    assert done.returncode == UNAVAILABLE
    assert "server.log" in done.stderr
    assert "manifest" in done.stderr


def test_without_root_the_exact_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    debian = install.Debian(["java", "javac", "mvn", "redis-server"], tmp_path / "apt.log", lambda line: None)
    with pytest.raises(ServiceError, match=r"apt-get install .* default-jdk-headless maven redis-server$"):
        debian.require(["redis-server"])


def test_installing_starts_nothing_and_leaves_no_policy_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "POLICY", policy)
    with install.nothing_starts():
        assert subprocess.run([str(policy)], check=False).returncode == 101
    assert not policy.exists()

    policy.write_text("the machine's own")
    with install.nothing_starts():
        pass
    assert policy.read_text() == "the machine's own"


def test_an_unknown_name_is_a_usage_error(private: Private) -> None:
    done = private.run("start", "oracle")
    assert done.returncode == 2
    assert "redis, hbase, kafka, mariadb, bugsink" in done.stderr


def test_hbase_tables_are_created_as_in_production(services: Services, unique: Callable[[str], str]) -> None:
    name = unique("services_made")
    done = subprocess.run([*COMMAND, "create-table", name], capture_output=True, text=True, check=True)
    assert f"{name}: created" in done.stderr
    host, port = services.hbase_url.removeprefix("thrift://").split(":")
    connection = happybase.Connection(host, int(port))
    try:
        table = connection.table(name)
        assert [region["start_key"] for region in table.regions()] == [b"", *(b"%d|" % i for i in range(1, 10))]
        assert {key: family["compression"] for key, family in table.families().items()} == {
            b"info": b"SNAPPY",
            b"col": b"SNAPPY",
        }
    finally:
        connection.delete_table(name, disable=True)
        connection.close()
