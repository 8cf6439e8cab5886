"""The event log on Kafka, behind a queue: whatever the brokers do, a run neither waits nor fails.

A thread of its own makes the producer and sends. What cannot be sent goes to the spill file, in the form it would have
had on the topic: while no broker answers (asked again every RETRY seconds), when the queue is full, when a record
expired, and at the end. The spill file is announced at every start and sent again by whoever looks after it
(`kafka-console-producer < FILE`): records carry an `event_id`, so one that arrives twice can be told.

Versions of kafka-python from 3.0 on can lose a producer for good when a batch expires while the broker is away; 2.3
with `enable_idempotence` recovers, and reports every record that expired.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from ark.errors import ServiceDownError
from ark.observers.append import AppendFile
from ark.observers.events import Record, encode
from ark.redact import redact_error

log = logging.getLogger(__name__)

QUEUE = 10_000
"""Records that wait for the thread at most, and records that wait for a broker's answer at most."""
RETRY = 30.0
"""Seconds for which nobody asks again after the brokers did not answer."""
FLUSH = 3.0
"""Seconds that `close` gives to records which are still under way."""
FORCE = 1.0
"""Seconds that a producer which is told to give up may take for it."""

Line = tuple[bytes, bytes]
"""Key (the run's id: its records stay in order) and value of one record."""


def probe(brokers: str) -> None:
    """Raise ServiceDownError unless a broker answers within about two seconds."""
    try:
        connect(brokers).close(timeout=0)
    except KafkaError as error:
        raise ServiceDownError(
            f"no broker of {brokers} answers ({type(error).__name__}): start Kafka, or correct ARK_KAFKA_URL"
        ) from error


def connect(brokers: str) -> KafkaProducer:
    """A producer that gives up within seconds; raises within about two when no broker answers."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it floods during an outage; failures are counted here
    return KafkaProducer(
        bootstrap_servers=brokers.split(","),
        client_id="ark",
        enable_idempotence=True,
        acks="all",
        api_version_auto_timeout_ms=2000,
        max_block_ms=500,
        request_timeout_ms=2000,
        delivery_timeout_ms=5000,
        linger_ms=20,
        compression_type="gzip",
        reconnect_backoff_max_ms=2000,
        metrics_enabled=False,
    )


class KafkaEvents:
    """Records on one topic. `emit` only queues; `close` returns how many records did not reach Kafka."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        spill: Path,
        *,
        connect: Callable[[str], Any] = connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._brokers = brokers
        self._topic = topic
        self._spill = AppendFile(spill, log.warning)
        self._connect = connect
        self._clock = clock
        self._waiting: deque[Line] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._unanswered: dict[int, Line] = {}
        self._away_until = 0.0
        self._deadline = float("inf")
        self._told = False
        _announce(spill)

    def emit(self, event: Record) -> None:
        """Queue one record, or spill it where the queue is full."""
        line = (str(event.get("run_id", "")).encode(), encode(event))
        with self._changed:
            taken = len(self._waiting) < QUEUE and self._deadline == float("inf")
            if taken:
                self._waiting.append(line)
                self._changed.notify()
            if taken and self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"events {self._topic}", daemon=True)
                self._thread.start()
        if not taken:
            self._spill.write(line[1])

    def close(self, within: float | None = None) -> int:
        """Send what is left, spill the rest; the number of records that did not reach Kafka.

        Takes FLUSH and FORCE seconds at most, or `within` fewer.
        """
        most = FLUSH + FORCE if within is None else min(FLUSH + FORCE, within)
        with self._changed:
            self._deadline = min(self._deadline, self._clock() + max(0.0, most - FORCE))
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(most)
        self._spill_rest()
        self._spill.close()
        undelivered = self._spill.written + self._spill.lost
        if undelivered:
            log.warning(
                "%d events did not reach Kafka; %d of them are in %s",
                undelivered,
                self._spill.written,
                self._spill.path,
            )
        return undelivered

    def _spill_rest(self) -> None:
        """What no broker answered for, and what still waits where the thread is stuck (in a silent name server)."""
        with self._changed:
            rest = [*self._unanswered.values(), *self._waiting]
            self._unanswered.clear()
            self._waiting.clear()
        for _, value in rest:
            self._spill.write(value)

    def _work(self) -> None:
        while (line := self._next()) is not None:
            self._deliver(line)
            with self._changed:  # only now: a line in hand would be lost if this thread got stuck
                if self._waiting and self._waiting[0] is line:
                    self._waiting.popleft()
        if self._producer is not None:
            _stop(self._producer, max(0.0, self._deadline - self._clock()))

    def _next(self) -> Line | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._deadline != float("inf"))
            return self._waiting[0] if self._waiting else None

    def _deliver(self, line: Line) -> None:
        if not self._may_send():
            self._spill.write(line[1])
            return
        try:
            if self._producer is None:
                self._producer = self._connect(self._brokers)
            self._send(line)
        except Exception as error:  # noqa: BLE001  whatever a client raises, an event log must not fail a run
            self._spill.write(line[1])
            self._away(error)

    def _may_send(self) -> bool:
        now = self._clock()
        return self._away_until <= now < self._deadline and len(self._unanswered) < QUEUE

    def _send(self, line: Line) -> None:
        key, value = line
        future = self._producer.send(self._topic, key=key, value=value)
        with self._changed:
            self._unanswered[id(line)] = line
        future.add_callback(self._arrived, id(line))
        future.add_errback(self._failed, id(line))

    def _arrived(self, number: int, _answer: object) -> None:
        with self._changed:
            self._unanswered.pop(number, None)

    def _failed(self, number: int, error: BaseException) -> None:
        """A record that Kafka refused or that expired; called in the producer's own thread."""
        with self._changed:
            line = self._unanswered.pop(number, None)
        if line is not None:
            self._spill.write(line[1])
            self._away(error)

    def _away(self, error: BaseException) -> None:
        self._away_until = self._clock() + RETRY
        if not self._told:
            self._told = True
            reason = redact_error(error)
            log.warning("Kafka at %s takes no events (%s); they go to %s", self._brokers, reason, self._spill.path)


def _stop(producer: Any, seconds: float) -> None:  # noqa: ANN401  kafka-python has no types
    """Close within `seconds` and FORCE; a record that no broker answered for by then is left to be spilled."""
    try:
        producer.close(seconds)
    except Exception:  # noqa: BLE001  close() gives up its wait by raising, and leaves the sender alive with what it holds
        sender = producer._sender  # noqa: SLF001  the client has no public way to drop them
        sender._accumulator.abort_incomplete_batches = _leave  # noqa: SLF001
        sender.initiate_close()
        sender.force_close()
        sender.join(FORCE)
        producer._closed = True  # noqa: SLF001  or its finalizer waits for them once more


def _leave() -> None:
    """Instead of the client's own abort, which raises in its thread where a batch is in flight (2.3.3)."""


def _announce(spill: Path) -> None:
    try:
        size = spill.stat().st_size
    except OSError:
        return
    if size:
        log.warning(
            "%s holds %d bytes of events that never reached Kafka: send them again, then remove it", spill, size
        )
