"""`ark`: the door. Finds the command's module, loads the settings, and turns every error into one line."""

import importlib
import os
import sys
import traceback
from pathlib import Path

import click

from ark.errors import ArkError, InternalError
from ark.redact import redact
from ark.settings import load

COMMANDS = {
    "run": "handlers.cli.run",
    "exec": "handlers.cli.run",
    "rerun": "handlers.cli.run",
    "runs": "handlers.cli.runs",
    "show": "handlers.cli.runs",
    "interfaces": "handlers.cli.interfaces",
    "args": "handlers.cli.args",
    "tables": "handlers.cli.tables",
    "rows": "handlers.cli.tables",
    "settings": "handlers.cli.services",
    "doctor": "handlers.cli.services",
    "simulate": "handlers.cli.simulate",
}
"""Command -> the module that holds it under the same name (with a trailing underscore for Python's own words)."""


class LazyGroup(click.Group):
    """Loads a command's module when the command is asked for, so that `ark --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All commands, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        command: click.Command = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        return command


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
    ctx.obj = load(os.environ)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code; every error is one line on stderr."""
    sys.exit(_guarded(arguments))


def _guarded(arguments: list[str] | None) -> int:
    try:
        result = cli.main(arguments, prog_name="ark", standalone_mode=False)
    except ArkError as error:
        return _tell(str(error), error.exit_code)
    except click.ClickException as error:
        return _tell(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        return _tell("interrupted", 130)
    except BrokenPipeError:
        # Whoever read our output has left; what Python still holds of it must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last door: every bug ends as one line and a crash file
        return _crash(error)
    return result if isinstance(result, int) else 0


def _tell(text: str, code: int) -> int:
    line = " ".join(redact(text).split())
    click.echo(f"ark: {line}", err=True)
    return code


def _crash(error: Exception) -> int:
    """Our own bug: the traceback goes to a file, redacted, and its name is told."""
    home = Path(os.environ.get("ARK_HOME") or Path.home() / ".ark")
    path = home / "log" / "crash.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(redact("".join(traceback.format_exception(error))) + "\n")
        where = f"traceback in {path}"
    except OSError as refused:
        where = f"no crash file, {path}: {refused.strerror}"
    return _tell(f"a bug of Ark: {type(error).__name__}: {error}; {where}", InternalError.exit_code)
