"""Every recorded request of the official SDKs is answered in the shape that those SDKs accept."""

import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.simulator import Media, simulator

DATA = Path(__file__).parent.parent / "data"
RECORDED = [
    recorded
    for recorded in json.loads((DATA / "requests.json").read_text(encoding="utf-8"))
    if recorded["medium"] in {"gdt", "wx"}
]
ROWS = json.loads((DATA / "gdt-fields.json").read_text(encoding="utf-8"))["rows"]
TYPES = {"int": int, "float": float, "str": str, "enum": str, "bool": bool, "list": list, "object": dict}
ACCOUNT = {"account_ids": ["20458"], "accounts": 149}
OBJECTS = {"of": {"20458": 250}}
SCENARIO = {
    "gdt": {"agents": [{"id": "5555", "token": "TOKEN", **ACCOUNT}], "objects": OBJECTS, "today": "2020-05-07"},
    "wx": {"agents": [{"id": "5555", "token": "WX", **ACCOUNT}], "objects": OBJECTS},
    "wx_b": {"agents": [{"account_ids": ["20458"], "accounts": 0}], "objects": OBJECTS},
}
TASK = {
    "account_id": 20458, "task_name": "t1", "level": "REPORT_LEVEL_AD", "report_fields": ["date", "ad_id", "cost"],
    "group_by": ["date", "ad_id"], "date": "2020-05-07",
}  # fmt: skip
_nonces = count()


@pytest.fixture(scope="module")
def media() -> Iterator[Media]:
    with simulator(SCENARIO) as running:
        post = urlencode({"access_token": "TOKEN", "nonce": "first", "timestamp": int(time.time())})
        ordered = running.send("POST", "/v1.1/async_reports/add", post, body=json.dumps(TASK).encode())
        assert ordered.json["data"] == {"task_id": 71}  # the one that the recordings ask for
        yield running


def test_there_is_a_recording_of_each_client_for_each_interface():
    assert len(RECORDED) > 100
    assert {recorded["path"].split("/")[1] for recorded in RECORDED} == {
        "oauth", "v1.1", "v1.3", "marketing", "cgi-bin",
    }  # fmt: skip


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["id"])
def test_a_recorded_request_gets_an_answer_of_that_shape(media, recorded):
    media.set_scenario({"gdt": {"tokens": {"life": 80_000 + next(_nonces)}}})  # authorization codes are new again
    reply = replay(media, recorded)
    assert reply.status == 200
    expected = recorded["answer"]
    if isinstance(expected, str):
        assert reply.body.decode().splitlines()[0] == expected.splitlines()[0]
        return
    assert reply.headers["Content-Type"].startswith("application/json")
    answer = reply.json
    same_envelope(answer, expected)
    told = expected.get("data", expected)
    data = answer.get("data", answer)
    assert data.keys() == told.keys()
    check_beside(data, told)
    if "list" in told:
        interface = recorded["path"].split("/", 2)[2]
        if interface in ROWS and recorded["path"].startswith("/v1"):
            check_rows(interface, data["list"])
        else:
            check_types(data["list"], told["list"][0])
    if recorded["path"].startswith(("/v1", "/oauth")):
        assert len(reply.headers["X-TSA-Trace-Id"]) == 32
    if recorded["path"].startswith("/v1"):
        day, minute = reply.headers["X-RateLimit-Remaining"].split(",")
        assert (day[-1], minute[-1]) == ("%", "%")


def replay(media, recorded):
    """The recorded call with credentials that are good now."""
    entries = {entry["medium"]: entry for entry in media.directory()}
    b = "marketing" in recorded["path"] or "cgi-bin" in recorded["path"]
    entry = entries["wx_b" if b else recorded["medium"]]
    now = {
        "access_token=TOKEN": f"access_token={entry['token']}",
        "NONCE": f"{next(_nonces):032x}",
        "TIMESTAMP": str(int(time.time())),
        "AUTHCODE": entry.get("authorization_code", ""),
        "REFRESH": entry.get("refresh_token", ""),
        "wxAPPID": entry.get("appid", ""),
    }
    raw = recorded["raw_query"]
    for name, value in now.items():
        raw = raw.replace(name, value)
    return media.send(
        recorded["method"], recorded["path"], raw, body=recorded["body"].encode() or None, headers=recorded["headers"]
    )


def same_envelope(answer, expected):
    for name, value in expected.items():
        if name in {"code", "errcode", "message", "message_cn", "errmsg"}:
            assert (answer[name], type(answer[name])) == (value, type(value))


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
            check_types([data[name]], wanted)


def check_types(rows, wanted):
    """Each row has the names that were recorded, with values of the same types."""
    types = {name: type(value) for name, value in wanted.items()}
    for row in rows:
        assert {name: type(value) for name, value in row.items() if name in types} == types


def check_rows(interface, rows):
    for row in rows:
        for name, value in row.items():
            assert type(value) is TYPES[ROWS[interface][name]], name
