"""What the services hold, read with their own clients and none of Ark's code."""

import json
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import happybase
import sqlalchemy as sa
from kafka import KafkaConsumer, TopicPartition

from tests.conftest import SentryApi


class Cell(NamedTuple):
    """One cell of an HBase table, its value decoded."""

    timestamp: int
    value: dict[str, Any]


class Table:
    """One table of the real HBase."""

    def __init__(self, url: str, name: str) -> None:
        address = urlsplit(url)
        self._connection = happybase.Connection(address.hostname, address.port, timeout=30_000)
        self._table = self._connection.table(name)

    def cells(self) -> Iterator[tuple[str, Cell]]:
        """Row key and cell of every row; a row has the cell info:data alone."""
        for key, columns in self._table.scan(include_timestamp=True):
            ((value, timestamp),) = columns.values()
            assert columns.keys() == {b"info:data"}
            yield key.decode(), Cell(timestamp, json.loads(value))

    def raw(self) -> Iterator[tuple[str, bytes]]:
        """Row key and all values of every row, as they are stored."""
        for key, columns in self._table.scan():
            yield key.decode(), b"".join(columns.values())

    def remove(self, keys: Iterable[str]) -> None:
        """Delete these rows."""
        with self._table.batch(batch_size=1000) as batch:
            for key in keys:
                batch.delete(key.encode())

    def close(self) -> None:
        self._connection.close()


class Topic:
    """A topic of the real Kafka from now on."""

    def __init__(self, brokers: str, name: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=brokers, group_id=None, consumer_timeout_ms=20_000)
        partitions = self._consumer.partitions_for_topic(name) or {0}
        self._parts = [TopicPartition(name, number) for number in partitions]
        self._consumer.assign(self._parts)
        for part, offset in self._ends().items():
            self._consumer.seek(part, offset)

    def values(self) -> list[bytes]:
        """Every message since the last call."""
        ends = self._ends()
        found = []
        while any(self._consumer.position(part) < ends[part] for part in self._parts):
            found += [message.value for some in self._consumer.poll(1000).values() for message in some]
        return found

    def _ends(self) -> dict[TopicPartition, int]:
        return dict(self._consumer.end_offsets(self._parts))

    def close(self) -> None:
        self._consumer.close()


class Sentry:
    """The events of bugsink, by its HTTP API."""

    def __init__(self, api: SentryApi, dsn: str) -> None:
        self._api = api
        self._project = dsn.rpartition("/")[2]

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Everything stored of each event of one run; the newest of each issue are looked at."""
        found = []
        for issue in self._get(f"issues/?project={self._project}&sort=last_seen&order=desc")[:20]:
            for listed in self._get(f"events/?issue={issue['id']}&order=desc")[:10]:
                event = self._load(f"events/{listed['id']}/")
                if event["data"].get("tags", {}).get("run_id") == run_id:
                    found.append(event)
        return found

    def _get(self, path: str) -> list[dict[str, Any]]:
        return list(self._load(path)["results"])

    def _load(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(self._api.url + path, headers={"Authorization": f"Bearer {self._api.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.load(answer))


class Database:
    """A database of its own on the real MariaDB."""

    def __init__(self, server: str, name: str) -> None:
        self._server = server
        self._name = name
        self._execute(server, f"CREATE DATABASE {name}")
        self.url = sa.make_url(server).set(database=name).render_as_string(hide_password=False)

    def rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        engine = sa.create_engine(self.url)
        with engine.connect() as connection:
            found = [dict(row) for row in connection.execute(sa.text(query), values).mappings()]
        engine.dispose()
        return found

    def drop(self) -> None:
        self._execute(self._server, f"DROP DATABASE {self._name}")

    @staticmethod
    def _execute(url: str, statement: str) -> None:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()
