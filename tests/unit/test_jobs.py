import datetime as dt

import msgspec
import pytest

from ark.errors import ConfigError, UsageError
from ark.job import Job, decode, encode
from ark.settings import load
from handlers.jobs import load_jobs
from handlers.registry import names

ABC = ["m.a", "m.b", "m.c"]
STARTED = '[jobs]\na = "m.a"\nb = "m.b"\nc = "m.c"\n'
"""Each of them has a way in."""
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


def after(jobs, finished, job, children=()):
    """The arguments of the followers of `finished`, by interface; each is started once here."""
    started = list(jobs.next_jobs(job, finished, children))
    assert len(dict(started)) == len(started)
    return dict(started)


def test_the_shipped_file_names_the_chains_of_every_medium(jobs):
    assert jobs.followers("gdt.advertisers") == ("gdt.funds",)
    assert jobs.followers("gdt.funds") == ("gdt.daily_report_ad", "gdt.hourly_report_ad")
    assert jobs.followers("gdt.hourly_report_ad") == ()
    assert jobs.followers("jrtt.accounts") == ("jrtt.account_info", "jrtt.fund")
    assert jobs.followers("jrtt.child_agents") == ("jrtt.child_fund", "jrtt.child_accounts")
    assert jobs.followers("wx.advertisers") == ("wx.funds",)


def test_what_only_the_scheduler_starts_and_what_nothing_starts(jobs):
    assert jobs.roots() == ["gdt.advertisers", "jrtt.accounts", "jrtt.child_agents", "wx.advertisers"]
    assert jobs.alone["gdt.campaigns"]
    assert jobs.alone["wx.b.funds"]
    assert not {*jobs.alone} & {*jobs.roots()}


def test_a_full_run_of_every_medium_is_mapped(jobs):
    """gdt 3, 13 and 28; jrtt 4 to 31, one_agent, child_agent; wx."""
    tasks = [f"dmp_task_gdt_api_{number}" for number in (3, 13, 28)]
    tasks += [f"dmp_task_jrtt_api_{number}" for number in range(4, 32)]
    tasks += ["dmp_task_jrtt_one_agent", "dmp_task_jrtt_child_agent", "dmp_task_wx_api"]
    media = [jobs.resolve(task).partition(".")[0] for task in tasks]
    assert media == ["gdt"] * 3 + ["jrtt"] * 30 + ["wx"]
    assert all(name in jobs.scheduled(jobs.resolve(name)) for name in tasks)


