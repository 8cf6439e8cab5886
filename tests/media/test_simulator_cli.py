"""`ark simulate` from outside: the first line, the signals, the Redis that fits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from ark.accounts import embedded_redis
from tests.simulator import Media

ROOT = Path(__file__).parents[2]
SCENARIO = """
dates = ["2020-05-29", "2020-05-30"]

[[gdt.agents]]
tenant = "T100117"
id = "1050262"
token = "secret-token"
account_ids = ["10707125"]
accounts = 19

[[gdt.agents]]
tenant = "T200"
id = "5555"
accounts = 0
"""


@pytest.fixture
def home(ark_home):
    yield ark_home
    embedded_redis.stop(ark_home)


def start(home: Path, *options: str, stderr: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "handlers.cli", "simulate", *options]
    environ = {**os.environ, "ARK_HOME": str(home)}
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=stderr)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_is_one_process_that_a_signal_ends_at_once(home, ending):
    with start(home) as process:
        try:
            told = json.loads(process.stdout.readline())
            assert told["pid"] == process.pid
            assert told["url"].startswith("http://127.0.0.1:")
            assert {entry["medium"] for entry in Media(**told).directory()} >= {"gdt", "wx"}
            process.send_signal(ending)
            assert process.wait(10) == -ending
        finally:
            process.kill()


def test_redis_is_filled_before_the_first_line(home, tmp_path):
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    settle(home, "gdt_advertiser_v1.1_T100117_20200530", {"404": 1050262, "505": 7})
    with start(home, "--scenario", str(scenario), "--fill-redis", stderr=subprocess.DEVNULL) as process:
        try:
            media = Media(**json.loads(process.stdout.readline()))
            accounts = set(media.accounts("1050262"))
        finally:
            process.kill()
    with client(home) as redis:
        for day in ("20200529", "20200530"):
            key = f"gdt_advertiser_v1.1_T100117_{day}"
            assert set(redis.zrangebyscore(key, 1050262, 1050262)) == accounts
        assert redis.zscore("gdt_advertiser_v1.1_T100117_20200530", "505") == 7
        assert redis.zrange("gdt_new_access_token_T100117", 0, -1, withscores=True) == [("secret-token", 1050262)]
        assert redis.zrange("gdt_agents_v2_T200", 0, -1, withscores=True) == [("5555", 5555)]
        assert not redis.exists("gdt_advertiser_v1.1_T200_20200530")
    assert len(accounts) == 20


@pytest.mark.parametrize("options", [(), ("--fill-redis",)])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed = -1", "$.seed"),
        ("[gdt]\nspeed = 1", "speed"),
        ("not TOML", "TOML"),
        ("[[gdt.agents]]\ncount = 2\nid = '5'", "count = 1"),
        ("[[gdt.agents]]\naccount_ids = ['1', '1']", "named twice"),
    ],
)
def test_a_scenario_that_cannot_be_used_is_one_line(home, tmp_path, options, text, told):
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(text, encoding="utf-8")
    with start(home, "--scenario", str(scenario), *options, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (78, b"")
    assert err.count(b"\n") == 1
    assert told in err.decode()


def test_a_port_that_is_taken_is_one_line(home):
    with start(home) as first:
        try:
            port = json.loads(first.stdout.readline())["url"].rpartition(":")[2]
            with start(home, "--port", port, stderr=subprocess.PIPE) as second:
                _, err = second.communicate(timeout=30)
            assert second.returncode == 69
            assert (err.count(b"\n"), port in err.decode()) == (1, True)
        finally:
            first.kill()


def client(home: Path) -> Redis:
    return Redis.from_url(embedded_redis.ensure(home), decode_responses=True)


def settle(home: Path, key: str, members: dict[str, int]) -> None:
    with client(home) as redis:
        redis.zadd(key, members)
