import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from ark import clock
from ark.errors import UsageError
from ark.job import Job, decode, encode, from_wire, to_wire
from handlers.cli.args import EXPLAINED, args

SEED = json.loads((Path(__file__).parents[1] / "data" / "seed003-arguments.json").read_text(encoding="utf-8"))
TODAY = clock.today()
WIRE = to_wire(decode(SEED[0], TODAY))
FORMS = [*SEED, encode(decode(SEED[0], TODAY)), json.dumps(WIRE), json.dumps(WIRE, indent=1), repr(WIRE)]


def run(*words, tenant=""):
    settings = SimpleNamespace(run=SimpleNamespace(tenant=tenant))
    result = CliRunner().invoke(args, words, obj=settings)
    if isinstance(result.exception, UsageError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_encode_of_flags_is_what_run_takes():
    result = run(
        "encode", "-g", "4011704", "-k", "wx_advertiser_T100117_4011704_20200518", "-a", "1", "-a", "2", "-o", "FILE"
    )
    job = decode(result.stdout.strip(), TODAY)
    assert (job.agent_id, job.tenant_alias, job.account_list, job.output) == ("4011704", "T100117", ("1", "2"), "FILE")
    assert "tenant T100117: from the name of wx_advertiser_T100117_4011704_20200518" in result.stderr
    assert result.stdout.count("\n") == 1


def test_encode_takes_the_tenant_of_the_settings():
    result = run("encode", "-g", "24641", "-a", "10058169", "-d", "2020-05-30", tenant="T7")
    assert decode(result.stdout.strip(), TODAY).tenant_alias == "T7"
    assert result.stderr == "tenant T7: from run.tenant\n"


@pytest.mark.parametrize("form", FORMS)
def test_encode_of_a_dict_with_a_flag_beside_it(form):
    result = run("encode", form, "-o", "NONE", "--json")
    job = decode(json.loads(result.stdout)["argument"], TODAY)
    assert job == from_wire(to_wire(decode(form, TODAY)) | {"output": "NONE"}, TODAY)


@pytest.mark.parametrize("form", FORMS)
def test_decode_prints_one_document(form):
    result = run("decode", form)
    assert json.loads(result.stdout) == to_wire(decode(form, TODAY))
    assert result.stderr == ""


@pytest.mark.parametrize("form", SEED)
def test_explain_tells_each_key(form):
    told = json.loads(run("explain", form, "--json").stdout)
    assert {key: entry["value"] for key, entry in told.items()} == to_wire(decode(form, TODAY))
    assert all(entry["meaning"] and entry["effect"] for entry in told.values())
    text = run("explain", form).stdout
    assert all(key in text for key in told)


def test_every_key_is_explained():
    assert set(EXPLAINED) == set(Job.__struct_fields__)


def test_explain_says_what_wins():
    both = WIRE | {"account_list": ["1", "2"]}
    told = json.loads(run("explain", json.dumps(both), "--json").stdout)
    assert "2 accounts" in told["account_list"]["effect"]
    assert "account_list wins" in told["redis_accounts_key"]["effect"]


@pytest.mark.parametrize("command", ["encode", "decode", "explain"])
def test_help_has_an_example(command):
    assert f"  ark args {command} " in run(command, "--help").stdout


@pytest.mark.parametrize("command", ["encode", "decode", "explain"])
def test_a_bad_argument_is_a_usage_error(command):
    with pytest.raises(UsageError, match="quotes were stripped"):
        run(command, SEED[0].replace("'", ""))
