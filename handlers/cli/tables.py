"""`ark tables` and `ark rows`: which tables there are, how they are created, what is in them."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import chain

import click
import msgspec

from ark.clock import SHANGHAI
from ark.settings import Settings
from ark.stores import Cell, Store, open_store, open_table
from ark.stores.ranges import select
from ark.stores.tables import catalog

TERMINAL_ROWS = 100


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def tables(context: click.Context, *, as_json: bool) -> None:
    """The tables that conf/tables.toml declares or the configured store holds.

    Example: ark tables --json
    """
    if context.invoked_subcommand:
        return
    settings: Settings = context.obj
    with closing(open_store(settings.hbase.url, settings)) as store:
        existing, where = set(store.tables()), store.name
    declared = catalog().declared
    found = [
        {
            "table": name,
            "exists": name in existing,
            "declared": name in declared,
            "store": where,
            "about": declared[name].about if name in declared else "",
        }
        for name in sorted(existing | set(declared))
    ]
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    click.echo(where, err=True)
    for each in found:
        about = each["about"] if each["declared"] else "not in conf/tables.toml"
        click.echo(f"{'exists ' if each['exists'] else 'missing'}  {each['table']:40}  {about}")


@tables.command()
@click.argument("table")
def ddl(table: str) -> None:
    """The HBase shell statement that creates TABLE with its regions split.

    Example: ark tables ddl tenant_gdt_funds_get_v2 | hbase shell -n
    """
    click.echo(catalog().spec(table).ddl())


@tables.command()
@click.argument("table", nargs=-1, required=True, metavar="TABLE[@STORE]...")
@click.pass_obj
def create(settings: Settings, table: tuple[str, ...]) -> None:
    """Create tables as conf/tables.toml describes them; what it does not list gets the defaults.

    Example: ark tables create tenant_gdt_funds_get_v2 tenant_gdt_daily_report_ad_v3
    """
    for reference in table:
        store, name = open_table(reference, settings)
        with closing(store):
            created = store.create(name)
            click.echo(f"{'created' if created else 'exists already'}: {name} in {store.name}")


@click.command()
@click.argument("table", metavar="TABLE[@STORE]")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d", "%Y%m%d"]), help="Rows of this date, over all salts.")
@click.option("--account", default="", help="Rows of this account id.")
@click.option("--prefix", default="", help="Rows whose key begins so.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many rows.")
@click.option("--versions", type=click.IntRange(min=1), default=1, help="So many versions of each cell (1).")
@click.option("--json", "as_json", is_flag=True, help='A line per cell: {"row","column","timestamp","value"}.')
@click.pass_obj
def rows(
    settings: Settings,
    table: str,
    *,
    day: datetime | None,
    account: str,
    prefix: str,
    limit: int | None,
    versions: int,
    as_json: bool,
) -> None:
    """The cells of TABLE, in the order of row keys. STORE is an hbase.url or `embedded:`; default: the configured one.

    Example: ark rows tenant_gdt_funds_get_v2 --date 2020-06-11 --account 10058169 --json
    """
    store, name = open_table(table, settings)
    on_terminal = sys.stdout.isatty() and not as_json
    if limit is None and on_terminal:
        limit = TERMINAL_ROWS
        click.echo(f"the first {limit} rows; --limit N for more", err=True)
    with closing(store):
        ranges = select(store, name, day=day.date() if day else None, account=account, prefix=prefix)
        cells = _cells(store, name, ranges, versions, limit)
        if on_terminal:
            _show(name, cells)
        else:
            line = _json_line if as_json else _plain_line
            sys.stdout.buffer.writelines(line(cell) for cell in cells)  # click.echo would flush each line
            sys.stdout.buffer.flush()


def _cells(
    store: Store, table: str, ranges: Iterable[tuple[bytes, bytes]], versions: int, limit: int | None
) -> Iterator[Cell]:
    """The cells of the first `limit` rows of all ranges together."""
    scans = (store.scan(table, start, stop, versions=versions, limit=limit) for start, stop in ranges)
    row, left = b"", limit
    for cell in chain.from_iterable(scans):
        if left is not None and cell.row != row:
            if not left:
                return
            left -= 1
        row = cell.row
        yield cell


def _json_line(cell: Cell) -> bytes:
    value = _compact_json(cell.value) or msgspec.json.encode(_text(cell.value))
    line = {"row": _text(cell.row), "column": _text(cell.column), "timestamp": cell.timestamp}
    return msgspec.json.encode({**line, "value": msgspec.Raw(value)}) + b"\n"


def _plain_line(cell: Cell) -> bytes:
    return "\t".join(_texts(cell)).encode() + b"\n"


def _texts(cell: Cell) -> tuple[str, str, str, str]:
    """A cell for people's eyes."""
    when = datetime.fromtimestamp(cell.timestamp / 1000, SHANGHAI).isoformat(timespec="milliseconds")
    return _text(cell.row), _text(cell.column), when, _text(_compact_json(cell.value) or cell.value)


def _compact_json(value: bytes) -> bytes:
    """`value` on one line, every number digit for digit; empty if it is not JSON."""
    try:
        return msgspec.json.format(value, indent=-1) if value.decode() else b""
    except (UnicodeDecodeError, msgspec.DecodeError):
        return b""


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _show(table: str, cells: Iterable[Cell]) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table("row", "column", "timestamp", "value", title=table)
    for cell in cells:
        grid.add_row(*_texts(cell))
    Console(markup=False, emoji=False, highlight=False).print(grid)
