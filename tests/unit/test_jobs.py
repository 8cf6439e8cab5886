import datetime as dt

import msgspec
import pytest

from ark.errors import ConfigError, UsageError
from ark.job import Job, decode, encode
from handlers.jobs import load_jobs
from handlers.registry import names

ABC = ["m.a", "m.b", "m.c"]
DAY = dt.date(2020, 5, 30)
KEY = "gdt_advertiser_v1.1_T100117_20200530"
JOB = Job(
    agent_id="1050262",
    tenant_alias="T100117",
    data_date=DAY,
    cur_job_name="gdt.advertisers",
    agents_list=("1050262",),
    output="FILE",
    batch_key="b1",
)


def jobs_of(tmp_path, text, interfaces=ABC):
    path = tmp_path / "jobs.toml"
    path.write_text(text, encoding="utf-8")
    return load_jobs(interfaces, path)


@pytest.fixture(scope="module")
def jobs():
    return load_jobs(names())


def test_the_shipped_file_names_the_gdt_chain(jobs):
    assert jobs.followers("gdt.advertisers") == ("gdt.funds",)
    assert jobs.followers("gdt.funds") == ("gdt.daily_report_ad", "gdt.hourly_report_ad")
    assert jobs.followers("gdt.hourly_report_ad") == ()


@pytest.mark.parametrize(
    ("name", "interface"),
    [
        ("dmp_gdt_api_advertiser_list", "gdt.advertisers"),
        ("dmp_task_gdt_api_3", "gdt.funds"),
        ("gdt.hourly_report_ad", "gdt.hourly_report_ad"),
    ],
)
def test_a_schedulers_name_or_its_own(jobs, name, interface):
    assert jobs.resolve(name) == interface


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gdt.fund", "did you mean gdt.funds"),
        ("dmp_gdt_api_advertiser", "dmp_gdt_api_advertiser_list"),
        ("zzz", "ark interfaces"),
        ("", "ark interfaces"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(jobs, name, hint):
    with pytest.raises(UsageError, match=hint):
        jobs.resolve(name)


def test_after_a_list_job_the_follower_works_from_the_list_of_the_day(jobs):
    named = msgspec.structs.replace(JOB, redis_accounts_key="custom", account_list=("7",))
    for job in (JOB, named):
        followed = jobs.next_job(job, "gdt.advertisers", "gdt.funds")
        assert (followed.redis_accounts_key, followed.account_list) == (KEY, ())


@pytest.mark.parametrize("named", [{"account_list": ("7", "8")}, {"redis_accounts_key": "custom"}])
def test_after_another_job_the_follower_keeps_accounts_and_key(jobs, named):
    job = msgspec.structs.replace(JOB, **named)
    followed = jobs.next_job(job, "gdt.funds", "gdt.daily_report_ad")
    assert (followed.redis_accounts_key, followed.account_list) == (job.redis_accounts_key, job.account_list)


def test_after_a_job_on_all_accounts_the_key_is_named(jobs):
    assert jobs.next_job(JOB, "gdt.funds", "gdt.daily_report_ad").redis_accounts_key == KEY


def test_the_follower_keeps_the_rest_and_can_be_handed_over(jobs):
    followed = jobs.next_job(JOB, "gdt.advertisers", "gdt.funds")
    assert (followed.cur_job_name, followed.media_name) == ("gdt.funds", "gdt")
    changed = {"cur_job_name", "media_name", "redis_accounts_key"}
    assert all(getattr(followed, key) == getattr(JOB, key) for key in set(Job.__struct_fields__) - changed)
    assert decode(encode(followed), DAY) == followed


def test_a_chain_and_a_fork(tmp_path):
    jobs = jobs_of(tmp_path, '[jobs]\nx = "m.a"\n[follows]\n"m.a" = ["m.b", "m.c"]\n')
    assert jobs.resolve("x") == "m.a"
    assert jobs.followers("m.a") == ("m.b", "m.c")


def test_an_empty_file_has_only_the_interfaces(tmp_path):
    jobs = jobs_of(tmp_path, "")
    assert jobs.resolve("m.a") == "m.a"
    assert jobs.followers("m.a") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[follows]\n"m.a" = ["m.b"]\n"m.b" = ["m.c"]\n"m.c" = ["m.a"]\n', "circle: .*m.a -> m.b"),
        ('[follows]\n"m.a" = ["m.a"]\n', "circle: m.a -> m.a"),
        ('[follows]\n"m.a" = ["m.b", "m.b"]\n', "m.b 2 times"),
        ('[follows]\n"m.a" = ["m.c"]\n"m.b" = ["m.c"]\n', "m.c 2 times"),
        ('[follows]\n"m.a" = ["m.d"]\n', r"\[follows\] .* unknown interface 'm.d', did you mean m"),
        ('[follows]\n"nowhere" = ["m.a"]\n', "unknown interface 'nowhere'"),
        ('[jobs]\nx = "m.ab"\n', r"x in \[jobs\] .* unknown interface 'm.ab', did you mean m"),
        ('[follows]\n"m.a" = "m.b"\n', r"not as expected: .*follows"),
        ("[job]\n", "not as expected: .*`job`"),
        ('[jobs]\nx = "m.a"\nx = "m.b"\n', "not as expected"),
        ("[jobs", "not as expected"),
    ],
)
def test_a_wrong_file_is_a_config_error_that_names_it(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        jobs_of(tmp_path, text)
    assert "jobs.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        load_jobs(ABC, tmp_path / "absent.toml")
