"""What becomes of a unit after each kind of answer, in virtual time: quota, retries, tokens, a medium that is gone."""

import asyncio
import itertools
import json
import time
from collections import Counter
from datetime import date
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from ark.circuit import Circuit
from ark.errors import LaterError, ServiceDownError, TokenError, TransportError
from ark.governor import Governor
from ark.governor.gate import Gate
from ark.http import ExhaustedError, Reply
from ark.ledger import UnitKey
from ark.settings import load as settings
from ark.units import Unit
from handlers.fetcher import Fetcher
from handlers.gates import Gates
from handlers.outcomes import Outcomes
from handlers.queue import TaskQueue
from handlers.records import RecordReader
from handlers.task import Task
from media.gdt.funds import GdtFunds
from tests.virtual_time import run

DAY = date(2020, 5, 30)
LATENCY = 0.1
PATIENCE = 120
GOOD = {"code": 0, "data": {"list": [{"fund_type": "FUND_TYPE_CASH"}]}}
OK, TOO_MANY = 200, 429
LEFT = "X-RateLimit-Remaining"


class ScriptedHttp:
    """Answers each call after LATENCY with what `script(account, token, call number of the account)` says.

    All of the quota is left, but for one who is told that it is used up.
    """

    def __init__(self, script) -> None:
        self.script = script
        self.calls = Counter()
        self.nonces = set()

    async def send(self, request, on_headers):
        await asyncio.sleep(LATENCY)
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        assert query["nonce"] not in self.nonces
        self.nonces.add(query["nonce"])
        self.calls[query["account_id"]] += 1
        answer = self.script(query["account_id"], query["access_token"], self.calls[query["account_id"]])
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, json.dumps(answer))
        headers = {LEFT: "99%,0%" if "11017" in body else "99%,99%"} if status == OK else {}
        on_headers(headers)
        return Reply(status, {"Retry-After": "7"} if status == TOO_MANY else headers, body.encode())


