"""What a record looks like, that nothing makes one fail, and that no record is lost or doubled on its way."""

import base64
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.observers.append import AppendFile
from ark.observers.event_log import FileEvents, open_events
from ark.observers.events import MAX_RECORD, LogType, Subject, encode, record
from ark.observers.kafka_events import QUEUE, RETRY, KafkaEvents
from ark.redact import CUT, register

SUBJECT = Subject(
    tenant="T100117",
    job="dmp_gdt_api_funds",
    interface="funds/get",
    agent="1050262",
    date="2020-05-10",
    run_id="run-1",
    argv="%7B%27agent_id%27%3A1050262%7D",
)
NOON = datetime(2020, 5, 10, 4, 0, tzinfo=UTC)


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no")


def loop():
    value = []
    value.append(value)
    return value


def test_a_record_has_the_keys_that_readers_rely_on_and_more():
    event = record(LogType.JOB_START, "ApiHandler start", SUBJECT, now=NOON, extra={"event.outcome": "success"})
    seed = {
        "tenant": "T100117",
        "cur_job": "dmp_gdt_api_funds",
        "interface": "funds/get",
        "agent_id": "1050262",
        "data_date": "2020-05-10",
        "argv": "%7B%27agent_id%27%3A1050262%7D",
        "log_content": "ApiHandler start",
        "log_type": "API_JOB_ATSRT",
        "log_time": "2020-05-10 12:00:00",
    }
    assert event.items() >= seed.items()
    assert event["@timestamp"] == "2020-05-10T04:00:00.000+00:00"
    assert event["run_id"] == "run-1"
    assert event["event.outcome"] == "success"
    assert event.keys() >= {"event_id", "log.level", "host.name", "process.pid", "service.name", "service.version"}


def test_every_record_has_an_id_of_its_own():
    ids = {record(LogType.JOB_END, "", SUBJECT)["event_id"] for _ in range(100)}
    assert len(ids) == 100


def test_what_is_added_cannot_replace_a_key():
    event = record(LogType.JOB_END, "ended", SUBJECT, extra={"log_content": "forged", "tenant": "other"})
    assert (event["log_content"], event["tenant"]) == ("ended", "T100117")


@pytest.mark.parametrize(
    "content",
    [
        "x" * 3_000_000,
        "\x00" * 60_000,
        "余" * 60_000,
        "lone \udc80 surrogate",
        b"\xff\xfe",
        {"nested": [1, {"units": ("a", None)}]},
        {1: 2, (3, 4): 5},
        {"inf": float("nan"), "object": object()},
        10**400,
        loop(),
        Unshowable(),
        None,
        RuntimeError("trouble"),
    ],
    ids=lambda content: type(content).__name__,
)
def test_any_content_becomes_a_record_of_bounded_size(content):
    event = record(LogType.JOB_ERROR, content, SUBJECT, extra={"more": content, "number": 2**70})
    line = encode(event)
    assert len(line) <= MAX_RECORD
    assert b"\n" not in line
    assert json.loads(line)["tenant"] == "T100117"


def test_a_text_that_was_cut_says_so():
    assert record(LogType.JOB_ERROR, "x" * 70_000, SUBJECT)["log_content"].endswith(CUT)
    assert record(LogType.JOB_ERROR, "x" * 1_000, SUBJECT)["log_content"] == "x" * 1_000


@given(content=st.recursive(st.none() | st.floats() | st.integers() | st.text() | st.binary(), st.lists))
def test_whatever_the_content_a_record_is_one_line_of_json(content):
    assert json.loads(encode(record(LogType.JOB_ERROR, content, SUBJECT)))


def test_no_secret_is_in_a_record_in_any_spelling():
    canary = "canary+of/the=event-log"
    register(canary)
    spellings = [canary, quote(canary, safe=""), json.dumps(canary), base64.b64encode(canary.encode()).decode()]
    event = record(
        LogType.JOB_ERROR,
        {"url": f"https://api.e.qq.com/v1.1/funds/get?access_token={quote(canary)}", "all": spellings},
        msgspec.structs.replace(SUBJECT, argv=spellings[1]),
        extra={"error.message": spellings[0], "a": spellings[3]},
    )
    line = encode(event).decode()
    assert not any(spelling in line for spelling in [*spellings, "canary"])


