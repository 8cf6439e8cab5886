import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from ark.answers import BadBodyError, Verdict
from ark.errors import UnitError
from ark.redact import redact
from handlers.oauth import App, Grant, find

REQUESTS = json.loads((Path(__file__).parents[1] / "data" / "requests.json").read_text(encoding="utf-8"))
REFRESHES = [each for each in REQUESTS if "refresh" in each["call"]]
MEDIA = ("gdt", "wx", "jrtt")
RENEWED = {"access_token": "a-secret-1", "refresh_token": "a-secret-2"}


def oauth(medium):
    found = find(medium)
    assert found is not None
    return found


def recorded(medium, sdk):
    (found,) = [each for each in REFRESHES if each["medium"] == medium and each["id"].startswith(sdk)]
    return found


def body(data, code=0, **more):
    return json.dumps({"code": code, "message": "text", "data": data, **more}).encode()


@pytest.mark.parametrize("sdk", ["gdt-java-1.1.76", "gdt-go-1.3.0", "gdt-go-1.7.78"])
@pytest.mark.parametrize("medium", ["gdt", "wx"])
def test_gdt_and_wx_ask_as_the_official_sdks_do(medium, sdk):
    vector = recorded("gdt", sdk)
    request = oauth(medium).request(App("https://api.e.qq.com", "1110000001", "SECRET"), "REFRESH")
    url = urlsplit(request.url)
    assert (request.method, url.path, request.body) == (vector["method"], vector["path"], None)
    signature = {"access_token", "nonce", "timestamp"}  # Go adds them; the documents and Java do not
    assert sorted(parse_qsl(url.query)) == sorted((name, v) for name, v in vector["query"] if name not in signature)


@pytest.mark.parametrize(
    "vector", [each for each in REFRESHES if each["medium"] == "jrtt"], ids=lambda each: each["id"]
)
def test_jrtt_asks_as_sdks_do(vector):
    """With a grant_type, which one of the three leaves out, and the app as a number, which one sends as text."""
    request = oauth("jrtt").request(App("https://ad.oceanengine.com", "1660000000000001", "SECRET"), "REFRESH")
    url = urlsplit(request.url)
    assert (request.method, url.path.rstrip("/"), url.query) == (vector["method"], vector["path"].rstrip("/"), "")
    assert request.headers["Content-Type"] == "application/json"
    sent, theirs = json.loads(request.body), json.loads(vector["body"])
    assert sent["app_id"] == 1660000000000001
    assert {**sent, "app_id": "1660000000000001"} == {
        **theirs, "grant_type": "refresh_token", "app_id": str(theirs["app_id"])
    }  # fmt: skip


def test_an_app_id_that_is_no_number_is_sent_as_it_is():
    assert json.loads(oauth("jrtt").request(App("http://h", "app", "s"), "r").body)["app_id"] == "app"


def test_a_token_is_escaped_in_the_query():
    request = oauth("gdt").request(App("http://h", "1", "a+b&c"), "r=&+ /")
    assert dict(parse_qsl(urlsplit(request.url).query))["refresh_token"] == "r=&+ /"
    assert dict(parse_qsl(urlsplit(request.url).query))["client_secret"] == "a+b&c"


@pytest.mark.parametrize("vector", REFRESHES, ids=lambda each: each["id"])
def test_recorded_answers_are_read(vector):
    data = vector["answer"]["data"]
    life = data.get("access_token_expires_in") or data["expires_in"]
    assert oauth(vector["medium"]).read(json.dumps(vector["answer"]).encode()) == Grant("NEWTOKEN", "NEWREFRESH", life)


@pytest.mark.parametrize("medium", MEDIA)
def test_whatever_comes_back_is_taken_and_hidden(medium):
    """A pair is not lost for a life that cannot be read, nor for a missing refresh token."""
    read = oauth(medium).read
    assert read(body({"access_token": f"t-{medium}-1"})) == (f"t-{medium}-1", "", 0)
    odd = {"access_token": f"t-{medium}-2", "refresh_token": f"t-{medium}-3", "expires_in": "soon", "new": [1]}
    assert read(body(odd, request_id="x")) == (f"t-{medium}-2", f"t-{medium}-3", 0)
    assert redact(f"t-{medium}-1 t-{medium}-2 t-{medium}-3") == "*** *** ***"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        body(RENEWED)[:-20],
        body({}),
        body(None),
        body([]),
        body({"access_token": ""}),
        body({"access_token": "two words"}),
        body({"access_token": None}),
        body({**RENEWED, "refresh_token": "a-secret-\n"}),
        body(RENEWED, code="0"),
        body(RENEWED, code=None),
        json.dumps({"data": RENEWED}).encode(),
    ],
)
def test_what_is_no_grant_is_refused_unseen(answer):
    with pytest.raises(BadBodyError) as caught:
        oauth("gdt").read(answer)
    assert "secret" not in str(caught.value)
    assert caught.value.code is None


@pytest.mark.parametrize("data", [None, {}, [], "", RENEWED])
def test_a_refusal_keeps_its_code_whatever_is_beside_it(data):
    with pytest.raises(UnitError, match="text") as caught:
        oauth("jrtt").read(body(data, code=40107))
    assert caught.value.code == 40107


def test_what_the_codes_mean():
    tencent, jrtt = oauth("gdt").codes, oauth("jrtt").codes
    assert {tencent[code].verdict for code in range(11009, 11014)} == {Verdict.TOKEN}
    assert {jrtt[code].verdict for code in (40103, 40107, 40110, 40115)} == {Verdict.TOKEN}
    assert {tencent[code].verdict for code in (10000, 10001, 11016, 30007)} == {Verdict.RETRY}
    assert {jrtt[code].verdict for code in (40100, 50000)} == {Verdict.RETRY}
    assert [tencent[code].verdict for code in (11017, 11018, 11007)] == [Verdict.WAIT, Verdict.LATER, Verdict.FAIL]
    assert {codes[code].verdict for codes in (tencent, jrtt) for code in (-1, 1, 99999)} == {Verdict.FAIL}


def test_the_page_to_authorise_an_agent():
    assert "&account_type=ACCOUNT_TYPE_QQ" in oauth("gdt").authorize_url("17")
    assert "&account_type=ACCOUNT_TYPE_WECHAT" in oauth("wx").authorize_url("17")
    for medium in ("gdt", "wx"):
        assert oauth(medium).authorize_url("17").startswith("https://developers.e.qq.com/oauth/authorize?client_id=17&")
    assert (
        oauth("jrtt").authorize_url("17").startswith("https://ad.oceanengine.com/openapi/audit/oauth.html?app_id=17&")
    )


def test_a_medium_that_renews_nothing():
    assert find("wx_b") is None
