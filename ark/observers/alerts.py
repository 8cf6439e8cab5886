"""Alarms to Sentry: one event per kind of failure per run, with how many and a few samples.

A client of its own per run, bound to nothing: no hooks, no breadcrumbs, no other library's errors. Every text of every
event goes through `redact`, because names of keys are not enough (a token may sit in an exception's text).
A receiver that is away, slow or misspelt costs a run nothing but SHUTDOWN seconds at its end.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ark.observers.events import version
from ark.redact import redact_error, redact_to, redact_value

if TYPE_CHECKING:
    from ark.settings import Settings

log = logging.getLogger(__name__)

SHUTDOWN = 2.0
"""Seconds that the end of a run waits for events that are still under way."""
SAMPLES = 3
"""Samples (account ids, traces) that one event shows."""
KINDS = 50
"""Kinds of failures that one run reports; further ones are counted together as OTHER."""
OTHER = "other kinds"
TEXT = 2000
"""Characters of a message or of one value of a sample."""

Sample = Mapping[str, object]


class Alerts(Protocol):
    """Where failures are reported. No method raises, and only `close` waits."""

    def failure(
        self, kind: str, message: str, *, count: int = 1, samples: Sequence[Sample] = (), level: str = "error"
    ) -> None:
        """Report `count` failures of one kind (a body code, an error's class); all of a run become one event."""

    def crash(self, error: BaseException) -> None:
        """Report a bug of Ark's own, with its stack."""

    def close(self, within: float | None = None) -> None:
        """Send what was reported; waits SHUTDOWN seconds at most, or `within` fewer."""


class NoAlerts:
    """Nobody is told: `sentry.dsn` is empty."""

    def failure(
        self, kind: str, message: str, *, count: int = 1, samples: Sequence[Sample] = (), level: str = "error"
    ) -> None:
        """Nothing."""

    def crash(self, error: BaseException) -> None:
        """Nothing."""

    def close(self, within: float | None = None) -> None:
        """Nothing."""


class Failure(msgspec.Struct):
    """All failures of one kind so far."""

    message: str
    level: str
    count: int
    samples: list[Sample]


class SentryAlerts:
    """Collects the failures of one run by kind, and sends them when it ends."""

    def __init__(self, client: Any, tags: Mapping[str, str]) -> None:  # noqa: ANN401  imported only where it is used
        self._client = client
        self._tags = {**tags, "release": version()}
        self._failures: dict[str, Failure] = {}
        self._crashes: set[str] = set()

    def failure(
        self, kind: str, message: str, *, count: int = 1, samples: Sequence[Sample] = (), level: str = "error"
    ) -> None:
        """Count and keep the first samples; an error outweighs a warning of the same kind."""
        if kind not in self._failures and len(self._failures) >= KINDS:
            kind, message = OTHER, f"more than {KINDS} kinds of failures: the run's ledger holds them all"
        known = self._failures.setdefault(kind, Failure(message=message, level=level, count=0, samples=[]))
        known.count += count
        known.samples += samples[: SAMPLES - len(known.samples)]
        if level == "error":
            known.level = level

    def crash(self, error: BaseException) -> None:
        """Send the exception with its stack, the first of its class."""
        kind = type(error).__name__
        if kind in self._crashes:
            return
        self._crashes.add(kind)
        try:
            from sentry_sdk.utils import event_from_exception

            event, hint = event_from_exception(error, client_options=self._client.options)
            self._send(kind, {**event}, hint)
        except Exception as trouble:  # noqa: BLE001  an alarm that cannot be built must not hide the error it is about
            log.warning("cannot report %s to Sentry: %s", kind, type(trouble).__name__)

    def close(self, within: float | None = None) -> None:
        """Send one event per kind, then wait until they are out or the time is over."""
        failures, self._failures = self._failures, {}
        try:
            for kind, failure in failures.items():
                self._send(kind, _event(kind, failure))
            self._client.close(timeout=SHUTDOWN if within is None else min(SHUTDOWN, within))
        except Exception as trouble:  # noqa: BLE001  whatever the client raises, the run has its result
            log.warning("cannot report to Sentry: %s", redact_error(trouble))

    def _send(self, kind: str, event: dict[str, Any], hint: dict[str, Any] | None = None) -> None:
        event["tags"] = {**self._tags, "error_code": kind}
        event["fingerprint"] = [self._tags.get("media", ""), self._tags.get("interface", ""), kind]
        self._client.capture_event(event, hint)


def _event(kind: str, failure: Failure) -> dict[str, Any]:
    samples = [{key: redact_to(str(value), TEXT) for key, value in sample.items()} for sample in failure.samples]
    return {
        "level": failure.level,
        "exception": {"values": [{"type": kind, "value": redact_to(failure.message, TEXT)}]},
        "extra": {"count": failure.count, "samples": samples},
    }


def open_alerts(
    settings: "Settings",
    tags: Mapping[str, str],
    *,
    transport: Any = None,  # noqa: ANN401  one of sentry_sdk's, which is imported only where it is used
) -> Alerts:
    """Alarms as `sentry.dsn` says. `tags`: media, tenant, job, interface, agent_id, data_date, run_id.

    A dsn that cannot be used is told once and then means no alarms. `transport` replaces HTTP, for tests.
    """
    if not settings.sentry.dsn:
        return NoAlerts()
    try:
        client = _client(settings.sentry.dsn, transport)
    except Exception as error:  # noqa: BLE001  a misspelt dsn must not fail a run
        log.warning("sentry.dsn cannot be used (%s): no alarms are sent", redact_error(error))
        return NoAlerts()
    return SentryAlerts(client, tags)


class FirstOnly(logging.Filter):
    """Of the many lines that Sentry's HTTP client writes about a receiver that is away, one, in plain words."""

    told = False

    def filter(self, record: logging.LogRecord) -> bool:
        """True for the first record."""
        first, self.told = not self.told, True
        record.msg, record.args = "Sentry does not answer, alarms are lost: %s", (record.getMessage(),)
        return first


def _client(dsn: str, transport: Any) -> Any:  # noqa: ANN401  as above
    import sentry_sdk

    http_log = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(known, FirstOnly) for known in http_log.filters):
        http_log.addFilter(FirstOnly())
    return sentry_sdk.Client(
        dsn=dsn,
        release=version(),
        default_integrations=False,  # they would add argv, local modules, hooks, and every log line of level error
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        before_send=lambda event, _hint: _clean(event),
        before_breadcrumb=lambda _crumb, _hint: None,
        shutdown_timeout=SHUTDOWN,
        transport=transport,
    )


def _clean(event: Any) -> Any:  # noqa: ANN401  an event is whatever the client built
    event.get("extra", {}).pop("sys.argv", None)
    return redact_value(event)
