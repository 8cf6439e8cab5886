"""Which interfaces there are: every module of a medium that declares one.

`gdt.funds` is media/gdt/funds.py; `wx.b.funds` is media/wx/b/funds.py, of the medium's second dialect.
"""

import importlib
import pkgutil
import re
from types import ModuleType

from ark.errors import UsageError
from ark.job.argument import nearest
from ark.settings import Settings
from handlers.api import ApiHandler

MEDIA = ("gdt", "jrtt", "wx")
_NAME = re.compile(r"(gdt|jrtt|wx)(\.[a-z][a-z0-9_]*){1,2}")


def find(name: str) -> type[ApiHandler]:
    """The handler class of an interface; raises UsageError with the nearest name there is."""
    module = _import(f"media.{name}") if _NAME.fullmatch(name) else None
    handler = _declared(module) if module else None
    if handler is None:
        raise UsageError(f"there is no interface {name!r}{nearest(name, names()) or '; see `ark interfaces`'}")
    return handler


def make(name: str, settings: Settings) -> ApiHandler:
    """The handler of an interface under these settings; raises as `find`."""
    handler = find(name)
    return handler(getattr(settings, handler.section))


def names() -> list[str]:
    """The names of all interfaces, sorted."""
    found = []
    for medium in MEDIA:
        package = importlib.import_module(f"media.{medium}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            declared = _declared(importlib.import_module(module.name))
            if declared:
                found.append(declared.name())
    return sorted(found)


def _import(path: str) -> ModuleType | None:
    """The module, or None where there is none; an error inside of it is not hidden."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise
        return None


def _declared(module: ModuleType) -> type[ApiHandler] | None:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, ApiHandler) and _is_declared_in(module, value):
            return value
    return None


def _is_declared_in(module: ModuleType, handler: type[ApiHandler]) -> bool:
    return handler.__module__ == module.__name__ and "row_key" in vars(handler)
