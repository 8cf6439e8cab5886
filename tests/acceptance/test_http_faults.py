"""What a network, a server or a clock does to calls, each with a process of its own: table by table nothing is lost,
nobody is asked too often, and the exit code says what it was.

Bodies and lists that are none: test_hostile_answers.py. Quotas, tokens, codes: test_refusals.py. Certificates and
redirects: test_tls.py. This machine's own limits: test_open_files.py.
"""

import base64
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.conftest import CASH, FUNDS, Ark, Said, Stage, ended, peak_memory, staged, wait_for
from tests.hostile import CLOSE, RESET, Call, Ending, answer, bomb, good, hostile, zipped

GOOD = answer(good(CASH))
UNAVAILABLE = answer("<html>busy</html>", 503)
FOREVER = 60.0
QUICK = {"http_connect": 1, "http_read": 1, "http_total": 2.5}

Steps = Iterable["bytes | float | Ending"]


def numbered(count: int) -> list[str]:
    return [str(number) for number in range(10_000_001, 10_000_001 + count)]


def units(here: Stage, said: Said) -> dict[str, dict[str, Any]]:
    return here.ark.units(said.result["run_id"])


def states(here: Stage, said: Said) -> dict[str, int]:
    found: dict[str, int] = {}
    for unit in units(here, said).values():
        found[unit["state"]] = found.get(unit["state"], 0) + 1
    return found


def check_all_are_stored(here: Stage) -> None:
    """Exactly one row of each account: none lost, none twice, none misplaced."""
    keys = here.ark.rows(FUNDS.table)
    assert sorted(key.split("|")[2] for key in keys) == here.accounts
    assert {value["data"]["fund_type"] for _, value in keys.values()} == {"FUND_TYPE_CASH"}


class Outage:
    """A medium that is away for `seconds` from its call number `at` on, and answers `silence` then."""

    def __init__(self, *silence: "bytes | float | Ending", at: int, seconds: float) -> None:
        self.silence, self.at, self.seconds = silence, at, seconds
        self.calls = 0
        self.until = 0.0
        self.answered: list[float] = []
        self._lock = threading.Lock()

    def __call__(self, _: Call) -> Steps:
        with self._lock:
            self.calls += 1
            now = time.monotonic()
            if self.calls == self.at:
                self.until = now + self.seconds
        if now < self.until:
            return self.silence
        self.answered.append(now)
        return 0.02, GOOD


SILENCES: dict[str, tuple["bytes | float | Ending", ...]] = {
    "503": (UNAVAILABLE,),
    "503 with a pause": (answer("", 503, {"Retry-After": "1"}),),
    "closed": (CLOSE,),
    "reset": (RESET,),
    "black hole": (FOREVER,),
}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
def test_a_medium_that_is_away_in_mid_run_and_comes_back_costs_a_tenth(
    ark: Ark, directory: Any, silence: tuple["bytes | float | Ending", ...]
) -> None:
    outage = Outage(*silence, at=300, seconds=4)
    accounts = numbered(1000)
    with hostile(outage) as server, staged(ark, directory, server.url, accounts) as here:
        said = here.run(**QUICK)
        assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 1000)
        assert len(server.calls) <= 1100
        assert said.result["requests"] == len(server.calls)
        check_all_are_stored(here)
    back = [at for at in outage.answered if outage.until <= at]
    assert len(back) >= 600
    assert back[0] - outage.until < 10


def test_a_server_that_is_restarted_in_mid_run_is_waited_for(ark: Ark, directory: Any) -> None:
    """Nobody listens for some seconds: connections are refused."""
    accounts = numbered(600)
    outage = Outage(RESET, at=200, seconds=600)
    with hostile(outage) as server, staged(ark, directory, server.url, accounts) as here:
        running = here.start(**QUICK)
        wait_for(lambda: outage.until > 0)
        server.end()
        time.sleep(3)  # the outage
        with hostile(lambda _: (0.02, GOOD), port=server.port) as again:
            said = ended(running)
            assert (said.code, said.result["verified"]) == (0, 600)
            assert len(server.calls) + len(again.calls) <= 660
        check_all_are_stored(here)