def test_a_secret_at_the_place_of_the_cut_is_not_shown_in_part():
    canary = "0123456789abcdef" * 4
    register(canary)
    for length in (MAX_RECORD - 30, MAX_RECORD - 1, MAX_RECORD + 4096 - 30):
        assert "0123" not in record(LogType.JOB_ERROR, " " * length + canary + "tail" * 5000, SUBJECT)["log_content"]


def test_without_kafka_records_are_lines_of_a_file_under_home(tmp_path):
    settings = SimpleNamespace(home=tmp_path, kafka=SimpleNamespace(url=""))
    events = open_events(settings, "gdt")
    events.emit(record(LogType.JOB_START, "start", SUBJECT))
    events.emit(record(LogType.JOB_END, "end", SUBJECT))
    assert events.close() == 0
    lines = (tmp_path / "log" / "gdt_api_log.jsonl").read_text().splitlines()
    assert [json.loads(line)["log_content"] for line in lines] == ["start", "end"]


APPEND = """
import pathlib, sys
from ark.observers.append import AppendFile
file = AppendFile(pathlib.Path(sys.argv[1]), print)
for number in range(300):
    file.write(f"{sys.argv[2]}-{number}-".encode() + b"x" * 3000)
"""


def test_lines_of_many_processes_never_mix(tmp_path):
    path = tmp_path / "log" / "lines"
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, str(path), str(name)]) for name in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    lines = path.read_text().splitlines()
    assert sorted(line.rstrip("x") for line in lines) == sorted(f"{n}-{i}-" for n in range(4) for i in range(300))


def test_a_disk_that_refuses_is_counted_and_told_once(tmp_path):
    (tmp_path / "log").write_text("not a folder")
    told = []
    file = AppendFile(tmp_path / "log" / "lines", told.append)
    assert [file.write(b"line") for _ in range(3)] == [False] * 3
    assert file.lost == 3
    assert len(told) == 1
    assert str(tmp_path) in told[0]


def test_a_full_disk_costs_the_records_and_nothing_else(caplog):
    events = FileEvents(Path("/dev/full"))
    for _ in range(3):
        events.emit(record(LogType.JOB_END, "end", SUBJECT))
    assert events.close() == 3
    assert [message for message in caplog.messages if "/dev/full" in message] == caplog.messages[:1]


class Future:
    """What kafka-python's `send` returns, answered at once: None as the answer of a broker, or an error."""

    def __init__(self, error):
        self.error = error

    def add_callback(self, call, *args):
        if self.error is None:
            call(*args, "metadata")

    def add_errback(self, call, *args):
        if isinstance(self.error, Exception):
            call(*args, self.error)


class Producer:
    """A producer whose brokers do what the test says."""

    def __init__(self, answer=None, refuse=None):
        self.answer = answer
        self.refuse = refuse
        self.sent = []
        self.forced = []
        self._sender = SimpleNamespace(
            _accumulator=SimpleNamespace(abort_incomplete_batches=self.abort),
            initiate_close=lambda: self.forced.append("initiate"),
            force_close=self.force_close,
            join=lambda _seconds: self.forced.append("join"),
        )

    def force_close(self):
        self.forced.append("force")
        self._sender._accumulator.abort_incomplete_batches()

    def abort(self):
        raise ValueError("deque.remove(x): x not in deque")  # what kafka-python 2.3.3 does with a batch in flight

    def send(self, topic, *, key, value):
        if self.refuse:
            raise self.refuse
        self.sent.append((topic, key, json.loads(value)["log_content"]))
        return Future(self.answer)

    def close(self, _seconds):
        if self.answer == "silence":
            raise TimeoutError


def on_kafka(tmp_path, connect, clock=lambda: 0.0):
    return KafkaEvents("kafka:9092", "gdt_api_log", tmp_path / "spill.jsonl", connect=connect, clock=clock)


def emit(events, *contents):
    for content in contents:
        events.emit(record(LogType.UNIT_FAILURES, content, SUBJECT))


def spilled(tmp_path):
    path = tmp_path / "spill.jsonl"
    return [json.loads(line)["log_content"] for line in path.read_text().splitlines()] if path.exists() else []


