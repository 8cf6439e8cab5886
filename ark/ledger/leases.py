"""Who works on a job: one run of an (interface, tenant, agent, date) at a time, on all machines that share the ledger.

A lease lives until a moment of the ledger's own clock and is renewed while its holder lives. It can be taken over when
that moment has passed, or at once where the kernel says that the holder is dead. Whoever lost it is told so by the next
thing it asks of the ledger: every write of a run goes through `check` in its own transaction.

Why it is kept here and not in Redis or in files: docs/decisions/019-lease-in-the-ledger.md.
"""

from collections.abc import Container
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ark import process
from ark.errors import LaterError
from ark.ledger.tables import SAME, leases, runs


class Attempt(NamedTuple):
    """One take-up of one run: `run` is its number in the ledger, `attempt` counts from 1. No two are ever equal."""

    run: int
    attempt: int


class LeaseHeldError(LaterError):
    """Somebody else works on the same job; names the process and its run."""


class LeaseLostError(LaterError):
    """This run's lease went to somebody else while it slept or could not reach the ledger: it writes no more."""


def take(
    connection: Connection, mine: Attempt, moment: int, life: int, *, given_up: Container[Attempt], same_machine: bool
) -> None:
    """Take the lease of the run's job until `moment` + `life` (ms of the ledger's clock).

    Raises LeaseHeldError where somebody holds it whose attempt is not among those `given_up`. The caller's transaction
    keeps others out meanwhile; a living holder is only looked at, and not held up.
    """
    job = connection.execute(sa.select(*(runs.c[name] for name in SAME)).where(runs.c.number == mine.run)).one()
    of_job = sa.and_(*(leases.c[name] == value for name, value in job._asdict().items()))
    held = connection.execute(sa.select(leases).where(of_job)).one_or_none()
    if held is not None:
        dead = process.is_dead(held.holder, same_machine=same_machine)
        if held.until > moment and not dead and Attempt(held.run, held.attempt) not in given_up:
            raise _held(connection, held)
        connection.execute(leases.delete().where(of_job))
    until = {"until": moment + life, "holder": process.identity()}
    connection.execute(leases.insert().values(job._asdict() | mine._asdict() | until))


def renew(connection: Connection, mine: Attempt, moment: int, life: int) -> None:
    """Hold it until `moment` + `life`; raises LeaseLostError where somebody else has it."""
    if not connection.execute(leases.update().where(_is(mine)).values(until=moment + life)).rowcount:
        raise _lost(connection, mine)


def check(connection: Connection, mine: Attempt) -> None:
    """Raise LeaseLostError unless the lease is still ours; until the transaction ends nobody takes it.

    Locked as for a change from the start: a lock that is raised later, as at a run's end, can meet another's half-way.
    """
    if connection.scalar(sa.select(leases.c.run).where(_is(mine)).with_for_update()) is None:
        raise _lost(connection, mine)


def release(connection: Connection, mine: Attempt) -> None:
    """Let others in."""
    connection.execute(leases.delete().where(_is(mine)))


def _is(mine: Attempt) -> sa.ColumnElement[bool]:
    return sa.and_(leases.c.run == mine.run, leases.c.attempt == mine.attempt)


def _held(connection: Connection, held: sa.Row[Any]) -> LeaseHeldError:
    run = connection.execute(sa.select(runs).where(runs.c.number == held.run)).one()
    return LeaseHeldError(
        f"{run.interface} of {run.tenant}/{run.agent_id} for {run.data_date} is being worked on by process {run.pid} on"
        f" {run.host}, run {run.run_id}: wait for it (--wait), or stop it"
    )


def _lost(connection: Connection, mine: Attempt) -> LeaseLostError:
    run = connection.execute(
        sa.select(runs.c.run_id, *(runs.c[name] for name in SAME)).where(runs.c.number == mine.run)
    ).one()
    job = sa.and_(*(leases.c[name] == run._asdict()[name] for name in SAME))
    found = sa.select(runs.c.run_id, runs.c.pid, runs.c.host).join(leases, leases.c.run == runs.c.number).where(job)
    holder = connection.execute(found).one_or_none()
    by = f" to process {holder.pid} on {holder.host}, run {holder.run_id}" if holder else ""
    return LeaseLostError(
        f"run {run.run_id} lost its lease{by}: it writes no more; `ark show {run.run_id}` tells what is open"
    )
