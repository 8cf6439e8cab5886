"""`ark interfaces`: what can be run, where it goes, and what follows."""

import click
import msgspec

from ark.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.pass_obj
def interfaces(_settings: Settings, *, as_json: bool) -> None:
    """List the interfaces: name, path, table, what follows.

    \b
    ark interfaces
    ark interfaces --json
    """
    from handlers.jobs import load_jobs
    from handlers.registry import find, names

    jobs = load_jobs(names())
    lines = [
        {"name": name, "path": find(name).path, "table": find(name).table, "follows": list(jobs.followers(name))}
        for name in names()
    ]
    if as_json:
        click.echo(msgspec.json.encode(lines))
        return
    for line in lines:
        click.echo(f"{line['name']:<24} {line['path']:<22} {line['table']:<36} {' '.join(line['follows'])}".rstrip())
