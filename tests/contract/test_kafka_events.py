"""The event log against a real broker, and against one that is away: no record is lost, none waits for anybody."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer

from ark.observers.events import LogType, Subject, record
from ark.observers.kafka_events import RETRY, KafkaEvents, connect
from tests.proxy import Proxy, ResetPeer, before_kafka

pytestmark = pytest.mark.services

SUBJECT = Subject(
    tenant="T100117",
    job="dmp_gdt_api_funds",
    interface="funds/get",
    agent="1050262",
    date="2020-05-10",
    run_id="run-1",
    argv="%7B%7D",
)
SEED_KEYS = {
    "tenant",
    "cur_job",
    "interface",
    "agent_id",
    "data_date",
    "argv",
    "log_content",
    "log_type",
    "log_time",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def proxy(services) -> Iterator[Proxy]:
    """Before the broker, also for those who ask it where it is."""
    with before_kafka(services.kafka_url) as proxy:
        yield proxy


@pytest.fixture
def topic(unique):
    return unique("gdt_api_log")


def emit(events, *contents):
    for content in contents:
        events.emit(record(LogType.UNIT_FAILURES, content, SUBJECT))


def received(url, topic, count):
    """(key, record) of the first `count` records, or of those that come within five seconds."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=url,
        auto_offset_reset="earliest",
        consumer_timeout_ms=5000,
        metadata_max_age_ms=200,  # the topic may come to be only now
    )
    try:
        return [(message.key, json.loads(message.value)) for _, message in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def spilled(path):
    return [json.loads(line)["log_content"] for line in path.read_text().splitlines()] if path.exists() else []


def wait_until(condition):
    while not condition():
        threading.Event().wait(0.02)


def test_records_arrive_with_the_keys_that_readers_rely_on(services, topic, tmp_path):
    events = KafkaEvents(services.kafka_url, topic, tmp_path / "spill.jsonl")
    events.emit(record(LogType.JOB_START, "ApiHandler start", SUBJECT))
    emit(events, *map(str, range(2000)))
    assert events.close() == 0
    arrived = received(services.kafka_url, topic, 2001)
    assert len(arrived) == 2001
    key, first = arrived[0]
    assert key == b"run-1"
    assert first.keys() > SEED_KEYS
    assert first["log_type"] == "API_JOB_ATSRT"
    assert [event["log_content"] for _, event in arrived[1:]] == [str(number) for number in range(2000)]
    assert not (tmp_path / "spill.jsonl").exists()


def test_the_producer_is_the_kind_that_neither_doubles_nor_falls_silent(services):
    producer = connect(services.kafka_url)
    try:
        assert producer.config["enable_idempotence"] is True
        assert producer.config["acks"] == -1
        assert producer.config["compression_type"] == "gzip"
    finally:
        producer.close(1)


def test_without_a_broker_every_record_is_in_the_spill_file(topic, tmp_path):
    events = KafkaEvents(f"127.0.0.1:{free_port()}", topic, tmp_path / "spill.jsonl")
    contents = [str(number) for number in range(500)]
    emit(events, *contents)
    assert events.close() == 500
    assert spilled(tmp_path / "spill.jsonl") == contents


def test_a_host_that_does_not_exist_is_a_broker_that_is_away(topic, tmp_path):
    events = KafkaEvents("kafka.invalid:9092,garbage", topic, tmp_path / "spill.jsonl")
    emit(events, "a")
    assert events.close() == 1
    assert spilled(tmp_path / "spill.jsonl") == ["a"]


def test_a_broker_that_goes_away_just_before_the_end_costs_no_record(services, proxy, topic, tmp_path):
    events = KafkaEvents(f"127.0.0.1:{proxy.port}", topic, tmp_path / "spill.jsonl")
    emit(events, "before")
    assert len(received(services.kafka_url, topic, 1)) == 1
    away = ResetPeer()
    proxy.add(away)
    emit(events, *map(str, range(100)))
    undelivered = events.close()
    assert undelivered == 100
    assert sorted(spilled(tmp_path / "spill.jsonl"), key=int) == [str(number) for number in range(100)]
    proxy.remove(away)
    assert [event["log_content"] for _, event in received(services.kafka_url, topic, 1)] == ["before"]


def test_a_broker_that_was_away_for_a_while_is_used_again(services, proxy, topic, tmp_path):
    now = [0.0]
    spill = tmp_path / "spill.jsonl"
    events = KafkaEvents(f"127.0.0.1:{proxy.port}", topic, spill, clock=lambda: now[0])
    emit(events, "before")
    assert len(received(services.kafka_url, topic, 1)) == 1
    away = ResetPeer()
    proxy.add(away)
    emit(events, "during")
    wait_until(lambda: spilled(spill) == ["during"])
    emit(events, "soon after")
    wait_until(lambda: spilled(spill) == ["during", "soon after"])
    proxy.remove(away)
    now[0] = RETRY + 1
    emit(events, "after")
    assert events.close() == 2
    assert [event["log_content"] for _, event in received(services.kafka_url, topic, 2)] == ["before", "after"]