def test_a_medium_that_stays_away_leaves_the_rest_planned(ark: Ark, directory: Any) -> None:
    accounts = numbered(400)
    outage = Outage(UNAVAILABLE, at=150, seconds=600)
    with hostile(outage) as server, staged(ark, directory, server.url, accounts) as here:
        said = here.run(http_patience=3)
        told = said.result
        assert (said.code, told["status"], told["failed"]) == (69, "failed", 0)
        assert states(here, said) == {"verified": told["verified"], "planned": 400 - told["verified"]}
        assert told["verified"] >= 100
        assert "does not answer" in said.err
        assert "HTTP 503" in said.err
        assert len(server.calls) < told["verified"] + 80
        outage.until = 0
        again = ark("rerun", told["run_id"])
        assert (again.code, again.result["verified"]) == (0, 400)
        check_all_are_stored(here)


@pytest.mark.parametrize("accounts", [1, 5, 2000])
@pytest.mark.parametrize("silence", [(UNAVAILABLE,), (CLOSE,), (0.5, RESET), (FOREVER,)])
def test_a_medium_that_is_away_from_the_start_ends_the_run_early(
    ark: Ark, directory: Any, silence: tuple["bytes | float | Ending", ...], accounts: int
) -> None:
    with hostile(lambda _: silence) as server, staged(ark, directory, server.url, numbered(accounts)) as here:
        began = time.monotonic()
        said = here.run(http_connect=1, http_read=1, http_total=2)
        assert time.monotonic() - began < 20
        assert len(server.calls) < 100
        assert (said.code, said.result["status"], said.result["failed"]) == (69, "failed", 0)
        assert states(here, said) == {"planned": accounts}
        shown = ark.json("show", said.result["run_id"], "--state", "planned")
        assert len(shown["units"]) == accounts


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:1", "Connection refused|Connect call failed"), ("https://nobody.invalid", "DNS")],
)
def test_nobody_there_at_all(ark: Ark, directory: Any, url: str, reason: str) -> None:
    with staged(ark, directory, url, numbered(500)) as here:
        said = here.run(**QUICK)
        assert (said.code, states(here, said)) == (69, {"planned": 500})
        assert "does not answer" in said.err
        assert re.search(reason, said.err)


def test_calls_that_hang_free_their_slots(ark: Ark, directory: Any) -> None:
    """All slots hang at once, for ever: the others go on, and what hangs is told in the end."""
    accounts = numbered(200)
    hung = {*accounts[:20]}
    answered: list[float] = [time.monotonic()]

    def script(call: Call) -> Steps:
        if call.account in hung:
            return (FOREVER,)
        answered.append(time.monotonic())
        return (GOOD,)

    with hostile(script) as server, staged(ark, directory, server.url, accounts) as here:
        said = here.run(http_concurrency=20, **QUICK)
        assert (said.code, said.result["verified"], said.result["failed"]) == (3, 180, 20)
        assert max(later - earlier for earlier, later in pairwise(answered)) < 15
        for account, unit in units(here, said).items():
            assert unit["state"] == ("failed" if account in hung else "verified")
            assert account not in hung or ("timed out" in unit["reason"] and unit["requests"] >= 2)


def test_slow_answers_are_taken_and_a_drip_is_not(ark: Ark, directory: Any) -> None:
    """http.read bounds silence, http.total the whole: a byte now and then holds no slot for ever."""
    slow, dripping, thawing, quick = accounts = numbered(4)
    drip = [GOOD[:-40], *[GOOD[-40:-39], 0.4] * 20]
    steps = {slow: (0.8, GOOD), dripping: drip, thawing: drip, quick: (GOOD,)}

    def script(call: Call) -> Steps:
        return (GOOD,) if call.account == thawing and call.number > 1 else steps[call.account]

    with hostile(script) as server, staged(ark, directory, server.url, accounts) as here:
        began = time.monotonic()
        said = here.run(**QUICK)
        assert time.monotonic() - began < 30
        found = units(here, said)
    assert {account: unit["state"] for account, unit in found.items()} == {
        slow: "verified",
        dripping: "failed",
        thawing: "verified",
        quick: "verified",
    }
    assert "timed out" in found[dripping]["reason"]


