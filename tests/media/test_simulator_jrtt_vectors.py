"""Every recorded request of jrtt's clients is answered in the shape that those clients accept."""

import json
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
    if recorded["medium"] == "jrtt"
]
WITH_ROWS = [recorded for recorded in RECORDED if recorded["method"] == "GET"]
SCENARIO = {
    "jrtt": {
        "agents": [
            {"id": "1650000000000001", "token": "TOKEN", "account_ids": ["1664757665615880", "1664757665615881"]},
            {"id": "1650000000000002", "parent": "1650000000000001", "accounts": 120},
        ],
        "objects": {"of": {"1664757665615880": 60}},
    }
}
NOT_SERVED = {"2/advertiser/fund/daily_stat": {"return_goods_cost"}, "2/report/creative/get": {"stat_datetime"}}
"""Fields of made-up rows that the official model has not, or that the call does not group by."""
_lives = count(80_000)


@pytest.fixture(scope="module")
def media() -> Iterator[Media]:
    with simulator(SCENARIO) as running:
        yield running


def sent(media: Media, recorded, query: str, body: str = ""):
    token = {"Access-Token": "TOKEN"} if "Access-Token" in recorded["headers"] else {}
    headers = {"Content-Type": "application/json", **token}
    return media.send(recorded["method"], recorded["path"], query, body=body.encode() or None, headers=headers)


def shape(value):
    """The types of what stands in an answer, deep down to the rows, of which the first speaks for all."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


def test_there_are_recordings_of_each_client():
    assert {recorded["id"].split("/")[0] for recorded in RECORDED} == {"jrtt-go-1.1.93", "jrtt-bub21"}
    assert len(RECORDED) == 40
    assert {recorded["path"].endswith("/") for recorded in RECORDED} == {True, False}


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["id"])
def test_a_recorded_request_is_answered(media, recorded):
    media.set_scenario({"jrtt": {"tokens": {"life": next(_lives)}}})  # codes and refresh tokens are new again
    agent = next(entry for entry in media.directory() if entry["medium"] == "jrtt")
    body = recorded["body"].replace("AUTHCODE", agent["authorization_code"]).replace("REFRESH", agent["refresh_token"])
    reply = sent(media, recorded, recorded["raw_query"], body)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    answer, expected = reply.json, recorded["answer"]
    assert (answer["code"], answer["message"], type(answer["code"])) == (0, "OK", int)
    assert answer.keys() == expected.keys()
    assert len(answer["request_id"]) == len(expected["request_id"])
    assert type(answer["data"]) is type(expected["data"])
    if isinstance(answer["data"], dict):
        told, wanted = shape(answer["data"]), shape(expected["data"])
        assert told.keys() == wanted.keys()
        assert {name: kind for name, kind in told.items() if not isinstance(kind, list)} == {
            name: kind for name, kind in wanted.items() if not isinstance(kind, list)
        }


@pytest.mark.parametrize("recorded", WITH_ROWS, ids=lambda recorded: recorded["id"])
def test_its_rows_have_the_recorded_fields_and_types(media, recorded):
    narrow = {"fields", "filtering", "company_ids"}
    query = urlencode([(name, value) for name, value in recorded["query"] if name not in narrow])
    data, expected = sent(media, recorded, query).json["data"], recorded["answer"]["data"]
    if recorded["call"] == "report_integrated":
        data, expected = data["list"][0], expected["list"][0]
        data["metrics"] = {name: data["metrics"][name] for name in expected["metrics"]}
        assert shape(data) == shape(expected)
        return
    row, wanted = (shape(data.get("list", data) if isinstance(data, dict) else data) for data in (data, expected))
    row, wanted = (each[0] if isinstance(each, list) else each for each in (row, wanted))
    if isinstance(wanted, dict):
        path = recorded["path"].strip("/").removeprefix("open_api/")
        dropped = NOT_SERVED.get(path, set()) if wanted.keys() - row.keys() else set()
        assert {name: row.get(name) for name in wanted.keys() - dropped} == {
            name: kind for name, kind in wanted.items() if name not in dropped
        }
    else:
        assert row is wanted is int
