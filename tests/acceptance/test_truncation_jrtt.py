"""jrtt's lists: creatives, which end in silence at 5,000, and accounts, whose pages reach 10,000."""

import json
from collections.abc import Iterator

import pytest

from ark.ledger import Run
from media.jrtt.accounts import JrttAccounts
from media.jrtt.report_creative import JrttReportCreative
from tests.interface_check import AGENT, DATE, DAY, FIRST_ID, PAGE, Desk
from tests.media_server import Call, Door, Medium, serve
from tests.trees import ACCOUNT, DEEP, REACH, WIDE, Tree, ads, pulled, reasons, stored, whole

CREATIVES = "/open_api/2/report/creative/get/"
CREATIVE_TABLE = "tenant_jrtt_report_creative_get_v2"


def jrtt(tree: Tree, cut_off: int, more: int = 0) -> list[Door]:
    """Ads take the place of ad groups, creatives that of ads; lists of creatives end silently at `cut_off`."""
    found = ads(tree)

    def records(*names: tuple[str, str]) -> dict[str, list[bytes]]:
        distinct = dict.fromkeys(tuple((shown, getattr(ad, name)) for shown, name in names) for ad in found)
        return {ACCOUNT: [json.dumps({"stat_datetime": f"{DATE} 00:00:00", **dict(ids)}).encode() for ids in distinct]}

    campaign, ad, creative = ("campaign_id", "campaign_id"), ("ad_id", "adgroup_id"), ("creative_id", "ad_id")
    return [
        Door("/open_api/2/report/campaign/get/", records(campaign)),
        Door("/open_api/2/report/ad/get/", records(campaign, ad)),
        Door(CREATIVES, records(campaign, ad, creative), cut_off=cut_off),
    ]


