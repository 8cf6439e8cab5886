"""What an interface's module may say: a declaration that fits on a screen, and that agrees with all the others."""

import ast
import inspect
import sys
import tomllib

import pytest

from ark.settings import CONF
from handlers import registry
from handlers.api import ApiHandler
from tests.media.wire import FIELDS

LONGEST = 15
"""Lines of a class, blank ones not counted."""
HOOKS = {"params", "records", "page", "narrow", "sign", "read", "quota", "trace"}
BY_THE_ENGINE = {"salt", "date", "agent_id", "tenant"}
CONTAINMENT = ("campaign_id", "adgroup_id", "ad_id", "creative_id")
"""What holds what: each object belongs to exactly one of the kind before it."""
TABLES = tomllib.loads((CONF / "tables.toml").read_text(encoding="utf-8"))["tables"]
HANDLERS = {name: registry.find(name) for name in registry.names()}
REPORTS = {name: handler for name, handler in HANDLERS.items() if "report" in name}
each = pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS.keys())
each_report = pytest.mark.parametrize("handler", REPORTS.values(), ids=REPORTS.keys())


def own_class(handler: type[ApiHandler]) -> ast.ClassDef:
    (found,) = (
        node
        for node in ast.parse(inspect.getsource(sys.modules[handler.__module__])).body
        if isinstance(node, ast.ClassDef)
    )
    return found


def key_of_record(handler: type[ApiHandler]) -> set[str]:
    """The key fields that neither the engine nor the unit knows."""
    unit = {"account_id"} if handler.by == "account" and handler.batch == 1 else set()
    return set(handler.row_key.fields) - BY_THE_ENGINE - unit - set(handler.variants)


def finest(handler: type[ApiHandler]) -> int:
    """How deep a report's records are: the last of CONTAINMENT that is in their keys."""
    return max((depth for depth, name in enumerate(CONTAINMENT) if name in handler.row_key.fields), default=-1)


def test_there_are_interfaces_of_every_dialect():
    assert {handler.section for handler in HANDLERS.values()} == {"gdt", "jrtt", "wx", "wx_b"}
    assert len(HANDLERS) >= 59


@each
def test_an_interface_is_at_most_fifteen_lines(handler):
    node = own_class(handler)
    text = inspect.getsource(sys.modules[handler.__module__]).splitlines()[node.lineno - 1 : node.end_lineno]
    assert len([line for line in text if line.strip()]) <= LONGEST


@each
def test_an_interface_has_at_most_two_functions_all_of_them_hooks(handler):
    node = own_class(handler)
    functions = [each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert len(functions) <= 2
    assert set(functions) <= HOOKS
    module = ast.parse(inspect.getsource(sys.modules[handler.__module__]))
    assert not [each for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_the_hooks_are_those_of_the_table_in_handlers_api():
    defined = {name for name, value in vars(ApiHandler).items() if inspect.isfunction(value)}
    assert {name for name in defined if not name.startswith("__")} == HOOKS


@each
def test_an_interface_says_where_its_facts_come_from(handler):
    assert handler.source
    assert handler.__doc__ != ApiHandler.__doc__
    assert handler.quota_rule


@each
def test_a_table_is_described_and_belongs_to_one_interface(handler):
    assert handler.table in TABLES
    assert [name for name, other in HANDLERS.items() if other.table == handler.table] == [handler.name()]
    assert handler.table.startswith(f"tenant_{handler.section}_")


@each
def test_fields_asked_for_are_asked_once_and_there_are(handler):
    assert len(set(handler.fields)) == len(handler.fields)
    if handler.fields:
        assert set(handler.fields) <= FIELDS[handler.path].keys()


@each
def test_the_fields_of_a_row_key_are_in_the_record(handler):
    if handler.fields:
        assert key_of_record(handler) <= set(handler.fields)
    elif handler.path in FIELDS and handler.section in {"gdt", "wx"}:
        assert key_of_record(handler) <= FIELDS[handler.path].keys()
    assert set(handler.named) <= set(handler.row_key.fields) | {"account_id", "date"}


@each
def test_levels_go_from_coarse_to_fine_and_no_record_is_of_two_of_their_ids(handler):
    depths = [CONTAINMENT.index(level.field) for level in handler.levels]
    assert depths == sorted(set(depths))
    assert all(depth <= finest(handler) for depth in depths)
    for level, depth in zip(handler.levels, depths, strict=True):
        assert (level.interface.medium, level.interface.section) == (handler.medium, handler.section)
        assert level.interface.variants == handler.variants
        assert finest(level.interface) == depth
        assert level.field in key_of_record(level.interface)


@each
def test_what_can_be_too_long_for_paging_has_pages(handler):
    if handler.reach or handler.levels:
        assert handler.pages
        assert handler.reach


@each
def test_restatement_is_declared(handler):
    assert handler.restated >= 0
    assert handler.complete_at is None or 0 <= handler.complete_at < 24
    if handler.restated:
        assert handler.complete_at is not None


@each_report
def test_a_report_is_complete_at_some_hour_and_changes_for_some_days(handler):
    assert handler.complete_at is not None
    assert handler.restated >= 1


@pytest.mark.parametrize("medium", ["gdt", "wx"])
def test_reports_come_under_the_three_time_lines(medium):
    reports = [handler for handler in REPORTS.values() if handler.section == medium]
    assert len(reports) >= 8
    for handler in reports:
        lines = [variant["time_line"] for variant in handler.variant_values()]
        assert lines == ["REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME"]
