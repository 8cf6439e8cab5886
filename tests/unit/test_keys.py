from datetime import date

import pytest

from ark.accounts import keys
from ark.accounts.keys import Keys
from ark.errors import ConfigError

DAY = date(2020, 5, 30)


def test_the_keys_of_gdt_are_those_of_seed_003():
    assert Keys.of("gdt", "T100117", DAY, "1050262") == Keys(
        tokens="gdt_new_access_token_T100117",
        refresh_tokens="gdt_new_refresh_token_T100117",
        agents="gdt_agents_v2_T100117",
        accounts="gdt_advertiser_v1.1_T100117_20200530",
    )


def test_the_keys_of_jrtt_tell_both_generations_apart():
    assert Keys.of("jrtt", "T100117", DAY, "3367268016") == Keys(
        tokens="jrtt_new_access_token_T100117",
        refresh_tokens="jrtt_new_refresh_token_T100117",
        agents="jrtt_one_agents_v2_T100117",
        all_agents="jrtt_agents_v2_T100117",
        child_agents="jrtt_child_agents_v2_T100117",
        accounts="jrtt_accounts_v2_T100117_20200530",
        child_accounts="jrtt_child_advertiser_v2_T100117_20200530",
    )


def test_the_keys_of_wx_hold_the_agent():
    keys = Keys.of("wx", "T100117", DAY, "4011704")
    assert keys.tokens == "wx_new_access_token_T100117"
    assert keys.agents == "weixin_agents_T100117"
    assert keys.accounts == "wx_advertiser_T100117_4011704_20200530"


@pytest.fixture
def templates(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "CONF", tmp_path)
    keys._templates.cache_clear()
    yield (tmp_path / "xx.toml").write_text
    keys._templates.cache_clear()


def test_a_template_may_hold_the_agent(templates):
    templates('[redis]\ntokens = "t"\nagents = "a"\naccounts = "wx_advertiser_{tenant}_{agent}_{date}"\n')
    assert Keys.of("xx", "T100117", DAY, "9096610").accounts == "wx_advertiser_T100117_9096610_20200530"


@pytest.mark.parametrize("accounts", ["", 'accounts = "{tenent}"', 'accounts = "{}"', 'accounts = "{tenant"'])
def test_a_template_that_does_not_fit_is_named(templates, accounts):
    templates(f'[redis]\ntokens = "t"\nagents = "a"\n{accounts}\n')
    with pytest.raises(ConfigError, match=r"\[redis\] of conf/xx.toml: .*it needs tokens, agents and accounts"):
        Keys.of("xx", "T100117", DAY, "1")


def test_an_unknown_medium_is_named():
    with pytest.raises(ConfigError, match="medium 'gtd' is unknown"):
        Keys.of("gtd", "T100117", DAY, "1")
