import datetime as dt
import json
import random
import re
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.errors import UsageError
from ark.job import Job, decode, differences, encode, from_flags, override, to_wire

TODAY = dt.date(2026, 11, 21)
SEED = json.loads((Path(__file__).parents[1] / "data" / "seed003-arguments.json").read_text(encoding="utf-8"))
KEYS = [
    *("agent_id", "tenant_alias", "data_date", "media_name", "cur_job_name", "redis_accounts_key", "redis_keys"),
    *("account_list", "agents_list", "task_type_list", "redis_channel", "incr_min", "output", "minutely_control"),
    *("agent_level", "agent_total", "batch_key", "data_type"),
]
SMALL = {"agent_id": 1050262, "tenant_alias": "T100117", "data_date": "2020-05-30"}

ids = st.integers(1, 2**64 - 1).map(str)
texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.just(" "), max_size=40)
counts = st.integers(0, 2**31 - 1)


def unique(items):
    return st.lists(items, max_size=30, unique=True).map(tuple)


@st.composite
def jobs(draw):
    agent = draw(ids)
    return Job(
        agent_id=agent,
        tenant_alias=draw(st.from_regex("[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)),
        data_date=draw(st.dates(dt.date(2000, 1, 1), TODAY)),
        media_name=draw(texts),
        cur_job_name=draw(texts),
        redis_accounts_key=draw(texts),
        redis_keys=draw(unique(texts)),
        account_list=draw(unique(ids)),
        agents_list=draw(st.sampled_from([(), (agent,)])),
        task_type_list=draw(texts),
        shown_count=draw(st.none() | counts),
        redis_channel=draw(texts.filter(lambda text: text != "None")),
        incr_min=draw(counts),
        output=draw(st.sampled_from(["HBASE", "FILE", "NONE"])),
        minutely_control=draw(counts),
        agent_level=draw(texts),
        agent_total=draw(counts),
        batch_key=draw(texts),
        data_type=draw(texts),
    )


def refusal(text):
    with pytest.raises(UsageError) as caught:
        decode(text, TODAY)
    message = str(caught.value)
    assert message.isprintable()
    return message


def spelled(**changes):
    return json.dumps(SMALL | changes)


@pytest.mark.parametrize("text", SEED)
def test_seed_arguments_have_the_18_keys_in_order(text):
    wire = to_wire(decode(text, TODAY))
    assert list(wire) == KEYS
    assert wire["agent_id"] == 1050262
    assert wire["agents_list"] == ["1050262"]
    assert wire["redis_channel"] == "None"
    assert wire["agent_total"] in {3, 6}


@pytest.mark.parametrize("text", SEED)
def test_seed_arguments_come_back_as_they_were(text):
    decoded = to_wire(decode(text, TODAY))
    assert quote(repr(decoded), safe="") == encode(decode(text, TODAY))
    spaced = re.sub(r"\s+", "", unquote_plus(text))
    assert re.sub(r"\s+", "", repr(decoded)) == spaced


@pytest.mark.parametrize("text", SEED)
@pytest.mark.parametrize("form", [json.dumps, repr])
@pytest.mark.parametrize("encoding", [str, quote, quote_plus, lambda text: quote(text, safe="'\":,[]")])
def test_every_form_decodes_to_the_same_job(text, form, encoding):
    job = decode(text, TODAY)
    assert decode(encoding(form(to_wire(job))), TODAY) == job


@given(jobs())
def test_what_is_encoded_decodes_to_itself(job):
    text = encode(job)
    assert re.fullmatch(r"[A-Za-z0-9%._~-]+", text)
    assert decode(text, TODAY) == job


@given(jobs(), st.booleans(), st.sampled_from([str, quote]))
def test_json_decodes_to_the_same_job(job, ascii_only, encoding):
    assert decode(encoding(json.dumps(to_wire(job), ensure_ascii=ascii_only)), TODAY) == job


@given(jobs(), st.sampled_from([json.dumps, repr]))
def test_form_encoding_decodes_to_the_same_job_or_is_refused_for_its_plus(job, form):
    text = quote_plus(form(to_wire(job)))
    if " " in json.dumps(to_wire(job), separators=(",", ":")):
        assert "bare +" in refusal(text)
    else:
        assert decode(text, TODAY) == job


def test_normalised_at_the_edge():
    job = decode(spelled(data_date="20200530", redis_channel="None", account_list=[10058169, "7", 7]), TODAY)
    assert job.agent_id == "1050262"
    assert job.data_date == dt.date(2020, 5, 30)
    assert job.redis_channel == ""
    assert job.account_list == ("10058169", "7")
    assert job.output == "HBASE"
    assert job.shown_count is None


def test_shown_count_travels_only_where_set():
    assert "shown_count" not in to_wire(decode(spelled(), TODAY))
    assert to_wire(decode(spelled(shown_count=0), TODAY))["shown_count"] == 0


def test_none_is_not_given():
    assert decode(spelled(redis_channel=None, incr_min=None, account_list=None), TODAY) == decode(spelled(), TODAY)


def test_ids_of_64_bits_are_exact():
    job = decode(spelled(agent_id=2**64 - 1, account_list=[str(2**53 + 1)]), TODAY)
    assert job.agent_id == "18446744073709551615"
    assert job.account_list == ("9007199254740993",)


def test_today_is_not_the_future():
    assert decode(spelled(data_date="2026-11-21"), TODAY).data_date == TODAY


@pytest.mark.parametrize("wrap", ['"{}"', "'{}'", " {}\r\n", "++{}", "%20{}%0A"])
@pytest.mark.parametrize("text", SEED)
def test_what_surrounds_an_argument_does_not_matter(text, wrap):
    assert decode(wrap.format(text), TODAY) == decode(text, TODAY)


def test_pretty_printed_json():
    assert decode(json.dumps(SMALL, indent=2), TODAY) == decode(spelled(), TODAY)


def test_a_raw_argument_is_not_url_decoded():
    assert decode(spelled(cur_job_name="+08:00 100%25"), TODAY).cur_job_name == "+08:00 100%25"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent_id": None}, ["agent_id is missing", "-g 1050262"]),
        ({"tenant_alias": None}, ["tenant_alias is missing", "-t T100117"]),
        ({"data_date": None}, ["data_date is missing", "-d 2020-05-30"]),
        ({"agent_id": "12a"}, ["agent_id is '12a'", "'agent_id': 1050262"]),
        ({"agent_id": 0}, ["agent_id is 0"]),
        ({"agent_id": -5}, ["agent_id is -5"]),
        ({"agent_id": True}, ["agent_id is True"]),
        ({"agent_id": "007"}, ["agent_id is '007'"]),
        ({"agent_id": "１２"}, ["agent_id is"]),  # noqa: RUF001  # digits, but not these
        ({"agent_id": [1]}, ["agent_id is [1]"]),
        ({"tenant_alias": ""}, ["tenant_alias is ''"]),
        ({"tenant_alias": "../x"}, ["tenant_alias is '../x'"]),
        ({"tenant_alias": "T1|2"}, ["tenant_alias"]),
        ({"tenant_alias": "--all"}, ["tenant_alias"]),
        ({"tenant_alias": 100117}, ["tenant_alias is 100117", "'T100117'"]),
        ({"data_date": "2026-11-22"}, ["data_date 2026-11-22 is in the future", "2026-11-21 in Asia/Shanghai"]),
        ({"data_date": "2020-02-30"}, ["data_date is '2020-02-30'"]),
        ({"data_date": "2020-0530"}, ["data_date"]),
        ({"data_date": "30.05.2020"}, ["data_date"]),
        ({"data_date": "2020-W22-6"}, ["data_date"]),
        ({"data_date": "0020-05-30"}, ["data_date"]),
        ({"data_date": 20200530}, ["data_date is 20200530", "quoted text"]),
        ({"data_date": "today"}, ["data_date is 'today'"]),
        ({"output": "hbase"}, ["output is 'hbase'", "HBASE, FILE or NONE"]),
        ({"output": "None"}, ["output is 'None'"]),
        ({"output": None}, ["output is None"]),
        ({"incr_min": "60"}, ["incr_min is '60'", "without quotes", "'incr_min': 60"]),
        ({"incr_min": -1}, ["incr_min is -1"]),
        ({"minutely_control": True}, ["minutely_control is True"]),
        ({"agent_total": 2**31}, ["agent_total"]),
        ({"account_list": "10058169"}, ["account_list is '10058169'", "list"]),
        ({"account_list": ["7", "x7"]}, ["account_list[1] is 'x7'"]),
        ({"account_list": ["7", ["8"]]}, ["account_list[1] is ['8']"]),
        ({"account_list": {"7": 8}}, ["account_list is {'7': 8}"]),
        ({"agents_list": ["1050262", "2"]}, ["agents_list holds 2 agents", "one job per agent"]),
        ({"agents_list": ["2"]}, ["agents_list holds 2", "agent_id is 1050262"]),
        ({"redis_keys": [1]}, ["redis_keys[0] is 1"]),
        ({"cur_job_name": "a\u0000b"}, ["cur_job_name"]),
        ({"cur_job_name": "\ud800"}, ["cur_job_name"]),
        ({"cur_job_name": "x" * 513}, ["cur_job_name", "512"]),
        ({"agent": 1}, ["'agent'", "did you mean agent_id?"]),
        ({"Acount_list": []}, ["did you mean account_list?"]),
        ({"zzzz": 1}, ["'zzzz'", "leave it out"]),
    ],
)
def test_a_wrong_key_is_named_with_its_remedy(changes, words):
    message = refusal(spelled(**changes))
    assert all(word in message for word in words), message


