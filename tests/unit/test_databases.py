"""A database's URL is taken or refused, in words that name the setting and repeat no password."""

import pytest

from ark.databases import parse
from ark.errors import ConfigError


@pytest.mark.parametrize("url", ["mysql+pymysql://ark:word@host:3306/nyfz", "sqlite:////tmp/x.db"])
def test_mysql_and_files_are_taken(url):
    assert parse(url, "ledger.url").render_as_string(hide_password=False) == url


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://ark:s3cr3t@host:port/nyfz",
        "mysql+pymysql://ark:s3cr3t@host",
        "postgresql://ark:s3cr3t@host/nyfz",
        "sqlite://",
        "sqlite:///:memory:",
        "no url",
    ],
)
@pytest.mark.parametrize(("setting", "variable"), [("ledger.url", "ARK_LEDGER_URL"), ("tenant.url", "ARK_TENANT_URL")])
def test_anything_else_names_the_setting_and_the_way_out(url, setting, variable):
    with pytest.raises(ConfigError, match=rf"{setting} must be mysql\+pymysql://.*: correct {variable}") as refused:
        parse(url, setting)
    assert "s3cr3t" not in str(refused.value)
