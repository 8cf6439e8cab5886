"""`bin/services`: start, stop and show the real services that tests and benchmarks run against."""

import argparse
import contextlib
import fcntl
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.services.bugsink import Bugsink
from tests.services.hbase import HBase
from tests.services.install import CHECKOUT, Debian
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.ports import PortClaims
from tests.services.process import ServiceError
from tests.services.redis import Redis
from tests.services.service import Service

KINDS: dict[str, type[Service]] = {kind.name: kind for kind in (Redis, HBase, Kafka, MariaDB, Bugsink)}
UNAVAILABLE = 69
INTERRUPTED = 130
EXAMPLES = """\
examples:
  bin/services start                    all five; prints their URLs as one JSON document
  bin/services start hbase              only HBase, such as after a fault test killed it
  bin/services status                   up or down, pids, URLs; exit 0 if all are up, else 69
  bin/services create-table gdt_funds   a table in the real HBase, SNAPPY, split at 1| ... 9|
  bin/services stop
Data are kept over stop and start. To begin from nothing: stop, then remove the directory.
"""


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    """Run one command; returns the exit code."""
    arguments = parse()
    root = Path(arguments.dir).resolve()
    try:
        if arguments.command == "status":
            return status(services(root, arguments.name), as_json=arguments.json)
        with locked(root):
            if arguments.command == "stop":
                return each(services(root, arguments.name), lambda service: service.stop())
            if arguments.command == "create-table":
                HBase(root, say).create_tables(arguments.table, arguments.versions)
                return 0
            return start(root, services(root, arguments.name, bench=arguments.bench))
    except ServiceError as error:
        say(f"bin/services: {error}")
        return UNAVAILABLE
    except KeyboardInterrupt:
        return INTERRUPTED


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/services",
        description="The real services, on loopback, on free ports, in a private directory.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    default = os.environ.get("ARK_SERVICES_DIR") or str(CHECKOUT / ".services")
    common.add_argument("--dir", default=default, help="where they live (ARK_SERVICES_DIR; default: .services)")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("name", nargs="*", type=kind, metavar="NAME", help=f"{', '.join(KINDS)}; none: all")
    commands = parser.add_subparsers(dest="command", required=True, metavar="start|stop|status|create-table")
    begin = commands.add_parser("start", parents=[named, common])
    begin.add_argument("--bench", action="store_true", help="larger heaps and the optimising compiler for the JVMs")
    commands.add_parser("stop", parents=[named, common])
    show = commands.add_parser("status", parents=[named, common])
    show.add_argument("--json", action="store_true", help="one JSON document")
    create = commands.add_parser("create-table", parents=[common])
    create.add_argument("table", nargs="+", metavar="TABLE")
    create.add_argument("--versions", type=int, default=1, help="versions kept of each cell (1)")
    return parser.parse_args()


def kind(name: str) -> type[Service]:
    """The service of that name."""
    if name not in KINDS:
        raise argparse.ArgumentTypeError(f"no service {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def services(root: Path, kinds: Sequence[type[Service]], *, bench: bool = False) -> list[Service]:
    """The chosen ones, or all."""
    return [kind(root, say, bench=bench) for kind in KINDS.values() if kind in kinds or not kinds]


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """One start or stop at a time per directory; the servers do not inherit the lock."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another bin/services on {root}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start(root: Path, chosen: Sequence[Service]) -> int:
    """Start what is missing, all at once, and print where everything is."""
    with PortClaims() as claims:
        for service in chosen:
            service.claim_ports(claims)
    debian = Debian([tool for service in chosen for tool in service.tools], root / "apt.log", say)
    failed = each(chosen, lambda service: service.start(debian))
    return status(chosen, as_json=True) or failed


def each(chosen: Sequence[Service], act: Callable[[Service], None]) -> int:
    """Act on all at once; a failure is told and does not keep the others back."""
    unfinished = {service.name for service in chosen}

    def attempt(service: Service) -> None:
        try:
            act(service)
        except (ServiceError, OSError) as error:
            say(f"bin/services: {service.name}: {error}")
        else:
            unfinished.remove(service.name)

    threads = [threading.Thread(target=attempt, args=(service,), daemon=True) for service in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return UNAVAILABLE if unfinished else 0


def status(chosen: Sequence[Service], *, as_json: bool) -> int:
    """Print how they are; returns 0 if all are up."""
    states = {service.name: service.status() for service in chosen}
    if as_json:
        sys.stdout.write(json.dumps(states, indent=2) + "\n")
    else:
        for name, state in states.items():
            pids = ", ".join(f"{daemon} {pid or '-'}" for daemon, pid in state["pids"].items())
            sys.stdout.write(f"{name:8} {'up' if state['up'] else 'down':5} {pids:32} {state.get('url', '')}\n")
    return 0 if all(state["up"] for state in states.values()) else UNAVAILABLE
