"""What follows a run: the intents that are kept with its result, and what became of each.

All functions take the run's number in the ledger.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ark.ledger.records import NextJob, Trigger
from ark.ledger.runs import RUN, made
from ark.ledger.tables import runs, triggers

INTENT = [triggers.c[name] for name in ("trigger_key", "job", "argument")]


def of_run(connection: Connection, number: int) -> list[NextJob]:
    """The run's next jobs in the order of their keys, each with the run that has begun under it."""
    wanted = sa.select(*INTENT, triggers.c.sent_at, *RUN).order_by(triggers.c.trigger_key)
    begun = sa.outerjoin(triggers, runs, runs.c.trigger_key == triggers.c.trigger_key)
    found = connection.execute(wanted.select_from(begun).where(triggers.c.run == number))
    return [_next_job(row) for row in found]


def keep(connection: Connection, number: int, next_jobs: Sequence[Trigger], now: int) -> None:
    """Keep the intents that are not there yet; those of an earlier result are not kept beside them.

    Where nothing is to follow now, what has begun under an earlier intent is still the run's to take up.
    """
    wanted = [trigger.key for trigger in next_jobs]
    begun = sa.select(runs.c.trigger_key).where(runs.c.trigger_key.is_not(None))
    earlier = [triggers.c.run == number, triggers.c.trigger_key.not_in(wanted)]
    if not wanted:
        earlier.append(triggers.c.trigger_key.not_in(begun))
    connection.execute(triggers.delete().where(*earlier))
    known = set(connection.scalars(sa.select(triggers.c.trigger_key).where(triggers.c.trigger_key.in_(wanted))))
    rows = [
        {"trigger_key": key, "run": number, "job": job, "argument": argument, "created_at": now}
        for key, job, argument in next_jobs
        if key not in known
    ]
    if rows:
        connection.execute(triggers.insert(), rows)


def _next_job(row: Sequence[Any]) -> NextJob:
    columns = len(INTENT)
    names = [column.name for column in RUN]
    run = dict(zip(names, row[columns + 1 :], strict=True))
    return NextJob(Trigger._make(row[:columns]), row[columns] is not None, made(run) if run["run_id"] else None)
