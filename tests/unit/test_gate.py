"""The permit in virtual time: who waits, who goes, in which order, and what a refusal means."""

import asyncio
from collections import Counter
from itertools import count, pairwise
from math import inf
from random import Random
from types import SimpleNamespace

import pytest

from ark.errors import LaterError
from ark.governor import Governor
from ark.governor.flow import Call
from ark.governor.gate import REST_OF_DAY, Gate
from ark.quota import Quota
from handlers.day import DayWatch
from handlers.gates import Gates, Held, OpenGate
from tests.virtual_time import run


class Metered:
    """A governor that lets `calls` through every `seconds`, counted from the loop's start, and writes down events."""

    def __init__(self, calls: float = inf, seconds: float = 60) -> None:
        self.calls, self.seconds = calls, seconds
        self.spent = ""
        self.asked = 0
        self.number = 0
        self.told: list[tuple] = []
        self._sent: Counter[int] = Counter()

    def wait(self, now):
        self.asked += 1
        window = int(now // self.seconds)
        if self.spent or self.calls == 0:
            return inf
        return 0.0 if self._sent[window] < self.calls else (window + 1) * self.seconds - now

    def sent(self, now):
        assert self.wait(now) == 0.0, "sent without leave"
        self._sent[int(now // self.seconds)] += 1
        self.number += 1
        return Call(self.number, now, 0, 0, 0.0)

    def answered(self, call, now, day=None, minute=None):
        call.heard = True
        self.told.append(("answered", day, minute))

    def refused(self, _call, _now, limit, retry_in=0.0):
        self.told.append(("refused", limit, retry_in))

    def lost(self, _call, _now):
        self.told.append(("lost",))


def elapsed() -> float:
    return asyncio.get_running_loop().time() - 1000


async def queued(gate: Gate, workers: int) -> tuple[list[asyncio.Task], list[tuple[int, float]]]:
    """Workers that ask for a permit one after the other, and what each gets: number, seconds."""
    got: list[tuple[int, float]] = []

    async def ask(number: int) -> None:
        await gate.permit()
        got.append((number, round(elapsed(), 2)))

    tasks = [asyncio.create_task(ask(number)) for number in range(workers)]
    await asyncio.sleep(0)
    return tasks, got


def test_whoever_may_go_goes_at_once_and_nothing_is_left_behind():
    async def scenario():
        governor = Metered()
        gate = Gate(governor, 60)
        for _ in range(100):
            await gate.permit()
        assert (elapsed(), gate.waiting, governor.number) == (0, 0, 100)

    run(scenario())


def test_those_who_wait_go_in_order_as_many_as_may():
    async def scenario():
        gate = Gate(Metered(calls=20, seconds=100), 60)  # windows begin at 1000, 1100...
        tasks, got = await queued(gate, 50)
        assert gate.waiting == 30
        await asyncio.gather(*tasks)
        assert [number for number, _ in got] == list(range(50))
        assert Counter(at for _, at in got) == {0: 20, 100: 20, 200: 10}

    run(scenario())


def test_a_hundred_who_wait_ask_no_more_often_than_one():
    async def asked(workers: int) -> int:
        governor = Metered(calls=1, seconds=50)
        gate = Gate(governor, 60)
        await gate.permit()
        tasks, _ = await queued(gate, workers)
        before = governor.asked
        await asyncio.sleep(49)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return governor.asked - before

    assert run(asked(100)) == run(asked(1)) <= 2


def test_nobody_overtakes_those_who_wait():
    async def scenario():
        governor = Metered(calls=1, seconds=100)
        gate = Gate(governor, 60)
        await gate.permit()
        tasks, got = await queued(gate, 3)
        governor.calls = 2  # room for one, which nobody has been told of yet
        late, later = await queued(gate, 1)
        await asyncio.gather(*tasks, *late)
        assert [number for number, _ in got] == [0, 1, 2]
        assert later[0][1] >= got[-1][1]

    run(scenario())


def test_an_answer_lets_the_next_go_where_the_governor_waits_for_one():
    async def scenario():
        governor = Metered(calls=1, seconds=10_000)
        gate = Gate(governor, 60)
        permit = await gate.permit()
        governor.calls = 0
        tasks, got = await queued(gate, 2)
        await asyncio.sleep(5.5)
        governor.calls = 2
        gate.answered(permit, Quota(99, 50))
        await asyncio.sleep(0)
        assert [number for number, _ in got] == [0]
        governor.calls = 3
        await asyncio.gather(*tasks)  # a share that came to it is found without an event, too
        assert got[1][1] <= 6.5

    run(scenario())


@pytest.mark.parametrize("granted", [False, True])
def test_who_is_cancelled_takes_nothing_along(granted):
    async def scenario():
        governor = Metered(calls=1, seconds=100)
        gate = Gate(governor, 60)
        await gate.permit()
        tasks, got = await queued(gate, 3)
        if granted:  # its permit is drawn in the moment in which it is cancelled
            governor.calls = 2
            gate.wake()
        tasks[0].cancel()
        await asyncio.sleep(0)
        assert governor.told == [("lost",)] * granted
        await asyncio.gather(*tasks[1:])
        assert [number for number, _ in got] == [1, 2]
        assert gate.waiting == 0

    run(scenario())


def test_a_spent_day_sends_everybody_home_with_the_time_to_come_back():
    async def scenario():
        governor = Metered(calls=1, seconds=100)
        gate = Gate(governor, 60)
        permit = await gate.permit()
        tasks, _ = await queued(gate, 3)
        governor.spent = "the day's quota is spent"
        gate.answered(permit, Quota(0, 50))
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(LaterError) as coming:
            await gate.permit()
        for error in (*ends, coming.value):
            assert isinstance(error, LaterError)
            assert str(error) == "the day's quota is spent: run what is open after 00:00 Asia/Shanghai"
        assert elapsed() == 0

    run(scenario())


MINUTE, SECOND = 1.0, 1 / 60


@pytest.mark.parametrize(
    ("windows", "quota", "told", "wait"),
    [
        (MINUTE, None, ("minute", 0), 60),
        (MINUTE, Quota(99, 0), ("minute", 0), 60),
        (MINUTE, Quota(99, 4), ("minute", 0), 60),
        (MINUTE, Quota(99, 90), ("second", 0), 60),
        (5, None, ("minute", 300), 300),
        (5, Quota(99, 90), ("second", 0), 300),
        (5, Quota(retry_in=30), ("minute", 30), 30),
        (MINUTE, Quota(retry_in=7), ("minute", 7), 7),
        (SECOND, None, ("second", 0), 1),
        (SECOND, Quota(retry_in=2), ("second", 2), 2),
        (REST_OF_DAY, Quota(0, 90), ("day", 0), inf),
    ],
)
def test_what_the_governor_is_told_of_a_refusal(windows, quota, told, wait):
    async def scenario():
        governor = Metered()
        gate = Gate(governor, 60)
        assert gate.refused(await gate.permit(), windows, quota) == wait
        assert governor.told == [("refused", *told)]
        assert gate.passes == 0

    run(scenario())


def test_each_call_is_told_of_once():
    """What its headers said is not told again, whether its body passes or breaks off."""

    async def scenario():
        governor = Metered()
        gate = Gate(governor, 60)
        for end in (gate.passed, gate.lost):
            permit = await gate.permit()
            gate.answered(permit, Quota(99, 50))
            end(permit)
        gate.passed(await gate.permit())
        gate.lost(await gate.permit())
        assert governor.told == [("answered", 99, 50)] * 2 + [("answered", None, None), ("lost",)]
        assert gate.passes == 2

    run(scenario())


def test_a_refused_account_is_held_alone_and_forgotten_afterwards():
    async def scenario():
        held = Held()
        held.hold("1", "ads/get", 60)
        assert (held.seconds("1", "ads/get"), held.seconds("2", "ads/get"), held.seconds("1", "funds/get")) == (
            60,
            0,
            0,
        )
        await asyncio.sleep(59)
        assert held.seconds("1", "ads/get") == 1
        held.hold("2", "ads/get", 60)
        await asyncio.sleep(2)
        held.hold("3", "ads/get", 60)
        assert held.seconds("1", "ads/get") == 0
        assert len(held) == 2

    run(scenario())


def test_where_the_quota_is_each_accounts_own_nobody_waits():
    async def scenario():
        gate = OpenGate(Governor("codes", window=60, cap=1), 60)
        for _ in range(100):
            assert gate.refused(await gate.permit(), 1, None) == 60
        assert elapsed() == 0

    run(scenario())


def test_a_closed_gate_leaves_workers_for_the_calls_of_others():
    async def scenario():
        made = {"report/get": Gate(Metered(calls=0), 60), "ads/get": Gate(Metered(), 60)}

        async def opened(handler):
            return made[handler.path]

        gates = Gates(opened, 10)
        closed = await gates.of(SimpleNamespace(path="report/get"))
        tasks, _ = await queued(closed, 9)
        assert gates.crowded(closed) == 0  # there is nobody else
        free = await gates.of(SimpleNamespace(path="ads/get"))
        assert 0 < gates.crowded(closed) <= 1
        assert gates.crowded(free) == 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gates.crowded(closed) == 0

    run(scenario())


class Day:
    """A gate before a medium with `size` calls a day, of which `left` are left; `strangers` calls for each of ours."""

    def __init__(self, size: int, left: int, strangers: int = 0, known: float = 0.0) -> None:
        self.size, self.left, self.strangers, self.known = size, left, strangers, known
        self.sent = 0
        self.allowed = inf
        self.in_flight = 0
        self.governor = self
        self.window = 60.0

    def state(self):
        return SimpleNamespace(day_quota=self.known, sent=self.sent, in_flight=self.in_flight)

    def allow(self, calls):
        self.allowed = self.sent + calls

    def wake(self):
        """Nobody waits."""

    def clock(self):
        """A hundred calls a second."""
        return self.sent / 100

    def call(self) -> tuple[int, Quota]:
        """Its number, and what its answer tells."""
        self.sent += 1
        self.left -= 1 + self.strangers
        return self.sent, Quota(100 * self.left // self.size, 50)


def observing(day: Day, planned: int, tell, share: int = 100) -> DayWatch:
    return DayWatch(day, share, planned, ended=lambda: day.sent, tell=tell, clock=day.clock)


def watched(day: Day, planned: int, share: int = 100) -> tuple[int, list[tuple[int, int]]]:
    """Calls until the run's share is spent or all is done, and what was told: calls until then, units that fit."""
    told: list[tuple[int, int]] = []
    watch = observing(day, planned, lambda fit: told.append((day.sent, fit)), share)
    while day.sent < min(planned, day.allowed) and day.left > 0:
        watch.heard(*day.call())
    return day.sent, told


@pytest.mark.parametrize("left", [1.0, 0.83, 0.62])
@pytest.mark.parametrize("size", [300, 10_000, 100_000])
def test_how_many_units_fit_today_is_told_early(size, left):
    _, told = watched(Day(size, int(left * size)), planned=2 * size)
    at, fit = told[0]
    assert at <= max(0.03 * size, 60)
    assert fit == pytest.approx(left * size, rel=0.04)
    assert len(told) <= 2


@pytest.mark.parametrize("size", [150, 400])
def test_answers_that_overtake_each_other_do_not_make_the_day_look_smaller(size):
    day, dice, told = Day(size, size), Random(size), []
    watch = DayWatch(day, 50, 2 * size, ended=lambda: day.sent - day.in_flight, tell=told.append, clock=lambda: 0.0)
    while day.sent < min(size, day.allowed):
        answers = sorted((day.call() for _ in range(10)), key=lambda _: dice.random())
        while answers:
            day.in_flight = len(answers)
            watch.heard(*answers.pop())
    assert day.sent == pytest.approx(0.5 * size, abs=10)
    assert told[0] == pytest.approx(0.5 * size, rel=0.15)


def test_a_quota_that_earlier_runs_measured_is_told_with_the_first_answer():
    _, told = watched(Day(100_000, 62_000, known=100_000), planned=100_000)
    assert told[0] == (1, pytest.approx(62_000, rel=0.02))


def test_nothing_is_told_where_everything_fits():
    assert watched(Day(10_000, 10_000), planned=9_000) == (9_000, [])


def test_strangers_who_begin_to_spend_are_told_of():
    day = Day(100_000, 100_000)
    told: list[int] = []
    watch = observing(day, 90_000, told.append)
    for _ in range(20_000):
        watch.heard(*day.call())
    assert not told
    day.strangers = 3
    for _ in range(20_000):
        watch.heard(*day.call())
    assert told


def test_a_percent_that_jumps_about_is_told_less_and_less_often():
    """It used to be a line for every jump."""
    day, dice = Day(100_000, 100_000, known=100_000), Random(6)
    told: list[float] = []
    watch = observing(day, 90_000, lambda _fit: told.append(day.clock()))
    while day.clock() < 600:
        day.call()
        watch.heard(day.sent, Quota(dice.randrange(5, 95), 50))
    assert told[0] <= 1
    assert [round(later - earlier) for earlier, later in pairwise(told)] == [60, 120, 240]


def test_what_fits_after_all_is_told_and_less_than_a_tenth_is_no_news():
    told: list[int] = []
    minutes = count(0, 60).__next__
    watch = DayWatch(Day(1000, 0, known=1000), 100, 850, ended=lambda: 0, tell=told.append, clock=minutes)
    for number, percent in enumerate((70, 68, 66, 90, 89, 88, 84), 1):
        watch.heard(number, Quota(percent, 50))
    assert told == [700, 850, 840]


@pytest.mark.parametrize("share", [5, 30, 50, 90])
@pytest.mark.parametrize(("left", "known"), [(1.0, 0), (0.955, 0), (1.0, 10_000)])
def test_a_run_uses_its_share_of_the_day_and_no_more(share, left, known):
    sent, told = watched(Day(10_000, int(left * 10_000), known=known), planned=20_000, share=share)
    assert 0.98 * share * 100 <= sent <= 1.01 * share * 100
    assert told[0][1] == pytest.approx(share * 100, rel=0.05)


def test_another_day_brings_another_share():
    day = Day(1000, 150)
    watch = observing(day, 5000, lambda _fit: None, share=30)
    while day.left > 1:
        watch.heard(*day.call())
    day.left, before = 1000, day.sent
    while day.sent < day.allowed:
        watch.heard(*day.call())
    assert day.sent - before == pytest.approx(300, rel=0.05)
