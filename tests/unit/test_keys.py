from datetime import date

import pytest

from ark.accounts import keys
from ark.accounts.keys import Keys
from ark.errors import ConfigError

DAY = date(2020, 5, 30)


def test_the_keys_of_gdt_are_those_of_seed_003():
    assert Keys.of("gdt", "T100117", DAY, "1050262") == (
        "gdt_new_access_token_T100117",
        "gdt_agents_v2_T100117",
        "gdt_advertiser_v1.1_T100117_20200530",
    )


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
    with pytest.raises(ConfigError, match=r"\[redis\] of conf/xx.toml: .*it needs tokens, agents, accounts"):
        Keys.of("xx", "T100117", DAY, "1")


def test_an_unknown_medium_is_named():
    with pytest.raises(ConfigError, match="medium 'gtd' is unknown"):
        Keys.of("gtd", "T100117", DAY, "1")