@pytest.mark.parametrize(
    ("name", "interface"),
    [
        ("dmp_gdt_api_advertiser_list", "gdt.advertisers"),
        ("dmp_task_gdt_api_3", "gdt.funds"),
        ("dmp_jrtt_api_agent_report", "jrtt.report_agent"),
        ("dmp_wx_api_advertiser_list", "wx.advertisers"),
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
        followed = after(jobs, "gdt.advertisers", job)["gdt.funds"]
        assert (followed.redis_accounts_key, followed.account_list) == (KEY, ())


@pytest.mark.parametrize("named", [{"account_list": ("7", "8")}, {"redis_accounts_key": "custom"}])
def test_after_another_job_the_followers_keep_accounts_and_key(jobs, named):
    job = msgspec.structs.replace(JOB, **named)
    followers = after(jobs, "gdt.funds", job)
    assert [*followers] == ["gdt.daily_report_ad", "gdt.hourly_report_ad"]
    for followed in followers.values():
        assert (followed.redis_accounts_key, followed.account_list) == (job.redis_accounts_key, job.account_list)


def test_after_a_job_on_all_accounts_the_key_is_named(jobs):
    assert {each.redis_accounts_key for each in after(jobs, "gdt.funds", JOB).values()} == {KEY}


def test_the_follower_keeps_the_rest_and_can_be_handed_over(jobs):
    followed = after(jobs, "gdt.advertisers", JOB)["gdt.funds"]
    assert (followed.cur_job_name, followed.media_name) == ("gdt.funds", "gdt")
    changed = {"cur_job_name", "media_name", "redis_accounts_key"}
    assert all(getattr(followed, key) == getattr(JOB, key) for key in set(Job.__struct_fields__) - changed)
    assert decode(encode(followed), DAY) == followed


def test_a_list_of_agents_starts_a_run_for_each_of_them(jobs):
    job = msgspec.structs.replace(JOB, cur_job_name="jrtt.child_agents", redis_accounts_key="custom")
    started = list(jobs.next_jobs(job, "jrtt.child_agents", ("11", "12")))
    assert [interface for interface, _ in started] == ["jrtt.child_fund", "jrtt.child_accounts", "jrtt.child_accounts"]
    (_, fund), *accounts = started
    assert (fund.agent_id, fund.redis_accounts_key) == ("1050262", "jrtt_child_agents_v2_T100117")
    for (_, followed), child in zip(accounts, ("11", "12"), strict=True):
        assert (followed.agent_id, followed.agents_list, followed.agent_level) == (child, (child,), "child")
        assert (followed.redis_accounts_key, followed.account_list) == ("", ())


def test_a_list_of_no_agents_starts_no_run_by_agent(jobs):
    assert [*after(jobs, "jrtt.child_agents", JOB)] == ["jrtt.child_fund"]


def test_the_second_generation_goes_on_with_its_own_accounts(jobs):
    job = msgspec.structs.replace(JOB, agent_id="11", agents_list=("11",), agent_level="child")
    fund = after(jobs, "jrtt.report_agent", job)["jrtt.fund"]
    assert fund.redis_accounts_key == "jrtt_child_advertiser_v2_T100117_20200530"
    report = after(jobs, "jrtt.fund", fund)["jrtt.report_advertiser"]
    assert report.redis_accounts_key == fund.redis_accounts_key


def test_a_chain_and_a_fork(tmp_path):
    jobs = jobs_of(tmp_path, '[jobs]\nx = "m.a"\n[follows]\n"m.a" = ["m.b", "m.c"]\n')
    assert jobs.resolve("x") == "m.a"
    assert jobs.followers("m.a") == ("m.b", "m.c")
    assert jobs.roots() == ["m.a"]


def test_what_is_alone_is_no_root_and_may_have_followers(tmp_path):
    jobs = jobs_of(tmp_path, '[jobs]\nx = "m.a"\n[follows]\n"m.b" = ["m.c"]\n[alone]\n"m.b" = "by hand"\n')
    assert jobs.roots() == ["m.a"]
    assert jobs.alone == {"m.b": "by hand"}


def test_nothing_follows_an_interface_of_another_medium(tmp_path):
    with pytest.raises(ConfigError, match=r"starts n\.b after m\.a: agents are of one medium"):
        jobs_of(tmp_path, '[jobs]\nx = "m.a"\n[follows]\n"m.a" = ["n.b"]\n', ["m.a", "n.b"])


def test_an_interface_has_its_own_share_of_the_day_where_none_is_set(tmp_path):
    jobs = jobs_of(tmp_path, STARTED + '[day_share]\n"m.a" = 30\n')
    assert (jobs.day_share("m.a", load({})), jobs.day_share("m.b", load({}))) == (30, 100)
    assert jobs.day_share("m.a", load({"ARK_RUN_DAY_SHARE": "100"})) == 100
    assert jobs.day_share("m.b", load({"ARK_RUN_DAY_SHARE": "50"})) == 50


def test_an_empty_file_is_enough_where_there_is_no_interface(tmp_path):
    assert jobs_of(tmp_path, "", []).roots() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[follows]\n"m.a" = ["m.b"]\n"m.b" = ["m.c"]\n"m.c" = ["m.a"]\n', "circle: .*m.a -> m.b"),
        ('[follows]\n"m.a" = ["m.a"]\n', "circle: m.a -> m.a"),
        (STARTED + '[follows]\n"m.a" = ["m.b", "m.b"]\n', "m.b 2 times after m.a"),
        (STARTED + '[follows]\n"m.a" = ["m.b", "m.c"]\n"m.b" = ["m.c"]\n', "m.c 2 times after m.a"),
        ("", "m.a has no way in: .*alone"),
        ('[jobs]\nx = "m.a"\n[follows]\n"m.a" = ["m.b"]\n', "m.c has no way in"),
        (STARTED + '[alone]\n"m.c" = "by hand"\n', r"\[alone\] .* nothing starts m.c, but something does"),
        (STARTED + '[follows]\n"m.a" = ["m.c"]\n[alone]\n"m.c" = ""\n', "nothing starts m.c"),
        ('[alone]\n"m.x" = "by hand"\n', r"\[alone\] .* unknown interface 'm.x'"),
        ('[follows]\n"m.a" = ["m.d"]\n', r"\[follows\] .* unknown interface 'm.d', did you mean m"),
        ('[follows]\n"nowhere" = ["m.a"]\n', "unknown interface 'nowhere'"),
        ('[jobs]\nx = "m.ab"\n', r"x in \[jobs\] .* unknown interface 'm.ab', did you mean m"),
        ('[jobs]\n"m.b" = "m.a"\n', r"m.b in \[jobs\] .* is an interface's own name"),
        ('[follows]\n"m.a" = "m.b"\n', r"not as expected: .*follows"),
        ("[job]\n", "not as expected: .*`job`"),
        ('[jobs]\nx = "m.a"\nx = "m.b"\n', "not as expected"),
        ("[jobs", "not as expected"),
        (STARTED + '[day_share]\n"m.x" = 30\n', r"\[day_share\] .* unknown interface 'm.x'"),
        (STARTED + '[day_share]\n"m.a" = 101\n', "not as expected: .*<= 100"),
    ],
)
def test_a_wrong_file_is_a_config_error_that_names_it(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        jobs_of(tmp_path, text)
    assert "jobs.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        load_jobs(ABC, tmp_path / "absent.toml")
