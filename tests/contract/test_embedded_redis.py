import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from ark.accounts import embedded_redis
from ark.accounts.embedded_redis import ensure, pid, stop
from ark.errors import ConfigError, LocalDiskError, ServiceDownError

BUNDLED = embedded_redis._bundled()
RACER = """
import sys
from pathlib import Path
from ark.accounts.embedded_redis import ensure
print("ready", flush=True)
sys.stdin.readline()
print(ensure(Path(sys.argv[1]), sys.argv[2]))
"""


def racer(home):
    command = [sys.executable, "-c", RACER, str(home), BUNDLED]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def home(ark_home):
    yield ark_home
    stop(ark_home)


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def servers(home):
    """The pids of all servers on this home's socket."""
    title = f"unixsocket:{home}/redis/redis.sock".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone by now
            if title in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in 10 s"
        time.sleep(0.01)


def kill(process):
    os.kill(int(process), signal.SIGKILL)
    wait_for(lambda: not alive(process))


def test_racing_processes_find_exactly_one_server(home):
    racers = [racer(home) for _ in range(8)]
    for one in racers:
        one.stdin.write("go\n")
        one.stdin.flush()
    urls = {one.communicate(timeout=60)[0] for one in racers}
    assert len(urls) == 1
    assert [one.returncode for one in racers] == [0] * 8
    assert servers(home) == [pid(home)]


def test_the_server_outlives_its_starter_and_answers_in_database_2(home):
    url = racer(home).communicate("go\n", timeout=60)[0].strip()
    with Redis.from_url(url) as client:
        assert client.ping()
        assert client.client_info()["db"] == 2
        assert client.config_get("port") == {b"port": b"0"} or client.config_get("port") == {"port": "0"}
    assert ensure(home) == url


def test_nothing_is_lost_when_it_is_killed(home):
    with Redis.from_url(ensure(home, BUNDLED)) as client:
        client.set("kept", "1")
        kill(pid(home))
    with Redis.from_url(ensure(home, BUNDLED)) as client:
        assert client.get("kept") == b"1"


def test_stop_ends_it_and_says_whether_there_was_one(home):
    assert not stop(home)
    ensure(home, BUNDLED)
    process = pid(home)
    assert stop(home)
    wait_for(lambda: not alive(process))
    assert not stop(home)


def test_a_deleted_socket_never_leads_to_a_second_server(home, monkeypatch):
    monkeypatch.setattr(embedded_redis, "SECONDS", 0.2)
    ensure(home, BUNDLED)
    process = pid(home)
    (home / "redis" / "redis.sock").unlink()
    with pytest.raises(ServiceDownError, match=rf"pid {process}\).*end that process"):
        ensure(home, BUNDLED)
    assert alive(process)
    kill(process)
    monkeypatch.undo()
    ensure(home, BUNDLED)


def test_a_stopped_server_is_not_taken_for_a_dead_one(home, monkeypatch):
    monkeypatch.setattr(embedded_redis, "SECONDS", 0.2)
    ensure(home, BUNDLED)
    process = pid(home)
    os.kill(int(process), signal.SIGSTOP)
    try:
        with pytest.raises(ServiceDownError, match=process):
            ensure(home, BUNDLED)
    finally:
        os.kill(int(process), signal.SIGCONT)
    monkeypatch.undo()
    ensure(home, BUNDLED)
    assert pid(home) == process


def test_long_and_odd_homes_work(ark_home):
    home = ark_home / ("long " + "x" * 120) / "a #?%20"
    url = ensure(home, BUNDLED)
    try:
        with Redis.from_url(url) as client:
            assert client.ping()
        assert ensure(home, BUNDLED) == url
        directory = Path(url.removeprefix("unix://").partition("?")[0]).parent
        assert directory.stat().st_mode & 0o777 == 0o700
    finally:
        stop(home)
    directory.rmdir()


def test_a_foreign_directory_for_the_socket_is_refused(ark_home, monkeypatch):
    monkeypatch.setattr(embedded_redis, "SHORT", ark_home)
    monkeypatch.setattr(embedded_redis, "LONGEST_SOCKET", 10)
    home = ark_home / "home"
    ensure(home, BUNDLED)
    stop(home)
    (directory,) = ark_home.glob("ark-*")
    directory.chmod(0o755)
    with pytest.raises(ConfigError, match="is not a private directory"):
        ensure(home, BUNDLED)
    directory.rmdir()
    directory.symlink_to("/tmp")
    with pytest.raises(ConfigError, match="is not a private directory"):
        ensure(home, BUNDLED)


def test_its_directory_is_private_and_no_secret_is_in_its_environment(home, monkeypatch):
    monkeypatch.setenv("ARK_SENTRY_DSN", "https://s3cret@h/1")
    (home / "redis").mkdir(mode=0o755)
    ensure(home, BUNDLED)
    assert (home / "redis").stat().st_mode & 0o777 == 0o700
    assert b"s3cret" not in Path(f"/proc/{pid(home)}/environ").read_bytes()


def test_what_is_missing_is_named(home, monkeypatch):
    with pytest.raises(ConfigError, match=r"redis.server is '/nowhere/redis-server'"):
        ensure(home, "/nowhere/redis-server")
    with pytest.raises(ServiceDownError, match=r"false does not start \(exit 1\)"):
        ensure(home, "false")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="set ARK_REDIS_URL"):
        ensure(home)


def test_a_server_that_dies_at_once_is_told_with_its_last_words(home):
    (home / "redis").mkdir()
    (home / "redis" / "appendonly.aof").write_text("no command\n")
    with pytest.raises(ServiceDownError, match=r"(?i)bad file format"):
        ensure(home, BUNDLED)


def test_a_home_that_cannot_be_written_is_named(ark_home):
    (ark_home / "redis").write_text("in the way")
    with pytest.raises(LocalDiskError, match=f"{ark_home}/redis cannot be used"):
        ensure(ark_home, BUNDLED)


def test_an_older_server_does_not_start_on_newer_data(home):
    (home / "redis" / "appendonlydir").mkdir(parents=True)
    with pytest.raises(ConfigError, match="too old"):
        ensure(home, BUNDLED)
