"""A list beyond what paging reaches is read in parts until every part is within reach: nothing lost, nothing twice."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.answers import Answer, Cursor, PageInfo
from ark.errors import UnitError
from ark.ledger import UnitKey
from ark.units import Unit
from handlers.parts import MOST_IDS, ListMovedError, Part, TooLongError, ids_of
from handlers.task import Task

REACH, SIZE = 20, 5
FIELDS = ("campaign", "adgroup")


def make() -> Task:
    return Task(UnitKey("1", "2", ""), Unit("T1", date(2020, 5, 30), "1", "2", {}))


class Medium:
    """Ads as (campaign, adgroup, number), served by filter and page, never beyond REACH."""

    def __init__(self, ads) -> None:
        self.ads = sorted(ads)
        self.calls = 0

    def serve(self, part: Part) -> tuple[list, Answer]:
        self.calls += 1
        found = [ad for ad in self.ads if not part.ids or ad[FIELDS.index(part.by)] in part.ids]
        if part.lists:
            found = sorted({ad[part.depth] for ad in found})
        start = (part.page - 1) * SIZE
        return found[start : start + SIZE], Answer(
            0, "", [], PageInfo(part.page, SIZE, len(found), -(-len(found) // SIZE))
        )


def read(task: Task, medium: Medium) -> list:
    """What the fetcher does with the pages of one unit."""
    ads = []
    while not task.fetched:
        part = task.part
        records, answer = medium.serve(part)
        try:
            task.take(answer, len(records), SIZE, REACH)
        except TooLongError as error:
            task.cut(error, len(FIELDS))
            continue
        if not part.lists:
            ads += records
            continue
        part.found += records
        if part.read:
            task.cut_by(FIELDS[part.depth], REACH)
    return ads


sizes = st.dictionaries(
    st.integers(0, 40).map(str),
    st.dictionaries(st.integers(0, 9).map(str), st.integers(1, 30), max_size=6),
    max_size=15,
)


@given(sizes)
def test_every_record_comes_once_or_the_unit_fails_and_says_so(sizes):
    ads = [(c, c + g, n) for c, groups in sizes.items() for g, count in groups.items() for n in range(count)]
    task, medium = make(), Medium(ads)
    too_long = any(count >= REACH for groups in sizes.values() for count in groups.values())
    if len(ads) >= REACH and (too_long or len(sizes) >= REACH):
        with pytest.raises(UnitError, match="cannot be cut further"):
            read(task, medium)
    else:
        assert sorted(read(task, medium)) == sorted(ads)
        assert task.declared == task.received == len(ads)


def test_a_list_within_reach_is_not_cut():
    task, medium = make(), Medium([("1", "1", n) for n in range(REACH - 1)])
    assert len(read(task, medium)) == REACH - 1
    assert medium.calls == REACH // SIZE


def test_a_list_as_long_as_paging_reaches_may_have_been_cut_off():
    task, medium = make(), Medium([(str(n % 4), str(n % 4), n) for n in range(REACH)])
    assert len(read(task, medium)) == REACH
    assert medium.calls > REACH // SIZE


def by_cursor(after: int, total: int, *, more: bool) -> Answer:
    return Answer(0, "", [], cursor=Cursor(str(after), more, total))


def test_a_list_beyond_reach_is_read_by_cursor_where_there_is_one():
    task = make()
    with pytest.raises(TooLongError) as too_long:
        task.take(Answer(0, "", [], PageInfo(1, SIZE, 23, 5)), SIZE, SIZE, REACH)
    task.cut(too_long.value, 0, cursors=True)
    assert task.part.cursor == "0"
    task.take(by_cursor(77, 23, more=True), 20, SIZE, REACH)
    assert (task.part.cursor, task.fetched) == ("77", False)
    task.take(by_cursor(99, 23, more=False), 3, SIZE, REACH)
    assert task.fetched
    assert task.received == task.declared == 23


@pytest.mark.parametrize(
    ("answer", "records", "words"),
    [
        (by_cursor(7, 23, more=False), 20, "20 of 23 records came, and the medium says there is no more"),
        (by_cursor(7, 20, more=True), 20, "20 of 20 records came, and the medium says there is more"),
        (by_cursor(0, 23, more=True), 20, "says there is more"),
        (by_cursor(7, 23, more=True), 0, "0 of 23 records came, and the medium says there is more"),
        (Answer(0, "", []), 20, "no cursor"),
    ],
)
def test_a_cursor_that_contradicts_itself_fails_the_unit(answer, records, words):
    task = make()
    task.cut(TooLongError(23, REACH), 0, cursors=True)
    with pytest.raises(UnitError, match=words):
        task.take(answer, records, SIZE, REACH)


def test_ids_are_taken_together_as_far_as_a_part_stays_within_half_of_the_reach():
    part = Part(lists=True, total=40, found=[str(number) for number in range(40)])
    assert [len(each.ids) for each in part.cut_by("campaign", REACH)] == [10, 10, 10, 10]
    many = Part(lists=True, total=1, found=[str(number) for number in range(250)])
    assert [len(each.ids) for each in many.cut_by("campaign", 10_000)] == [MOST_IDS, MOST_IDS, 50]


def test_an_id_that_is_listed_twice_is_asked_for_once():
    part = Part(lists=True, total=4, found=["7", "7", "8"])
    assert [each.ids for each in part.cut_by("campaign", REACH)] == [("7", "8")]


def test_parts_that_hold_less_than_the_whole_declared_are_read_again():
    task = make()
    with pytest.raises(TooLongError):
        task.take(Answer(0, "", [], PageInfo(1, SIZE, 50, 10)), SIZE, SIZE, REACH)
    task.cut(TooLongError(50, REACH), 1)
    task.take(Answer(0, "", [], PageInfo(1, SIZE, 1, 1)), 1, SIZE, REACH)
    task.part.found = ["7"]
    task.cut_by("campaign", REACH)
    with pytest.raises(ListMovedError, match="50 records, its parts hold only 3"):
        task.take(Answer(0, "", [], PageInfo(1, SIZE, 3, 1)), 3, SIZE, REACH)


def test_a_medium_that_ignores_the_filter_is_given_up_after_few_calls():
    class Deaf(Medium):
        def serve(self, part):
            return super().serve(part if part.lists else Part(page=part.page))

    medium = Deaf([(str(c), str(c), n) for c in range(20) for n in range(5)])
    with pytest.raises(UnitError, match="cannot be cut further"):
        read(make(), medium)
    assert medium.calls < 20


def test_without_a_level_a_long_list_fails():
    task = make()
    with pytest.raises(
        UnitError, match="the list has 50 records, as many as paging reaches or more, and cannot be cut"
    ):
        task.cut(TooLongError(50, REACH), 0)


def test_a_part_that_moves_is_read_again_from_the_whole():
    task = make()
    task.cut(TooLongError(50, REACH), 1)
    task.take(Answer(0, "", [], PageInfo(1, 1, 2, 2)), 1, 1, REACH)
    with pytest.raises(ListMovedError):
        task.take(Answer(0, "", [], PageInfo(2, 1, 3, 3)), 1, 1, REACH)
    again = task.restarted()
    assert (again.part, again.parts, again.whole) == (Part(), [], 0)


NO_NUMBERS = (None, "", 1.5, True, "c-1", -1)


@pytest.mark.parametrize("record", [{}, None, [], *({"campaign_id": each} for each in NO_NUMBERS)])
def test_a_level_without_ids_fails_the_unit(record):
    with pytest.raises(UnitError, match="no campaign_id"):
        ids_of([{"campaign_id": 7}, record], "campaign_id")


def test_halves_share_the_accounts_and_keep_the_costs():
    members = [Task(UnitKey("1", str(n), ""), Unit("T1", date(2020, 5, 30), "1", str(n), {})) for n in range(5)]
    task = Task.of(members)
    task.requests = 3
    first, second = task.halves()
    assert first.unit.accounts + second.unit.accounts == ("0", "1", "2", "3", "4")
    assert (first.requests, second.requests) == (3, 0)
    assert sum(unit.requests for half in (first, second) for unit in half.units()) == 3
