"""docs/interfaces.md: what each interface asks for, keeps and starts, written from the declarations alone.

`ark interfaces --docs > docs/interfaces.md` writes it; a test compares the two.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain, groupby
from types import ModuleType

import msgspec

from ark.accounts.keys import Keys
from ark.answers import Verdict
from ark.rows import compact
from ark.settings import DIALECTS, load
from ark.units import Unit
from handlers.api import ApiHandler, List, Stamp
from handlers.jobs import Jobs, load_jobs, starts_per_agent
from handlers.registry import make, names

HEAD = """\
# The interfaces

Written by `ark interfaces --docs > docs/interfaces.md` from the declarations in `media/`: correct those, not this page.
Capitals in a request stand for values: `ACCOUNT`, `AGENT`, `DATE` (of the job), `TOKEN`, `SECONDS` (now), `NONCE`.
A unit's accounts come from the Redis list that is named, unless the job names accounts or another list.
"""

ACCOUNT, AGENT, DAY, NOW = "10058169", "1050262", date(2020, 5, 30), 1590768000
"""What sample requests are made of."""
PLACEHOLDERS = {ACCOUNT: "ACCOUNT", AGENT: "AGENT", f"{DAY}": "DATE", f"{NOW}": "SECONDS", compact(DAY): "{date}"}
"""How the page spells that."""

Handlers = Sequence[ApiHandler]


def document() -> str:
    """The whole page; nothing of this machine is in it, neither its settings nor the time."""
    settings = load({})
    jobs = load_jobs(names())
    handlers = [make(name, settings) for name in names()]
    dialects = [[handler for handler in handlers if handler.section == section] for section in DIALECTS]
    parts = chain([HEAD], _verdicts(), *(_dialect(each, jobs) for each in dialects if each))
    return "\n".join(parts)


def _verdicts() -> Iterator[str]:
    yield "What a run does after a body code; a code that is in no table fails the unit.\n"
    yield from _table(("verdict", "a run will"), [(_verdict(each), each.value) for each in Verdict])


def _dialect(handlers: Handlers, jobs: Jobs) -> Iterator[str]:
    """A medium, or one dialect of it: how it is spoken, its codes, its interfaces."""
    first = handlers[0]
    package, base = _packages(first)
    section = first.section
    yield f"## {package.__name__.removeprefix('media.')}: {_paragraphs(package)[0].rstrip('.')}\n"
    yield f"{' '.join(_paragraphs(base)[1:])}\n"
    yield f"- host: `{section}.url`, `{first.settings.url}` by default"
    yield from _sample(handlers)
    yield f"- quota: {first.quota_rule}"
    parents = "; an agent without one uses its first-generation agent's" if _keys(section).child_agents else ""
    yield f"- tokens: Redis `{_keys(section).tokens}`{parents}\n"
    codes = [(low, low, line) for low, line in first.codes.codes.items()] + list(first.codes.ranges)
    codes.sort(key=lambda each: each[:2])
    yield from _table(
        ("code", "verdict", "meaning"), [(_codes(*span), _verdict(line.verdict), line.meaning) for *span, line in codes]
    )
    listed = [
        (f"[{each.name()}](#{each.name().replace('.', '')})", _title(each), f"`{each.table}`") for each in handlers
    ]
    yield from _table(("interface", "what", "table"), listed)
    for handler in handlers:
        yield from _interface(handler, jobs)


def _sample(handlers: Handlers) -> Iterator[str]:
    """A signed request of the plainest interface."""
    plain = next(each for each in handlers if each.by == "account" and not each.pages and not each.params(_unit(each)))
    request = plain.sign(plain.settings.url, _unit(plain), {}, "TOKEN", Stamp(NOW, "NONCE"))
    headers = "".join(f", with the header `{name}: {value}`" for name, value in request.headers.items())
    yield f"- a request: `{request.method} {_spelled(request.url)}`{headers}"


def _interface(handler: ApiHandler, jobs: Jobs) -> Iterator[str]:
    yield f"### {handler.name()}\n"
    yield f"{' '.join((type(handler).__doc__ or '').split())}\n"
    yield f"- path: `{handler.path}`"
    yield f"- parameters: {_parameters(handler)}"
    if handler.fields:
        yield f"- fields: {_listed(handler.fields)}"
    yield f"- table: `{handler.table}`, row key `{handler.row_key}`"
    yield f"- a unit: {_a_unit(handler)}"
    yield f"- paging: {_paging(handler)}"
    yield f"- complete: {_complete(handler)}"
    if handler.fills:
        empty = "; it may be empty" if handler.may_be_empty else ""
        yield f"- fills: the list `{_list(handler, handler.fills)}`, anew for its agent{empty}"
    if handler.feeds:
        yield f"- feeds: the list `{_list(handler, handler.feeds)}`, with what it has found"
    yield from _ways(handler.name(), jobs)
    yield f"- source: {handler.source}\n"


def _parameters(handler: ApiHandler) -> str:
    told = _listed(f"{name}={_spelled(value)}" for name, value in handler.params(_unit(handler)).items())
    for variant, values in handler.variants.items():
        told += f"; a unit for each `{variant.upper()}` of {_listed(values)}"
    return told or "none of its own"


def _a_unit(handler: ApiHandler) -> str:
    if handler.by == "agent":
        return "the agent, with its token"
    lists = [handler.works_on]
    if handler.works_on == "accounts" and _keys(handler.section).child_accounts:
        lists.append("child_accounts")
    what = "an agent" if "agents" in handler.works_on else "an account"
    together = f", {handler.batch} in one call" if handler.batch > 1 else ""
    whose = "its agent's token"
    if handler.opened_by == "account":
        whose = "its own token, else its agent's" if _keys(handler.section).child_agents else "its own token"
    told = " or ".join(f"`{_list(handler, each)}`" for each in lists)
    return f"{what} of {told}{together}, with {whose}"


def _paging(handler: ApiHandler) -> str:
    if not handler.pages:
        return "none, one answer holds everything"
    asked = " and ".join(f"`{name}`" for name in handler.page(1))
    told = f"{asked}, pages of `{handler.section}.{handler.pages}` ({handler.page_size} by default) records"
    if not handler.reach:
        return told
    told += f", {handler.reach:,} records at most; a longer list "
    cuts = [f"the `{level.field}` of `{level.interface.name()}`" for level in handler.levels]
    if handler.cursors:
        return f"{told}is read by cursor"
    return told + (f"is read in parts, by {', then by '.join(cuts)}" if cuts else "fails")


def _complete(handler: ApiHandler) -> str:
    if handler.complete_at is None:
        return "at once, it is of the moment"
    told = f"from {handler.complete_at:02}:00 of the next day on"
    return told + (f", and still changed for {handler.restated} days (`--restate`)" if handler.restated else "")


def _ways(name: str, jobs: Jobs) -> Iterator[str]:
    """What starts the interface, and what it starts."""
    before = [each for each in names() if name in jobs.followers(each)]
    if jobs.scheduled(name):
        yield f"- scheduler's names: {_listed(spans(jobs.scheduled(name)))}"
    if before:
        yield f"- follows: {_listed(before)}"
    if name in jobs.alone:
        yield f"- alone: {jobs.alone[name]}"
    after = [f"`{each}`{' per agent listed' if starts_per_agent(name, each) else ''}" for each in jobs.followers(name)]
    if after:
        yield f"- then: {', '.join(after)}"


def _unit(handler: ApiHandler) -> Unit:
    """What a sample request is for."""
    account = ACCOUNT if handler.by == "account" else ""
    return Unit("TENANT", DAY, AGENT, account, {name: name.upper() for name in handler.variants}, (ACCOUNT,))


def _keys(section: str) -> Keys:
    return Keys.of(section, "{tenant}", DAY, "{agent}")


def _list(handler: ApiHandler, name: List) -> str:
    return _spelled(getattr(_keys(handler.section), name))


def _spelled(value: object) -> str:
    """A value as it goes over the wire, with placeholders."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    for sample, placeholder in PLACEHOLDERS.items():
        text = text.replace(sample, placeholder)
    return text


