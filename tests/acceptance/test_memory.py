"""Memory does not depend on the number of accounts."""

from collections.abc import Callable

from tests.acceptance.conftest import Simulated, ended, peak_memory

MOST = 20 << 20


def test_ten_times_the_accounts_take_the_same_memory(
    stage: Callable[..., Simulated], record_property: Callable[[str, object], None]
) -> None:
    peaks = [peak(stage, accounts) for accounts in (3000, 30_000)]
    record_property("peak RSS in MiB", [each >> 20 for each in peaks])
    assert peaks[1] - peaks[0] < MOST


def peak(stage: Callable[..., Simulated], accounts: int) -> int:
    here = stage(accounts, quota={"minute": {"size": 0}, "day": {"size": 0}}, nonces={"check": False})
    running = here.start("gdt.funds", "-o", "NONE")
    most = peak_memory(running)
    assert ended(running).result["verified"] == accounts
    return most
