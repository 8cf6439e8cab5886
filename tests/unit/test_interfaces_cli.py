"""`ark interfaces`: the list, the JSON, the tree, and what docs/interfaces.md is made of."""

import json
import re

import pytest
from click.testing import CliRunner

from ark.errors import UsageError
from handlers.cli.interfaces import interfaces
from handlers.interface_docs import document, spans
from handlers.jobs import load_jobs
from handlers.registry import find, names


def told(*words):
    done = CliRunner().invoke(interfaces, words, obj=None, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.fixture(scope="module")
def page():
    return document()


def entry(page, name):
    """What the page says of one interface: line by its first word."""
    text = page.partition(f"\n### {name}\n")[2].partition("\n#")[0]
    return dict(re.findall("^- ([^:]+): (.*)$", text, re.MULTILINE))


def test_the_list_has_every_interface_and_its_columns_stand_in_line():
    lines = told().splitlines()
    assert [line.split()[0] for line in lines] == names()
    places = {
        (line.index(find(name).path), line.index(find(name).table)) for line, name in zip(lines, names(), strict=True)
    }
    assert len(places) == 1
    assert re.search("gdt.funds .* gdt.daily_report_ad gdt.hourly_report_ad$", told(), re.MULTILINE)


def test_json_tells_what_is_declared():
    listed = {each["name"]: each for each in json.loads(told("--json"))}
    assert [*listed] == names()
    funds, agents, report = listed["gdt.funds"], listed["jrtt.child_agents"], listed["gdt.hourly_report_ad"]
    assert (funds["path"], funds["table"]) == ("funds/get", "tenant_gdt_funds_get_v2")
    assert funds["follows"] == ["gdt.daily_report_ad", "gdt.hourly_report_ad"]
    assert funds["jobs"] == ["dmp_task_gdt_api_3"]
    assert (funds["by"], funds["works_on"], funds["pages"], funds["reach"]) == ("account", "accounts", None, None)
    assert (agents["by"], agents["works_on"], agents["fills"]) == ("agent", None, "child_agents")
    assert (report["pages"], report["reach"], report["restated"]) == ("gdt.report_page", 10_000, 7)
    assert report["levels"][0] == {"interface": "gdt.daily_report_campaign", "field": "campaign_id"}
    assert listed["jrtt.account_info"]["batch"] == 100
    assert (listed["gdt.ads"]["alone"], funds["alone"]) == ("objects, on demand", None)
    assert all(each["source"] for each in listed.values())


def test_the_tree_shows_what_follows_below_what_is_finished():
    tree = told("--tree")
    chain = [
        "gdt",
        "  gdt.advertisers",
        "    -> gdt.funds",
        "      -> gdt.daily_report_ad",
        "      -> gdt.hourly_report_ad",
    ]
    assert [line.partition("  <-")[0].rstrip() for line in tree.splitlines()[:5]] == chain
    assert re.search("^  gdt.advertisers +<- dmp_gdt_api_advertiser_list$", tree, re.MULTILINE)
    assert "dmp_task_jrtt_api_4-31" in tree
    assert re.search("-> jrtt.child_accounts +a run per agent that jrtt.child_agents lists$", tree, re.MULTILINE)
    assert re.search("^    gdt.campaigns +objects, on demand$", tree, re.MULTILINE)


def test_the_tree_has_every_interface():
    assert set(re.findall(r"(?:gdt|jrtt|wx)\.[a-z_.]+", told("--tree"))) == {*names()}


def test_only_one_answer_at_a_time():
    with pytest.raises(UsageError, match="ask for one of them"):
        told("--json", "--tree")


@pytest.mark.parametrize(
    ("scheduled", "told"),
    [
        (["a", "b"], ["a", "b"]),
        (["api_4", "api_5", "api_6"], ["api_4-6"]),
        (["api_4", "api_6"], ["api_4", "api_6"]),
        (["api_4", "one", "api_5"], ["api_4", "one", "api_5"]),
        (["x", "x0", "x1"], ["x", "x0-1"]),
        (["x_01", "x_02"], ["x_01", "x_02"]),
        ([], []),
    ],
)
def test_numbered_names_in_a_row_are_told_as_one(scheduled, told):
    assert list(spans(scheduled)) == told


def test_the_page_has_every_interface_code_and_medium(page):
    assert re.findall("^### (.*)$", page, re.MULTILINE) == [*names_in_order()]
    assert [line.partition(":")[0] for line in re.findall("^## (.*)$", page, re.MULTILINE)] == [
        "gdt",
        "jrtt",
        "wx",
        "wx.b",
    ]
    for section, code, verdict in (("gdt", "11017", "wait"), ("jrtt", "40102", "token"), ("wx.b", "-1", "retry")):
        _, _, dialect = page.partition(f"\n## {section}:")
        assert f"\n| {code} | {verdict} |" in dialect.partition("\n## ")[0]


def names_in_order():
    """By dialect, and in there by name."""
    return sorted(names(), key=lambda name: (name.startswith("wx.b."), name))


def test_the_page_tells_how_an_interface_is_asked(page):
    report = entry(page, "gdt.daily_report_ad")
    assert '`date_range={"start_date":"DATE","end_date":"DATE"}`' in report["parameters"]
    assert "a unit for each `TIME_LINE` of `REQUEST_TIME`, `REPORTING_TIME`, `ACTIVE_TIME`" in report["parameters"]
    assert "`gdt.report_page` (1000 by default)" in report["paging"]
    assert "10,000 records at most; a longer list is read in parts, by the `campaign_id`" in report["paging"]
    assert report["complete"] == "from 08:00 of the next day on, and still changed for 7 days (`--restate`)"
    assert report["table"].endswith("row key `salt|date|account_id|agent_id|ad_id|tenant|time_line`")


def test_the_page_tells_where_accounts_come_from_and_go_to(page):
    assert "`gdt_advertiser_v1.1_{tenant}_{date}`" in entry(page, "gdt.advertisers")["fills"]
    assert "`jrtt_child_agents_v2_{tenant}`" in entry(page, "jrtt.child_fund")["a unit"]
    assert "100 in one call" in entry(page, "jrtt.account_info")["a unit"]
    assert "`jrtt_child_advertiser_v2_{tenant}_{date}`" in entry(page, "jrtt.report_agent")["feeds"]
    assert entry(page, "jrtt.child_agents")["then"] == "`jrtt.child_fund`, `jrtt.child_accounts` per agent listed"
    assert entry(page, "gdt.campaigns")["alone"] == load_jobs(names()).alone["gdt.campaigns"]


def test_the_page_holds_nothing_of_this_machine(page, monkeypatch):
    monkeypatch.setenv("ARK_GDT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ARK_GDT_LIST_PAGE", "7")
    assert document() == page == told("--docs")


def test_sample_values_are_spelled_as_placeholders(page):
    assert "account_id=ACCOUNT&access_token=TOKEN&timestamp=SECONDS&nonce=NONCE`" in page
    assert not re.findall("10058169|1050262|2020-05-30|20200530|1590768000", page)