RAW = "{'agent_id': 1050262, 'tenant_alias': 'T100117', 'data_date': '2020-05-30', %s}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("gdt.funds", ["starts with 'gdt.funds'", "ark args encode"]),
        ("[1]", ["starts with"]),
        ("x" * 70_000, ["70000 characters", "Redis key"]),
        (RAW % ("'cur_job_name': '" + "x" * 70_000 + "'"), ["characters"]),
        ("{'a': " + "[" * 19 + "]" * 19 + "}", ["leave it out"]),
        ("{'a': " + "[" * 20 + "]" * 20 + "}", ["nested deeper than 20"]),
        ("[" * 60_000, ["starts with"]),
        (RAW % ("'incr_min': " + "-" * 20_000 + "1"), ["is no value", "'incr_min'"]),
        (RAW % ("'incr_min': 0" + "+0" * 30_000), ["is no value", "'incr_min'"]),
        (RAW % ("'incr_min': " + "9" * 5000), ["more than 20 digits", "'incr_min'"]),
        (RAW % "'incr_min': 060", ["leading 0", "'incr_min'"]),
        (RAW % "'incr_min': 1e400", ["'1e400' is no value", "'incr_min'"]),
        (RAW % "'incr_min': 1.5", ["'1.5' is no value"]),
        (RAW % "'incr_min': 1+2j", ["'1+2j' is no value"]),
        (RAW % "'incr_min': inf", ["'inf' is no value"]),
        (spelled(incr_min=float("nan")), ["'NaN' is no value", "'incr_min'"]),
        (spelled(incr_min=float("inf")), ["'Infinity' is no value"]),
        (RAW % "'batch_key': b'x'", ["prefix 'b'", "'batch_key'"]),
        (RAW % "'batch_key': f'{1}'", ["prefix 'f'"]),
        (RAW % "'account_list': {'1', '2'}", ["account_list is {"]),
        (RAW % "'account_list': {[1]}", ["'account_list'"]),
        (RAW % "'account_list': ('1',)", ["'account_list'"]),
        (RAW % "'account_list': ['1' '2']", ["side by side", "'account_list'"]),
        (RAW % "'account_list': ['1',, '2']", ["before the comma", "'account_list'"]),
        (RAW % "'account_list': ['1'][0]", ["'account_list'"]),
        (RAW % ("'account_list': [" + "1," * 20_000 + "]"), ["more than 6000 values"]),
        ("{" + ", ".join(f"'k{n}': 1" for n in range(200)) + "}", ["more than 100 keys"]),
        (RAW % "'agent_id': 1", ["key 'agent_id' twice"]),
        (RAW % r"'\x61gent_id': 1", ["key 'agent_id' twice"]),
        ('{"agent_id": 1, "agent_id": 2}', ["key 'agent_id' twice"]),
        (RAW % "'incr_min': null", ["'incr_min'", "None, True and False"]),
        (RAW % r"'batch_key': '\d'", ["neither JSON nor a Python dict"]),
        (RAW % "'batch_key'", ["without a value"]),
        (RAW % "'batch_key':", ["neither JSON nor a Python dict"]),
        (RAW % "'batch_key' 'x'", ["side by side"]),
        (RAW % "'batch_key': 'a\nb'", ["line break", "'batch_key'"]),
        (RAW % "batch_key: 'x'", ["'batch_key' is no key"]),
        (RAW % "1: 2", ["the key 1", "quoted text"]),
        (RAW % "**{}", ["'**'"]),
        (RAW % "'batch_key': x" + " 0 1", ["'x' is no value"]),
        (RAW % "'batch_key': 'x'" + " 0 1", ["something follows"]),
        (RAW % "'batch_key': 'x'" + "}", ["something follows"]),
        (RAW % "'batch_key': ['x'", ["cut off", "'batch_key'"]),
        (RAW % "'batch_key': 'x", ["never closed", "'batch_key'"]),
        (RAW % "'batch_key': ['x')", ["'batch_key'"]),
        (RAW % "‘batch_key’: 'x'", ["typographic"]),  # noqa: RUF001  # as word processors write it
        ("{1, 2}", ["without a value"]),
        ("\ufeff" + SEED[0], ["byte order mark", "position 1"]),
        ("%EF%BB%BF" + SEED[0], ["byte order mark", "position 1"]),
        (SEED[0] + "\x00", ["NUL"]),
        (SEED[0].replace("parent", "%00"), ["NUL"]),
        (SEED[0].replace("parent", "\x1b[2J"), ["U+001B"]),
        (SEED[0].replace("parent", "%E2%80%AE"), ["U+202E"]),
        (SEED[0].replace("parent", "\udcff"), ["not UTF-8"]),
        (SEED[0].replace("parent", "%D6%D0"), ["not UTF-8", "GBK", ">>>%D6"]),
        (SEED[0].replace("parent", "%ED%A0%80"), ["not UTF-8"]),
        (SEED[0].replace("parent", "%zz"), ["%zz is not one of %00 to %FF", ">>>%zz"]),
        (SEED[0][:302], ["cut off inside %", "'account_list'"]),
        (SEED[0][:304], ["cut off", "'account_list'"]),
        (SEED[0].replace("day'%7D", "day"), ["never closed", "'data_type'"]),
        (SEED[1].replace("parent", "+08:00"), ["bare +", "'agent_level'", "%2B", "%20"]),
        (SEED[0].replace("'", ""), ["quotes were stripped by the shell", "double quotes", "\"%7B'agent_id'%3A"]),
        (SEED[1].replace("%27", ""), ["quotes were stripped by the shell"]),
        (spelled().replace('"', ""), ["quotes were stripped by the shell", "JSON: in single quotes"]),
    ],
)
def test_a_trap_is_refused_by_name(text, words):
    message = refusal(text)
    assert all(word in message for word in words), message
    assert len(message) < 500


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("text", SEED)
def test_an_argument_encoded_twice_is_shown_repaired(text, rounds):
    encoded = text
    for _ in range(rounds):
        encoded = quote_plus(encoded)
    message = refusal(encoded)
    assert "twice" in message
    assert decode(message.split("ark run INTERFACE ")[1], TODAY) == decode(text, TODAY)


