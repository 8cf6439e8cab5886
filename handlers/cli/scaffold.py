"""`ark scaffold`: a new interface, with its test."""

from typing import Literal

import click

from ark.settings import Settings


@click.command()
@click.argument("name", metavar="MEDIUM.NAME")
@click.option("--path", required=True, metavar="PATH", help="The endpoint, without host and version.")
@click.option("--table", required=True, metavar="TABLE", help="The table its rows go to.")
@click.option("--key", "keys", multiple=True, metavar="FIELD", help="A field that tells an account's records apart.")
@click.option("--by", type=click.Choice(["account", "agent"]), default="account", help="What a call is for (account).")
@click.option(
    "--pages", type=click.Choice(["list", "report", "none"]), default="list", help="Size of its pages (list)."
)
@click.option("--source", default="", metavar="TEXT", help="Where its facts come from; default: the path.")
@click.pass_obj
def scaffold(
    _settings: Settings,
    *,
    name: str,
    path: str,
    table: str,
    keys: tuple[str, ...],
    by: Literal["account", "agent"],
    pages: Literal["list", "report", "none"],
    source: str,
) -> None:
    """Write a new interface into this checkout: a declaration, a test that passes, its table, its place in [alone].

    \b
    ark scaffold gdt.labels --path labels/get --table tenant_gdt_labels_get_v1 --key label_id
    ark scaffold jrtt.labels --path 2/label/get/ --table tenant_jrtt_label_get_v1 --key label_id --pages none
    """
    from handlers.scaffold import Wish
    from handlers.scaffold import scaffold as write

    wish = Wish(name, path, table, keys, by, pages, source or path)
    for written in write(wish):
        click.echo(f"wrote {written}")
    click.echo(f"next: make {wish.module} and the record in {wish.test} what the medium says, then")
    click.echo(f"  .venv/bin/pytest {wish.test}")
    click.echo("  ark interfaces --docs > docs/interfaces.md")
    click.echo(f"  ark tables create {table}")