class ScriptedTokens:
    """Gives the first token that was not refused."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)
        self.known_doubts = set()
        self.reads = 0

    async def get(self, agent, _fallback):
        if not self.left:
            raise TokenError(f"no token of agent {agent}")
        return self.left[0]

    async def doubted(self, agent, token):
        if token not in self.known_doubts:
            self.known_doubts.add(token)
            self.reads += 1
            self.left.sort(key=lambda each: each in self.known_doubts)

    async def refused(self, agent, token):
        if token in self.left:
            self.reads += 1
            self.left.remove(token)


class CountingGate(Gate):
    """Counts what becomes of each permit; drawing one may take its time."""

    def __init__(self, seconds: float = 0) -> None:
        super().__init__(Governor("percent", window=60), 60)
        self.seconds = seconds
        self.drawn, self.ends = [], Counter()

    async def permit(self):
        await asyncio.sleep(self.seconds)
        permit = await super().permit()
        self.drawn.append(permit)
        return permit

    def passed(self, permit):
        self.ends[id(permit)] += 1
        super().passed(permit)

    def refused(self, permit, windows, quota):
        self.ends[id(permit)] += 1
        return super().refused(permit, windows, quota)

    def lost(self, permit):
        self.ends[id(permit)] += 1
        super().lost(permit)

    async def opened(self, _handler):
        return self

    def check_each_permit_ended_once(self):
        assert self.ends == Counter(map(id, self.drawn))


class Result:
    """What a run of the fetcher came to."""

    def __init__(self) -> None:
        self.units = {}
        self.stopped_by = []
        self.seconds = 0.0

    @property
    def requests(self) -> int:
        return sum(unit.requests for unit in self.units.values())

    def states(self) -> Counter:
        return Counter(unit.state for unit in self.units.values())


async def fetch(
    accounts: int,
    http: ScriptedHttp,
    tokens: ScriptedTokens,
    workers: int,
    interface: type[GdtFunds] = GdtFunds,
    *,
    cancelled: float | None = None,
    gate: CountingGate | None = None,
) -> Result:
    result, gate = Result(), gate or CountingGate()

    class Sink:
        def add(self, unit):
            assert unit.key not in result.units, "settled twice"
            result.units[unit.key] = unit

    async def chunks():
        tasks = (
            Task(UnitKey("1", str(number), ""), Unit("T1", DAY, "1", str(number), {})) for number in range(accounts)
        )
        while chunk := list(itertools.islice(tasks, 100)):
            yield chunk

    circuit = Circuit(workers, PATIENCE)
    queue, outcomes = TaskQueue(chunks(), circuit), Outcomes(Sink())

    async def take(task, rows):
        outcomes.stored(task, len(rows))
        if task.complete():
            outcomes.verified(task)

    def stop(reason):
        result.stopped_by.append(reason)
        queue.stop()

    fetcher = Fetcher(
        interface(settings({"ARK_GDT_LIST_PAGE": "1"}).gdt),
        "https://api.e.qq.com",
        3,
        queue=queue,
        http=http,
        circuit=circuit,
        gates=Gates(gate.opened, workers),
        tokens=tokens,
        reader=RecordReader(interface, "T1", DAY, 1),
        outcomes=outcomes,
        take=take,
        heard=lambda _number, _quota: None,
        stop=stop,
    )

    async def work():
        while (task := await queue.get()) is not None:
            await fetcher.advance(task)

    start = asyncio.get_running_loop().time()
    running = [asyncio.create_task(work()) for _ in range(workers)]
    await asyncio.wait(running, timeout=cancelled)
    for worker in running:
        assert worker.cancel() == (cancelled is not None)
    await asyncio.gather(*running, return_exceptions=cancelled is not None)
    result.seconds = asyncio.get_running_loop().time() - start
    gate.check_each_permit_ended_once()
    return result


def outcome(script, accounts=30, workers=10, tokens=None):
    http = ScriptedHttp(script)
    return run(fetch(accounts, http, tokens or ScriptedTokens("token-one"), workers)), http


def test_good_answers_are_verified_with_one_call_each():
    result, http = outcome(lambda *_: GOOD, accounts=250)
    assert result.states() == {"verified": 250}
    assert set(http.calls.values()) == {1}
    assert {unit.rows for unit in result.units.values()} == {1}


def test_a_refusal_stops_everybody_for_a_window_and_costs_no_try():
    seen = Counter()

    def limited(_account, _token, _call):
        minute = int(asyncio.get_running_loop().time() // 60)
        seen[minute] += 1
        return GOOD if seen[minute] <= 40 else {"code": 11017, "message": "limit"}

    result, _ = outcome(limited, accounts=100, workers=10)
    assert result.states() == {"verified": 100}
    assert max(seen.values()) <= 40 + 10
    assert 60 < result.seconds < 240


def test_a_refused_call_goes_first_when_the_quota_is_refilled():
    """One worker: the next call after a refusal is the same unit's."""
    asked = []

    def once(account, _token, call):
        asked.append(account)
        return {"code": 11017, "message": "limit"} if account in "37" and call == 1 else GOOD

    result, _ = outcome(once, accounts=20, workers=1)
    assert result.states() == {"verified": 20}
    for account in "37":
        first = asked.index(account)
        assert account in asked[first + 1 : first + 3]


def test_accounts_that_are_refused_while_others_pass_fail_with_that_reason():
    def poisoned(account, _token, _call):
        return {"code": 11017, "message": "limit"} if int(account) % 10 == 0 else GOOD

    result, http = outcome(poisoned, accounts=700, workers=50)
    assert result.states() == {"verified": 630, "failed": 70}
    failed = [unit for unit in result.units.values() if unit.state == "failed"]
    assert {int(unit.key.account) % 10 for unit in failed} == {0}
    assert all("11017" in unit.reason and "5 windows" in unit.reason for unit in failed)
    assert all(http.calls[unit.key.account] >= 5 for unit in failed)


def test_a_quota_that_is_gone_for_some_windows_fails_nobody_who_has_company():
    def drained(_account, _token, _call):
        return GOOD if asyncio.get_running_loop().time() > 1000 + 600 else {"code": 11017, "message": "limit"}

    result, _ = outcome(drained, accounts=500, workers=10)
    assert result.states() == {"verified": 500}


