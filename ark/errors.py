"""What can go wrong, told twice: the class says what the engine does, the text says what the human does.

ArkError                 one line: what is wrong, which key or setting, what to do
├── UsageError           a bad argument or flag                               exit 2
├── EmptyListError       a list of accounts or agents is absent or empty      exit 3
├── InputDataError       the input data cannot be used                        exit 65
├── ServiceDownError     a service that is needed does not answer             exit 69
├── InternalError        our own bug                                          exit 70
├── LocalDiskError       this machine's disk refuses                          exit 74
├── LaterError           not now: quota spent, lease held, deadline           exit 75
├── StoppedError         stopped by a signal, after a checkpoint              exit 130/143
├── TokenError           no token, or the medium refuses it                   exit 77
├── ConfigError          settings, tables or keys that do not fit             exit 78
│   └── TableMissingError  the table does not exist; says how to create it
└── UnitError            one unit fails, the rest goes on                     exit 3
    └── TransportError   a connection trouble; worth another try
"""


class ArkError(Exception):
    """Root of all errors that Ark raises on purpose; `exit_code` is what the process ends with."""

    exit_code = 70


class UsageError(ArkError):
    """A bad argument or flag; names the key and shows the repaired form."""

    exit_code = 2


class EmptyListError(ArkError):
    """A list of accounts or agents is absent or empty, which is never "nothing to do"; names the Redis key."""

    exit_code = 3


class InputDataError(ArkError):
    """Input data that cannot be used, such as a row key field that is empty or holds the separator."""

    exit_code = 65


class ServiceDownError(ArkError):
    """A service that is needed does not answer; names it, without its password."""

    exit_code = 69


class InternalError(ArkError):
    """A bug of Ark's own."""

    exit_code = 70


class LocalDiskError(ArkError):
    """This machine's disk refuses; names the path."""

    exit_code = 74


class LaterError(ArkError):
    """Nothing is wrong, but not now: the day's quota is spent, a lease is held, the deadline has passed."""

    exit_code = 75


class StoppedError(ArkError):
    """Stopped by a signal; what is fetched is stored, the rest stays planned."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number


class TokenError(ArkError):
    """No token for an agent, or the medium refuses the one there is; names the agent and the Redis key."""

    exit_code = 77


class ConfigError(ArkError):
    """A setting, key or table that does not fit; names it and the way out."""

    exit_code = 78


class TableMissingError(ConfigError):
    """The table does not exist; says how to create it."""


class UnitError(ArkError):
    """One unit cannot be done, and the rest goes on; the text becomes the unit's reason in the ledger.

    `code` is the medium's body code where there is one, `trace` the medium's id of the answer.
    """

    exit_code = 3

    def __init__(self, reason: str, *, code: int | None = None, trace: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.trace = trace


class TransportError(UnitError):
    """A connection trouble: refused, reset, timed out, cut short, or a 5xx without a body; worth another try.

    `pause` is how many seconds the medium asks to wait (Retry-After), 0 where it does not.
    """

    def __init__(self, reason: str, *, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause
