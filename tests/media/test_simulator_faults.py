"""What goes wrong on purpose, seen from a socket; and how it is counted."""

import gzip
import http.client
import json
import time
import urllib.error

import pytest

from tests.simulator import Media, simulator

ACCOUNTS = ["10707125", "20458"]
AGENT, TOKEN = "1050262", "t" * 32
BAD, GOOD = ACCOUNTS
REPORT = {
    "level": "REPORT_LEVEL_AD",
    "date_range": {"start_date": "2020-05-07", "end_date": "2020-05-07"},
    "group_by": ["hour", "ad_id"],
    "page_size": 5,
}
SCENARIO = {
    "gdt": {
        "agents": [{"id": AGENT, "token": TOKEN, "account_ids": ACCOUNTS, "accounts": 0}],
        "objects": {"of": {BAD: 14, GOOD: 14}, "delivery": 1.0},
    }
}
HOURLY = "/v1.1/hourly_reports/get"


@pytest.fixture(scope="module")
def running():
    with simulator(SCENARIO) as media:
        yield media


@pytest.fixture
def media(running: Media):
    running.set_scenario({"gdt": {"faults": [], "latency": {}}})
    running.clear_stats()
    return running


def fault(media: Media, kind: str, **keys) -> None:
    media.set_scenario({"gdt": {"faults": [{"kind": kind, "accounts": [BAD], **keys}]}})


def hourly(media: Media, account: str = BAD, **query):
    return media.get(HOURLY, TOKEN, account_id=account, **{**REPORT, **query})


@pytest.mark.parametrize(
    ("keys", "status", "body"),
    [
        ({"kind": "status", "status": 502}, 502, b"<html>"),
        ({"kind": "status", "status": 429, "text": '{"code":1}', "headers": {"Retry-After": "7"}}, 429, b'{"code":1}'),
        ({"kind": "body", "text": "null"}, 200, b"null"),
        ({"kind": "empty"}, 200, b""),
        ({"kind": "redirect", "text": "http://127.0.0.1:1/x"}, 302, b""),
        ({"kind": "bom"}, 200, b"\xef\xbb\xbf{"),
        ({"kind": "code_text"}, 200, b'{"code":"0"'),
        ({"kind": "code", "code": 987654, "text": "who knows"}, 200, b'{"code":987654,"message":"who knows"'),
    ],
)  # fmt: skip
def test_a_fault_in_place_of_the_answer(media, keys, status, body):
    fault(media, **keys)
    reply = hourly(media)
    assert (reply.status, reply.body[: len(body)]) == (status, body)
    assert reply.headers.get("Retry-After") == keys.get("headers", {}).get("Retry-After")
    assert reply.headers.get("Location") == ("http://127.0.0.1:1/x" if keys["kind"] == "redirect" else None)
    assert hourly(media, GOOD).json["code"] == 0


def test_faults_inside_the_answer(media):
    good = hourly(media).json["data"]

    def bad(kind, **keys):
        fault(media, kind, **keys)
        return hourly(media).json

    info = good["page_info"]
    assert "data" not in bad("no_data")
    assert bad("no_list")["data"] == {"page_info": info}
    assert bad("no_page_info")["data"] == {"list": good["list"]}
    assert bad("total", delta=-3)["data"]["page_info"]["total_number"] == info["total_number"] - 3
    assert bad("page_info", delta=2)["data"]["page_info"] == {**info, "page": 3}
    assert bad("other_account", delta=5)["data"]["list"][0]["account_id"] == int(BAD) + 5
    assert bad("duplicate")["data"]["list"] == [*good["list"][:4], good["list"][0]]
    assert {type(value) for value in bad("float_ids")["data"]["list"][0].values()} == {float, str}
    fault(media, "truncate")
    with pytest.raises(json.JSONDecodeError):
        hourly(media).json  # noqa: B018 -- decoding is what fails


def test_a_page_comes_twice(media):
    first = hourly(media).json["data"]
    fault(media, "repeat_page")
    assert hourly(media).json["data"] == first
    second = hourly(media, page=2).json["data"]
    assert second["list"] == first["list"]
    assert second["page_info"]["page"] == 2


@pytest.mark.parametrize("text", ["", "abc", "-1%,5%", "99%"])
def test_the_quota_header_is_garbled_or_missing(media, text):
    fault(media, "quota_header", text=text)
    assert hourly(media).headers.get("X-RateLimit-Remaining", "") == text


def test_the_content_type_is_wrong(media):
    fault(media, "content_type")
    assert hourly(media).headers["Content-Type"] == "text/html"