def test_retryable_codes_are_tried_three_times_and_the_last_reason_stays():
    result, http = outcome(lambda account, _, call: {"code": 10000} if account == "3" or call < 3 else GOOD)
    assert result.states() == {"verified": 29, "failed": 1}
    assert http.calls["3"] == 3
    assert "system busy (after 3 tries)" in result.units["1", "3", ""].reason


def test_a_code_with_a_waiting_time_is_not_tried_before():
    result, _ = outcome(lambda _a, _t, call: {"code": 51001} if call == 1 else GOOD, accounts=1, workers=1)
    assert result.states() == {"verified": 1}
    assert result.seconds >= 60


def test_http_errors_without_a_body_code_are_tried_again():
    result, _ = outcome(lambda _a, _t, call: (502, "<html>") if call == 1 else GOOD, accounts=1, workers=1)
    assert result.states() == {"verified": 1}
    assert result.seconds >= 0.25


def test_too_many_requests_without_a_body_code_are_a_refusal_and_no_try():
    result, http = outcome(lambda _a, _t, call: (429, "slow down") if call <= 4 else GOOD, accounts=1, workers=1)
    assert result.states() == {"verified": 1}
    assert http.calls["0"] == 5
    assert result.seconds >= 4 * 7  # its Retry-After


def test_an_http_error_with_a_body_code_is_judged_by_the_code():
    result, http = outcome(lambda *_: (500, json.dumps({"code": 18001, "message": "no"})), accounts=2)
    assert result.states() == {"failed": 2}
    assert set(http.calls.values()) == {1}


@pytest.mark.parametrize("body", ["", "<html>", "null", '{"code":"0"}', '{"code":0}', '{"code":424242}'])
def test_what_is_not_understood_fails_at_once_and_is_never_an_empty_page(body):
    result, http = outcome(lambda *_: (200, body), accounts=5)
    assert result.states() == {"failed": 5}
    assert set(http.calls.values()) == {1}


def test_a_refused_token_is_read_again_once_for_all_calls_under_way():
    tokens = ScriptedTokens("old-token", "new-token")
    result, http = outcome(lambda _a, token, _c: GOOD if token == "new-token" else {"code": 11000}, tokens=tokens)
    assert result.states() == {"verified": 30}
    assert tokens.reads == 1
    assert sum(http.calls.values()) == 30 + 10


def test_without_another_token_the_agents_units_fail_and_say_so():
    result, http = outcome(lambda *_: {"code": 11002}, tokens=ScriptedTokens("old-token"))
    assert result.states() == {"failed": 30}
    assert all("no token of agent 1" in unit.reason for unit in result.units.values())
    assert sum(http.calls.values()) < 2 * 30


def test_one_wrong_word_about_a_token_does_not_cost_the_agent():
    result, _ = outcome(lambda account, _t, call: {"code": 11002} if account == "7" and call == 1 else GOOD)
    assert result.states() == {"verified": 30}


def test_a_unit_of_many_pages_may_be_refused_in_many_windows():
    def two_pages_per_window(_account, _token, call):
        if call % 3 == 0:
            return {"code": 11017}
        page = call - call // 3
        info = {"page": page, "page_size": 1, "total_number": 30, "total_page": 30}
        return {"code": 0, "data": {"list": [{"fund_type": f"F{page}"}], "page_info": info}}

    class PagedFunds(GdtFunds):
        pages = "list_page"

    result = run(fetch(1, ScriptedHttp(two_pages_per_window), ScriptedTokens("token-one"), 1, PagedFunds))
    assert result.states() == {"verified": 1}


