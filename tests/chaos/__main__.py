"""`bin/chaos`: kill Ark everywhere, and count what is lost, duplicated or misplaced."""

import argparse
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos import rivals, sweep, terms, toxics
from tests.chaos.outages import outage
from tests.chaos.servers import Servers, servers, shared
from tests.chaos.stage import AGAIN, RERUN, Ground, embedded, real
from tests.chaos.tally import Tally, percentiles

POINTS = 1000
RACES, SLEEPS, STOPS, OUTAGES, TOXICS = 100, 10, 200, 10, 5
"""How many of each belong to POINTS kills; fewer to fewer."""
EPILOG = """\
A point is a small chain of runs that is killed once or twice, taken up, and compared cell by cell with what the medium
served. Beside them: two processes started at once on one job, runs that sleep longer than their lease, older runs that
end after newer ones, SIGTERM at any moment, and with --services a kill -9 of HBase, its gateway, Redis and Ark in one
run, and a network that is slow, narrow, cut or mute before each of the services. The exit code is 0 only if nothing
was lost, duplicated, misplaced, corrupt, called in vain or left undone.
"""


def main() -> int:
    """Try everything, print one table."""
    parser = argparse.ArgumentParser(
        prog="bin/chaos", description="Kills Ark everywhere and takes it up: nothing may be lost.", epilog=EPILOG
    )
    parser.add_argument("--points", type=int, default=POINTS, help=f"how many kills ({POINTS})")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of what is random")
    parser.add_argument("--services", action="store_true", help="on the real services, which are started for it")
    options = parser.parse_args()
    if options.points < 1:
        parser.error("--points: at least 1")
    say(f"seed {options.seed}")
    tally, lines = Tally(), []
    with _ground(real_services=options.services) as (ground, own):
        seconds = _sweep(tally, ground, options.points, options.seed)
        lines.append(_raced(ground, _share(RACES, options.points)))
        lines.append(_slept(ground, _share(SLEEPS, options.points)))
        lines.append(_stopped(tally, ground, _share(STOPS, options.points), options.seed, seconds))
        if own is not None:
            tally.add(outage(ground, own) for _ in range(_share(OUTAGES, options.points)))
            lines.append(_poisoned(_share(TOXICS, options.points), options.seed))
    sys.stdout.write(f"{tally.table()}\n")
    sys.stdout.writelines(f"{line}\n" for line, _ in lines)
    return 1 if tally.wrong or any(wrong for _, wrong in lines) else 0


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def _ground(*, real_services: bool) -> Iterator[tuple[Ground, Servers | None]]:
    """Where everything plays, and the servers that may be killed."""
    if not real_services:
        with embedded() as ground:
            yield ground, None
        return
    with shared("mariadb", "kafka") as beside, servers() as own:
        state = own.start() | beside
        with real(*(state[name]["url"] for name in ("hbase", "redis", "mariadb", "kafka"))) as ground:
            yield ground, own


def _share(most: int, points: int) -> int:
    return max(1, most * points // POINTS)


def _sweep(tally: Tally, ground: Ground, points: int, seed: int) -> float:
    """Every kill; answers how many seconds a run takes."""
    tracing = sweep.can_trace()
    if not tracing:
        say("strace is missing or may not attach: all kills are at random times")
    extent = sweep.measure(ground, tracing=tracing)
    tally.add(sweep.sweep(ground, sweep.plans(points, seed, extent.kinds), extent))
    return extent.seconds


def _raced(ground: Ground, number: int) -> tuple[str, int]:
    """Double starts."""
    found = []
    for index in range(number):
        found.append(rivals.race(ground))
        say(f"race {index + 1}: {found[-1]}")
        ground.close()
    bad = sum(not each.is_won for each in found)
    return f"double starts: {number}, one wrote and the other ended with 75 naming it: {number - bad}", bad


def _slept(ground: Ground, number: int) -> tuple[str, int]:
    """Runs that were overtaken, asleep or dead."""
    bad = 0
    for index in range(number):
        for name, rivalry, codes in (
            ("overslept, then taken up", rivals.overslept(ground, RERUN), (0, 75)),
            ("overslept, then a newer run", rivals.overslept(ground, AGAIN), (0, 75)),
            ("an older run ended last", rivals.outlived(ground), (0, 0)),
        ):
            say(f"{name} {index + 1}: {rivalry}")
            bad += rivalry.codes != codes or rivalry.changed > 0 or rivalry.wrong > 0
        ground.close()
    return f"overtaken runs: {3 * number}, wrote nothing afterwards: {3 * number - bad}", bad


def _stopped(tally: Tally, ground: Ground, number: int, seed: int, seconds: float) -> tuple[str, int]:
    """SIGTERM."""
    found = []
    for each in terms.stops(ground, number, seed, 2 * seconds):
        found.append(each)
        tally.add([each.point(ground.name)])
    took = [each.seconds for each in found if each.code]
    orphans = sum(each.orphans for each in found)
    bad = sum(each.wrong - each.outcome.wrong for each in found)
    codes = sorted({each.code for each in found})
    times = percentiles(took) if took else "none in mid-run"
    return f"SIGTERM: {number}, codes {codes}, orphans {orphans}, until all had ended: {times}", bad


def _poisoned(number: int, seed: int) -> tuple[str, int]:
    """Every toxic before every service, so many times."""
    trials = []
    for trial in toxics.run(number, seed):
        say(trial.line())
        trials.append(trial)
    return toxics.table(trials), sum(bool(trial.faults) for trial in trials)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started here is stopped
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
