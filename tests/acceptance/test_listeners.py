"""Who only listens, Kafka and Sentry: away, deaf, slow or rude, it neither fails nor holds up a run."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Said, Simulated, ended, wait_for
from tests.acceptance.readers import Topic
from tests.conftest import Services
from tests.proxy import Latency, Proxy, ResetPeer, Timeout, Way, before_kafka
from tests.services.ports import HOST

Staging = Callable[..., Simulated]

ACCOUNTS = 100
KAFKA_SECONDS = 4.0
"""What the end of a run gives to records that are under way, the client's own end included."""
SENTRY_SECONDS = 2.0
BUSY = 6.0
"""Seconds by which two runs of the same kind differ on a busy machine."""
FAILING = 98765


def clean_seconds(here: Simulated, *words: str) -> float:
    """How long the run takes where nobody listens."""
    began = time.monotonic()
    here.run("gdt.funds", *words)
    return time.monotonic() - began


def spilled(here: Simulated) -> list[dict[str, Any]]:
    """The records in the spill file, which has a record per line."""
    path = here.ark.home / "log" / "gdt_api_log.spill.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def arrived(topic: Topic, said: Said) -> list[dict[str, Any]]:
    """The records of this run that Kafka has."""
    mine = said.result["run_id"].encode()
    return [json.loads(value) for value in topic.values() if mine in value]


def whole(here: Simulated, said: Said, records: list[dict[str, Any]]) -> None:
    """The run is done; every record is somewhere, can be told from its double, and who looks for it is told where."""
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", ACCOUNTS)
    assert here.differences() == (0, 0, 0)
    kept = spilled(here)
    assert {record["log_type"] for record in records + kept} == {"API_JOB_ATSRT", "API_JOB_END"}
    assert len({record["event_id"] for record in records + kept}) == 2
    if kept:
        assert f"{len(kept)} events did not reach Kafka; {len(kept)} of them are in" in said.err
        assert "gdt_api_log.spill.jsonl" in said.err
        assert said.err.count("takes no events") <= 1


@pytest.fixture
def topic(services: Services) -> Iterator[Topic]:
    reader = Topic(services.kafka_url, "gdt_api_log")
    yield reader
    reader.close()


@contextmanager
def nobody(how: str) -> Iterator[str]:
    """An address that refuses every connection, or takes them and never says a word."""
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        if how == "deaf":
            holder.listen()
        yield f"{HOST}:{holder.getsockname()[1]}"


@pytest.mark.parametrize("how", ["closed", "deaf"])
def test_brokers_that_are_away_from_the_start_cost_a_few_seconds_and_no_record(stage: Staging, how: str) -> None:
    here = stage(ACCOUNTS)
    clean = clean_seconds(here)
    with nobody(how) as address:
        began = time.monotonic()
        said = here.run(kafka_url=address)
        assert time.monotonic() - began < clean + KAFKA_SECONDS + BUSY
    whole(here, said, [])
    assert len(spilled(here)) == 2


def cut(proxy: Proxy) -> None:
    proxy.add(ResetPeer())


def slow(proxy: Proxy) -> None:
    proxy.add(Latency(5.0, Way.DOWN))


def half_open(proxy: Proxy) -> None:
    proxy.add(Timeout())


@pytest.mark.services
@pytest.mark.parametrize("trouble", [cut, slow, half_open])
def test_brokers_that_fail_in_mid_run_cost_a_few_seconds_and_no_record(
    stage: Staging, services: Services, topic: Topic, trouble: Callable[[Proxy], None]
) -> None:
    here = stage(ACCOUNTS, latency={"seconds": 0.5})
    clean = clean_seconds(here)
    here.media.clear_stats()
    with before_kafka(services.kafka_url) as proxy:
        began = time.monotonic()
        running = here.start(kafka_url=f"{HOST}:{proxy.port}")
        wait_for(lambda: here.calls()["requests"] > 0)
        trouble(proxy)
        said = ended(running)
        assert time.monotonic() - began < clean + KAFKA_SECONDS + BUSY
        assert proxy.connections > 0
    whole(here, said, arrived(topic, said))


class Receiver(BaseHTTPRequestHandler):
    """A receiver of alarms that answers what its server says."""

    server: Any

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.held.wait(self.server.seconds)
        self.send_response(self.server.status)
        for name, value in self.server.more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def receiver(status: int = 200, seconds: float = 0, **more: str) -> Iterator[Any]:
    """A server whose `bodies` are what it was sent; its `dsn` is where."""
    server: Any = ThreadingHTTPServer((HOST, 0), Receiver)
    server.status, server.seconds, server.more, server.bodies = status, seconds, more, []
    server.held = threading.Event()
    server.daemon_threads = True
    server.dsn = f"http://key@{HOST}:{server.server_address[1]}/1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.held.set()
        server.shutdown()
        server.server_close()


def failing(stage: Staging) -> Simulated:
    """Some accounts fail, so that there is something to alarm about."""
    here = stage(20)
    here.change(faults=[{"kind": "code", "code": FAILING, "accounts": here.accounts[:5]}])
    return here


ANSWERS = {
    "slow": {"seconds": 60},
    "too many": {"status": 429, "Retry-After": "600"},
    "too many, in its own words": {"status": 429, "X-Sentry-Rate-Limits": "600:error:organization"},
    "broken": {"status": 500},
    "moved": {"status": 302, "Location": "http://127.0.0.1:9/"},
}


@pytest.mark.parametrize("how", [*ANSWERS, "closed", "deaf"])
def test_a_receiver_of_alarms_costs_two_seconds_at_most(stage: Staging, how: str) -> None:
    here = failing(stage)
    clean = clean_seconds(here)
    with receiver(**ANSWERS.get(how, {})) as server, nobody(how) as address:
        began = time.monotonic()
        said = here.run(sentry_dsn=server.dsn if how in ANSWERS else f"http://key@{address}/1")
        assert time.monotonic() - began < clean + SENTRY_SECONDS + BUSY
        assert bool(server.bodies) == (how in ANSWERS)
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 15, 5)


@pytest.mark.parametrize("dsn", ["garbage", "http://", "http://127.0.0.1/1", "http://key@host:x/1", "\\"])
def test_a_dsn_that_is_none_costs_a_warning(stage: Staging, dsn: str) -> None:
    here = failing(stage)
    said = here.run(sentry_dsn=dsn)
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 15, 5)
    assert said.err.count("sentry.dsn cannot be used") == 1


def test_a_storm_of_failures_is_one_small_event(stage: Staging) -> None:
    """Thousands of units that fail alike, each with a long message."""
    here = stage(3000)
    here.change(faults=[{"kind": "code", "code": FAILING}])
    with receiver() as server:
        said = here.run("gdt.funds", "-o", "NONE", sentry_dsn=server.dsn)
        assert (said.code, said.result["failed"]) == (3, 3000)
        assert len(server.bodies) == 1
        assert len(server.bodies[0]) < 200_000


def test_the_file_of_events_holds_what_kafka_would(stage: Staging) -> None:
    """Without Kafka there is nobody to wait for; every record is a line with an id of its own."""
    here = stage(5)
    assert here.run().code == 0
    lines = Path(here.ark.home, "log", "gdt_api_log.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["log_type"] for record in records] == ["API_JOB_ATSRT", "API_JOB_END"]
    assert all(re.fullmatch("[0-9a-f]{32}", record["event_id"]) for record in records)
