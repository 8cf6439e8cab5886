"""The header is read or ignored, never raised about; the gate closes for everybody and opens again."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.quota import Permit, Quota, WindowGate, parse_remaining
from tests.virtual_time import run


@pytest.mark.parametrize(
    ("header", "quota"),
    [
        ("99%,74%", Quota(99, 74)),
        ("100%, 0%", Quota(100, 0)),
        (" 99 % , 74.6 % ", Quota(99, 74)),
        ("99,74", Quota(99, 74)),
        (None, None),
        ("", None),
        ("abc", None),
        ("100%", None),
        ("-1%,5%", None),
        ("101%,5%", None),
        ("99%,74%,3%", None),
        ("\u0669\u0669%,\u0667%", None),
        ("9" * 5000 + "%,1%", None),
    ],
)
def test_remaining_header(header, quota):
    assert parse_remaining(header) == quota


@given(st.text(max_size=30))
def test_no_header_raises(header):
    quota = parse_remaining(header)
    assert quota is None or (0 <= quota.day <= 100 and 0 <= quota.minute <= 100)


def waited(scenario):
    """Seconds of virtual time until the gate gives a permit, after `scenario(gate)`."""

    async def whole() -> float:
        gate = WindowGate(60)
        start = asyncio.get_running_loop().time()
        await scenario(gate)
        await gate.permit()
        return round(asyncio.get_running_loop().time() - start, 3)

    return run(whole())


def test_a_refusal_closes_the_gate_for_everybody_for_its_windows():
    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        gate = WindowGate(60)
        start = loop.time()
        gate.refused(await gate.permit(), 1, None)

        async def wait() -> float:
            await gate.permit()
            return loop.time() - start

        return await asyncio.gather(*(wait() for _ in range(50)))

    assert run(scenario()) == [60] * 50


def test_late_refusals_of_calls_under_way_do_not_close_it_again():
    async def scenario(gate):
        permits = [await gate.permit() for _ in range(3)]
        gate.refused(permits[0], 1, None)
        await asyncio.sleep(61)
        for permit in permits[1:]:
            gate.refused(permit, 1, None)

    assert waited(scenario) == 61


def test_of_several_waits_the_longest_holds():
    async def scenario(gate):
        permits = [await gate.permit() for _ in range(3)]
        for permit, windows in zip(permits, [1 / 60, 5, 1], strict=True):
            gate.refused(permit, windows, None)

    assert waited(scenario) == 300


@pytest.mark.parametrize(("quota", "seconds"), [(None, 60), (Quota(99, 0), 60), (Quota(99, 4), 60), (Quota(99, 90), 1)])
def test_a_refusal_that_says_that_calls_are_left_is_not_the_minutes(quota, seconds):
    async def scenario(gate):
        gate.refused(await gate.permit(), 1, quota)

    assert waited(scenario) == seconds


def test_each_round_can_be_refused():
    async def scenario(gate):
        for _ in range(3):
            permit: Permit = await gate.permit()
            gate.refused(permit, 1, None)

    assert waited(scenario) == 180


def test_a_refusal_that_names_its_seconds_is_taken_at_its_word():
    async def scenario(gate):
        assert gate.refused(await gate.permit(), 5, Quota(retry_in=30)) == 30

    assert waited(scenario) == 30


def test_a_limit_by_the_second_spaces_calls_out_at_what_it_lets_through():
    """20 calls a second pass, the first 50 come at once: soon hardly one is refused."""

    async def whole() -> list[int]:
        loop, gate = asyncio.get_running_loop(), WindowGate(60)
        passed: dict[int, int] = {}
        refused: dict[int, int] = {}

        async def call() -> None:
            while loop.time() < end:
                permit = await gate.permit()
                second = int(loop.time())
                await asyncio.sleep(0.05)
                if passed.get(second, 0) < 20:
                    passed[second] = passed.get(second, 0) + 1
                    gate.passed(permit)
                else:
                    refused[second] = refused.get(second, 0) + 1
                    gate.refused(permit, 1 / 60, None)

        start = loop.time()
        end = start + 300
        await asyncio.gather(*(call() for _ in range(50)))
        late = start + 60
        return [
            sum(refused.values()),
            sum(count for second, count in refused.items() if second >= late),
            sum(count for second, count in passed.items() if second >= late),
        ]

    refused, refused_late, passed_late = run(whole())
    assert refused < 150
    assert refused_late < passed_late / 20
    assert passed_late > 240 * 20 / 2


def test_a_minute_that_is_used_up_does_not_slow_down_what_is_spaced_out():
    """The closed minute counts neither as refusals by the second nor as a slower limit."""

    async def whole() -> float:
        loop, gate = asyncio.get_running_loop(), WindowGate(60)
        for _ in range(50):
            gate.passed(await gate.permit())
        gate.refused(await gate.permit(), 1 / 60, None)  # from here on 50 a second
        gate.refused(await gate.permit(), 1, None)
        gate.passed(await gate.permit())
        start = loop.time()
        for _ in range(50):
            gate.passed(await gate.permit())
        return loop.time() - start

    assert run(whole()) == pytest.approx(1, abs=0.1)
