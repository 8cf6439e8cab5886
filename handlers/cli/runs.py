"""`ark runs`, `ark show`: what was run, and what became of each unit."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ark.clock import SHANGHAI
from ark.report import result
from ark.settings import Settings

if TYPE_CHECKING:
    from ark.ledger import Ledger, Run, UnitResult

STATES = ("planned", "fetched", "written", "verified", "failed", "skipped")
COLUMNS = ("run", "started", "interface", "tenant", "agent", "date", "status", "exit", "verified", "failed", "rows")


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--provisional", is_flag=True, help="Those of dates that were not complete, and not run again since.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.pass_obj
def runs(settings: Settings, limit: int, *, provisional: bool, as_json: bool) -> None:
    """List the last runs, newest first.

    \b
    ark runs
    ark runs --limit 100 --json
    ark runs --provisional
    """
    with _ledger(settings) as ledger:
        latest = [_current(ledger, run) for run in ledger.runs(limit, provisional=provisional)]
    if as_json:
        click.echo(msgspec.json.encode([_listed(run) for run in latest]))
    elif sys.stdout.isatty():
        _print_table(latest)
    else:
        for run in latest:
            click.echo("\t".join(_cells(run)))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--state", type=click.Choice(STATES), help="Only units in this state.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def show(settings: Settings, run_id: str, state: str | None, *, as_json: bool) -> None:
    """Show one run and its units: state, agent, account, variant, rows, requests, trace, reason.

    \b
    ark show 20200530T080102-1f2e3d4c --state failed
    ark show 20200530T080102-1f2e3d4c --json
    """
    with _ledger(settings) as ledger:
        run = _current(ledger, ledger.run(run_id))
        units = ledger.units(run_id, state)
        for piece in _json(run, units) if as_json else _text(run, units):
            click.echo(piece)


@contextmanager
def _ledger(settings: Settings) -> Iterator["Ledger"]:
    from ark.ledger import open_ledger

    ledger = open_ledger(settings)
    try:
        yield ledger
    finally:
        ledger.close()


def _current(ledger: "Ledger", run: "Run") -> "Run":
    """A run that goes on is counted now; the figures of the others stand in the ledger since they ended."""
    if run.finished_at is not None:
        return msgspec.structs.replace(run, pending=ledger.pending(run.run_id)) if run.next else run
    return msgspec.structs.replace(run, **ledger.figures(run.run_id)._asdict())


def _listed(run: "Run") -> dict[str, Any]:
    """The result, and what tells one run from another."""
    return result(run) | {
        "table": run.table,
        "tenant": run.tenant,
        "agent_id": run.agent_id,
        "data_date": run.data_date,
        "started": _started(run),
        "provisional": run.provisional,
        "error": run.error,
    }


def _started(run: "Run") -> str:
    return f"{datetime.fromtimestamp(run.started_at / 1000, SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _cells(run: "Run") -> list[str]:
    exit_code = "-" if run.exit_code is None else str(run.exit_code)
    words = [run.run_id, _started(run), run.interface, run.tenant, run.agent_id, run.data_date.isoformat()]
    return [*words, run.status, exit_code, f"{run.verified}/{run.planned}", str(run.failed), str(run.rows)]


def _print_table(latest: list["Run"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*COLUMNS, box=None, pad_edge=False)
    for run in latest:
        table.add_row(*_cells(run))
    console = Console()
    # a narrow terminal breaks lines; cutting them would cut the ids that are to be copied
    console.width = max(console.width, console.measure(table, options=console.options.update(max_width=1000)).maximum)
    console.print(table, markup=False)


def _text(run: "Run", units: Iterator["UnitResult"]) -> Iterator[str]:
    yield f"{run.run_id} {run.interface} {run.status}" + ("" if run.exit_code is None else f", exit {run.exit_code}")
    yield f"tenant {run.tenant}, agent {run.agent_id}, date {run.data_date}, table {run.table}, output {run.output}"
    yield f"started {_started(run)} (Shanghai) by process {run.pid} on {run.host}, {run.seconds:.1f} s"
    counts = f"planned {run.planned} = verified {run.verified} + failed {run.failed} + skipped {run.skipped}"
    yield f"{counts} + open {run.open}; {run.rows} rows, {run.requests} calls, {run.refused} refused"
    if run.provisional:
        yield "provisional: the medium had not completed the date; run it again later"
    if run.error:
        yield run.error
    if "rerun" in result(run):
        yield f"take up: {result(run)['rerun']}"
    for (agent, account, variant), state, reason, _, rows, requests, _, _, _, trace in units:
        yield "\t".join((state, agent, account, variant, str(rows), str(requests), trace, reason))


def _json(run: "Run", units: Iterator["UnitResult"]) -> Iterator[bytes]:
    """One document, a unit per line, never held as a whole."""
    yield b'{"run":' + msgspec.json.encode(result(run)) + b',"units":['
    comma = b""
    for (agent, account, variant), state, reason, _, rows, requests, _, _, _, trace in units:
        unit = {"agent": agent, "account": account, "variant": variant, "state": state, "reason": reason}
        yield comma + msgspec.json.encode(unit | {"rows": rows, "requests": requests, "trace": trace})
        comma = b","
    yield b"]}"
