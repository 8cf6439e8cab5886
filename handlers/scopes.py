"""The name of a scope, whose calls a medium counts together: `{section}:{host}:{app or "-"}:{path}`."""

from typing import NamedTuple
from urllib.parse import urlsplit

from ark.settings import AppMedium
from handlers.api import ApiHandler


class Scope(NamedTuple):
    """A scope by its parts; `app` is a client id, empty where none is set."""

    section: str
    host: str
    app: str
    path: str

    def __str__(self) -> str:
        return f"{self.section}:{self.host}:{self.app or '-'}:{self.path}"


def scope_of(handler: ApiHandler) -> Scope | None:
    """The scope of an interface's calls; None where the medium counts each account's by itself."""
    if handler.quota_of != "app":
        return None
    medium = handler.settings
    app = medium.client_id if isinstance(medium, AppMedium) else ""
    return Scope(handler.section, urlsplit(medium.url).netloc, app, handler.path)


def read_scope(name: str) -> Scope:
    """The scope of a name."""
    section, _, rest = name.partition(":")
    host, app, path = rest.rsplit(":", 2)
    return Scope(section, host, "" if app == "-" else app, path)