@pytest.mark.parametrize("depth", [3, 5, 30_000])
def test_an_argument_encoded_without_end_is_refused(depth):
    assert "twice" in refusal("%" + "25" * depth + "7B")


def shell(word):
    return subprocess.run(["sh", "-c", f"printf %s {word}"], capture_output=True, text=True, check=True).stdout


def test_an_interactive_shell_that_eats_quotes_is_told_of():
    job = decode(SEED[0], TODAY)
    assert "quotes were stripped by the shell" in refusal(shell(SEED[0]))
    assert decode(shell(f'"{SEED[0]}"'), TODAY) == job
    assert decode(shell(encode(job)), TODAY) == job


@pytest.mark.parametrize("form", ["{}", "{{'agent_id': {}}}", "{{'agent_id': [{}]}}", "{{{}: 1}}"])
@pytest.mark.parametrize("encoding", [str, quote, quote_plus])
def test_code_is_never_run(form, encoding, tmp_path):
    canary = tmp_path / "canary"
    refusal(encoding(form.format(f"__import__('os').system('touch {canary}')")))
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        "{'access_token': 'se-cret', oops}",
        "{'access_token': 'se-cret'",
        '{"password": "se-cret" "x"}',
        "%7B'access_token'%3A%20'se-cret'%2C%zz",
        "%7b%27token%27%3a++%27se-cret%27%2c++%zz",
        "{'client_secret': 'se-cret', 'b': 1.5}",
        "{'access_token': 'se-cret'}",
        quote_plus(quote_plus("{'access_token': 'se-cret'}")),
    ],
)
def test_errors_do_not_show_secrets(text):
    assert "se-cret" not in refusal(text)


