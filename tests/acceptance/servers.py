"""Servers that a test may kill, freeze and empty, and Ark with something of it replaced."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.acceptance.conftest import wait_for
from tests.services.install import tool
from tests.services.ports import HOST, PortClaims

MAIN = "\nfrom handlers.cli.main import main\nmain()\n"


class OwnRedis:
    """A redis-server in `folder`, on a port of its own; what it holds survives a kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with PortClaims() as claims:
            self.port = claims.claim(None)
        self.address = f"{HOST}:{self.port}"
        self.url = f"redis://{self.address}/2"
        self.client: redis.Redis[bytes] = redis.Redis(HOST, self.port, 2)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Up, and what it held is loaded."""
        options = {"bind": HOST, "port": str(self.port), "dir": str(self._folder), "save": ""}
        options |= {"appendonly": "yes", "appendfsync": "always"}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self._process = subprocess.Popen([tool("redis-server"), *words], stdout=subprocess.DEVNULL)
        wait_for(self._answers)

    def kill(self) -> None:
        """As `kill -9` does."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """A signal; it has ended where it is one that ends it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            if number == signal.SIGKILL:
                self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    """A running one; it ends with the block."""
    server = OwnRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        server.client.close()


def altered(patch: str, *words: str) -> Sequence[str]:
    """The command line of an Ark in which the Python text `patch` has replaced something beforehand."""
    return [sys.executable, "-c", patch + MAIN, *words]
