"""A bounded share of `bin/chaos`: kills everywhere, double starts, overtaken runs, SIGTERM, killed services."""

import random

import pytest

from tests.chaos import rivals, sweep, terms
from tests.chaos.outages import outage
from tests.chaos.servers import Servers
from tests.chaos.stage import AGAIN, BATCH, RERUN, Ground
from tests.chaos.tally import Tally

POINTS = {"embedded": 20, "real": 12}
WRITERS = {"embedded": 1, "real": 4}
"""Threads that write to the store. Each may have stored a batch that is not settled, and before it the first rows of
units whose last rows are in that batch."""
RACES = 5
STOPS = 10


def test_a_kill_anywhere_loses_nothing(ground: Ground) -> None:
    """Its points are told; those of one seed are the same every time."""
    seed = random.SystemRandom().randrange(10**6)
    extent = sweep.measure(ground, tracing=sweep.can_trace())
    plans = sweep.plans(POINTS[ground.name], seed, extent.kinds)
    tally = Tally().add(sweep.sweep(ground, plans, extent), loud=False)
    assert tally.wrong == 0, f"seed {seed}\n{tally.table()}"
    assert sum(point.code != 0 for point in tally.points) > len(plans) / 2, "most of them should have killed it"
    assert max(point.outcome.rewritten for point in tally.points) <= WRITERS[ground.name] * 2 * BATCH


@pytest.mark.parametrize("time", range(RACES))
def test_of_two_starts_at_once_one_writes_and_the_other_names_it(embedded_ground: Ground, time: int) -> None:
    rivalry = rivals.race(embedded_ground)
    assert rivalry.is_won, rivalry


def test_of_two_starts_at_once_with_the_ledger_in_mysql(real_ground: Ground) -> None:
    rivalry = rivals.race(real_ground)
    assert rivalry.is_won, rivalry


@pytest.mark.parametrize("how", [RERUN, AGAIN])
def test_a_run_that_slept_longer_than_its_lease_writes_nothing_more(ground: Ground, how: str) -> None:
    rivalry = rivals.overslept(ground, how)
    assert (rivalry.codes, rivalry.changed, rivalry.wrong) == ((0, 75), 0, 0), rivalry
    assert "ark rerun" in rivalry.refusal


def test_an_older_run_that_ends_last_changes_no_cell(ground: Ground) -> None:
    rivalry = rivals.outlived(ground)
    assert (rivalry.codes, rivalry.changed, rivalry.wrong) == ((0, 0), 0, 0), rivalry
    assert rivalry.runs == 2


def test_sigterm_at_any_moment(embedded_ground: Ground) -> None:
    seed = random.SystemRandom().randrange(10**6)
    span = sweep.measure(embedded_ground, tracing=False).seconds
    found = list(terms.stops(embedded_ground, STOPS, seed, 2 * span))
    assert [each for each in found if each.wrong] == [], f"seed {seed}"
    assert any(each.code == terms.STOPPED for each in found)


def test_hbase_its_gateway_redis_and_ark_are_killed_in_one_run(real_ground: Ground, own_servers: Servers) -> None:
    point = outage(real_ground, own_servers)
    assert point.outcome.wrong == 0, point
    assert point.outcome.tries > 0
