"""A token is in nothing that Ark leaves behind, however the medium throws it back at us."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.acceptance.conftest import CASH, Ark, staged
from tests.acceptance.readers import Sentry, Topic
from tests.conftest import Services
from tests.hostile import Call, answer, good, hostile

TOKEN = 'canary/of+secrets="\\&%=9b1d'
"""With everything that URLs, JSON and shells spell in another way."""
ACCOUNTS = [f"1000000{number}" for number in range(10)]
REFUSED = '{"code":31033,"message":"enough"}'


def spellings(token: str) -> Iterator[str]:
    """How the token may stand in a text, at whatever place its base64 begins."""
    yield from (token, quote(token, safe=""), quote(token, safe="").lower(), quote_plus(token))
    yield json.dumps(token)[1:-1]
    yield json.dumps(json.dumps(token))[3:-3]
    for lead in range(3):
        whole = base64.b64encode(b"x" * lead + token.encode()).decode()
        yield whole[4:-4]
        yield whole[4:-4].replace("+", "-").replace("/", "_")


@pytest.fixture
def topic(services: Services) -> Iterator[Topic]:
    reader = Topic(services.kafka_url, "gdt_api_log")
    yield reader
    reader.close()


def repeated(call: Call) -> Iterable[bytes]:
    """Error pages, messages, headers and records that quote the call."""
    token = call.query["access_token"]
    in_base64 = base64.b64encode(f"?token={token}".encode()).decode()
    yield {
        "0": answer(good(CASH)),
        "1": answer(f"<html>no {call.target} here</html>", 404),
        "2": answer(json.dumps({"code": 31033, "message": f"token {token} is not for you"})),
        "3": answer("", 302, {"Location": f"http://127.0.0.1:9/{call.target}"}),
        "4": answer(json.dumps({"code": 31034, "message": "see " + call.target.replace("&", "\\u0026")})),
        "5": answer(REFUSED, headers={"X-TSA-Trace-Id": f"trace-{quote(token)}"}),
        "6": answer("<html>", headers={"Content-Type": f"text/{token}"}),
        "7": answer(good({"fund_type": f"{token}|x"})),
        "8": answer(json.dumps({"code": 31035, "message": f"{in_base64} {quote(quote(token))}"})),
        "9": answer(REFUSED, headers={"X-TSA-Trace-Id": token.encode().hex()[:8] + token}),
    }[call.account[-1]]


@pytest.mark.services
def test_no_spelling_of_a_token_is_in_any_sink(ark: Ark, directory: Any, services: Services, topic: Topic) -> None:
    """Nine ways to fail and one to succeed; ledger and tables are under ARK_HOME, events and alarms go out."""
    out = {"kafka_url": services.kafka_url, "sentry_dsn": services.sentry_dsn}
    with hostile(repeated) as server, staged(ark, directory, server.url, ACCOUNTS, TOKEN) as here:
        said = here.run(**out, http_attempts=1)
        assert (said.code, said.result["verified"], said.result["failed"]) == (3, 1, 9)
        assert {call.query["access_token"] for call in server.calls} == {TOKEN}
    run_id = said.result["run_id"]
    events = Sentry(services.sentry_api, services.sentry_dsn).events(run_id)
    assert len(events) >= 4
    messages = [message for message in topic.values() if run_id.encode() in message]
    assert len(messages) == 3
    kept = {str(file): file.read_bytes() for file in ark.home.rglob("*") if file.is_file()}
    assert any("ledger.sqlite" in name for name in kept)
    sinks = kept | {
        "stdout": said.out.encode(),
        "stderr": said.err.encode(),
        "show": ark.read("show", run_id).encode(),
        "Kafka": b"\n".join(messages),
        "Sentry": json.dumps(events).encode(),
        "Sentry, as text": repr(events).encode(),
    }
    found = {(name, each) for name, sink in sinks.items() for each in spellings(TOKEN) if each.encode() in sink}
    assert found == set()


def test_a_password_in_a_setting_is_not_shown(ark: Ark, tmp_path: Path) -> None:
    shown = ark.start("settings", "--json", ledger_url=f"mysql+pymysql://ark:{quote(TOKEN, safe='')}@127.0.0.1:9/ark")
    out, err = shown.communicate(timeout=60)
    assert [each for each in spellings(TOKEN) if each in out + err] == []
