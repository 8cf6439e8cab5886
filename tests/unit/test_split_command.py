import json
import shlex
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ark import clock
from ark.errors import UsageError
from ark.job import decode, encode, split_command, to_wire

SEED = json.loads((Path(__file__).parents[1] / "data" / "seed003-arguments.json").read_text(encoding="utf-8"))
JOB = decode(SEED[0], clock.today())
WIRE = to_wire(JOB)
FORMS = [*SEED, encode(JOB), json.dumps(WIRE), json.dumps(WIRE, indent=1), repr(WIRE)]


@pytest.mark.parametrize("wrap", ["{}", "'{}'", '"{}"'])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", ["run gdt.funds ", "  run\tgdt.funds\r\n"])
@pytest.mark.parametrize(("after", "words"), [("", []), (" -o HBASE  0 1 ", ["-o", "HBASE", "0", "1"])])
def test_a_command_line_keeps_the_quotes_of_its_argument(form, wrap, before, after, words):
    assert split_command(before + wrap.format(form) + after) == ["run", "gdt.funds", form, *words]


def test_a_command_line_with_escaped_quotes():
    escaped = json.dumps(WIRE).replace('"', '\\"')
    assert split_command(f'run gdt.funds "{escaped}" -o FILE') == ["run", "gdt.funds", json.dumps(WIRE), "-o", "FILE"]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_ordinary_words_split_as_in_a_shell(words):
    assume(not any(word.startswith(("{", "%7B", "%7b")) for word in words))
    assert split_command(shlex.join(words)) == words


@given(st.lists(st.text(max_size=10), max_size=3), st.sampled_from(FORMS), st.lists(st.text(max_size=10), max_size=3))
def test_a_quoted_command_line_comes_back_whole(before, form, after):
    assume(not any("{" in word or "%7" in word or "}" in word for word in before + after))
    words = [*before, form, *after]
    assert split_command(shlex.join(words)) == words


plain = st.from_regex("[A-Za-z0-9._:/-]{1,12}", fullmatch=True)


@given(
    st.lists(plain, max_size=3), st.sampled_from(FORMS), st.lists(plain, max_size=3), st.sampled_from([" ", "  ", "\n"])
)
def test_an_unquoted_argument_comes_back_whole(before, form, after, space):
    words = [*before, form, *after]
    assert split_command(space.join(words)) == words


@given(st.text(max_size=60))
def test_any_text_is_words_or_a_usage_error(text):
    try:
        words = split_command(text)
    except UsageError:
        return
    assert all(isinstance(word, str) for word in words)


@pytest.mark.parametrize("text", ["run 'gdt.funds", 'run "gdt.funds', "run gdt.funds \\"])
def test_an_open_quote_is_named(text):
    with pytest.raises(UsageError, match="never closed"):
        split_command(text)


def test_a_cut_argument_stays_one_word_for_the_decoder_to_name():
    assert split_command("run gdt.funds {'agent_id': 1, 'tenant") == ["run", "gdt.funds", "{'agent_id': 1, 'tenant"]


def test_an_endless_command_line_is_refused():
    with pytest.raises(UsageError, match="at most 131072"):
        split_command("x" * 200_000)
