"""How a list that paging cannot reach to its end is read in parts, until every part is within reach.

A report says that it has 30,000 records where pages reach 10,000: then a coarser level of the same report is asked for
its ids (campaigns), and the records are asked for some of these ids at a time. A part that is still too long is halved;
a single id that is too long is cut by the next finer level. Some lists can be read by cursor instead, as one part.
Where there is neither, the unit fails: never a short list. A list of exactly as many records as paging reaches counts
as too long: a medium that cuts lists off in silence says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ark.errors import UnitError

MOST_IDS = 100
"""Ids in one filter that gdt, jrtt and wx all take."""
START = "0"
"""The cursor of a list's beginning."""


class ListMovedError(UnitError):
    """The list changed while it was read; worth reading again from its beginning."""


class TooLongError(UnitError):
    """The list has `total` records, and paging ends there or before."""

    def __init__(self, total: int, reach: int) -> None:
        super().__init__(f"the list has {total} records, paging ends at {reach}")
        self.total = total


@dataclass(slots=True)
class Part:
    """One sequence of pages: a whole unit, the records of some ids, or (`lists`) the ids to cut it by."""

    by: str = ""
    """The field that the ids are of."""
    ids: tuple[str, ...] = ()
    depth: int = 0
    """How many levels are spent."""
    lists: bool = False
    total: int = 0
    """What the part that is to be cut declares."""
    page: int = 1
    cursor: str = ""
    """Where to go on, in a list that is read by cursor; empty: it is read by page."""
    received: int = 0
    declared: int | None = None
    read: bool = False
    """Its last page is here."""
    found: list[str] = field(default_factory=list)
    """The ids that were listed so far."""

    def cut(self, total: int, levels: int, *, cursors: bool = False) -> list["Part"]:
        """The parts that take this one's place, since it declares `total` records. Raises UnitError at the end."""
        if cursors:
            return [Part(cursor=START)]
        if len(self.ids) > 1:
            middle = len(self.ids) // 2
            return [Part(self.by, ids, self.depth) for ids in (self.ids[:middle], self.ids[middle:])]
        if self.depth < levels and not self.lists:
            return [Part(self.by, self.ids, self.depth, lists=True, total=total)]
        of = f" of {self.by} {self.ids[0]}" if self.ids else ""
        raise UnitError(
            f"the list{of} has {total} records, as many as paging reaches or more, and cannot be cut further"
        )

    def cut_by(self, name: str, reach: int) -> list["Part"]:
        """The parts that this list of ids makes: so many ids at a time that a part is about half of what is reached."""
        ids = tuple(dict.fromkeys(self.found))
        size = min(MOST_IDS, max(1, len(ids) * reach // (2 * self.total)))
        return [Part(name, ids[start : start + size], self.depth + 1) for start in range(0, len(ids), size)]


@dataclass(slots=True)
class Cut:
    """Stands below the parts of something that was too long: once they are read, they must hold all of it."""

    total: int
    """What it declared; a medium that cuts lists off in silence declares too little, never too much."""
    received: int
    """The unit's records before."""

    def check(self, received: int) -> None:
        """Raise ListMovedError where the parts have brought less than was declared."""
        if received - self.received < self.total:
            raise ListMovedError(f"the list has {self.total} records, its parts hold only {received - self.received}")


def ids_of(records: Sequence[object], name: str) -> list[str]:
    """The ids that stand under `name` in decoded records. Raises UnitError where one is missing or no number."""
    found = [str(record.get(name)) if isinstance(record, dict) else "" for record in records]
    if not all(each.isascii() and each.isdigit() for each in found):
        raise UnitError(f"a record of the coarser level has no {name}: the list cannot be read in parts")
    return found
