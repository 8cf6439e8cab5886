"""`ark settings` and `ark doctor`: what is set, and whether the services answer."""

import click
import msgspec

from ark.errors import ServiceDownError
from ark.settings import Settings, shown


@click.command()
@click.option("--json", "as_json", is_flag=True, help='One document: {"redis.url": {"value", "origin"}}.')
@click.pass_obj
def settings(settings: Settings, *, as_json: bool) -> None:
    """Every setting, its value (secrets as ***), and where it came from.

    Example: ARK_HTTP_CONCURRENCY=20 ark settings
    """
    if as_json:
        document = {key: {"value": value, "origin": origin} for key, value, origin in shown(settings)}
        click.echo(msgspec.json.encode(document))
        return
    for key, value, origin in shown(settings):
        click.echo(f"{key:18}  {value if value != '' else '-'!s:30}  {origin}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help='One list: [{"service", "ok", "text"}].')
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Try every service: one line each, `ok` or what is wrong and the way out. Exit 0, or 69 where one is down.

    Example: ark doctor --json
    """
    from handlers.doctor import examine

    findings = examine(context.obj)
    if as_json:
        click.echo(msgspec.json.encode([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.service:8}  {'ok' if finding.ok else 'WRONG':6}  {' '.join(finding.text.split())}")
    if not all(finding.ok for finding in findings):
        context.exit(ServiceDownError.exit_code)
