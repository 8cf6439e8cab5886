"""A run that was overtaken stops before its next batch; one that was not goes on, and the ledger is seldom asked."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.errors import ServiceDownError
from ark.ledger import LeaseLostError
from ark.rows import Row
from handlers.fence import PART, Fence, FencedSink

LIFE = 30.0
ROWS = [Row(b"1|20200530|1|2|T1", b"{}")]


class Ledger:
    """A ledger whose lease can be lost, and that can be away."""

    def __init__(self):
        self.seconds, self.asked, self.lost, self.down, self.until = 1000.0, 0, False, False, 1000.0 + LIFE

    def clock(self):
        return self.seconds

    def renew(self, run_id):
        self.asked += 1
        if self.down:
            raise ServiceDownError("the ledger does not answer")
        if self.lost:
            raise LeaseLostError(f"run {run_id} lost its lease")
        self.until = self.seconds + LIFE


class Sink:
    writers = 2

    def __init__(self):
        self.puts = 0

    def put(self, table, rows, timestamp):
        self.puts += 1


async def direct(function):
    function()


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def fence(ledger):
    return Fence(ledger, "r", LIFE, direct, ledger.clock)


def test_a_batch_after_a_long_sleep_is_written_only_if_the_lease_is_still_ours(ledger, fence):
    sink = Sink()
    fenced = FencedSink(sink, fence)
    fenced.put("t", ROWS, 1)
    ledger.seconds += 600
    fenced.put("t", ROWS, 1)
    ledger.seconds += 600
    ledger.lost = True
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            fenced.put("t", ROWS, 1)
    assert sink.puts == 2


def test_nothing_is_written_while_a_ledger_that_is_away_cannot_tell(ledger, fence):
    sink = Sink()
    fenced = FencedSink(sink, fence)
    fenced.put("t", ROWS, 1)
    ledger.down = True
    ledger.seconds += LIFE / 2
    fenced.put("t", ROWS, 1)
    ledger.seconds += LIFE / 2
    with pytest.raises(ServiceDownError):
        fenced.put("t", ROWS, 1)
    ledger.down = False
    fenced.put("t", ROWS, 1)
    assert sink.puts == 3


@given(st.lists(st.floats(0, 3 * LIFE), max_size=200))
def test_whatever_passes_between_batches_each_is_within_the_lease_and_the_ledger_is_asked_once_a_while(pauses):
    ledger = Ledger()
    fence = Fence(ledger, "r", LIFE, direct, ledger.clock)
    for pause in pauses:
        ledger.seconds += pause
        fence.check()
        assert ledger.until - ledger.seconds >= LIFE / PART * 0.999
    assert ledger.asked <= 1 + sum(pauses) / (LIFE * (1 - 1 / PART) * 0.999)


def test_it_is_kept_alive_and_its_loss_is_told(ledger, monkeypatch):
    slept, told = [], []

    async def sleep(seconds):
        slept.append(seconds)
        ledger.down = len(slept) == 2
        ledger.lost = len(slept) == 4

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(Fence(ledger, "r", LIFE, direct, ledger.clock).keep(told.append))
    assert slept == [LIFE / PART] * 4
    assert [type(error) for error in told] == [LeaseLostError]