def test_a_bomb_is_small_on_the_wire_and_good_json_inside(media):
    good = hourly(media).json
    fault(media, "bomb", size=8 << 20)
    reply = hourly(media)
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.body) < 100_000
    content = gzip.decompress(reply.body)
    assert len(content) > 8 << 20
    assert json.loads(content) == good


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("close", http.client.RemoteDisconnected),
        ("cut", http.client.IncompleteRead),
        ("reset", ConnectionResetError),
        ("hang", http.client.RemoteDisconnected),
        ("hang_body", http.client.IncompleteRead),
    ],
)
def test_a_connection_ends_early(media, kind, error):
    fault(media, kind, seconds=0.05)
    with pytest.raises((error, urllib.error.URLError)) as raised:
        hourly(media)
    reason = raised.value.reason if isinstance(raised.value, urllib.error.URLError) else raised.value
    assert isinstance(reason, error)
    assert media.stats()["media"]["gdt"]["hourly_reports/get"]["fault_kinds"] == {kind: 1}


def test_an_answer_drips(media):
    fault(media, "drip", size=400, seconds=0.001)
    assert hourly(media).json["code"] == 0


def test_a_client_that_leaves_a_hanging_call_frees_it(media):
    fault(media, "hang")
    connection = http.client.HTTPConnection(media.url.removeprefix("http://"), timeout=0.2)
    query = f"access_token={TOKEN}&timestamp={int(time.time())}&nonce=left&account_id={BAD}"
    connection.request("GET", f"/v1.1/funds/get?{query}")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    assert media.stats()["in_flight"] == 1
    connection.close()
    while media.stats()["in_flight"]:
        time.sleep(0.01)


def test_only_the_first_tries_of_each_request_fail(media):
    fault(media, "status", attempts=2)
    assert [hourly(media).status for _ in range(3)] == [502, 502, 200]
    assert [hourly(media, page=2).status for _ in range(3)] == [502, 502, 200]
    media.set_scenario({"gdt": {"latency": {"seconds": 0.001}}})
    assert hourly(media).status == 200


def test_a_fault_may_be_for_one_path_and_one_page(media):
    fault(media, "status", path="hourly_reports/get", pages=[2])
    assert [hourly(media, page=page).status for page in (1, 2, 3)] == [200, 502, 200]
    assert media.get("/v1.1/funds/get", TOKEN, account_id=BAD).status == 200


def test_a_share_of_the_accounts_is_chosen_by_the_seed(media):
    media.set_scenario({"gdt": {"agents": [{"id": AGENT, "token": TOKEN, "accounts": 300}]}})
    accounts = media.accounts(AGENT)
    media.set_scenario({"gdt": {"faults": [{"kind": "status", "share": 0.1}]}})

    def failed():
        return [each for each in accounts if media.get("/v1.1/funds/get", TOKEN, account_id=each).status == 502]

    first = failed()
    assert 15 <= len(first) <= 45
    assert failed() == first
    media.set_scenario({"gdt": SCENARIO["gdt"]})


def test_a_list_interface_fails_by_agent(media):
    media.set_scenario({"gdt": {"faults": [{"kind": "status", "path": "advertiser/get", "accounts": [AGENT]}]}})
    assert media.get("/v1.1/advertiser/get", TOKEN).status == 502


def test_refusals_and_faults_are_counted_apart(media):
    media.set_scenario({"gdt": {"quota_of": {"funds/get": {"minute": {"size": 2}}}}})
    fault(media, "status")
    statuses = [media.get("/v1.1/funds/get", TOKEN, account_id=each).status for each in (BAD, GOOD, BAD)]
    assert statuses == [502, 200, 200]
    counts = media.stats()["media"]["gdt"]["funds/get"]
    assert (counts["requests"], counts["refusals"], counts["faults"]) == (3, 1, 1)
    assert (counts["codes"], counts["fault_kinds"]) == ({"0": 2, "11017": 1}, {"status": 1})
    assert media.get("/elsewhere").status == 404
    stats = media.stats()
    assert (stats["requests"], stats["unknown"], stats["max_in_flight"]) == (3, 1, 1)
    assert stats["connections"] >= 4
    assert stats["quotas"]["gdt"]["1110000001 funds/get"]["minute"] == {"size": 2, "used": 2, "percent": 0}
    media.set_scenario({"gdt": {"quota_of": None}})


def test_a_scenario_that_cannot_be_used_changes_nothing(media):
    before = media.scenario()
    for changes, text in (({"gdt": {"fault": []}}, "fault"), ({"gdt": {"faults": [{"kind": "nonsense"}]}}, "kind")):
        with pytest.raises(ValueError, match=text):
            media.set_scenario(changes)
    assert media.scenario() == before


def test_the_simulator_tells_what_it_has(media):
    assert media.accounts(AGENT) == ACCOUNTS
    assert media.directory()[0].keys() >= {"tenant", "agent", "token", "refresh_token", "client_id", "client_secret"}
    truth = media.truth("gdt.funds", "2020-05-30", agent=AGENT, fields=["balance"])
    served = [
        row["balance"]
        for each in ACCOUNTS
        for row in media.get("/v1.1/funds/get", TOKEN, account_id=each).json["data"]["list"]
    ]
    assert [each["record"]["balance"] for each in truth] == served
    for interface in ("gdt.nothing", "moon.funds"):
        with pytest.raises(ValueError, match="unknown"):
            media.truth(interface, "2020-05-30")
