"""A run's units: read page by page, counted, folded. All functions take the run's number in the ledger."""

from collections.abc import Collection, Sequence
from operator import add
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ark.ledger.records import FINISHED, Figures, UnitKey
from ark.ledger.tables import KEY, runs, units

KEPT_BRIEFLY = ("verified", "skipped")
"""What is folded into its run; failed and open units stay, a rerun may still take them up."""
FOLD = 5000
"""Units that one transaction folds, so that no other process waits long."""


def page(
    connection: Connection,
    columns: Sequence[sa.Column[Any]],
    number: int,
    after: UnitKey | None,
    limit: int,
    states: Collection[str] = (),
) -> list[Any]:
    """Up to `limit` units behind `after` in the order of keys, in `states` or, where none are named, in any."""
    wanted = sa.select(*columns).where(units.c.run == number)
    if states:
        wanted = wanted.where(units.c.state.in_(states))
    found: list[Any] = []
    for behind, order in _ranges(after):
        if len(found) < limit:
            found += connection.execute(wanted.where(behind).order_by(*order).limit(limit - len(found)))
    return found


def _ranges(after: UnitKey | None) -> list[tuple[sa.ColumnElement[bool], Sequence[sa.Column[Any]]]]:
    """The ranges of the primary key behind `after`, each with the columns that still vary in it.

    Only so does MySQL begin at `after` and stop at the limit: for (agent, account, variant) > (...) it reads the run
    from its first unit, and it sorts where it is to order by a column that is fixed.
    """
    if after is None:
        return [(sa.true(), KEY)]
    agent, account, variant = KEY
    return [
        (sa.and_(agent == after.agent, account == after.account, variant > after.variant), (variant,)),
        (sa.and_(agent == after.agent, account > after.account), (account, variant)),
        (agent > after.agent, KEY),
    ]


def figures(connection: Connection, number: int) -> Figures:
    """The run counted from the units there are and those that were folded."""
    folded = connection.scalar(sa.select(runs.c.folded).where(runs.c.number == number))
    return _sum(_figures(folded), _count(connection, units.c.run == number))


def fold(connection: Connection, number: int, before: int, after: UnitKey | None) -> tuple[int, UnitKey | None]:
    """Fold the next units behind `after` of a run that finished before `before` (ms), but no failed ones.

    How many were folded, and behind which unit to go on; None: all are folded, or the run was taken up again.
    """
    old = sa.and_(runs.c.number == number, runs.c.status.in_(FINISHED), runs.c.finished_at < before)
    run = connection.execute(sa.select(runs.c.folded).where(old).with_for_update()).one_or_none()
    keys = [UnitKey._make(row) for row in page(connection, KEY, number, after, FOLD, KEPT_BRIEFLY)] if run else []
    if run is None or not keys:
        connection.execute(runs.update().where(old).values(pruned=True))
        return 0, None
    last = next(key for key in reversed(keys) if key.agent == keys[0].agent)
    chunk = sa.and_(
        units.c.run == number,
        units.c.agent == last.agent,
        units.c.account.between(keys[0].account, last.account),
        units.c.state.in_(KEPT_BRIEFLY),
    )
    counted = _count(connection, chunk)
    connection.execute(units.delete().where(chunk))
    folded = msgspec.json.encode(_sum(_figures(run.folded), counted)).decode()
    connection.execute(runs.update().where(old).values(folded=folded))
    return counted.planned, last


def _count(connection: Connection, which: sa.ColumnElement[bool]) -> Figures:
    """In one pass: to group by state, SQLite would sort all units."""
    ended = [sa.func.sum(sa.case((units.c.state == state, 1), else_=0)) for state in ("verified", "failed", "skipped")]
    amounts = [sa.func.sum(amount) for amount in (units.c.rows, units.c.requests, units.c.bytes)]
    counted = connection.execute(sa.select(sa.func.count(), *ended, *amounts).where(which)).one()
    return Figures(*(int(number or 0) for number in counted))


def _figures(folded: str | None) -> Figures:
    return msgspec.json.decode(folded, type=Figures) if folded else Figures()


def _sum(one: Figures, other: Figures) -> Figures:
    return Figures(*map(add, one, other))
