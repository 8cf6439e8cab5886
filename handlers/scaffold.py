"""A new interface as files: its declaration, its test, its table, its place in conf/jobs.toml. All of them or none."""

import importlib
import keyword
import re
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from ark.errors import ConfigError, LocalDiskError, UsageError
from ark.settings import CONF, load
from ark.stores.tables import check_name
from ark.units import Unit
from handlers.api import ApiHandler, Stamp
from handlers.registry import find, make, names

CHECKOUT = CONF.parent
HELPER = "tests/interface_check.py"
"""What the written test is made with; it is in a checkout only."""
WIDTH = 120
NAME = re.compile("[a-z][a-z0-9_]*")
FIELD = re.compile("[A-Za-z_][A-Za-z0-9_]*")
PATH = re.compile("[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*/?")
ALWAYS = ("salt", "date", "account_id", "agent_id", "tenant")
"""The fields of every row key."""


class Wish(NamedTuple):
    """The interface that is wanted; `pages` is "none" where one answer holds everything."""

    name: str
    path: str
    table: str
    keys: Sequence[str]
    by: Literal["account", "agent"]
    pages: Literal["list", "report", "none"]
    source: str

    @property
    def dialect(self) -> str:
        """The folder of media/ that it belongs to, dotted: gdt, or wx.b."""
        return self.name.rpartition(".")[0]

    @property
    def module(self) -> str:
        """The file of its declaration."""
        return f"media/{self.name.replace('.', '/')}.py"

    @property
    def test(self) -> str:
        """The file of its test."""
        return f"tests/media/interfaces/test_{self.name.replace('.', '_')}.py"

    @property
    def row_key(self) -> tuple[str, ...]:
        """The unit, then what tells its records apart."""
        *unit, tenant = ALWAYS
        return (*unit, *self.keys, tenant)


def scaffold(wish: Wish, root: Path = CHECKOUT) -> list[str]:
    """Write the files of `wish` into the checkout at `root`, and answer their names there, new ones first.

    Raises UsageError where the wish cannot be granted, ConfigError where conf/ is not as expected, LocalDiskError where
    the disk refuses; nothing is written then.
    """
    _check(wish, root)
    files = {wish.module: _declaration(wish), wish.test: _test(wish)} | _conf(wish, root)
    for name, text in files.items():
        if name.endswith(".py") and max(map(len, text.splitlines())) > WIDTH:
            raise UsageError(
                f"a line of {name} would be longer than {WIDTH}: shorten the path, the table, the source or the keys"
            )
    write({root / name: text for name, text in files.items()})
    return list(files)


def write(files: Mapping[Path, str]) -> None:
    """Write all of these files or none. Raises LocalDiskError."""
    staged = {path: path.with_name(f"{path.name}.new") for path in files}
    before = {path: path.read_bytes() for path in files if path.is_file()}
    placed: list[Path] = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path].write_text(text, encoding="utf-8")
            if path in before:
                shutil.copymode(path, staged[path])
        for path, new in staged.items():
            new.replace(path)
            placed.append(path)
    except BaseException as error:
        _take_back(placed, before, staged.values())
        if isinstance(error, OSError):
            raise LocalDiskError(f"{error.filename}: {error.strerror}; nothing was written") from error
        raise


def _take_back(placed: Sequence[Path], before: Mapping[Path, bytes], staged: Iterable[Path]) -> None:
    for new in staged:
        with suppress(OSError):
            new.unlink(missing_ok=True)
    for path in placed:
        if path in before:
            path.write_bytes(before[path])
        else:
            path.unlink(missing_ok=True)


def _check(wish: Wish, root: Path) -> None:
    if not (root / HELPER).is_file():
        raise UsageError(f"{root} is no checkout of Ark, {HELPER} is missing: run `ark scaffold` from a checkout")
    dialects = {name.rpartition(".")[0] for name in names()}
    if wish.dialect not in dialects:
        raise UsageError(f"{wish.name!r} is of no medium: expected MEDIUM.NAME of {', '.join(sorted(dialects))}")
    name = wish.name.rpartition(".")[2]
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot be an interface: expected a small letter, then small letters, digits or '_'")
    for taken in (wish.module, wish.module.removesuffix(".py"), wish.test):
        if (root / taken).exists():
            raise UsageError(f"{taken} exists: take another name than {wish.name}")
    if not PATH.fullmatch(wish.path):
        raise UsageError(f"--path {wish.path!r} is no endpoint: expected it without host and version, as funds/get")
    if not wish.source.isprintable() or not wish.source.strip() or set(wish.source) & set('"\\'):
        raise UsageError("--source is no plain text: expected one line without double quotes and backslashes")
    if wish.by == "agent" and _base(wish).opened_by == "account":
        raise UsageError(f"--by agent does not fit {wish.dialect}: each account has a token of its own there")
    _check_table(wish)


def _check_table(wish: Wish) -> None:
    owner = next((name for name in names() if find(name).table == check_name(wish.table)), "")
    if owner:
        raise UsageError(f"--table {wish.table} is the table of {owner}: its rows would be mixed with new ones")
    for field in wish.keys:
        if not FIELD.fullmatch(field):
            raise UsageError(f"--key {field!r} is no field of a record: expected letters, digits and '_'")
        if field in ALWAYS or wish.keys.count(field) > 1:
            raise UsageError(f"--key {field} is in the row key already: leave it out")


