"""`ark`: the door. Finds the command's module, loads the settings, and turns every error into one line."""

import difflib
import importlib
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from ark.errors import ArkError, InternalError, UsageError
from ark.redact import redact

COMMANDS = {
    "run": ("run", "Run an interface on one job."),
    "exec": ("run", "Run a whole command line that comes as one string."),
    "rerun": ("run", "Take up what is open of a run."),
    "plan": ("plan", "Show how long a job will take, and how much of the quota."),
    "explain": ("explain", "Show what is called for an account, and what has become of it."),
    "quota": ("quota", "Show what is left of the quotas, and who is using them."),
    "runs": ("runs", "List the last runs."),
    "show": ("runs", "Show one run and its units."),
    "interfaces": ("interfaces", "List the interfaces and what follows them."),
    "scaffold": ("scaffold", "Write a new interface, with its test."),
    "args": ("args", "Write, read or explain the encoded argument of a job."),
    "tables": ("tables", "List the tables, create them, print their DDL."),
    "rows": ("tables", "Print what a table holds."),
    "tokens": ("tokens", "Renew the tokens of agents."),
    "tenants": ("tenants", "Bring the tenants' agents into Redis, then run their list jobs."),
    "settings": ("services", "Show every setting and where it came from."),
    "doctor": ("services", "Try every service."),
    "simulate": ("simulate", "Serve the media's APIs on this machine."),
}
"""Command -> its module in handlers.cli, where it has the same name (perhaps with a trailing underscore); what for."""


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for: `ark --help` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All commands, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"handlers.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begin with; UsageError with the nearest one there is."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            raise UsageError(
                f"there is no command {args[0]!r}; " + (f"did you mean {near[0]}?" if near else "see ark -h")
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ark", prog_name="ark")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Advertising data of gdt, jrtt and wx into HBase: nothing missing, nothing counted twice.

    \b
    ark run gdt.funds -t T100117 -g 1050262 -k gdt_advertiser_v1.1_T100117_20200530
    ark runs
    ark rerun RUN --failed
    ark rows tenant_gdt_funds_get_v2 --date 2020-05-30 --limit 3
    """
    from ark.settings import load

    ctx.obj = load(os.environ)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code; every error is one line on stderr."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    sys.exit(_guarded(arguments))


def _nowhere() -> TextIO:
    """Stands for a stream that was closed before we began (`2>&-`)."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _guarded(arguments: list[str] | None) -> int:
    """The command's exit code; whatever it raises is told."""
    try:
        code = cli.main(arguments, prog_name="ark", standalone_mode=False)
    except ArkError as error:
        code = _tell(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        code = _tell(error.format_message(), UsageError.exit_code)
    except (click.Abort, KeyboardInterrupt):
        code = _tell("interrupted", 130)
    except Exception as error:  # noqa: BLE001 - the last door: every bug ends as one line and a crash file
        code = _crash(error)
    return code if isinstance(code, int) else 0


def _tell(text: str, code: int) -> int:
    line = " ".join(redact(text).split())
    with suppress(OSError):
        click.echo(f"ark: {line}", err=True)
    return code


def _crash(error: Exception) -> int:
    """Our own bug: the traceback goes to a file, redacted, and its name is told."""
    home = Path(os.environ.get("ARK_HOME") or "~/.ark").expanduser()
    path = home / "log" / "crash.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(redact("".join(traceback.format_exception(error))) + "\n")
        where = f"traceback in {path}"
    except OSError as refused:
        where = f"no crash file, {path}: {refused.strerror}"
    return _tell(f"a bug of Ark: {type(error).__name__}: {error}; {where}", InternalError.exit_code)
