"""`--verify read`: a row counts as stored once it was read back, byte for byte and with its timestamp."""

from collections.abc import Sequence

from ark.rows import Row
from ark.stores import Cell, RowsRefusedError, Store


class ReadBack:
    """A sink around a store that reads back what it has put."""

    def __init__(self, store: Store) -> None:
        self.writers = store.writers
        self.check = store.check
        self.close = store.close
        self._store = store

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Put all rows and read them back. Raises RowsRefusedError naming each that is not there as it was put.

        A row with a newer timestamp is right: a newer run has been there since.
        """
        self._store.put(table, rows, timestamp)
        wanted = {row.key: row.value for row in rows}
        wrong = {}
        for cell in self._store.read(table, list(wanted)):
            trouble = _trouble(cell, wanted.pop(cell.row), timestamp)
            if trouble:
                wrong[cell.row] = trouble
        wrong |= dict.fromkeys(wanted, "is missing")
        if wrong:
            raise RowsRefusedError(
                {key: f"read back: row {key.decode(errors='replace')} {it}" for key, it in wrong.items()}
            )


def _trouble(cell: Cell, value: bytes, timestamp: int) -> str:
    """What is wrong with a cell that should hold `value` or be newer."""
    if cell.timestamp < timestamp:
        return f"holds an older cell, of {cell.timestamp}, although {timestamp} was acknowledged"
    if cell.timestamp == timestamp and cell.value != value:
        return f"holds {len(cell.value)} other bytes than the {len(value)} that were acknowledged"
    return ""
