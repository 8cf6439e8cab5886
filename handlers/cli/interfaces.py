"""`ark interfaces`: what can be run, where it goes, what starts it, and what follows."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ark.errors import UsageError
from ark.settings import Settings

if TYPE_CHECKING:
    from handlers.jobs import Jobs

INDENT = "  "


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list with everything that is declared.")
@click.option("--tree", is_flag=True, help="What the scheduler starts, and what follows from it.")
@click.option("--docs", is_flag=True, help="docs/interfaces.md, from the declarations.")
@click.pass_obj
def interfaces(_settings: Settings, *, as_json: bool, tree: bool, docs: bool) -> None:
    """List the interfaces: name, path, table, what follows.

    \b
    ark interfaces
    ark interfaces --tree
    ark interfaces --docs > docs/interfaces.md
    """
    from handlers.interface_docs import document
    from handlers.jobs import load_jobs
    from handlers.registry import names

    if as_json + tree + docs > 1:
        raise UsageError("--json, --tree and --docs are three answers: ask for one of them")
    if docs:
        click.echo(document(), nl=False)
        return
    jobs = load_jobs(names())
    if as_json:
        click.echo(msgspec.json.encode([_told(jobs, name) for name in names()]))
        return
    for line in _tree(jobs) if tree else _columns(_listed(jobs)):
        click.echo(line)


def _listed(jobs: "Jobs") -> list[tuple[str, ...]]:
    from handlers.registry import find, names

    return [(name, find(name).path, find(name).table, " ".join(jobs.followers(name))) for name in names()]


def _columns(lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines, each column as wide as its longest entry."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()


def _told(jobs: "Jobs", name: str) -> dict[str, Any]:
    """Everything that is declared of an interface; null where there is nothing."""
    from handlers.registry import find

    handler = find(name)
    return {
        "name": name,
        "path": handler.path,
        "table": handler.table,
        "follows": list(jobs.followers(name)),
        "medium": handler.medium,
        "section": handler.section,
        "row_key": list(handler.row_key.fields),
        "by": handler.by,
        "works_on": handler.works_on if handler.by == "account" else None,
        "opened_by": handler.opened_by,
        "batch": handler.batch,
        "variants": {variant: list(values) for variant, values in handler.variants.items()},
        "fields": list(handler.fields),
        "pages": f"{handler.section}.{handler.pages}" if handler.pages else None,
        "reach": handler.reach or None,
        "levels": [{"interface": level.interface.name(), "field": level.field} for level in handler.levels],
        "fills": handler.fills,
        "feeds": handler.feeds,
        "restated": handler.restated,
        "complete_at": handler.complete_at,
        "jobs": list(jobs.scheduled(name)),
        "alone": jobs.alone.get(name),
        "source": handler.source,
    }


def _tree(jobs: "Jobs") -> Iterator[str]:
    """Medium by medium: what the scheduler starts with what follows from it, then what nothing starts."""
    from handlers.registry import MEDIA, find

    lines: list[tuple[str, str]] = []
    for medium in MEDIA:
        lines.append((medium, ""))
        for root in jobs.roots():
            if find(root).medium == medium:
                lines += _branch(jobs, root)
        alone = [name for name in sorted(jobs.alone) if find(name).medium == medium]
        lines += [(f"{INDENT}alone", "")] if alone else []
        for name in alone:
            lines += _branch(jobs, name, depth=2)
    return _columns(lines)


def _branch(jobs: "Jobs", name: str, depth: int = 1, after: str = "") -> Iterator[tuple[str, str]]:
    """An interface with how it is started, then everything that follows from it."""
    from handlers.interface_docs import spans
    from handlers.jobs import starts_per_agent

    ways = [f"<- {', '.join(spans(jobs.scheduled(name)))}"] if jobs.scheduled(name) else []
    ways += [jobs.alone[name]] if name in jobs.alone else []
    ways += [f"a run per agent that {after} lists"] if after and starts_per_agent(after, name) else []
    yield INDENT * depth + ("-> " if after else "") + name, "; ".join(ways)
    for follower in jobs.followers(name):
        yield from _branch(jobs, follower, depth + 1, name)
