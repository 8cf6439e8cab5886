"""Memory does not depend on the number of accounts, nor on how slow the store is."""

from collections.abc import Callable, Iterable
from typing import Any

from tests.acceptance.conftest import CASH, Ark, Simulated, ended, peak_memory, staged
from tests.acceptance.servers import altered
from tests.hostile import Call, answer, good, hostile

FEW, MANY = 3000, 30_000
SLOPE = 1 << 20
"""Bytes per 10,000 units."""
NOISE = 2 << 20
"""Bytes by which two runs of the same kind differ."""

BODY = 40_000
SLOW_STORE = """
import time
from ark.stores.files import NullStore
put = NullStore.put
def slow(self, table, rows, timestamp):
    time.sleep({seconds} * sum(len(row.value) for row in rows) / 2**20)
    put(self, table, rows, timestamp)
NullStore.put = slow
"""
"""A store that takes so many seconds for a MiB."""
HELD = 48 << 20
"""Bytes that may wait for a slow store: batches of two writers, the queue, and what is on its way to them."""


def test_ten_times_the_accounts_take_the_same_memory(stage: Callable[..., Simulated]) -> None:
    few, many = (peak(stage, accounts) for accounts in (FEW, MANY))
    assert many - few < SLOPE * (MANY - FEW) / 10_000 + NOISE, f"peak RSS {few >> 20} and {many >> 20} MiB"


def peak(stage: Callable[..., Simulated], accounts: int) -> int:
    here = stage(accounts, quota={"minute": {"size": 0}, "day": {"size": 0}}, nonces={"check": False})
    running = here.start("gdt.funds", "-o", "NONE")
    most = peak_memory(running)
    assert ended(running).result["verified"] == accounts
    return most


def test_a_store_ten_times_slower_than_the_medium_holds_up_no_rows_in_memory(ark: Ark, directory: Any) -> None:
    """Twice as many records, and the same memory: what waits for the store holds up the medium."""
    quick, few, many = (heavy_peak(ark, directory, *each) for each in ((0.0, 600), (0.5, 600), (0.5, 1200)))
    shown = f"peak RSS {quick >> 20}, {few >> 20} and {many >> 20} MiB"
    assert many - quick < HELD, shown
    assert many - few < HELD / 4, shown


def heavy_peak(ark: Ark, directory: Any, seconds: float, accounts: int) -> int:
    record = good(CASH | {"padding": "x" * BODY})

    def script(_call: Call) -> Iterable[bytes]:
        return [answer(record)]

    names = [str(10_000_000 + number) for number in range(accounts)]
    with hostile(script) as server, staged(ark, directory, server.url, names) as here:
        words = here.words("gdt.funds", "--no-next", "-o", "NONE")
        running = ark.spawn(altered(SLOW_STORE.format(seconds=seconds), *words))
        most = peak_memory(running)
        assert ended(running).result["verified"] == accounts
    return most
