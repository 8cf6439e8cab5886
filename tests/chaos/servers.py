"""Services of our own that may be killed: a Redis and an HBase beside the shared ones, in a directory of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.judge import GDT
from tests.conftest import CHECKOUT

COMMAND = (sys.executable, str(CHECKOUT / "bin" / "services"))
NAMES = ("redis", "hbase")


class Servers:
    """`bin/services` on one directory; what is fetched once is shared."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        fetched = Path(os.environ.get("ARK_SERVICES_DIR") or CHECKOUT / ".services").resolve() / "lib"
        fetched.mkdir(parents=True, exist_ok=True)
        (folder / "lib").symlink_to(fetched)

    def start(self) -> dict[str, Any]:
        """Start what is not there; name -> url and pids."""
        return dict(json.loads(self._told("start", *NAMES)))

    def create_tables(self) -> None:
        """The tables of the chain, each cell with three versions, so that a second one can be seen."""
        self._told("create-table", "--versions", "3", *(kind.table for kind in GDT))

    def kill(self, *daemons: str) -> None:
        """SIGKILL these: server (Redis), gateway and cluster (HBase)."""
        state = json.loads(self._told("status", "--json", *NAMES, check=False))
        pids = state["redis"]["pids"] | state["hbase"]["pids"]
        for daemon in daemons:
            os.kill(pids[daemon], signal.SIGKILL)

    def stop(self) -> None:
        """Stop them all."""
        self._told("stop")

    def _told(self, *words: str, check: bool = True) -> str:
        return _told(*words, "--dir", str(self._folder), check=check)


def _told(*words: str, check: bool = True) -> str:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, timeout=600)
    if check and done.returncode:
        raise RuntimeError(f"bin/services {words[0]}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


@contextmanager
def shared(*names: str) -> Iterator[dict[str, Any]]:
    """Services that everybody uses, and nobody kills: name -> url and pids; those that were down are stopped again."""
    before = json.loads(_told("status", "--json", *names, check=False))
    try:
        yield dict(json.loads(_told("start", *names)))
    finally:
        down = [name for name in names if not before[name]["up"]]
        if down:
            _told("stop", *down)


@contextmanager
def servers() -> Iterator[Servers]:
    """Running, with the tables of the chain; gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="ark-"))
    made = Servers(folder)
    try:
        made.start()
        made.create_tables()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
