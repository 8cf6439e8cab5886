"""What the two databases, the ledger's and the tenants', have in common: their URLs and their drivers' errors."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from ark.errors import ConfigError


def parse(url: str, setting: str) -> URL:
    """The URL of MySQL or of an SQLite file; ConfigError naming `setting`, in words that repeat no password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = URL.create("unknown")
    if parsed.drivername not in {"mysql+pymysql", "sqlite"} or parsed.database in {None, "", ":memory:"}:
        variable = f"ARK_{setting.upper().replace('.', '_')}"
        raise ConfigError(
            f"{setting} must be mysql+pymysql://user:password@host/database or sqlite:////path: correct {variable}"
        )
    return parsed


def reason(error: DBAPIError) -> tuple[int, str]:
    """MySQL's error number and text; 0 where the driver has no number."""
    arguments = error.orig.args if error.orig else ()
    match arguments:
        case (int(code), text, *_):
            return code, f"{code} {text}"
        case _:
            return 0, str(error.orig)
