"""Pages add up to what the medium declares, or the unit fails: never a short list taken for a whole one."""

from datetime import date

import pytest

from ark.answers import Answer, PageInfo
from ark.errors import UnitError
from ark.ledger import UnitKey
from ark.units import Unit
from handlers.parts import ListMovedError
from handlers.task import Task

SIZE = 100


def make() -> Task:
    return Task(UnitKey("1", "2", ""), Unit("T1", date(2020, 5, 30), "1", "2", {}))


def page(number: int, total: int, pages: int | None = None, size: int = SIZE) -> Answer:
    return Answer(0, "", [], PageInfo(number, size, total, -(-total // size) if pages is None else pages))


def take(task: Task, answer: Answer, records: int, reach: int = 0) -> None:
    task.take(answer, records, SIZE, reach)


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 200, 250])
def test_whole_lists_end_at_their_last_page(total):
    task = make()
    for number in range(1, max(-(-total // SIZE), 1) + 1):
        assert not task.fetched
        take(task, page(number, total), min(SIZE, total - (number - 1) * SIZE))
    assert task.fetched
    assert (task.received, task.declared) == (total, total)


@pytest.mark.parametrize(
    ("answer", "records", "words"),
    [
        (Answer(0, "", [], None), 0, "no page_info"),
        (page(2, 250), 100, "page 2 was answered"),
        (page(1, 250), 90, "holds 90 records, 100 were declared"),
        (page(1, 250), 101, "holds 101 records"),
        (page(1, 50), 100, "holds 100 records, 50 were declared"),
        (page(1, 150), 0, "holds 0 records"),
        (page(1, 0), 3, "holds 3 records"),
        (page(1, 100, pages=3), 100, "contradicts itself"),
        (page(1, 250, pages=1), 100, "contradicts itself"),
        (page(1, 250, size=0, pages=3), 100, "pages of 0 records"),
    ],
)
def test_pages_that_contradict_what_is_declared_fail(answer, records, words):
    with pytest.raises(UnitError, match=words):
        take(make(), answer, records)


def test_a_medium_that_caps_the_page_size_is_followed():
    task = make()
    take(task, page(1, 25, size=20), 20)
    take(task, page(2, 25, size=20), 5)
    assert task.fetched


def test_a_list_that_changes_while_it_is_read_is_read_again():
    task = make()
    take(task, page(1, 250), 100)
    with pytest.raises(ListMovedError, match="250 records, then 251"):
        take(task, page(2, 251), 100)
    again = task.restarted()
    assert again.restarts == 1
    assert (again.part.page, again.received, again.declared, again.collected) == (1, 0, None, {})


def test_a_list_beyond_what_paging_reaches_fails_and_says_so():
    with pytest.raises(UnitError, match="paging ends at 10000"):
        take(make(), page(1, 10_001), 100, reach=10_000)


def test_an_endpoint_without_pages_that_declares_a_total_is_held_to_it():
    with pytest.raises(UnitError, match="3 records were declared, 0 came"):
        make().take(page(1, 3), 0, 0, 0)


def test_endpoints_without_pages_are_whole_at_once():
    task = make()
    task.take(Answer(0, "", [], None), 2, 0, 0)
    assert task.fetched
    assert task.declared is None


def test_a_unit_is_complete_when_every_row_is_acknowledged():
    task = make()
    task.take(Answer(0, "", [], None), 2, 0, 0)
    task.stored = 1
    assert not task.complete()
    task.stored = 2
    assert task.complete()