def test_records_arrive_in_order_with_the_run_as_their_key(tmp_path):
    producer = Producer()
    events = on_kafka(tmp_path, lambda _brokers: producer)
    emit(events, "a", "b", "c")
    assert events.close() == 0
    assert producer.sent == [("gdt_api_log", b"run-1", content) for content in "abc"]
    assert spilled(tmp_path) == []


def test_nothing_is_connected_before_the_first_record(tmp_path):
    assert on_kafka(tmp_path, pytest.fail).close() == 0


def test_without_a_broker_every_record_is_spilled_and_told_once(tmp_path, caplog):
    calls = []

    def refuse(brokers):
        calls.append(brokers)
        raise ConnectionError("nobody there")

    events = on_kafka(tmp_path, refuse)
    emit(events, "a", "b", "c")
    assert events.close() == 3
    assert spilled(tmp_path) == ["a", "b", "c"]
    assert len(calls) == 1
    assert "nobody there" in caplog.messages[0]
    assert "3 events did not reach Kafka" in caplog.messages[1]
    assert len(caplog.messages) == 2


def test_a_broker_that_is_back_is_found_after_a_while(tmp_path):
    now = [0.0]
    producer = Producer()
    answers = [ConnectionError("away"), producer]

    def connect(_brokers):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    events = on_kafka(tmp_path, connect, lambda: now[0])
    emit(events, "a")
    wait_until(lambda: spilled(tmp_path) == ["a"])
    now[0] = RETRY - 0.1
    emit(events, "b")
    wait_until(lambda: spilled(tmp_path) == ["a", "b"])
    now[0] = RETRY + 0.1
    emit(events, "c")
    wait_until(lambda: producer.sent)
    assert events.close() == 2
    assert [content for _, _, content in producer.sent] == ["c"]


def wait_until(condition):
    while not condition():
        threading.Event().wait(0.005)


@pytest.mark.parametrize("producer", [Producer(answer=TimeoutError("expired")), Producer(refuse=TimeoutError("no"))])
def test_a_record_that_kafka_does_not_take_is_spilled(tmp_path, producer):
    events = on_kafka(tmp_path, lambda _brokers: producer)
    emit(events, "a", "b")
    assert events.close() == 2
    assert spilled(tmp_path) == ["a", "b"]


def test_a_record_that_nobody_answers_for_is_spilled_at_the_end(tmp_path):
    producer = Producer(answer="silence")
    events = on_kafka(tmp_path, lambda _brokers: producer)
    emit(events, "a", "b")
    assert events.close() == 2
    assert spilled(tmp_path) == ["a", "b"]
    assert producer.forced == ["initiate", "force", "join"]


def test_what_the_queue_cannot_hold_is_spilled_at_once(tmp_path):
    connected = threading.Event()
    producer = Producer()

    def connect(_brokers):
        connected.wait()
        return producer

    events = on_kafka(tmp_path, connect)
    emit(events, *map(str, range(QUEUE + 3)))
    assert spilled(tmp_path) == [str(QUEUE), str(QUEUE + 1), str(QUEUE + 2)]
    connected.set()
    assert events.close() == 3
    assert [content for _, _, content in producer.sent] == [str(number) for number in range(QUEUE)]


def test_a_thread_that_is_stuck_loses_no_record(tmp_path, monkeypatch):
    monkeypatch.setattr("ark.observers.kafka_events.FLUSH", 0.01)
    monkeypatch.setattr("ark.observers.kafka_events.FORCE", 0.01)
    never = threading.Event()
    events = on_kafka(tmp_path, lambda _brokers: never.wait())
    emit(events, "a", "b")
    assert events.close() == 2
    assert spilled(tmp_path) == ["a", "b"]


def test_a_record_after_the_end_is_spilled(tmp_path):
    events = on_kafka(tmp_path, pytest.fail)
    events.close()
    emit(events, "late")
    assert spilled(tmp_path) == ["late"]


def test_a_spill_file_of_earlier_runs_is_announced(tmp_path, caplog):
    (tmp_path / "spill.jsonl").write_text("{}\n")
    on_kafka(tmp_path, pytest.fail)
    assert "spill.jsonl holds 3 bytes" in caplog.text
