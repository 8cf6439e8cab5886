"""The rounds of W1, in one process: `python -m tests.bench.w1_rounds URL TABLE ROUNDS`; one JSON line per round."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from urllib.parse import urlsplit

import happybase
from Hbase_thrift import BatchMutation, Mutation

from ark.rows import COLUMN, Row
from ark.stores.hbase import HBaseStore
from ark.stores.tables import catalog

ROWS, BATCH, CONNECTIONS = 100_000, 1000, 4
WARM_UP = 2
"""Rounds of each side before the first that counts; 200,000 rows of one side at least."""
VALUE = json.dumps(
    {"tenant_alias": "T100117", "data": {f"figure_{n}": 7919 * n for n in range(30)}, "timestamp": 1}
).encode()
VALUE += b" " * (700 - len(VALUE))
_numbers = count(10_000_000 + int(time.time()) % 1_000_000 * 1_000)


def batches():
    """New rows in batches, with the salts of ten regions in turn."""
    numbers = [next(_numbers) for _ in range(ROWS)]
    rows = [Row(f"{n % 10}|20200530|{n}|1050262|GENERAL_CASH|T100117".encode(), VALUE) for n in numbers]
    return [rows[start : start + BATCH] for start in range(0, ROWS, BATCH)]


class Ark:
    """HBaseStore with as many threads as it wants."""

    def __init__(self, host, port, table):
        self._store = HBaseStore(
            f"thrift://{host}:{port}", catalog(), batch=BATCH, batch_bytes=8 * 1024 * 1024, timeout=30
        )
        self._table = table
        self._threads = ThreadPoolExecutor(self._store.writers)

    def write(self, work, timestamp):
        list(self._threads.map(lambda rows: self._store.put(self._table, rows, timestamp), work))


class Loop:
    """The seed's way: one connection, one `table.batch` that sends by itself."""

    def __init__(self, host, port, table):
        self._table = happybase.Connection(host, port).table(table)

    def write(self, work, timestamp):
        with self._table.batch(timestamp=timestamp, batch_size=BATCH) as batch:
            for rows in work:
                for row in rows:
                    batch.put(row.key, {COLUMN: row.value})


class Best:
    """mutateRowsTs with nothing around it, a thread for each connection."""

    def __init__(self, host, port, table):
        self._connections = [happybase.Connection(host, port) for _ in range(CONNECTIONS)]
        self._threads = ThreadPoolExecutor(CONNECTIONS)
        self._table = table.encode()

    def write(self, work, timestamp):
        def send(connection, some):
            for rows in some:
                mutations = [BatchMutation(row.key, [Mutation(column=COLUMN, value=row.value)]) for row in rows]
                connection.client.mutateRowsTs(self._table, mutations, timestamp, {})

        shares = [work[number::CONNECTIONS] for number in range(CONNECTIONS)]
        list(self._threads.map(send, self._connections, shares))


def rate(side):
    work, timestamp = batches(), int(time.time() * 1000)
    begun = time.monotonic()
    side.write(work, timestamp)
    return ROWS / (time.monotonic() - begun)


def main(url, table, rounds):
    place = urlsplit(url)
    sides = {name: kind(place.hostname, place.port, table) for name, kind in _KINDS.items()}
    for number in range(WARM_UP + rounds):
        rates = {name: rate(side) for name, side in sides.items()}
        if number >= WARM_UP:
            sys.stdout.write(f"{json.dumps(rates)}\n")


_KINDS = {"ark": Ark, "loop": Loop, "best": Best}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
