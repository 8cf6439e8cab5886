"""What all tests share: a clean environment, a home for Ark, the real services."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.interface_check import Desk

CHECKOUT = Path(__file__).resolve().parents[1]

# how long an example takes, or to draw one, tells how busy the machine is
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes that share the tests this is."""


def database(number: int) -> int:
    """The Redis database of this process that has this number, 0 to 15: some tests flush theirs."""
    return 16 * (WORKER % 4) + number


class SentryApi(NamedTuple):
    """Where events are read back: GET url + "issues/?project=1", "events/?issue=ID", with `Bearer token`."""

    url: str
    token: str


@dataclass(frozen=True)
class Services:
    """Addresses of the running services, as Ark's settings take them."""

    redis_url: str
    hbase_url: str
    kafka_url: str
    mariadb_url: str
    sentry_dsn: str
    sentry_api: SentryApi

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """What `bin/services` tells."""
        return cls(
            redis_url=state["redis"]["url"].rpartition("/")[0] + f"/{database(2)}",
            hbase_url=state["hbase"]["url"],
            kafka_url=state["kafka"]["url"],
            mariadb_url=state["mariadb"]["url"],
            sentry_dsn=state["bugsink"]["dsn"],
            sentry_api=SentryApi(state["bugsink"]["api"], state["bugsink"]["token"]),
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """What a test has printed goes from one process to another, and halves of characters cannot."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def services() -> Services:
    """Have all five up; an error, never a skip, if they cannot be had. bin/test stops them."""
    command = [sys.executable, str(CHECKOUT / "bin" / "services"), "start"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bin/services start: exit {done.returncode}\n{done.stderr}")
    return Services.of(json.loads(done.stdout))


@pytest.fixture(autouse=True)
def no_ark_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer has set."""
    for name in [name for name in os.environ if name.startswith("ARK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def ark_home() -> Iterator[Path]:
    """An empty ARK_HOME with a short path: a unix socket's path ends at 107 bytes."""
    home = Path(tempfile.mkdtemp(prefix="ark-"))
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def desk_place() -> Iterator[tuple[Path, str]]:
    """The home that all desks share, and the url of its embedded Redis."""
    from ark.accounts import embedded_redis

    home = Path(tempfile.mkdtemp(prefix="ark-"))
    yield home, embedded_redis.ensure(home, "")
    embedded_redis.stop(home)
    shutil.rmtree(home)


@pytest.fixture
def desks(desk_place: tuple[Path, str]) -> Iterator[Callable[[str], "Desk"]]:
    """Makes the desk of a tenant, which runs interfaces in this process."""
    from tests.interface_check import Desk, untouched_process

    with untouched_process():
        yield lambda tenant: Desk(*desk_place, tenant)


@pytest.fixture
def desk(desks: Callable[[str], "Desk"]) -> Iterator["Desk"]:
    """A desk of its own tenant."""
    made = desks(f"T{secrets.randbelow(9 * 10**8) + 10**8}")
    yield made
    made.redis.close()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names that no other test or run uses: `unique("tenant_gdt_funds")` -> `tenant_gdt_funds_5f3a9c01`."""
    return lambda name: f"{name}_{secrets.token_hex(4)}"
