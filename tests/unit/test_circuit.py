"""The circuit and the budget for repeats, under any order of answers and troubles."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.circuit import FIRST_PAUSE, LONGEST_PAUSE, SHARE, THRESHOLD, Circuit, Leave

PATIENCE = 120.0

slots = st.integers(1, 60)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.booleans()),
        st.tuples(st.just("answer"), st.integers(0, 99)),
        st.tuples(st.just("trouble"), st.integers(0, 99)),
        st.tuples(st.just("unsent"), st.integers(0, 99)),
        st.tuples(st.just("drop"), st.integers(0, 99)),
        st.tuples(st.just("wait"), st.floats(0, 20)),
    ),
    max_size=400,
)


class Played:
    """A circuit after some steps, and what was sent."""

    def __init__(self, slots: int, steps: list[tuple[str, float]]) -> None:
        self.circuit, self.slots, self.now = Circuit(slots, PATIENCE), slots, 1000.0
        self.out: list[Leave] = []
        self.sent = {"fresh": 0, "repeat": 0, "probe": 0}
        self.answers = 0
        for what, value in steps:
            self.step(what, value)

    def step(self, what: str, value: float) -> None:
        if what == "wait":
            self.now += value
        elif what == "call":
            self.call(repeat=bool(value))
        elif self.out:
            self.end(what, self.out.pop(int(value) % len(self.out)))

    def call(self, *, repeat: bool = False) -> Leave | None:
        silent = self.circuit.opened_at is not None
        leave = self.circuit.admit(self.now, repeat=repeat) if len(self.out) < self.slots else None
        if leave is not None:
            assert leave.probe == silent
            self.out.append(leave)
            self.sent[kind(leave)] += 1
            assert sum(leave.probe for leave in self.out) <= 1, "two probes at once"
        return leave

    def end(self, how: str, leave: Leave) -> None:
        if how == "answer":
            self.answers += 1
            self.circuit.answered(leave, self.now)
        elif how == "trouble":
            was_open, silent_for = self.circuit.opened_at is not None, self.now - (self.circuit.opened_at or 0)
            opened = self.circuit.trouble(leave, self.now)
            assert not (opened and was_open)
            if self.circuit.gone:
                assert was_open
                assert leave.probe
                assert not self.answers or silent_for >= PATIENCE
        elif how == "unsent":
            silence = self.circuit.opened_at, self.circuit.gone
            self.sent[kind(leave)] -= 1
            self.circuit.unsent(leave, self.now, FIRST_PAUSE)
            assert silence == (self.circuit.opened_at, self.circuit.gone)
        else:
            self.circuit.dropped(leave)


def kind(leave: Leave) -> str:
    return "probe" if leave.probe else "repeat" if leave.repeat else "fresh"


@given(slots, steps)
def test_repeats_stay_within_the_budget_and_there_are_never_two_probes(slots, steps):
    played = Played(slots, steps)
    assert played.sent["repeat"] <= max(slots + THRESHOLD, SHARE * played.answers) + 1


@given(slots, steps)
def test_probes_keep_their_distance(slots, steps):
    played = Played(slots, [])
    last = -inf
    for what, value in steps:
        probes, now = played.sent["probe"], played.now
        if what == "answer":  # which brings the next one forward
            last = -inf
        played.step(what, value)
        if played.sent["probe"] > probes:
            assert now - last >= FIRST_PAUSE
            last = now


@given(slots, steps)
def test_it_recovers_from_everything_as_soon_as_the_medium_answers(slots, steps):
    played = Played(slots, steps)
    while played.out:
        played.end("answer", played.out.pop())
    played.now += LONGEST_PAUSE
    leave = played.call()
    assert leave is not None
    played.end("answer", played.out.pop())
    assert played.circuit.opened_at is None
    assert played.circuit.next_call == -inf
    assert all(played.call() for _ in range(slots))


@given(slots, st.integers(0, 500), st.integers(1, 2000))
def test_an_outage_costs_the_calls_under_way_and_its_probes(slots, before, seconds):
    """The worst case: all slots full whenever that is allowed, every call fails at once."""
    played = Played(slots, [step for _ in range(before) for step in (("call", False), ("answer", 0))])
    sent = sum(played.sent.values())
    for _ in range(10 * seconds):
        while played.call():
            pass
        while played.out:
            played.end("trouble", played.out.pop())
        played.now += 0.1
        if played.circuit.gone:
            break
    troubles = sum(played.sent.values()) - sent
    assert played.circuit.opened_at is not None
    assert troubles <= THRESHOLD + slots + 4 + seconds / LONGEST_PAUSE


def silent(circuit: Circuit, now: float = 0, **options: object) -> None:
    leave = circuit.admit(now)
    assert leave
    circuit.trouble(leave, now, **options)


def heard(slots: int = 9) -> Circuit:
    circuit = Circuit(slots, PATIENCE)
    circuit.answered(circuit.admit(0), 0)
    return circuit


def test_a_medium_that_never_answers_is_gone_with_the_first_probe():
    circuit = Circuit(9, PATIENCE)
    for _ in range(THRESHOLD):
        silent(circuit)
    assert circuit.admit(FIRST_PAUSE / 2) is None
    silent(circuit, FIRST_PAUSE)
    assert circuit.gone


def test_one_call_in_vain_is_enough_for_a_medium_that_never_answers():
    circuit = Circuit(9, PATIENCE)
    silent(circuit, last=True)
    assert circuit.opened_at is not None
    answering = heard()
    silent(answering, last=True)
    assert answering.opened_at is None


def test_a_medium_that_has_answered_is_given_time():
    circuit = heard()
    for _ in range(THRESHOLD):
        silent(circuit)
    probes = []
    while not circuit.gone:
        probes.append(circuit.next_call)
        silent(circuit, circuit.next_call)
    assert [later - earlier for earlier, later in zip([0, *probes], probes, strict=False)] == [1, 2, 4] + [5] * 23
    assert probes[-1] >= PATIENCE > probes[-2]


def test_a_pause_that_the_medium_asks_for_is_kept():
    circuit = heard()
    for _ in range(THRESHOLD):
        silent(circuit, pause=30)
    assert circuit.next_call == 30
    silent(circuit, 30, pause=7)
    assert circuit.next_call == 37


def test_an_answer_from_before_it_opened_brings_the_probe_forward_and_no_more():
    circuit = heard()
    early = circuit.admit(0)
    for _ in range(THRESHOLD):
        silent(circuit)
    assert circuit.answered(early, 0.5)
    probe = circuit.admit(0.5)
    assert probe.probe
    assert circuit.admit(0.5) is None
    circuit.answered(probe, 0.6)
    assert circuit.admit(0.6) == Leave(1)


def test_troubles_from_before_it_closed_do_not_open_it_again():
    circuit = heard(100)
    early = [circuit.admit(0) for _ in range(3 * THRESHOLD)]
    for leave in early[:THRESHOLD]:
        circuit.trouble(leave, 0)
    circuit.answered(circuit.admit(FIRST_PAUSE), 1)
    for leave in early[THRESHOLD:]:
        circuit.trouble(leave, 1)
    assert circuit.opened_at is None


def test_units_that_are_repeated_in_vain_do_not_open_it():
    circuit = heard()
    for _ in range(2 * THRESHOLD):
        leave = circuit.admit(0, repeat=True)
        if leave:
            circuit.trouble(leave, 0)
    assert circuit.opened_at is None


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_with_few_calls_at_once_few_troubles_open_it(slots):
    """Else each unit would spend its tries before the others have had theirs."""
    circuit = heard(slots)
    for _ in range(slots):
        silent(circuit)
    assert circuit.opened_at is None
    silent(circuit)
    assert circuit.opened_at is not None


@pytest.mark.parametrize(("share", "opens"), [(0.1, False), (0.4, True), (0.8, True)])
def test_a_medium_that_answers_some_calls_only_is_in_trouble_too(share, opens):
    chance = Random(7)
    circuit = heard(50)
    for _ in range(2000):
        leave = circuit.admit(0)
        if leave is None:
            break
        if chance.random() < share:
            circuit.trouble(leave, 0)
        else:
            circuit.answered(leave, 0)
    assert (circuit.opened_at is not None) == opens


def test_what_never_left_this_machine_and_probes_cost_no_repeat():
    circuit = heard()
    for _ in range(100):
        circuit.unsent(circuit.admit(0, repeat=True), 0, 1)
    assert circuit.may_repeat
    for _ in range(THRESHOLD):
        silent(circuit)
    for _ in range(20):
        now = circuit.next_call
        circuit.trouble(circuit.admit(now, repeat=True), now)
    assert circuit.may_repeat


@pytest.mark.parametrize("circuit", [Circuit(9, PATIENCE), heard()], ids=["never heard", "heard"])
def test_what_never_left_this_machine_says_nothing_of_the_medium(circuit):
    """It ends the run only when nothing has left for as long as a medium may be silent."""
    assert not any(circuit.unsent(circuit.admit(0), 0, 1) for _ in range(3 * THRESHOLD))
    assert circuit.opened_at is None
    assert not circuit.unsent(circuit.admit(PATIENCE - 1), PATIENCE - 1, 1)
    silent(circuit, PATIENCE - 1)
    assert not circuit.unsent(circuit.admit(PATIENCE), PATIENCE, 1)
    circuit.answered(circuit.admit(PATIENCE + 1), PATIENCE + 1)
    assert not circuit.unsent(circuit.admit(2 * PATIENCE), 2 * PATIENCE, 1)
    assert circuit.unsent(circuit.admit(3 * PATIENCE), 3 * PATIENCE, 1)
    assert not circuit.gone


def test_a_probe_that_cannot_be_sent_comes_again_after_its_pause():
    circuit = Circuit(9, PATIENCE)
    for _ in range(THRESHOLD):
        silent(circuit)
    circuit.unsent(circuit.admit(FIRST_PAUSE), FIRST_PAUSE, 1)
    assert circuit.next_call == FIRST_PAUSE + 1
    assert not circuit.gone