@pytest.mark.parametrize(("workers", "accounts"), [(1, 5), (50, 300), (50, 3000)])
def test_accounts_refused_for_ever_do_not_keep_the_others_from_passing(workers, accounts):
    poisoned = max(workers + workers // 5, 1)

    def first_ones(account, _token, _call):
        return {"code": 11017} if int(account) < poisoned else GOOD

    result, _ = outcome(first_ones, accounts=accounts, workers=workers)
    assert result.states() == {"verified": accounts - poisoned, "failed": poisoned}


def test_a_limit_by_the_second_fails_nobody():
    passed: Counter[int] = Counter()

    def ten_a_second(_account, _token, _call):
        second = int(asyncio.get_running_loop().time())
        passed[second] += 1
        return {"code": 11016} if passed[second] > 10 else GOOD

    result, http = outcome(ten_a_second, accounts=3000, workers=50)
    assert result.states() == {"verified": 3000}
    assert sum(http.calls.values()) < 3300


def test_one_account_that_is_refused_by_the_second_for_ever_fails_alone():
    result, _ = outcome(lambda account, *_: {"code": 11016} if account == "7" else GOOD, accounts=300)
    assert result.states() == {"verified": 299, "failed": 1}
    assert "refused 20 times" in result.units["1", "7", ""].reason


@pytest.mark.parametrize("answer", [{"code": 11017}, {"code": 11016}, (429, "slow down")])
def test_a_medium_that_refuses_every_call_is_told_at_once_and_then_rarely(answer):
    with capture_logs() as logs:
        run(fetch(300, ScriptedHttp(lambda *_: answer), ScriptedTokens("token-one"), 10, cancelled=3000))
    first, *others = [entry for entry in logs if entry["event"] == "the medium refuses calls: they wait"]
    assert (first["medium"], first["interface"]) == ("gdt at https://api.e.qq.com", "gdt.funds")
    assert str(answer["code"] if isinstance(answer, dict) else 429) in first["reason"]
    assert (first["in_a_row"], first["for_seconds"]) == (2, LATENCY)
    assert first["wait_at_least_seconds"] > 0
    assert first["gives_up"].startswith("a unit after ")
    assert 5 <= len(others) <= 10
    assert all(later["in_a_row"] > earlier["in_a_row"] for earlier, later in itertools.pairwise([first, *others]))


def test_refusals_among_calls_that_pass_are_no_news():
    with capture_logs() as logs:
        outcome(lambda account, _, call: {"code": 11016} if account == "7" and call < 4 else GOOD, accounts=3000)
    assert logs == []


def test_where_the_minute_is_used_up_early_it_is_told_how_long_all_wait():
    def drained(_account, _token, _call):
        return GOOD if not 1001 < asyncio.get_running_loop().time() < 1050 else {"code": 11017}

    with capture_logs() as logs:
        result, _ = outcome(drained, accounts=2000, workers=50)
    assert result.states() == {"verified": 2000}
    (told,) = [entry for entry in logs if entry["event"] == "the medium refuses calls: they wait"]
    assert told["wait_at_least_seconds"] > 30


def test_accounts_that_cannot_be_read_are_skipped_with_the_reason():
    result, _ = outcome(lambda account, *_: {"code": 32211, "message": "off"} if account == "7" else GOOD)
    assert result.states() == {"verified": 29, "skipped": 1}
    assert result.units["1", "7", ""].reason == "code 32211: advertiser account is inactive (off)"


def test_a_spent_day_stops_the_run_and_leaves_the_rest_planned():
    result, http = outcome(lambda account, *_: GOOD if int(account) < 20 else {"code": 11018}, accounts=500)
    assert isinstance(result.stopped_by[0], LaterError)
    assert result.states() == {"verified": 20}
    assert sum(http.calls.values()) <= 20 + 10


def test_a_medium_that_is_gone_stops_the_run_early():
    result, http = outcome(lambda *_: TransportError("ConnectionRefusedError"), accounts=3000, workers=50)
    assert isinstance(result.stopped_by[0], ServiceDownError)
    assert sum(http.calls.values()) < 100


def test_a_medium_that_never_answers_costs_no_unit_even_where_there_is_only_one():
    result, http = outcome(lambda *_: TransportError("ConnectionRefusedError"), accounts=1, workers=50)
    assert isinstance(result.stopped_by[0], ServiceDownError)
    assert not result.units
    assert http.calls["0"] == 4  # three tries and a probe


SILENCES = {"no connection": TransportError("ConnectionRefusedError"), "a storm of 503": (503, "<html>")}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
@pytest.mark.parametrize(("workers", "seconds"), [(1, 3), (1, 15), (10, 0.4), (50, 15), (50, 60), (50, 110)])
def test_an_outage_in_mid_run_is_sat_out_at_a_tenth_of_the_cost(workers, seconds, silence):
    answered = []

    def away(_account, _token, _call):
        now = asyncio.get_running_loop().time()
        if 1001 < now < 1001 + seconds:
            return silence
        answered.append(now)
        return GOOD

    result, http = outcome(away, accounts=1000, workers=workers)
    assert result.states() == {"verified": 1000}
    assert not result.stopped_by
    assert result.requests == sum(http.calls.values()) <= 1100
    assert sum(1001 + seconds < at < 1011 + seconds for at in answered) >= min(9 / LATENCY * workers / 2, 400)


def test_an_outage_beyond_the_patience_ends_the_run_and_fails_nobody():
    def away(_account, _token, _call):
        return GOOD if asyncio.get_running_loop().time() < 1001 else TransportError("ConnectionRefusedError")

    result, http = outcome(away, accounts=3000, workers=50)
    assert isinstance(result.stopped_by[0], ServiceDownError)
    assert "the last: ConnectionRefusedError" in str(result.stopped_by[0])
    assert set(result.states()) == {"verified"}
    assert PATIENCE <= result.seconds < PATIENCE + 10
    assert sum(http.calls.values()) < len(result.units) + 100


@pytest.mark.parametrize("hung", [range(50), range(0, 500, 10), range(450, 490), range(300, 500)])
def test_calls_that_hang_for_ever_keep_their_slots_only_for_a_while(hung):
    """Each hangs as long as http.read lets it; the others go on, and what hangs is told in the end."""
    answered = []

    class HangingHttp(ScriptedHttp):
        async def send(self, request, on_headers):
            account = int(parse_qs(urlsplit(request.url).query)["account_id"][0])
            if account in hung:
                self.calls[str(account)] += 1
                await asyncio.sleep(15)
                raise TransportError("timed out")
            reply = await super().send(request, on_headers)
            answered.append(asyncio.get_running_loop().time())
            return reply

    result = run(fetch(500, HangingHttp(lambda *_: GOOD), ScriptedTokens("token-one"), 50))
    assert result.states() == {"verified": 500 - len(hung), "failed": len(hung)}
    assert max(later - earlier for earlier, later in itertools.pairwise([1000.0, *answered])) <= 35
    assert all("timed out (after" in unit.reason for unit in result.units.values() if unit.state == "failed")


@pytest.mark.parametrize("share", [3, 20])
def test_a_medium_that_staggers_is_not_pushed_over(share):
    """One call in `share` has no answer: what exceeds the budget waits, and fails only when nothing else is left."""
    calls = itertools.count()
    result, http = outcome(lambda *_: (503, "") if next(calls) % share == 0 else GOOD, accounts=2000, workers=50)
    states = result.states()
    assert sum(http.calls.values()) <= 2200
    assert (states["verified"] >= 1990) == (share == 20)
    given_up = [unit.reason for unit in result.units.values() if unit.state == "failed"]
    assert all("HTTP 503 (after " in reason for reason in given_up)
    assert any("repeated as many calls as it may" in reason for reason in given_up) == (share == 3)
    assert not result.stopped_by


def test_few_troubles_are_always_repeated():
    result, http = outcome(lambda account, _t, call: (502, "") if int(account) % 8 == 0 and call < 3 else GOOD, 200, 50)
    assert result.states() == {"verified": 200}
    assert sum(http.calls.values()) == 200 + 2 * 25


def test_no_socket_costs_neither_a_try_nor_the_unit():
    free = itertools.cycle([True, False, False])

    def without_sockets(*_):
        return GOOD if next(free) else ExhaustedError("no socket can be opened here", pause=1)

    result, _ = outcome(without_sockets, accounts=300, workers=10)
    assert result.states() == {"verified": 300}
    assert result.requests == 300


@pytest.mark.parametrize("begins", [0, 1])
@pytest.mark.parametrize("seconds", [2, PATIENCE - 5, PATIENCE + 5])
def test_no_socket_for_a_while_is_not_taken_for_a_silent_medium(begins, seconds):
    def without_sockets(*_):
        gone = begins <= asyncio.get_running_loop().time() - 1000 < begins + seconds
        return ExhaustedError("none left; raise `ulimit -n`", pause=1) if gone else GOOD

    result, _ = outcome(without_sockets, accounts=200)
    assert set(result.states()) <= {"verified"}
    if seconds < PATIENCE:
        assert not result.stopped_by
        assert result.requests == len(result.units) == 200
        assert result.seconds < begins + seconds + 5
    else:
        assert isinstance(result.stopped_by[0], ServiceDownError)
        assert str(result.stopped_by[0]).endswith("none left; raise `ulimit -n`")
        assert "does not answer" not in str(result.stopped_by[0])
        assert PATIENCE <= result.seconds < PATIENCE + begins + 5


def test_a_silent_medium_is_probed_every_second_while_there_is_no_socket():
    unsent = []

    def away(*_):
        now = asyncio.get_running_loop().time() - 1000
        if 3 < now < 20:
            unsent.append(now)
            return ExhaustedError("none left", pause=1)
        return TransportError("ConnectionRefusedError") if 1 < now < 3 else GOOD

    result, _ = outcome(away, accounts=300)
    assert result.states() == {"verified": 300}
    assert not result.stopped_by
    assert 10 <= len(unsent) <= 20


@pytest.mark.parametrize("refusals", [1, 2])
@pytest.mark.parametrize("refusal", [{"code": 11017}, (429, "slow down")])
def test_a_call_that_was_refused_after_a_trouble_is_not_a_repeat(refusal, refusals):
    """Troubles within the budget of 20, and quota refusals before the answer: neither is to fail a unit."""

    def script(account, _token, call):
        if int(account) >= 15 or call > 1 + refusals:
            return GOOD
        return TransportError("ConnectionResetError") if call == 1 else refusal

    result, _ = outcome(script, accounts=100)
    assert result.states() == {"verified": 100}


@pytest.mark.parametrize("seconds", [0.05, 0.25, 1.02, 1.5, 2.2, 3.3])
@pytest.mark.parametrize("drawing", [0, 0.7])
def test_each_permit_ends_once_where_a_run_is_cancelled(seconds, drawing):
    """Calls of units and probes are under way, or wait for their permits."""

    def away(*_):
        return GOOD if asyncio.get_running_loop().time() < 1001 else (503, "")

    http = ScriptedHttp(away)
    run(fetch(1000, http, ScriptedTokens("token-one"), 10, cancelled=seconds, gate=CountingGate(drawing)))


@pytest.mark.parametrize("broken", ["params", "sign", "read", "trace"])
def test_each_permit_ends_once_where_a_bug_ends_the_call(broken):
    bugs = itertools.cycle([False, True])

    def buggy(handler, *rest):
        if next(bugs):
            raise RuntimeError
        return getattr(super(type(handler), handler), broken)(*rest)

    broken_funds = type("BrokenFunds", (GdtFunds,), {broken: buggy})
    result = run(fetch(20, ScriptedHttp(lambda *_: GOOD), ScriptedTokens("token-one"), 5, broken_funds))
    assert result.states() == {"verified": 10, "failed": 10}


def test_one_permit_is_drawn_for_a_probe():
    """Answers of calls from before wake all workers in the silence. The others that are lost were being drawn then."""

    class LateHttp(ScriptedHttp):
        async def send(self, request, on_headers):
            now = asyncio.get_running_loop().time()
            account = int(parse_qs(urlsplit(request.url).query)["account_id"][0])
            reply = await super().send(request, on_headers)
            await asyncio.sleep(5 + account % 7 if 1002 < now < 1003 and account % 3 == 0 else 0)
            return reply

    def away(*_):
        return (503, "") if 1003 < asyncio.get_running_loop().time() < 1030 else GOOD

    http, gate, workers = LateHttp(away), CountingGate(0.5), 20
    result = run(fetch(300, http, ScriptedTokens("token-one"), workers, gate=gate))
    assert result.states() == {"verified": 300}
    assert len(gate.drawn) <= sum(http.calls.values()) + workers


@pytest.mark.parametrize("heard", [True, False])
def test_a_probe_without_a_permit_leaves_the_way_to_the_next(heard):
    broken = []

    class BrokenGate(CountingGate):
        async def permit(self):
            if asyncio.get_running_loop().time() > 1002 and not broken:
                broken.append(True)
                raise RuntimeError
            return await super().permit()

    def away(*_):
        now = asyncio.get_running_loop().time() - 1000
        return GOOD if now > (10 if heard else 1.9) or (heard and now < 1) else (503, "")

    result = run(fetch(300, ScriptedHttp(away), ScriptedTokens("token-one"), 20, gate=BrokenGate(0.5)))
    assert broken
    assert result.states() == ({"verified": 300} if heard else {"verified": 299, "failed": 1})


@pytest.mark.parametrize("answer", [{"code": 11017}, {"code": 11000}, {"code": 10000}, (200, "<html>"), (429, "")])
def test_whatever_a_probe_is_answered_its_call_is_counted_and_its_permit_ends(answer):
    probed = []

    def away(_account, _token, call):
        now = asyncio.get_running_loop().time()
        if 1001 < now < 1005:
            return TransportError("ConnectionResetError")
        if now >= 1005 and not probed:
            probed.append(call)
            return answer
        return GOOD

    result, http = outcome(away, accounts=300)
    assert result.states() == {"verified": 300}
    assert probed == [max(http.calls.values())]
    assert result.requests == sum(http.calls.values())


@pytest.mark.parametrize(
    ("hours", "said"), [(8, "8.0 h ahead of"), (-24, "24.0 h behind"), (0.2, "12.0 min ahead of"), (0.05, "")]
)
@pytest.mark.parametrize("code", [12000, 12101])
def test_a_call_refused_while_the_clock_is_off_says_so(hours, said, code):
    class DatedHttp(ScriptedHttp):
        async def send(self, request, on_headers):
            reply = await super().send(request, on_headers)
            return reply._replace(headers={"Date": formatdate(time.time() - hours * 3600, usegmt=True)})

    with capture_logs() as logs:
        result = run(fetch(20, DatedHttp(lambda *_: {"code": code}), ScriptedTokens("token-one"), 5))
    assert result.states() == {"failed": 20}
    for unit in result.units.values():
        assert (f"this machine's clock is {said} the medium's" in unit.reason) == bool(said)
        assert unit.reason.count("clock is") == bool(said)
    assert len([entry for entry in logs if "clock" in entry]) == bool(said)


def test_a_list_that_never_stands_still_is_given_up():
    def moving(_account, _token, call):
        page = {"page": 1 + (call - 1) % 2, "page_size": 1, "total_number": 1 + call, "total_page": 1 + call}
        return {"code": 0, "data": {"list": [{"fund_type": f"F{call}"}], "page_info": page}}

    class PagedFunds(GdtFunds):
        pages = "list_page"

    http = ScriptedHttp(moving)
    result = run(fetch(1, http, ScriptedTokens("token-one"), 1, PagedFunds))
    assert result.states() == {"failed": 1}
    assert sum(http.calls.values()) == 6
    assert "changed while it was read" in result.units["1", "0", ""].reason


def test_an_account_that_is_always_refused_ends_although_others_wait_for_the_budget():
    """It used to be asked once a window for ever, and those that waited were never called again."""

    def mixed(account, _token, call):
        if int(account) == 0:
            return {"code": 11017, "message": "limit"} if call <= 50 else GOOD
        return TransportError("reset") if int(account) % 4 == 1 else GOOD

    result, http = outcome(mixed, accounts=60, workers=10)
    (refused,) = [unit for unit in result.units.values() if unit.code == 11017]
    assert (refused.state, int(refused.key.account)) == ("failed", 0)
    assert http.calls[refused.key.account] <= 10
    assert result.states() == {"verified": 44, "failed": 16}