def _packages(handler: ApiHandler) -> tuple[ModuleType, ModuleType]:
    """The folder of the interface, and the module that says how its requests are signed."""
    package = sys.modules[handler.__module__.rpartition(".")[0]]
    signer = next(each for each in type(handler).__mro__ if "sign" in vars(each))
    return package, sys.modules[signer.__module__]


def _paragraphs(module: ModuleType) -> list[str]:
    return [" ".join(each.split()) for each in (module.__doc__ or "").split("\n\n")]


def _title(handler: ApiHandler) -> str:
    """The interface in a few words: what its module's first line says behind the name."""
    return _paragraphs(sys.modules[handler.__module__])[0].partition(": ")[2].rstrip(".")


def _codes(low: int, high: int) -> str:
    return f"{low} to {high}" if low < high else str(low)


def _verdict(verdict: Verdict) -> str:
    return verdict.name.lower()


def _listed(words: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def spans(scheduled: Sequence[str]) -> Iterator[str]:
    """The scheduler's names, numbers that follow each other as one: `dmp_task_jrtt_api_4-31`."""
    numbered = [(name, *_numbered(name)) for name in scheduled]
    for (stem, _), same in groupby(enumerate(numbered), key=lambda each: (each[1][1], each[1][2] - each[0])):
        names, _, numbers = zip(*(name for _, name in same), strict=True)
        yield f"{stem}{numbers[0]}-{numbers[-1]}" if len(names) > 1 else names[0]


def _numbered(name: str) -> tuple[str, int]:
    """A name without the number at its end, and that number; one that is next to no other where it has none."""
    stem = re.sub("(?<![0-9])(0|[1-9][0-9]{0,8})$", "", name)
    return stem, int(name[len(stem) :] or -2)