def test_a_medium_slower_than_the_deadline_stops_the_run(ark: Ark, directory: Any) -> None:
    with hostile(lambda _: (2.0, GOOD)) as server, staged(ark, directory, server.url, numbered(100)) as here:
        said = here.run(http_concurrency=2, run_deadline=3)
        assert (said.code, said.result["status"], said.result["failed"]) == (75, "stopped", 0)


PAUSES = {
    "seconds": "1",
    "a date": formatdate(time.time() + 1, usegmt=True),
    "a date that has passed": formatdate(0, usegmt=True),
    "garbage": "soon, I hope",
    "negative": "-5",
    "a fraction": "0.5",
    "a superscript": b"\xb2",
    "nothing": "",
}


@pytest.mark.parametrize("status", [429, 503])
def test_any_retry_after_is_understood_or_passed_over(ark: Ark, directory: Any, status: int) -> None:
    accounts = numbered(len(PAUSES))
    pauses = dict(zip(accounts, PAUSES.values(), strict=True))

    def script(call: Call) -> Steps:
        refusal = answer("", status, {"Retry-After": pauses[call.account]})
        return (refusal if call.number == 1 else GOOD,)

    with hostile(script) as server, staged(ark, directory, server.url, accounts) as here:
        said = here.run()
        assert (said.code, said.result["verified"]) == (0, len(PAUSES))
        assert len(server.calls) == 2 * len(PAUSES)


def test_two_quota_headers_are_no_trouble(ark: Ark, directory: Any) -> None:
    twice = answer(good(CASH), headers={"x-ratelimit-remaining": "1%,1%", "X-RateLimit-remaining": "abc"})
    with hostile(lambda _: (twice,)) as server, staged(ark, directory, server.url, numbered(5)) as here:
        assert here.run().result["verified"] == 5


def deflated(body: bytes, *, bare: bool = False) -> bytes:
    packer = zlib.compressobj(9, wbits=-15 if bare else 15)
    return packer.compress(body) + packer.flush()


def chunked(body: bytes, encoding: str) -> bytes:
    pieces = [body[start : start + 5000] for start in range(0, len(body), 5000)]
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return answer(data, headers={"Content-Length": None, "Transfer-Encoding": "chunked", "Content-Encoding": encoding})


BODY = good(CASH).encode()
GIBIBYTE = 1 << 30
ENCODED: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip": (lambda: answer(zipped(BODY), headers={"Content-Encoding": "gzip"}), ""),
    "GZIP": (lambda: answer(zipped(BODY), headers={"Content-Encoding": "GZIP"}), ""),
    "gzip in chunks": (lambda: chunked(zipped(BODY), "gzip"), ""),
    "deflate": (lambda: answer(deflated(BODY), headers={"Content-Encoding": "deflate"}), ""),
    "deflate without a header": (
        lambda: answer(deflated(BODY, bare=True), headers={"Content-Encoding": "deflate"}),
        "",
    ),
    "a large honest answer": (
        lambda: answer(zipped(BODY[:-1] + b" " * 900_000 + b"}"), headers={"Content-Encoding": "gzip"}),
        "",
    ),
    "said to be deflate": (lambda: answer(BODY, headers={"Content-Encoding": "deflate"}), "after 2 tries"),
    "brotli, which nobody asked for": (
        lambda: answer(base64.b64decode("DwCAeyJjb2RlIjowfQM="), headers={"Content-Encoding": "br"}),
        "bad body|after 2 tries",
    ),
    "an encoding of its own": (lambda: answer(b"\x01\x02", headers={"Content-Encoding": "rot13"}), "bad body"),
    "a gzip bomb": (lambda: answer(bomb(GIBIBYTE), headers={"Content-Encoding": "gzip"}), "unpacks to"),
    "a gzip bomb in chunks": (lambda: chunked(bomb(GIBIBYTE), "gzip"), "unpacks to"),
    "a deflate bomb": (
        lambda: answer(deflated(b" " * (GIBIBYTE >> 3)), headers={"Content-Encoding": "deflate"}),
        "unpacks to",
    ),
    "a bomb in a bomb": (
        lambda: answer(zipped(zipped(b" " * (GIBIBYTE >> 3))), headers={"Content-Encoding": "gzip"}),
        "bad body",
    ),
}


