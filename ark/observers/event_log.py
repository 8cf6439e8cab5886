"""Where events go: Kafka where it is configured, else JSON lines under ARK_HOME/log. `EventLog` is the port."""

import logging
from pathlib import Path
from typing import Protocol

from ark.observers.append import AppendFile
from ark.observers.events import Record, encode
from ark.settings import Settings

log = logging.getLogger(__name__)


class EventLog(Protocol):
    """Where records go. No method raises, and `emit` never waits for anybody."""

    def emit(self, event: Record) -> None:
        """Hand over one record."""

    def close(self, within: float | None = None) -> int:
        """Send what is left, within a few seconds, or `within` fewer; the number of records that did not arrive."""


class FileEvents:
    """Records as JSON lines in a file that all processes of this machine append to."""

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path, log.warning)

    def emit(self, event: Record) -> None:
        """Append one record."""
        self._file.write(encode(event))

    def close(self, within: float | None = None) -> int:  # noqa: ARG002 - the port's
        """The number of records that the disk refused."""
        self._file.close()
        return self._file.lost


def open_events(settings: Settings, medium: str) -> EventLog:
    """The event log of one medium, as `kafka.url` says; nothing is connected before the first record."""
    topic = f"{medium}_api_log"
    folder = settings.home / "log"
    if not settings.kafka.url:
        return FileEvents(folder / f"{topic}.jsonl")
    from ark.observers.kafka_events import KafkaEvents

    return KafkaEvents(settings.kafka.url, topic, folder / f"{topic}.spill.jsonl")
