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
        ("٩٩%,٧%", None),
        ("9" * 5000 + "%,1%", None),
    ],
)
def test_remaining_header(header, quota):
    assert parse_remaining(header) == quota


@given(st.text(max_size=30))
def test_no_header_raises(header):
    quota = parse_remaining(header)
    assert quota is None or (0 <= quota.day <= 100 and 0 <= quota.minute <= 100)


def test_a_refusal_closes_the_gate_for_everybody_for_its_windows():
    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        gate = WindowGate(60)
        start = loop.time()
        gate.refused(await gate.permit(), 1)

        async def wait() -> float:
            await gate.permit()
            return loop.time() - start

        return await asyncio.gather(*(wait() for _ in range(50)))

    assert run(scenario()) == [60] * 50


def test_refusals_of_calls_under_way_do_not_close_it_longer():
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        gate = WindowGate(60)
        permits = [await gate.permit() for _ in range(3)]
        start = loop.time()
        rounds = {gate.refused(permits[0], 1)}
        await asyncio.sleep(30)
        rounds |= {gate.refused(permit, 1) for permit in permits[1:]}
        assert rounds == {1}
        await gate.permit()
        return loop.time() - start

    assert run(scenario()) == 60


def test_the_next_round_can_be_refused_again():
    async def scenario() -> list[int]:
        gate = WindowGate(60)
        rounds = []
        for _ in range(3):
            permit: Permit = await gate.permit()
            rounds.append(gate.refused(permit, 1))
        return rounds

    assert run(scenario()) == [1, 2, 3]