def test_what_is_packed_is_unpacked_or_refused(ark: Ark, directory: Any) -> None:
    accounts = numbered(len(ENCODED))
    bodies = {account: make() for account, (make, _) in zip(accounts, ENCODED.values(), strict=True)}
    with (
        hostile(lambda call: (bodies[call.account],)) as server,
        staged(ark, directory, server.url, accounts) as here,
    ):
        said = here.run(http_attempts=2)
        found = units(here, said)
    for account, (name, (_, reason)) in zip(accounts, ENCODED.items(), strict=True):
        assert found[account]["state"] == ("failed" if reason else "verified"), name
        assert re.search(reason, found[account]["reason"]), (name, found[account]["reason"])


def test_fifty_bombs_at_once_take_no_memory(ark: Ark, directory: Any) -> None:
    """With the limits that hold by default."""
    packed, accounts = bomb(GIBIBYTE), numbered(100)
    bombs = {*accounts[::2]}

    def script(call: Call) -> Steps:
        return (answer(packed, headers={"Content-Encoding": "gzip"}) if call.account in bombs else GOOD,)

    with hostile(script) as server, staged(ark, directory, server.url, accounts) as here:
        running = here.start()
        peak = peak_memory(running)
        said = ended(running)
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 50, 50)
    assert peak < 200 << 20, f"peak RSS {peak >> 20} MiB"


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_an_answer_nobody_asked_for_is_not_taken_for_the_next_one(ark: Ark, directory: Any, pause: float) -> None:
    """The server answers twice; the second time while the connection waits for the next window."""
    accounts = numbered(12)

    def own(call: Call) -> bytes:
        return answer(good(CASH | {"fund_type": f"OF_{call.account}"}))

    def script(call: Call) -> Steps:
        if call.number > 1 or call.account not in accounts[::4]:
            return (own(call),)
        refused = answer('{"code":11017,"message":""}', headers={"X-RateLimit-Remaining": "99%,0%"})
        return (refused, pause, own(call)) if pause else (refused + own(call),)

    with hostile(script) as server, staged(ark, directory, server.url, accounts) as here:
        said = here.run(http_concurrency=1)
        assert (said.code, said.result["verified"]) == (0, 12)
        assert len(server.calls) == 12 + 3
        stored = {key.split("|")[2]: value["data"]["fund_type"] for key, (_, value) in ark.rows(FUNDS.table).items()}
    assert stored == {account: f"OF_{account}" for account in accounts}


@pytest.mark.parametrize(("hours", "said"), [(8, "8.0 h ahead of"), (-24, "24.0 h behind")])
def test_calls_refused_for_the_clock_say_how_far_it_is_off(ark: Ark, directory: Any, hours: int, said: str) -> None:
    def script(_: Call) -> Steps:
        theirs = formatdate(time.time() - 3600 * hours, usegmt=True)
        return (answer('{"code":12101,"message":"timestamp"}', headers={"Date": theirs}),)

    with hostile(script) as server, staged(ark, directory, server.url, numbered(30)) as here:
        told = here.run(http_attempts=1)
        assert (told.code, told.result["failed"], len(server.calls)) == (3, 30, 30)
        for unit in units(here, told).values():
            assert f"this machine's clock is {said} the medium's" in unit["reason"]
        assert told.err.count("clock is wrong") == 1