def _conf(wish: Wish, root: Path) -> dict[str, str]:
    """The two files of conf/ with what is added at their ends; a table that is declared already stays as it is."""
    tables, jobs = _read(root / "conf/tables.toml"), _read(root / "conf/jobs.toml")
    files = {}
    if wish.table not in tomllib.loads(tables).get("tables", {}):
        about = f'about = "{wish.dialect}: what {wish.path} answers"'
        files["conf/tables.toml"] = f"{tables}\n[tables.{_bare(wish.table)}]\n{about}\n"
    files["conf/jobs.toml"] = f'{jobs}"{wish.name}" = "new; nothing starts it yet"\n'
    if wish.name not in tomllib.loads(files["conf/jobs.toml"]).get("alone", {}):
        raise ConfigError("conf/jobs.toml does not end with the section [alone]: move that section to its end")
    return files


def _read(path: Path) -> str:
    """The text of a TOML file, with a line end at its end."""
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return text if text.endswith("\n") else f"{text}\n"


def _bare(table: str) -> str:
    """A table's name as a key of TOML: quoted where it holds a dot or a colon."""
    return table if re.fullmatch("[A-Za-z0-9_-]+", table) else f'"{table}"'


def _declaration(wish: Wish) -> str:
    base = _base_name(wish)
    options = ['    by = "agent"'] if wish.by == "agent" else []
    options += [f'    pages = "{wish.pages}_page"'] if wish.pages != "none" else []
    body = "\n".join([*_row_key(wish.row_key), f'    source = "{wish.source}"', *options])
    return f'''"""{wish.name}: what {wish.path} answers."""

from ark.rows import RowKey
from media.{wish.dialect}.base import {base}


class {_camel(wish.name)}({base}):
    """Each record of {wish.path}."""

    path = "{wish.path}"
    table = "{wish.table}"
{body}
'''


def _row_key(fields: Sequence[str]) -> Iterator[str]:
    """The declaration of the row key, broken into lines as the formatter does it."""
    words = [f'"{field}"' for field in fields]
    whole = f"    row_key = RowKey({', '.join(words)})"
    inside = f"        {', '.join(words)}"
    if len(whole) <= WIDTH:
        yield whole
    else:
        yield "    row_key = RowKey("
        yield from [inside] if len(inside) <= WIDTH else [f"        {word}," for word in words]
        yield "    )"


def _test(wish: Wish) -> str:
    """The test of the new interface: records, and where they must end up; both are to be made like the medium's."""
    name, function = wish.name, f"test_{wish.name.replace('.', '_')}"
    title = f'"""{name}: none, one, a page and many of its records go through the whole engine."""'
    shape = '    shape="list",\n' if wish.pages == "none" else ""
    sample = f"""SAMPLE = Sample(
    path="{_address(wish)}",
{_record(wish)}
    key="{_key(wish)}",
{shape})"""
    if wish.by == "account":
        return f"""{title}

from tests.interface_check import Sample, check

{sample}


def {function}(desk):
    check(desk, "{name}", SAMPLE)
"""
    counts = "0, 1, PAGE" if wish.pages == "none" else "0, 1, PAGE, 3 * PAGE + 1"
    return f"""{title}

import pytest

from tests.interface_check import PAGE, Sample, check_list

{sample}


@pytest.mark.parametrize("count", [{counts}])
def {function}(desk, count):
    run = check_list(desk, "{name}", SAMPLE, "", count, old={{}})
    assert run.exit_code == 0
"""


def _address(wish: Wish) -> str:
    """The path of the URL, as the medium's other interfaces have theirs."""
    neighbour = _neighbour(wish)
    unit = Unit("TENANT", date.min, "AGENT", "ACCOUNT", {})
    url = neighbour.sign(neighbour.settings.url, unit, {}, "TOKEN", Stamp(0, "NONCE")).url
    return urlsplit(url).path.removesuffix(neighbour.path) + wish.path


def _record(wish: Wish) -> str:
    """The fields of the row key as the medium's records name them: JSON, on as many lines as it needs."""
    account = _base(wish).named.get("account_id", "account_id")
    fields = {account: "$id" if wish.by == "agent" else "$account"} | dict.fromkeys(wish.keys, "$id")
    *before, last = (f'"{field}": {value}' for field, value in fields.items())
    words = [*(f"{each}, " for each in before), f"{last}}}"]
    words[0] = f"{{{words[0]}"
    whole = f"    record='{''.join(words)}',"
    return whole if len(whole) <= WIDTH else "    record=" + "\n    ".join(f"'{word}'" for word in words) + ","


def _key(wish: Wish) -> str:
    account = "$last|$day|$id" if wish.by == "agent" else "$salt|$day|$account"
    return "|".join([account, "$agent", *["$id"] * len(wish.keys), "$tenant"])


def _base(wish: Wish) -> type[ApiHandler]:
    base: type[ApiHandler] = getattr(importlib.import_module(f"media.{wish.dialect}.base"), _base_name(wish))
    return base


def _base_name(wish: Wish) -> str:
    return f"{_camel(wish.dialect)}Handler"


def _neighbour(wish: Wish) -> ApiHandler:
    return make(next(name for name in names() if name.rpartition(".")[0] == wish.dialect), load({}))


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in re.split("[._]", name))
