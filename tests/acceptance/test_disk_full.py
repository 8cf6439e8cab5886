"""A disk that is full, refuses or fails at each path that is written: nothing counts as done that is not kept.

strace makes the kernel's answer, from the N-th write to one path on; a limit on the size of files makes one like it
where there is no strace, and for the files whose names nobody knows beforehand.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.acceptance.conftest import BIN, FUNDS, Said, Simulated, compare, ended
from tests.acceptance.servers import altered
from tests.services.install import Debian, find
from tests.services.process import ServiceError

Staging = Callable[..., Simulated]

WRITES = "write,writev,pwrite64,fsync,fdatasync,ftruncate,fallocate"
LIMITED = """
import os, resource, sys
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""No file may grow beyond so many bytes."""
REFUSED = """
import errno, os

def refuse(call, error, left):
    real = getattr(os, call)

    def refused(*arguments, **more):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(error, os.strerror(error))
        return real(*arguments, **more)

    setattr(os, call, refused)

refuse({call!r}, errno.{error}, {first} - 1)
"""
"""From the `first` time on, one call of the operating system fails."""
ACCOUNTS = 150


@pytest.fixture(scope="session")
def strace(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """Where it is, installed if it can be; None where it cannot be had, or may not trace."""
    log = tmp_path_factory.mktemp("strace") / "apt.log"
    try:
        Debian(["strace"], log, sys.stderr.write).require(["strace"])
    except ServiceError:
        return None
    program = find("strace")
    tried = subprocess.run([str(program), "-f", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return program if tried.returncode == 0 else None


class Disk:
    """Makes a disk that refuses."""

    def __init__(self, strace: str | None) -> None:
        self._strace = strace

    def refuses(self, paths: Sequence[Path], error: str, first: int) -> Sequence[str]:
        """The words before a command line under which these paths take `first` - 1 writes, and no more."""
        if self._strace is None:
            return limited((first - 1) * 4096)
        places = [word for path in paths for word in ("-P", str(path))]
        inject = f"inject={WRITES}:error={error}:when={first}+"
        return [self._strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={WRITES}", "-e", inject, *places]

    def named(self, here: Simulated, paths: Sequence[Path]) -> str:
        """What the message names: the path, or some path where all files are limited alike."""
        return str(here.ark.home if self._strace is None else paths[0])


@pytest.fixture
def disk(strace: str | None) -> Disk:
    return Disk(strace)


def limited(most: int) -> Sequence[str]:
    """The words before a command line under which no file grows beyond `most` bytes."""
    return [sys.executable, "-c", LIMITED, str(most)]


def files_of(database: Path) -> list[Path]:
    """SQLite's files of one database."""
    return [database, *(database.with_name(database.name + suffix) for suffix in ("-wal", "-journal", "-shm"))]


def ledger_of(here: Simulated) -> list[Path]:
    return files_of(here.ark.home / "ledger.sqlite")


def table_of(here: Simulated) -> list[Path]:
    return files_of(here.ark.home / "tables" / f"{FUNDS.table}.sqlite")


def run(here: Simulated, before: Sequence[str], *more: str, **settings: object) -> Said:
    return ended(here.ark.spawn([*before, BIN, *here.words("gdt.funds", "--no-next", *more)], **settings))


def nothing_counts_that_is_not_there(here: Simulated) -> None:
    """No run is done; each verified unit has all its rows."""
    for each in here.ark.json("runs"):
        assert each["status"] != "done"
        units = here.ark.json("show", each["run_id"])["units"]
        verified = {unit["account"] for unit in units if unit["state"] == "verified"}
        owed = {key for key in here.truth(FUNDS) if key.split("|")[2] in verified}
        assert owed <= here.ark.rows(FUNDS.table).keys() if owed else True


def whole_again(here: Simulated) -> None:
    """With space back the run is taken up, or begun where it never began: nothing lost, doubled or out of place."""
    known = here.ark.json("runs")
    said = here.ark("rerun", known[0]["run_id"], "--no-next") if known else here.run()
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", ACCOUNTS)
    assert here.differences(FUNDS) == (0, 0, 0)


@pytest.mark.parametrize("first", [1, 2, 4, 12, 24, 40])
@pytest.mark.parametrize("of", [ledger_of, table_of])
def test_a_full_disk_ends_the_run_with_74_and_the_path(
    stage: Staging, disk: Disk, of: Callable[[Simulated], list[Path]], first: int
) -> None:
    here = stage(ACCOUNTS)
    said = run(here, disk.refuses(of(here), "ENOSPC", first), hbase_batch=20)
    if said.code:
        assert said.code == 74, said.err
        assert disk.named(here, of(here)) in said.err
        assert "full" in said.err or "I/O" in said.err or "large" in said.err
        nothing_counts_that_is_not_there(here)
        whole_again(here)
    else:
        assert first > 12  # fewer writes than that make no run
        assert here.differences(FUNDS) == (0, 0, 0)