def test_an_argument_that_would_be_too_long_is_not_written():
    job = decode(spelled(), TODAY)
    many = msgspec.structs.replace(job, account_list=tuple(map(str, range(10**7, 10**7 + 7000))))
    with pytest.raises(UsageError, match="account_list with 7000 accounts"):
        encode(many)
    some = msgspec.structs.replace(job, account_list=many.account_list[:3000])
    assert decode(encode(some), TODAY) == some


PIECES = [
    *("%", "'", '"', "+", "%27", "%22", "%5B", "[", "{", "}", "]", ":", ",", "\\", "0", "-", " ", "\n", "\x00", "%00"),
    *("None", "null", "1e9", "b'", "#", "(", "*", "%25", "'''", "agent_id", "é", "%E4%BD%99", "\ud800", "\u3000"),
]


def mutated(text, chance):
    for _ in range(chance.choice([1, 1, 2, 5])):
        at, length = chance.randrange(len(text) + 1), chance.choice([0, 0, 1, 1, 3, 40])
        text = text[:at] + chance.choice([*PIECES, text[at : at + length] * 2]) + text[at + length :]
    return text


def outcome(text):
    try:
        return decode(text, TODAY)
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(10))
def test_mutations_are_a_job_or_a_usage_error(seed):
    chance = random.Random(seed)
    for _ in range(300):
        came = outcome(mutated(chance.choice(SEED), chance))
        if isinstance(came, Job):
            assert decode(encode(came), TODAY) == came
        else:
            assert came.isprintable()
            assert len(came) < 2500


