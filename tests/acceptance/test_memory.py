"""Memory does not depend on the number of accounts."""

from collections.abc import Callable

from tests.acceptance.conftest import Simulated, ended, peak_memory

MOST = 20 << 20


def test_ten_times_the_accounts_take_the_same_memory(stage: Callable[..., Simulated]) -> None:
    few, many = (peak(stage, accounts) for accounts in (3000, 30_000))
    assert many - few < MOST, f"peak RSS {few >> 20} and {many >> 20} MiB"


def peak(stage: Callable[..., Simulated], accounts: int) -> int:
    here = stage(accounts, quota={"minute": {"size": 0}, "day": {"size": 0}}, nonces={"check": False})
    running = here.start("gdt.funds", "-o", "NONE")
    most = peak_memory(running)
    assert ended(running).result["verified"] == accounts
    return most
