"""jrtt seen from a socket: parameters in a body, and what goes wrong on purpose."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.simulator import Media, Reply, simulator

AGENT, BAD, GOOD = "1650000000000001", "1664757665615880", "1664757665615881"
SCENARIO = {
    "jrtt": {
        "agents": [{"id": AGENT, "token": "TOKEN", "account_ids": [BAD, GOOD], "accounts": 0}],
        "objects": {"of": {BAD: 14, GOOD: 14}, "delivery": 1.0},
    }
}
FUND, SELECT, INFO = "2/advertiser/fund/get/", "2/agent/advertiser/select/", "2/advertiser/info/"
REPORT, INTEGRATED, AGENT_REPORT = "2/report/ad/get/", "2/report/integrated/get/", "2/report/agent/get_v2/"
DAY = {"start_date": "2020-05-07", "end_date": "2020-05-07"}
BY_AD = {"advertiser_id": BAD, **DAY, "page_size": 5, "group_by": ["STAT_GROUP_BY_FIELD_ID"]}


@pytest.fixture(scope="module")
def running():
    with simulator(SCENARIO) as media:
        yield media


@pytest.fixture
def media(running: Media):
    running.set_scenario({"jrtt": {"faults": []}})
    running.clear_stats()
    return running


def get(media: Media, path: str, body: Any = None, **query: Any) -> Reply:
    raw = urlencode({name: each if isinstance(each, str) else json.dumps(each) for name, each in query.items()})
    content = None if body is None else json.dumps(body).encode()
    headers = {"Access-Token": "TOKEN", "Content-Type": "application/json"}
    return media.send("GET", f"/open_api/{path}", raw, body=content, headers=headers)


def fault(media: Media, kind: str, **keys: Any) -> None:
    media.set_scenario({"jrtt": {"faults": [{"kind": kind, "accounts": [BAD, AGENT], **keys}]}})


def test_a_get_with_a_json_body_is_the_same_call(media):
    reply = get(media, REPORT, body=BY_AD)
    assert reply.json["data"] == get(media, REPORT, **BY_AD).json["data"]
    assert get(media, REPORT.rstrip("/"), **BY_AD).json["code"] == 0
    assert media.stats()["media"]["jrtt"]["2/report/ad/get"]["requests"] == 3


def test_repeated_keys_are_no_list(media):
    raw = f"advertiser_ids={BAD}&advertiser_ids={GOOD}"
    reply = media.send("GET", f"/open_api/{INFO}", raw, headers={"Access-Token": "TOKEN"})
    assert reply.json["code"] == 40001


def test_a_path_that_is_not_there_is_a_page(media):
    reply = get(media, "2/nothing/get/")
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html")


def test_a_fault_has_the_mediums_envelope(media):
    fault(media, "code", code=51010, text="who knows")
    answer = get(media, FUND, advertiser_id=BAD).json
    assert answer.keys() == {"code", "message", "request_id"}
    assert (answer["code"], answer["message"]) == (51010, "who knows")
    assert get(media, FUND, advertiser_id=GOOD).json["code"] == 0
    fault(media, "code_text")
    assert get(media, FUND, advertiser_id=BAD).json["code"] == "0"


@pytest.mark.parametrize("body", [False, True])
def test_only_the_first_tries_of_each_request_fail(media, body):
    fault(media, "status", attempts=2, pages=[2])
    pages = [{**BY_AD, "page": page} for page in (1, 2, 2, 2)]
    replies = [get(media, REPORT, body=page) if body else get(media, REPORT, **page) for page in pages]
    assert [reply.status for reply in replies] == [200, 502, 502, 200]


@pytest.mark.parametrize("body", [False, True])
def test_a_page_comes_twice(media, body):
    first, second = ({**BY_AD, "page": page} for page in (1, 2))
    good = get(media, REPORT, **first).json["data"]
    fault(media, "repeat_page")
    bad = (get(media, REPORT, body=second) if body else get(media, REPORT, **second)).json["data"]
    assert bad["list"] == good["list"]
    assert bad["page_info"] == {**good["page_info"], "page": 2}


def test_rows_are_of_another_account(media):
    good = {
        path: get(media, path, **query).json["data"]
        for path, query in ((SELECT, {"advertiser_id": AGENT}), (INFO, {"advertiser_ids": [int(BAD)]}))
    }
    fault(media, "other_account", delta=7)
    assert get(media, FUND, advertiser_id=BAD).json["data"]["advertiser_id"] == int(BAD) + 7
    assert {row["advertiser_id"] for row in get(media, REPORT, **BY_AD).json["data"]["list"]} == {int(BAD) + 7}
    listed = get(media, SELECT, advertiser_id=AGENT).json["data"]
    assert listed["list"] == listed["advertiser_ids"] == [each + 7 for each in good[SELECT]["list"]]
    (row,) = get(media, INFO, advertiser_ids=[int(BAD)]).json["data"]
    assert row == {**good[INFO][0], "id": int(BAD) + 7}
    groups = ["STAT_GROUP_BY_ADVERTISER_ID"]
    (row,) = get(media, INTEGRATED, advertiser_id=BAD, **DAY, group_by=groups).json["data"]["list"]
    assert row["dimensions"]["advertiser_id"] == int(BAD) + 7


def test_lists_are_spoiled_whatever_their_shape(media):
    query = {SELECT: {"advertiser_id": AGENT}, INFO: {"advertiser_ids": [int(BAD), int(GOOD)]}, REPORT: BY_AD}
    good = {path: get(media, path, **query[path]).json["data"] for path in query}

    def bad(kind: str, path: str, **keys: Any) -> Any:
        fault(media, kind, **keys)
        return get(media, path, **query[path]).json

    ids = good[SELECT]["list"]
    assert bad("duplicate", SELECT)["data"]["list"] == [ids[0], ids[0]]
    assert bad("duplicate", INFO)["data"] == [good[INFO][0]] * 2
    assert bad("duplicate", REPORT)["data"]["list"] == [*good[REPORT]["list"][:4], good[REPORT]["list"][0]]
    assert {type(each) for each in bad("float_ids", SELECT)["data"]["list"]} == {float}
    assert type(bad("float_ids", INFO)["data"][0]["id"]) is float
    info = good[SELECT]["page_info"]
    assert bad("no_list", SELECT)["data"] == {"account_source": "AD", "page_info": info}
    assert bad("no_list", INFO)["data"] == {}
    assert bad("no_page_info", REPORT)["data"] == {"list": good[REPORT]["list"]}
    assert bad("no_page_info", INFO)["data"] == good[INFO]
    assert bad("total", SELECT, delta=3)["data"]["page_info"] == {**info, "total_number": 5}
    assert bad("page_info", REPORT, delta=2)["data"]["page_info"] == {**good[REPORT]["page_info"], "page": 3}
    assert "data" not in bad("no_data", INFO)


def test_totals_by_cursor_are_wrong_too(media):
    fault(media, "total", delta=3)
    data = get(media, AGENT_REPORT, agent_id=AGENT, cursor=0, cursor_size=10, **DAY).json["data"]
    assert (data["cursor_info"]["total_number"], data["page_info"]["total_number"]) == (5, 5)
    data = get(media, SELECT, advertiser_id=AGENT, cursor=0, count=10).json["data"]
    assert data["cursor_page_info"]["total_number"] == 5


def test_refusals_are_counted_by_path(media):
    media.set_scenario({"jrtt": {"qps_of": {"2/advertiser/fund/get": 1}, "throttle": "40110"}})
    replies = [get(media, FUND, advertiser_id=GOOD) for _ in range(2)]
    assert [reply.json["code"] for reply in replies] == [0, 40110]
    assert 1 <= int(replies[1].headers["X-RateLimit-RetryIn"]) <= 30
    stats = media.stats()
    assert stats["media"]["jrtt"]["2/advertiser/fund/get"]["codes"] == {"0": 1, "40110": 1}
    assert (stats["refusals"], stats["quotas"]["jrtt"]["1660000000000001 2/advertiser/fund/get"]["second"]["size"]) == (
        1,
        1,
    )
    media.set_scenario({"jrtt": {"qps_of": None, "throttle": None}})


def test_the_simulator_tells_what_it_has(media):
    assert media.accounts(AGENT, "jrtt") == [BAD, GOOD]
    truth = media.truth("jrtt.report_ad", "2020-05-07", account=BAD, fields=["cost"], deleted=1)
    assert len(truth) == 14
    assert truth[0]["record"].keys() == {
        "cost",
        "ad_id",
        "ad_name",
        "campaign_id",
        "campaign_name",
        "stat_datetime",
        "advertiser_id",
    }
    for interface in ("jrtt.nothing", "jrtt.report_moon"):
        with pytest.raises(ValueError, match="unknown"):
            media.truth(interface, "2020-05-30")
    with pytest.raises(ValueError, match="date"):
        media.truth("jrtt.report_ad", "yesterday")