@given(st.text(max_size=200))
def test_any_text_is_a_job_or_a_usage_error(text):
    for whole in (text, "{" + text + "}", "{'agent_id':" + text + "}", "%7B" + text + "%7D"):
        with pytest.raises(UsageError):
            decode(whole, TODAY)


@pytest.mark.parametrize(
    ("flags", "tenant", "date", "notes"),
    [
        (
            {"agent": "4011704", "redis_key": "wx_advertiser_T100117_4011704_20200518"},
            "T100117",
            "2020-05-18",
            ["tenant T100117: from the name of wx_advertiser", "date 2020-05-18: from the name of wx_advertiser"],
        ),
        (
            {"agent": "3367268016", "redis_key": "jrtt_one_agents_v2_T100117"},
            "T100117",
            "2026-11-21",
            ["tenant T100117: from the name of jrtt_one", "date 2026-11-21: today in Asia/Shanghai"],
        ),
        (
            {"agent": "24641", "accounts": ("10058169",)},
            "T9",
            "2026-11-21",
            ["tenant T9: from run.tenant", "date 2026-11-21: today in Asia/Shanghai"],
        ),
        ({"agent": "24641", "accounts": ("10058169",), "tenant": "T1", "date": "20200530"}, "T1", "2020-05-30", []),
        (
            {"agent": "1", "redis_key": "k_T100117_20200518", "tenant": "T1", "date": "2020-05-19"},
            "T1",
            "2020-05-19",
            ["tenant T1 holds, although k_T100117_20200518 names T100117", "date 2020-05-19 holds"],
        ),
        (
            {"agent": "1", "redis_key": "wx_advertiser_T100117_20200518_20201399"},
            "T100117",
            "2026-11-21",
            ["tenant T100117: from the name", "date 2026-11-21: today"],
        ),
    ],
)
def test_what_flags_leave_open_is_taken_and_told(flags, tenant, date, notes):
    job, told = from_flags(**flags, default_tenant="T9", today=TODAY)
    assert (job.tenant_alias, job.data_date.isoformat()) == (tenant, date)
    assert job.agents_list == (job.agent_id,) == (flags["agent"],)
    assert len(told) == len(notes)
    assert all(line.startswith(start) for line, start in zip(told, notes, strict=True))


