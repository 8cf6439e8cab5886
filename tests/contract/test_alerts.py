"""Alarms against a real receiver: what arrives can be read, says once what matters, and holds no secret."""

import base64
import json
import logging
import sys
import urllib.request
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from sentry_sdk.transport import Transport

from ark.observers.alerts import KINDS, OTHER, NoAlerts, open_alerts
from ark.redact import register

CANARY = "canary/of+alerts=9b1d余"
SPELLINGS = (
    CANARY,
    quote(CANARY, safe=""),
    json.dumps(CANARY)[1:-1],
    base64.b64encode(CANARY.encode()).decode(),
)
TAGS = {
    "media": "gdt",
    "tenant": "T100117",
    "job": "dmp_gdt_api_funds",
    "interface": "gdt.funds",
    "agent_id": "1050262",
    "data_date": "2020-05-10",
}


class Memory(Transport):
    """Keeps what would be sent."""

    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        self.events.append(envelope.get_event())


def settings(dsn):
    return SimpleNamespace(sentry=SimpleNamespace(dsn=dsn))


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def alerts(memory):
    return open_alerts(settings("http://key@127.0.0.1:9/1"), {**TAGS, "run_id": "run-1"}, transport=memory)


def crash_of(text):
    """An exception of several frames whose texts, locals and cause hold `text`."""

    def call(url):
        raise KeyError(url)

    def unit(token):
        headers = {"Access-Token": token, "nested": ({"params": token},)}
        try:
            call(f"https://api.e.qq.com/v1.1/funds/get?access_token={token}")
        except KeyError as cause:
            raise RuntimeError(f"unit failed with {headers}") from cause

    try:
        unit(text)
    except RuntimeError as error:
        return error


class Receiver:
    """Reads events back from bugsink."""

    def __init__(self, api):
        self.api = api

    def get(self, path):
        request = urllib.request.Request(self.api.url + path, headers={"Authorization": f"Bearer {self.api.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def events(self, project, run_id):
        """All stored events of one run."""
        found = []
        for issue in self.get(f"issues/?project={project}&sort=last_seen&order=desc")["results"]:
            for event in self.get(f"events/?issue={issue['id']}")["results"]:
                data = self.get(f"events/{event['id']}/")["data"]
                if data.get("tags", {}).get("run_id") == run_id:
                    found.append(data)
        return found


@pytest.mark.services
def test_events_arrive_once_per_kind_readable_and_without_a_secret(services, unique, monkeypatch):
    register(CANARY)
    run_id = unique("run")
    monkeypatch.setattr(sys, "argv", ["ark", "run", *SPELLINGS])
    alerts = open_alerts(settings(services.sentry_dsn), {**TAGS, "run_id": run_id, "note": SPELLINGS[1]})
    for number in range(40):
        sample = {"account": f"1000{number}", "trace": f"trace-{number}", "url": f"/get?access_token={SPELLINGS[1]}"}
        alerts.failure("11017", f"too many calls {' '.join(SPELLINGS)}", samples=[sample])
    alerts.failure("TransportError", "connection reset", count=5, level="warning")
    logging.getLogger("kafka.client").error("never an event")
    for spelling in SPELLINGS:
        alerts.crash(crash_of(spelling))
    alerts.close()

    events = Receiver(services.sentry_api).events(services.sentry_dsn.rpartition("/")[2], run_id)
    by_kind = {event["tags"]["error_code"]: event for event in events}
    assert len(events) == 3
    assert by_kind.keys() == {"11017", "TransportError", "RuntimeError"}

    quota = by_kind["11017"]
    assert quota["tags"].items() >= TAGS.items()
    assert quota["tags"].keys() >= {"run_id", "release"}
    assert quota["fingerprint"] == ["gdt", "gdt.funds", "11017"]
    assert (quota["level"], by_kind["TransportError"]["level"]) == ("error", "warning")
    assert quota["extra"]["count"] == 40
    assert [sample["account"] for sample in quota["extra"]["samples"]] == ["10000", "10001", "10002"]
    assert quota["exception"]["values"][0]["value"] == "too many calls *** *** *** ***"

    crash = by_kind["RuntimeError"]["exception"]["values"]
    assert [value["type"] for value in crash] == ["KeyError", "RuntimeError"]
    frames = crash[-1]["stacktrace"]["frames"]
    assert [frame["function"] for frame in frames][-1] == "unit"
    assert not any(frame.get("vars") or frame.get("context_line") for frame in frames)

    for event in events:
        assert "sys.argv" not in event.get("extra", {})
        stored = json.dumps(event, ensure_ascii=False) + json.dumps(event)
        assert not any(spelling in stored for spelling in (*SPELLINGS, "9b1d"))


def test_a_storm_of_failures_is_few_small_events(alerts, memory):
    for number in range(30_000):
        sample = {"account": str(number), "body": "x" * 5_000}
        alerts.failure(f"code {number % 100}", "message " * 5_000, samples=[sample])
    alerts.close()
    assert len(memory.events) == KINDS + 1
    assert sum(event["extra"]["count"] for event in memory.events) == 30_000
    assert memory.events[-1]["tags"]["error_code"] == OTHER
    assert all(len(json.dumps(event)) < 200_000 for event in memory.events)


def test_an_error_outweighs_a_warning_of_its_kind(alerts, memory):
    for level in ("warning", "error", "warning"):
        alerts.failure("11017", "too many calls", level=level)
    alerts.close()
    assert [event["level"] for event in memory.events] == ["error"]


def test_what_was_sent_is_not_sent_again(alerts, memory):
    alerts.failure("11017", "too many calls")
    alerts.close()
    alerts.close()
    assert len(memory.events) == 1


def test_a_crash_at_any_depth_is_a_small_event(alerts, memory):
    def fall(depth):
        fall(depth + 1)

    try:
        fall(0)
    except RecursionError as error:
        alerts.crash(error)
    alerts.close()
    assert len(json.dumps(memory.events[0])) < 200_000


def test_without_a_dsn_nothing_is_sent_and_no_client_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    alerts = open_alerts(settings(""), TAGS)
    alerts.failure("11017", "too many calls")
    alerts.crash(ValueError())
    alerts.close()
    assert isinstance(alerts, NoAlerts)


@pytest.mark.parametrize("dsn", ["garbage", "http://", "http://127.0.0.1/1", "ftp://key@host/1", "http://key@host:x/1"])
def test_a_dsn_that_cannot_be_used_is_told_and_no_trouble(dsn, caplog):
    alerts = open_alerts(settings(dsn), TAGS)
    alerts.failure("11017", "too many calls")
    alerts.crash(ValueError())
    alerts.close()
    assert "sentry.dsn cannot be used" in caplog.text


def test_a_receiver_that_is_away_is_told_once_and_no_trouble(caplog):
    http_log = logging.getLogger("urllib3.connectionpool")
    http_log.filters.clear()
    alerts = open_alerts(settings("http://key@127.0.0.1:9/1"), TAGS)
    for number in range(200):
        alerts.failure(f"code {number}", "message")
    alerts.crash(ValueError("x"))
    alerts.close()
    assert [message for message in caplog.messages if "Sentry does not answer" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_a_client_that_fails_is_told_and_no_trouble(caplog):
    class Failing(Transport):
        def capture_envelope(self, envelope):
            raise OSError("no")

    alerts = open_alerts(settings("http://key@127.0.0.1:9/1"), TAGS, transport=Failing())
    alerts.failure("11017", "too many calls")
    alerts.crash(ValueError("x"))
    alerts.close()
    assert "cannot report" in caplog.text
