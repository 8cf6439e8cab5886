"""Settings: what is set, typed and checked, and where each value came from.

The ladder, low to high: conf/default.toml and [settings] of conf/{medium}.toml, the file that ARK_CONF names, the
environment (ARK_REDIS_URL is redis.url), flags. Secrets come only from the environment or from a file of mode 0600.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

import conf
from ark import urls
from ark.errors import ConfigError
from ark.redact import register

CONF = Path(conf.__file__).parent
"""Where the data files of the distribution are."""

DEFAULTS = "conf/default.toml"
"""Where a value came from that nobody has set."""

DIALECTS = ("gdt", "jrtt", "wx", "wx_b")
"""The sections that describe how a medium is spoken to: conf/{name}.toml. wx_b is the second dialect of wx."""
HIDDEN = "***"
SECRET = (".client_secret", ".agency_key")
"""Keys whose whole value is a secret."""

Text = Annotated[str, Meta(description="a text")]
Count = Annotated[int, Meta(ge=1, le=100_000, description="a whole number from 1 to 100000")]
Days = Annotated[int, Meta(ge=1, le=3650, description="whole days from 1 to 3650")]
Bytes = Annotated[int, Meta(ge=1, le=2**31 - 1, description="bytes, a whole number from 1 to 2147483647")]
Seconds = Annotated[float, Meta(gt=0, le=86400, description="seconds above 0, at most 86400")]
Percent = Annotated[int, Meta(ge=1, le=100, description="a whole percent from 1 to 100")]
Flag = Annotated[bool, Meta(description="true or false")]
Deadline = Annotated[float, Meta(ge=0, le=864_000, description="seconds from 0 (none) to 864000")]
Tenant = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}$", description="letters, digits, '_' or '-', at most 64")]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Some settings that belong together; its repr hides secrets."""

    def __repr__(self) -> str:
        name = type(self).__name__.lower()
        shown = (
            f"{field}={shown_value(f'{name}.{field}', getattr(self, field))!r}" for field in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class Redis(Section, frozen=True):
    """Where tokens, agents and accounts are; an empty url is the embedded server, started from `server`."""

    url: Text
    server: Text


class HBase(Section, frozen=True):
    """Where rows go; an empty url is the embedded tables. A batch closes at `batch` cells or `batch_bytes`.

    `timeout` is of one call, `patience` is how long a run waits for a store that is away.
    """

    url: Text
    batch: Count
    batch_bytes: Bytes
    timeout: Seconds
    patience: Seconds


class Kafka(Section, frozen=True):
    """The brokers of the event log; empty: JSON lines under home."""

    url: Text


class Sentry(Section, frozen=True):
    """Where alarms go; empty: nowhere."""

    dsn: Text


class Ledger(Section, frozen=True):
    """Where runs and units are kept; empty: SQLite under home."""

    url: Text
    keep_days: Days


class TenantDatabase(Section, frozen=True):
    """The tenants' MySQL, for head tasks."""

    url: Text


class Medium(Section, frozen=True):
    """A medium's base url, the seconds of its minute quota, and the most records per page of lists and of reports."""

    url: Text
    window: Seconds
    list_page: Count
    report_page: Count


class AppMedium(Medium, frozen=True):
    """A medium whose tokens an app renews: its id and secret; empty: tokens are renewed elsewhere."""

    client_id: Text
    client_secret: Text


class Jrtt(AppMedium, frozen=True):
    """Ocean Engine; `deleted`: campaigns, ads, creatives and their reports include the deleted ones."""

    deleted: Flag


class WxB(Medium, frozen=True):
    """WeChat's own dialect; `agency_key` signs for a service provider, empty: no service provider."""

    agency_key: Text


class Http(Section, frozen=True):
    """Limits of calls: in flight, seconds per attempt, bytes after decompression, tries, seconds of silence."""

    concurrency: Annotated[int, Meta(ge=1, le=2000, description="a whole number from 1 to 2000")]
    connect: Seconds
    read: Seconds
    total: Seconds
    max_body: Bytes
    attempts: Annotated[int, Meta(ge=1, le=20, description="a whole number from 1 to 20")]
    patience: Seconds


class Run(Section, frozen=True):
    """What holds for runs: the tenant where none is named, the seconds after which to stop cleanly (0: none).

    `lease`: seconds that a job stays taken after its holder was last heard of; `day_share`: percent of the day's quota
    that one run may use.
    """

    tenant: Tenant
    deadline: Deadline
    lease: Seconds
    day_share: Percent


class File(Section, frozen=True):
    """Directory of the FILE output; empty: `files` under home."""

    dir: Text


class Next(Section, frozen=True):
    """How next jobs are started."""

    dispatch: Annotated[Literal["inprocess", "subprocess"], Meta(description="inprocess or subprocess")]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set. `origins` tells for each key ("redis.url") where its value came from."""

    home: Path
    redis: Redis
    hbase: HBase
    kafka: Kafka
    sentry: Sentry
    ledger: Ledger
    tenant: TenantDatabase
    gdt: AppMedium
    jrtt: Jrtt
    wx: AppMedium
    wx_b: WxB
    http: Http
    run: Run
    file: File
    next: Next
    origins: Mapping[str, str]


SECTIONS: Mapping[str, type[Section]] = {
    field.name: field.type
    for field in msgspec.structs.fields(Settings)
    if isinstance(field.type, type) and issubclass(field.type, Section)
}
TYPES: Mapping[str, Any] = {
    f"{name}.{field.name}": field.type
    for name, section in SECTIONS.items()
    for field in msgspec.structs.fields(section)
}
"""Every key, "redis.url", and its type."""

VARIABLES: Mapping[str, str] = {f"ARK_{key.replace('.', '_').upper()}": key for key in TYPES}
"""Every environment variable of a section, and the key it sets."""
KNOWN = {**VARIABLES, "ARK_HOME": "home", "ARK_CONF": "the settings file"}

CHECKS: Mapping[str, Callable[[str], str]] = {
    "redis.url": urls.check_redis,
    "hbase.url": urls.check_thrift,
    "kafka.url": urls.check_brokers,
    "ledger.url": urls.check_database,
    "tenant.url": urls.check_database,
    **{f"{medium}.url": urls.check_medium for medium in DIALECTS},
}


class Given(NamedTuple):
    """One value as one rung of the ladder gives it; `text`: it is still to be read as a number."""

    key: str
    value: Any
    origin: str
    text: bool = False


def load(environ: Mapping[str, str], flags: Mapping[str, str] = MappingProxyType({})) -> Settings:
    """The settings that hold under `environ` and `flags` ({"run.deadline": "60"}).

    Registers every password for redaction. Raises ConfigError that names the key, its value, where it came from
    and what was expected; for an unknown key with the nearest one there is.
    """
    values: dict[str, Any] = {}
    origins = {"home": "environment ARK_HOME" if environ.get("ARK_HOME") else "default"}
    for given in _ladder(environ, flags):
        for secret in secrets(given.key, given.value):
            register(secret)
        values[given.key] = _typed(given)
        origins[given.key] = given.origin
    sections: dict[str, Any] = {
        name: section(**{field: values[f"{name}.{field}"] for field in section.__struct_fields__})
        for name, section in SECTIONS.items()
    }
    home = Path(environ.get("ARK_HOME") or "~/.ark").expanduser().absolute()
    return Settings(home=home, origins=MappingProxyType(origins), **sections)


def secrets(key: str, value: object) -> list[str]:
    """What of a value must never be shown: passwords in URLs, the whole DSN and its parts."""
    if not isinstance(value, str) or not value:
        return []
    if key == "sentry.dsn":
        return [value, *re.findall("://([^:/@]+)(?::[^/@]*)?@", value), *urls.passwords(value)]
    if key.endswith(SECRET):
        return [value]
    return list(urls.passwords(value))


def shown_value(key: str, value: object) -> object:
    """The value as it may be printed."""
    if not isinstance(value, str):
        return value
    return HIDDEN if key.endswith(("sentry.dsn", *SECRET)) and value else urls.masked(value)


def shown(settings: Settings) -> Iterator[tuple[str, object, str]]:
    """Each key, its value as it may be printed, and where it came from."""
    yield "home", str(settings.home), settings.origins["home"]
    for key in TYPES:
        section, _, field = key.partition(".")
        yield key, shown_value(key, getattr(getattr(settings, section), field)), settings.origins[key]


def _ladder(environ: Mapping[str, str], flags: Mapping[str, str]) -> Iterator[Given]:
    yield from _table(CONF / "default.toml", DEFAULTS)
    for medium in DIALECTS:
        yield from _medium(medium)
    if environ.get("ARK_CONF"):
        yield from _file(Path(environ["ARK_CONF"]).expanduser())
    yield from _environment(environ)
    for key, value in flags.items():
        _expect(key, TYPES, f"{key} (flag)")
        if secrets(key, value):
            raise ConfigError(f"{key} holds a secret and cannot be a flag: set {_variable(key)}")
        yield Given(key, value, "flag", text=True)


def _medium(medium: str) -> Iterator[Given]:
    path = CONF / f"{medium}.toml"
    if path.exists():
        for field, value in _read(path).get("settings", {}).items():
            origin = f"conf/{medium}.toml"
            _expect(f"{medium}.{field}", TYPES, f"{field} in [settings] of {origin}")
            yield Given(f"{medium}.{field}", value, origin)


def _file(path: Path) -> Iterator[Given]:
    for given in _table(path, f"file {path}"):
        if secrets(given.key, given.value) and path.stat().st_mode & 0o077:
            variable = _variable(given.key)
            raise ConfigError(f"{given.key} in {path} is a secret others may read: chmod 600 {path}, or set {variable}")
        yield given


def _table(path: Path, origin: str) -> Iterator[Given]:
    document = _read(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    for name, section in document.items():
        _expect(name, SECTIONS, f"section [{name}] in {origin}")
        if not isinstance(section, dict):
            raise ConfigError(f"{name} in {origin} is a value: expected a section [{name}]")
        for field, value in section.items():
            key = f"{name}.{field}"
            place = origin + _line(lines, name, field)
            _expect(key, TYPES, f"{key} in {place}")
            yield Given(key, value, place)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"settings file {path} cannot be read: {error.strerror}; is ARK_CONF right?") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings file {path} is not TOML: {error}") from error


def _line(lines: list[str], section: str, field: str) -> str:
    """`:12`, or nothing where the key is not written as [section] and `field =`."""
    inside = False
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("["):
            inside = line.strip().startswith(f"[{section}]")
        elif inside and re.match(rf"\s*{re.escape(field)}\s*=", line):
            return f":{number}"
    return ""


def _environment(environ: Mapping[str, str]) -> Iterator[Given]:
    prefixes = tuple(f"ARK_{name.upper()}_" for name in SECTIONS)
    for name, value in environ.items():
        if name in VARIABLES:
            yield Given(VARIABLES[name], value, f"environment {name}", text=True)
        elif name.startswith(prefixes) or (name.startswith("ARK_") and _nearest(name, KNOWN)):
            _expect(name, KNOWN, f"environment variable {name}")


def _typed(given: Given) -> Any:  # noqa: ANN401  # as many types as there are keys
    kind = TYPES[given.key]
    try:
        value = msgspec.convert(given.value, kind, strict=not given.text)
    except msgspec.ValidationError as error:
        raise _unfit(given, get_args(kind)[1].description) from error
    check = CHECKS.get(given.key)
    if check and (value or given.key.partition(".")[0] in DIALECTS):
        try:
            return check(value)
        except ValueError as error:
            raise _unfit(given, str(error)) from None
    return value


def _unfit(given: Given, expected: str) -> ConfigError:
    shown = shown_value(given.key, given.value)
    return ConfigError(f"{given.key} is {shown!r} ({given.origin}): expected {expected}")


def _expect(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        nearest = _nearest(name, known)
        raise ConfigError(f"{what} is unknown{f': did you mean {nearest}?' if nearest else ''}; see `ark settings`")


def _nearest(name: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "")


def _variable(key: str) -> str:
    return next(variable for variable, sets in VARIABLES.items() if sets == key)