def test_flags_fill_the_job():
    job, _ = from_flags(
        tenant="T1",
        date="2020-05-30",
        agent="5",
        accounts=("7", "8"),
        output="FILE",
        interface="gdt.funds",
        today=TODAY,
    )
    assert job.account_list == ("7", "8")
    assert job.output == "FILE"
    assert (job.media_name, job.cur_job_name) == ("gdt", "gdt.funds")
    assert decode(encode(job), TODAY) == job


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"tenant": "T1"}, "agent_id is missing: .*-g 1050262"),
        ({"agent": "1"}, "tenant_alias is missing: give -t T100117, or set run.tenant"),
        ({"agent": "x", "tenant": "T1"}, "agent_id is 'x'"),
        ({"agent": "1", "tenant": "T1", "date": "tomorrow"}, "data_date is 'tomorrow'"),
        ({"agent": "1", "tenant": "T1", "date": ""}, "data_date is ''"),
        ({"agent": "1", "tenant": ""}, "tenant_alias is ''"),
        ({"agent": "", "tenant": "T1"}, "agent_id is ''"),
        ({"agent": "1", "redis_key": "k_T1_20991231"}, "data_date 2099-12-31 is in the future"),
        ({"agent": "1", "tenant": "T1", "accounts": ("--all",)}, "account_list.0. is '--all'"),
    ],
)
def test_wrong_flags_are_named(flags, words):
    with pytest.raises(UsageError, match=words):
        from_flags(**flags, today=TODAY)


def test_a_flag_beside_an_argument_wins():
    job = decode(SEED[0], TODAY)
    changed = override(job, output="FILE", accounts=("7",), agent="9", tenant="T2", date="20200601", today=TODAY)
    assert (changed.output, changed.account_list, changed.agent_id, changed.agents_list) == (
        "FILE",
        ("7",),
        "9",
        ("9",),
    )
    assert (changed.tenant_alias, changed.data_date) == ("T2", dt.date(2020, 6, 1))
    assert changed.batch_key == job.batch_key
    assert differences(job) == []
    assert differences(changed) == [
        "tenant T2 holds, although gdt_advertiser_v1.1_T100117_20200530 names T100117",
        "date 2020-06-01 holds, although gdt_advertiser_v1.1_T100117_20200530 names 2020-05-30",
    ]


def test_no_flag_changes_nothing():
    job = decode(spelled(account_list=["7"], redis_accounts_key="k", output="NONE"), TODAY)
    assert override(job, today=TODAY) == job


def test_a_key_given_as_flag_wins_over_the_accounts_of_the_argument():
    changed = override(decode(spelled(account_list=["7", "8"]), TODAY), redis_key="other_key", today=TODAY)
    assert (changed.redis_accounts_key, changed.account_list) == ("other_key", ())


def test_accounts_given_as_flags_win_over_the_key_of_the_argument():
    changed = override(decode(spelled(redis_accounts_key="k"), TODAY), accounts=["7"], today=TODAY)
    assert (changed.redis_accounts_key, changed.account_list) == ("k", ("7",))


def test_an_empty_flag_is_not_taken_for_none():
    with pytest.raises(UsageError, match="data_date is ''"):
        override(decode(spelled(), TODAY), date="", today=TODAY)
