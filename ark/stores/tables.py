"""The tables: what conf/tables.toml says about each, and the HBase shell statement that creates it."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

import conf
from ark.errors import ConfigError, UsageError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
"""A table's name, `namespace:` before it or not: what HBase takes, and nothing that could leave a folder."""

Word = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_]+$")]
Split = Annotated[str, msgspec.Meta(pattern=r"^[^'\\]+$")]


class TableSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one table is laid out: column families, their compression and versions, and where its regions split."""

    name: str
    about: str = ""
    families: tuple[Word, ...]
    compression: Word
    versions: Annotated[int, msgspec.Meta(ge=1)]
    splits: tuple[Split, ...]

    def ddl(self) -> str:
        """The HBase shell statement that creates the table, on one line (seed 003 §2.4).

        The shell is the only way to a table that starts with its regions split: Thrift cannot (HBASE-5847).
        """
        versions = f",VERSIONS=>{self.versions}" if self.versions > 1 else ""
        families = [f"{{NAME=>'{name}',COMPRESSION=>'{self.compression}'{versions}}}" for name in self.families]
        splits = ",".join(f"'{split}'" for split in self.splits)
        return ",".join([f"create '{self.name}'", *families, *([f"{{SPLITS=>[{splits}]}}"] if splits else [])])


class Catalog:
    """The declared tables by name, and the defaults of all others."""

    def __init__(self, default: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> None:
        self._default = default
        self.declared = {name: self._spec(name, own) for name, own in sorted(tables.items())}

    def spec(self, table: str) -> TableSpec:
        """The layout of `table`, by the defaults if it is not declared. Raises UsageError where it cannot be a name."""
        return self.declared.get(table) or self._spec(check_name(table), {})

    def _spec(self, name: str, own: Mapping[str, Any]) -> TableSpec:
        return msgspec.convert({**self._default, **own, "name": check_name(name)}, TableSpec)


def check_name(table: str) -> str:
    """`table` itself, or UsageError where it cannot be the name of a table."""
    if not NAME.fullmatch(table):
        raise UsageError(f"{table!r} cannot be a table: letters, digits, '_', '.' and '-', after a namespace: if any")
    return table


def load(path: Path) -> Catalog:
    """The tables of a TOML file such as conf/tables.toml; raises ConfigError naming the file and what does not fit."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return Catalog(document["default"], document.get("tables", {}))
    except (OSError, ValueError, KeyError) as error:  # ValueError: TOML, UTF-8 and msgspec errors alike
        raise ConfigError(f"{path}: {error}; see conf/tables.toml for the form") from error


@cache
def catalog() -> Catalog:
    """The tables of conf/tables.toml, read once: they do not change while a process runs."""
    return load(Path(conf.__file__).with_name("tables.toml"))
