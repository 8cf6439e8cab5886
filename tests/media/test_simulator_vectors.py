"""Every recorded request of the official SDKs is answered in the shape that those SDKs accept."""

import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.simulator import Media, simulator

DATA = Path(__file__).parent.parent / "data"
SERVED = {
    "token", "advertiser/get", "funds/get", "daily_reports/get", "hourly_reports/get",
    "campaigns/get", "adgroups/get", "ads/get", "adcreatives/get",
}  # fmt: skip
RECORDED = [
    recorded
    for recorded in json.loads((DATA / "requests.json").read_text(encoding="utf-8"))
    if recorded["medium"] == "gdt" and recorded["path"].removeprefix("/v1.1/").removeprefix("/v1.3/").removeprefix("/oauth/") in SERVED
]
ROWS = json.loads((DATA / "gdt-fields.json").read_text(encoding="utf-8"))["rows"]
TYPES = {"int": int, "float": float, "str": str, "enum": str, "bool": bool, "list": list, "object": dict}
SCENARIO = {
    "gdt": {
        "agents": [{"id": "5555", "token": "TOKEN", "account_ids": ["20458"], "accounts": 149}],
        "objects": {"of": {"20458": 250}},
    }
}
_nonces = count()


@pytest.fixture(scope="module")
def media() -> Iterator[Media]:
    with simulator(SCENARIO) as running:
        yield running


def test_there_is_a_recording_of_each_client_for_each_interface():
    assert len(RECORDED) > 50
    assert {recorded["path"].split("/")[1] for recorded in RECORDED} == {"oauth", "v1.1", "v1.3"}


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["id"])
def test_a_recorded_request_gets_an_answer_of_that_shape(media, recorded):
    agent = media.directory()[0]
    refresh = agent["refresh_token"]
    media.set_scenario({"gdt": {"tokens": {"life": 80_000 + next(_nonces)}}})  # authorization codes are new again
    raw = (
        recorded["raw_query"]
        .replace("NONCE", f"{next(_nonces):032x}")
        .replace("TIMESTAMP", str(int(time.time())))
        .replace("AUTHCODE", agent["authorization_code"])
        .replace("REFRESH", refresh)
    )
    reply = media.get(recorded["path"], raw=raw)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert len(reply.headers["X-TSA-Trace-Id"]) == 32
    answer = reply.json
    assert (answer["code"], answer["message"]) == (0, "")
    assert type(answer["code"]) is int
    expected = recorded["answer"]["data"]
    assert answer["data"].keys() == expected.keys()
    check_beside(answer["data"], expected)
    if recorded["path"].endswith("/get"):
        day, minute = reply.headers["X-RateLimit-Remaining"].split(",")
        assert (day[-1], minute[-1]) == ("%", "%")
        check_rows(recorded["path"].split("/", 2)[2], answer["data"]["list"])


@pytest.mark.parametrize("path", ["/v1.1", "/v1.3"])
@pytest.mark.parametrize("level", ["ADVERTISER", "CAMPAIGN", "ADGROUP", "AD", "PROMOTED_OBJECT"])
@pytest.mark.parametrize("interface", ["daily_reports/get", "hourly_reports/get"])
def test_every_field_of_a_report_has_its_type(media, path, level, interface):
    reply = media.get(
        f"{path}/{interface}", "TOKEN", account_id="20458", level=f"REPORT_LEVEL_{level}",
        date_range={"start_date": "2020-05-07", "end_date": "2020-05-07"}, fields=list(ROWS[interface]),
    )  # fmt: skip
    rows = reply.json["data"]["list"]
    check_rows(interface, rows)
    assert len(rows[0]) > 300


@pytest.mark.parametrize("interface", ["advertiser", "campaigns", "adgroups", "ads", "adcreatives"])
def test_every_field_of_a_list_has_its_type(media, interface):
    path = f"{interface}/get"
    rows = media.get(f"/v1.1/{path}", "TOKEN", account_id="20458", fields=list(ROWS[path])).json["data"]["list"]
    check_rows(path, rows)
    assert rows[0].keys() == ROWS[path].keys()


def check_beside(data, expected):
    """What stands beside the list has the same names and types."""
    for name in expected.keys() - {"list"}:
        wanted = expected[name]
        assert type(data[name]) is type(wanted)
        if isinstance(wanted, dict):
            assert {key: type(value) for key, value in data[name].items()} == {
                key: type(value) for key, value in wanted.items()
            }


def check_rows(interface, rows):
    for row in rows:
        for name, value in row.items():
            assert type(value) is TYPES[ROWS[interface][name]], name