@pytest.fixture
def short_creatives(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The creative report ends at REACH instead of 5,000."""
    monkeypatch.setattr(JrttReportCreative, "reach", REACH)
    return REACH


@pytest.mark.parametrize("tree", [[[5, 5], [9]], [[5, 5], [10]], [[5, 5], [11]], WIDE, DEEP, [[19] * 3] * 3])
def test_creatives_that_are_cut_off_in_silence_come_whole(desk, short_creatives, tree):
    doors = jrtt(tree, short_creatives)
    with serve(*doors) as medium:
        run = pulled(desk, medium, "jrtt.report_creative")
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, CREATIVE_TABLE) == whole(doors[2], 1)


def test_five_thousand_creatives(desk):
    doors = jrtt([[4_000, 3_000], [2_500, 2_500], [4_999]], 5_000)
    with serve(*doors) as medium:
        run = pulled(desk, medium, "jrtt.report_creative", page=1000)
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert run.rows == 16_999
    assert stored(desk, CREATIVE_TABLE) == whole(doors[2], 1)


@pytest.mark.parametrize("creatives", [REACH - PAGE, REACH - PAGE + 1, REACH - 2])
def test_a_list_that_is_not_cut_off_is_read_to_its_last_page(desk, short_creatives, creatives):
    """As 4,500 creatives of one ad in pages of 1,000: only what is listed is limited, not what the pages would hold."""
    doors = jrtt([[creatives]], short_creatives)
    with serve(*doors) as medium:
        run = pulled(desk, medium, "jrtt.report_creative")
    assert (run.status, run.exit_code) == ("done", 0), reasons(desk, run)
    assert stored(desk, CREATIVE_TABLE) == whole(doors[2], 1)
    assert [call.path for call in medium.calls] == [CREATIVES] * -(-creatives // PAGE)


@pytest.mark.parametrize("campaign", [b'"c-1"', b"true"])
def test_a_campaign_that_is_no_number_fails_the_unit_and_names_it(desk, short_creatives, campaign):
    doors = jrtt(WIDE, short_creatives)
    doors[0].records = {ACCOUNT: [b'{"campaign_id":%b}' % campaign]}
    with serve(*doors) as medium:
        run = pulled(desk, medium, "jrtt.report_creative")
    assert (run.status, run.exit_code) == ("failed", 3)
    assert reasons(desk, run) == {"a record of the coarser level has no campaign_id: the list cannot be read in parts"}


def test_an_ad_with_too_many_creatives_fails(desk, short_creatives):
    with serve(*jrtt([[30], [2]], short_creatives)) as medium:
        run = pulled(desk, medium, "jrtt.report_creative")
    assert (run.status, run.exit_code) == ("failed", 3)
    assert "ad_id 10001" in reasons(desk, run).pop()


@pytest.mark.parametrize("hidden", ["all ads of a campaign", "one ad of a campaign"])
def test_a_shortage_deep_inside_is_seen_although_the_whole_was_never_told(desk, short_creatives, hidden):
    """The total of a list that is cut off says too little: others fill what one campaign lacks."""
    doors = jrtt([[15], [15], [15], [12, 12]], short_creatives)
    ads = doors[1].records[ACCOUNT]
    doors[1].records = {ACCOUNT: ads[:-2] if hidden.startswith("all") else ads[:-1]}
    with serve(*doors) as medium:
        run = pulled(desk, medium, "jrtt.report_creative")
    assert (run.status, run.exit_code) == ("failed", 3), stored(desk, CREATIVE_TABLE).total()


SELECT = "/open_api/2/agent/advertiser/select/"


@pytest.fixture
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of account ids reach REACH instead of 10,000."""
    monkeypatch.setattr(JrttAccounts, "reach", REACH)


def listed(desk: Desk, medium: Medium) -> Run:
    desk.at(medium)
    desk.token("jrtt", AGENT)
    desk.give(f"jrtt_accounts_v2_{desk.tenant}_{DAY}", ["7"], AGENT)
    run = desk.run("jrtt.accounts")
    assert not medium.wrong
    return run


@pytest.mark.parametrize(("accounts", "by_cursor"), [(REACH - 1, 0), (REACH, 4), (REACH + 1, 5), (3 * REACH, 12)])
def test_accounts_beyond_the_pages_are_read_by_cursor(desk, short_lists, accounts, by_cursor):
    ids = [str(FIRST_ID + number) for number in range(accounts)]
    with serve(Door(SELECT, {AGENT: [each.encode() for each in ids]}, reach=REACH)) as medium:
        run = listed(desk, medium)
    assert (run.status, run.exit_code, run.rows) == ("done", 0, accounts), reasons(desk, run)
    assert desk.members(f"jrtt_accounts_v2_{desk.tenant}_{DAY}") == dict.fromkeys(ids, AGENT)
    assert sum(call.cursor is not None for call in medium.calls) == by_cursor


def test_accounts_that_grow_fewer_between_the_pages_and_the_cursor_are_read_again(desk, short_lists):
    """As 10,050 accounts where the cursor tells of 10,049: one was closed meanwhile, the list is whole without it."""
    ids = [str(FIRST_ID + number) for number in range(REACH + 5)]
    door = Door(SELECT, {AGENT: [each.encode() for each in ids]}, reach=REACH)

    def script(call: Call) -> None:
        if call.cursor is not None:
            door.records = {AGENT: [each.encode() for each in ids[1:]]}

    with serve(door, script=script) as medium:
        run = listed(desk, medium)
    assert (run.status, run.exit_code, run.verified) == ("done", 0, 1), reasons(desk, run)
    assert desk.members(f"jrtt_accounts_v2_{desk.tenant}_{DAY}") == dict.fromkeys(ids[1:], AGENT)
    assert [call.cursor for call in medium.calls].count(0) == 2


def test_a_cursor_that_leaves_one_out_fails_and_the_old_list_stays(desk, short_lists):
    ids = [b"%d" % (FIRST_ID + number) for number in range(2 * REACH)]
    with serve(Door(SELECT, {AGENT: ids}, reach=REACH, hides=frozenset(ids[REACH : REACH + 1]))) as medium:
        run = listed(desk, medium)
    assert (run.status, run.exit_code) == ("failed", 3)
    assert desk.members(f"jrtt_accounts_v2_{desk.tenant}_{DAY}") == {"7": AGENT}