@pytest.mark.parametrize(("error", "first"), [("EIO", 1), ("EIO", 6), ("EROFS", 1), ("EDQUOT", 6)])
@pytest.mark.parametrize("of", [ledger_of, table_of])
def test_a_failing_disk_ends_the_run_with_74_and_the_path(
    stage: Staging, disk: Disk, of: Callable[[Simulated], list[Path]], error: str, first: int
) -> None:
    here = stage(ACCOUNTS)
    said = run(here, disk.refuses(of(here), error, first), hbase_batch=20)
    assert said.code == 74, said.err
    assert disk.named(here, of(here)) in said.err
    nothing_counts_that_is_not_there(here)
    whole_again(here)


@pytest.mark.parametrize("most", [0, 4096, 20_000, 60_000])
def test_files_that_may_not_grow_end_the_run_with_74(stage: Staging, most: int) -> None:
    """Everything at once: ledger, tables, log, events."""
    here = stage(ACCOUNTS)
    said = run(here, limited(most), hbase_batch=20)
    assert said.code == 74, said.err
    assert str(here.ark.home) in said.err
    if most:
        nothing_counts_that_is_not_there(here)
    whole_again(here)


def lines_of(folder: Path) -> dict[str, str]:
    """Row key -> record of the newest line, of every file there is; each is whole."""
    found: dict[str, tuple[int, str]] = {}
    for path in folder.rglob("*.json"):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found[row["row"]] = max(found.get(row["row"], (0, "")), (row["timestamp"], json.dumps(row["data"]["data"])))
    return {key: json.loads(data) for key, (_, data) in found.items()}


@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_full_disk_leaves_no_part_of_a_file(stage: Staging, call: str, first: int) -> None:
    here = stage(ACCOUNTS)
    words = here.words("gdt.funds", "--no-next", "-o", "FILE")
    patch = REFUSED.format(call=call, error="ENOSPC", first=first)
    said = ended(here.ark.spawn(altered(patch, *words), hbase_batch=20))
    folder = here.ark.home / "files"
    assert said.code == 74, said.err
    assert str(folder) in said.err
    assert [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"] == []
    known = here.ark.json("runs")
    assert [each["status"] for each in known] == ["failed"]
    again = here.ark("rerun", known[0]["run_id"], "--no-next")
    assert (again.code, again.result["verified"]) == (0, ACCOUNTS)
    assert compare(here.truth(FUNDS), lines_of(folder)) == (0, 0, 0)


def test_a_home_on_a_read_only_disk_is_told(stage: Staging) -> None:
    here = stage(5)
    here.ark.home /= "new"
    patch = REFUSED.format(call="mkdir", error="EROFS", first=1)
    said = ended(here.ark.spawn(altered(patch, *here.words("gdt.funds", "--no-next"))))
    assert (said.code, here.calls()["requests"]) == (74, 0)
    assert str(here.ark.home) in said.err


LISTENERS = {
    "log": "log/gdt/funds_{}_20200530.log",
    "events": "log/gdt_api_log.jsonl",
    "spill": "log/gdt_api_log.spill.jsonl",
}


@pytest.mark.parametrize("name", LISTENERS)
def test_who_only_listens_costs_one_warning(stage: Staging, name: str) -> None:
    """Log, events and spill file on a disk that is full from the first byte."""
    here = stage(ACCOUNTS)
    path = here.ark.home / LISTENERS[name].format(here.tenant)
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    said = here.run(**({"kafka_url": "127.0.0.1:9"} if name == "spill" else {}))
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", ACCOUNTS)
    assert said.err.count(f"cannot write {path}: No space left on device; the run goes on without it") == 1
    assert here.differences(FUNDS) == (0, 0, 0)


BUG = """
from handlers.cli import runs
import click
@click.command()
def broken():
    raise ValueError("a bug")
runs.runs = broken
"""


def test_a_crash_file_that_cannot_be_written_costs_the_traceback_alone(stage: Staging) -> None:
    here = stage(1)
    path = here.ark.home / "log" / "crash.log"
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    said = ended(here.ark.spawn(altered(BUG, "runs")))
    assert said.code == 70
    (line,) = said.err.splitlines()
    assert line == f"ark: a bug of Ark: ValueError: a bug; no crash file, {path}: No space left on device"


def test_a_spool_that_cannot_be_written_spends_no_refresh_token(stage: Staging) -> None:
    here = stage(5)
    here.change(tokens={"rotate": True, "life": 1800, "secret": "the-app's"})
    (agent,) = here.media.directory()
    here.redis.zadd(f"gdt_new_refresh_token_{here.tenant}", {agent["refresh_token"]: int(here.agent)})
    app = {"gdt_client_id": agent["client_id"], "gdt_client_secret": agent["client_secret"]}
    here.media.clear_stats()
    words = ["tokens", "refresh", "-m", "gdt", "-t", here.tenant]
    patch = REFUSED.format(call="fsync", error="ENOSPC", first=1)
    said = ended(here.ark.spawn(altered(patch, *words), **app))
    assert said.code == 74
    assert str(here.ark.home / "tokens") in said.out + said.err
    assert here.calls("oauth/token")["requests"] == 0
    assert here.ark(*words, **app).code == 0
    assert here.calls("oauth/token")["requests"] == 1
