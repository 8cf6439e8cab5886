"""Addresses in settings: are they well formed, and what in them is secret?

Each check returns the address as Ark uses it, or raises ValueError with what was expected; none connects to anything.
"""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

PASSWORD_PARAMETERS = ("password", "passwd")
_USERINFO = re.compile(r"://([^:/?#@]*):(.*)@", re.DOTALL)
_PARAMETER = re.compile(rf"([?&](?:{'|'.join(PASSWORD_PARAMETERS)})=)([^&#]*)")
_MAX_PORT = 65535
DEFAULT_DATABASE = 2
REDIS_PARAMETERS = {"db", "username", "password", "ssl_ca_certs"}
"""What may follow `?`; above all nothing that switches the check of certificates off."""


def masked(url: str) -> str:
    """`url` with `***` for its password, even where the URL is malformed."""
    return _PARAMETER.sub(r"\1***", _USERINFO.sub(r"://\1:***@", url))


def passwords(url: str) -> Iterator[str]:
    """Every spelling of the passwords in `url`: as written, and decoded."""
    found = [match[2] for match in (*_USERINFO.finditer(url), *_PARAMETER.finditer(url))]
    for password in filter(None, found):
        yield password
        yield unquote(password)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address; nothing is resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_redis(url: str) -> str:
    """redis://host:port/db, rediss://..., or unix:///path?db=2; the database is 2 where none is named."""
    expected = "redis://host:port/2, rediss://host:port/2 or unix:///path?db=2"
    parts = _split(url, expected)
    given = parse_qs(parts.query, keep_blank_values=True)
    database = given.get("db", [""])[0]
    if parts.scheme == "unix":
        well_formed = parts.path.startswith("/") and len(parts.path) > 1
    else:
        well_formed = parts.scheme in ("redis", "rediss") and bool(parts.hostname)
        database = database or parts.path.strip("/")
    if not well_formed or set(given) - REDIS_PARAMETERS or (database and not re.fullmatch("[0-9]{1,5}", database)):
        raise ValueError(expected)
    if database:
        return url
    joined = "&" if parts.query else "?"
    return f"{url}{joined}db={DEFAULT_DATABASE}"


def check_thrift(url: str) -> str:
    """thrift://host:port, with ?transport=buffered|framed and &protocol=binary|compact."""
    expected = "thrift://host:port, with ?transport=buffered|framed and protocol=binary|compact where needed"
    parts = _split(url, expected)
    options = {"transport": ("buffered", "framed"), "protocol": ("binary", "compact")}
    given = parse_qs(parts.query, keep_blank_values=True)
    unfit = any(len(values) > 1 or values[0] not in options.get(name, ()) for name, values in given.items())
    if parts.scheme != "thrift" or not parts.hostname or not parts.port or parts.path.strip("/") or unfit:
        raise ValueError(expected)
    return url


def check_brokers(addresses: str) -> str:
    """host:port[,host:port]."""
    for address in addresses.split(","):
        host, _, port = address.rpartition(":")
        if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:.]+\]", host) or not re.fullmatch("[0-9]{1,5}", port):
            raise ValueError("host:port[,host:port]")
        if not 0 < int(port) <= _MAX_PORT:
            raise ValueError("host:port[,host:port], ports up to 65535")
    return addresses


def check_dsn(dsn: str) -> str:
    """https://key@host/project, as Sentry gives it out."""
    expected = "https://key@host/project, as Sentry gives it out"
    parts = _split(dsn, expected)
    if parts.scheme not in ("http", "https") or not parts.username or not parts.hostname or not parts.path.strip("/"):
        raise ValueError(expected)
    return dsn


def check_database(url: str) -> str:
    """A SQLAlchemy URL such as mysql+pymysql://user:password@host/name or sqlite:////path."""
    if not re.match(r"[a-z0-9]+(\+[a-z0-9_]+)?://", url):
        raise ValueError("a SQLAlchemy URL such as mysql+pymysql://user:password@host/name or sqlite:////path")
    return url


def check_medium(url: str) -> str:
    """https://host without a path; http:// only towards this machine, since the token travels in the URL."""
    expected = "https://host[:port] without a path; plain http:// only towards 127.0.0.1, ::1 or localhost"
    parts = _split(url, expected)
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    if not secure or not parts.hostname or not bare:
        raise ValueError(expected)
    return url.rstrip("/")


def _split(url: str, expected: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        raise ValueError(expected) from None
    if not url.isprintable() or " " in url:
        raise ValueError(expected)
    return parts
