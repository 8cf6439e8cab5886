import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.errors import ConfigError
from ark.redact import redact
from ark.settings import CONF, TYPES, VARIABLES, load, shown
from ark.urls import masked

# contract: settings and their defaults
DEFAULTS = {
    "redis.url": "",
    "hbase.url": "",
    "kafka.url": "",
    "sentry.dsn": "",
    "ledger.url": "",
    "tenant.url": "",
    "gdt.url": "https://api.e.qq.com",
    "gdt.window": 60.0,
    "jrtt.window": 60.0,
    "wx.window": 60.0,
    "http.concurrency": 50,
    "http.connect": 5.0,
    "http.read": 15.0,
    "http.total": 30.0,
    "http.max_body": 64 * 2**20,
    "http.attempts": 3,
    "run.tenant": "",
    "run.deadline": 0.0,
    "hbase.batch": 1000,
    "hbase.batch_bytes": 8 * 2**20,
    "hbase.timeout": 30.0,
    "hbase.patience": 60.0,
    "ledger.keep_days": 7,
    "file.dir": "",
    "next.dispatch": "inprocess",
}


@pytest.fixture
def conf(tmp_path):
    """Writes a settings file and returns the environment that names it."""

    def write(text, mode=0o600):
        path = tmp_path / "ark.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return {"ARK_CONF": str(path)}

    return write


def refused(environ, flags=None):
    with pytest.raises(ConfigError) as caught:
        load(environ, flags or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def values(settings):
    return {key: value for key, value, _ in shown(settings)}


def test_the_defaults_are_those_of_the_contract():
    assert values(load({})).items() >= DEFAULTS.items()
    assert load({}).home == Path.home() / ".ark"


def test_every_key_has_a_default_in_conf():
    given_keys = {
        f"{section}.{field}"
        for section, fields in tomllib.loads((CONF / "default.toml").read_text()).items()
        for field in fields
    }
    for medium in CONF.glob("*.toml"):
        fields = tomllib.loads(medium.read_text()).get("settings", {})
        given_keys |= {f"{medium.stem}.{field}" for field in fields}
    assert given_keys == set(TYPES)


def test_each_rung_wins_over_the_one_below_and_is_named(conf):
    environ = conf("[http]\nconcurrency = 7\nattempts = 4\nread = 3\n") | {
        "ARK_HTTP_ATTEMPTS": "5",
        "ARK_HTTP_READ": "4",
    }
    settings = load(environ, {"http.read": "2.5"})
    assert (settings.http.concurrency, settings.http.attempts, settings.http.read) == (7, 5, 2.5)
    assert settings.origins["http.total"].startswith("conf/default.toml:")
    assert settings.origins["gdt.url"] == "conf/gdt.toml"
    assert settings.origins["http.concurrency"] == f"file {environ['ARK_CONF']}:2"
    assert settings.origins["http.attempts"] == "environment ARK_HTTP_ATTEMPTS"
    assert settings.origins["http.read"] == "flag"


def test_home_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = load({"ARK_HOME": "here"})
    assert settings.home == tmp_path / "here"
    assert settings.origins["home"] == "environment ARK_HOME"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ARK_HTTP_CONCURRENCY", "0"),
        ("ARK_HTTP_CONCURRENCY", "2001"),
        ("ARK_HTTP_CONCURRENCY", "many"),
        ("ARK_HTTP_CONCURRENCY", ""),
        ("ARK_HTTP_READ", "0"),
        ("ARK_HTTP_READ", "nan"),
        ("ARK_HTTP_READ", "inf"),
        ("ARK_HTTP_MAX_BODY", "64 MiB"),
        ("ARK_GDT_WINDOW", "-1"),
        ("ARK_RUN_DEADLINE", "-1"),
        ("ARK_RUN_TENANT", "T1|2"),
        ("ARK_NEXT_DISPATCH", "celery"),
        ("ARK_LEDGER_KEEP_DAYS", "0"),
        ("ARK_REDIS_URL", "http://127.0.0.1"),
        ("ARK_REDIS_URL", "redis://127.0.0.1:99999/2"),
        ("ARK_REDIS_URL", "redis://127.0.0.1/two"),
        ("ARK_REDIS_URL", "rediss://127.0.0.1/2?ssl_cert_reqs=none"),
        ("ARK_REDIS_URL", "unix://"),
        ("ARK_HBASE_URL", "127.0.0.1:9090"),
        ("ARK_HBASE_URL", "thrift://127.0.0.1"),
        ("ARK_HBASE_URL", "thrift://127.0.0.1:9090?transport=http"),
        ("ARK_HBASE_URL", "thrift://127.0.0.1:9090?proto=compact"),
        ("ARK_KAFKA_URL", "127.0.0.1"),
        ("ARK_KAFKA_URL", "127.0.0.1:9092,"),
        ("ARK_KAFKA_URL", "127.0.0.1:0"),
        ("ARK_LEDGER_URL", "ledger.db"),
        ("ARK_TENANT_URL", "mysql"),
        ("ARK_GDT_URL", ""),
        ("ARK_GDT_URL", "http://api.e.qq.com"),
        ("ARK_GDT_URL", "http://127.0.0.1.example.com"),
        ("ARK_GDT_URL", "http://127.0.0.1@example.com"),
        ("ARK_GDT_URL", "https://api.e.qq.com/v1.1"),
        ("ARK_GDT_URL", "https://api.e.qq.com?x=1"),
        ("ARK_GDT_URL", "ftp://api.e.qq.com"),
        ("ARK_GDT_URL", "https://"),
        ("ARK_GDT_URL", "https://a\nb"),
    ],
)
def test_a_bad_value_names_key_value_origin_and_what_is_expected(variable, value):
    message = refused({variable: value})
    assert message.startswith(f"{VARIABLES[variable]} is {value!r} (environment {variable}): expected ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ARK_REDIS_URL", "redis://10.0.0.1:6379/2"),
        ("ARK_REDIS_URL", "unix:///run/redis.sock?db=2"),
        ("ARK_HBASE_URL", "thrift://127.0.0.1:9090"),
        ("ARK_HBASE_URL", "thrift://127.0.0.1:9090?transport=framed&protocol=compact"),
        ("ARK_KAFKA_URL", "a:9092,b.example:9093,[::1]:9094"),
        ("ARK_SENTRY_DSN", "https://0123456789@sentry.example/1"),
        ("ARK_SENTRY_DSN", "garbage"),  # alarms cannot fail a run: `ark doctor` and a warning tell
        ("ARK_LEDGER_URL", "mysql+pymysql://ark@127.0.0.1/nyfz"),
        ("ARK_LEDGER_URL", "sqlite:////tmp/ledger.db"),
        ("ARK_GDT_URL", "http://127.1.2.3:8080"),
        ("ARK_GDT_URL", "http://[::1]:8080"),
        ("ARK_GDT_URL", "http://localhost:8080"),
        ("ARK_GDT_URL", "https://gateway.example:8443"),
        ("ARK_RUN_DEADLINE", "0"),
        ("ARK_HTTP_READ", "0.5"),
    ],
)
def test_good_values_are_taken(variable, value):
    section, _, field = VARIABLES[variable].partition(".")
    assert str(getattr(getattr(load({variable: value}), section), field)) in (value, f"{value}.0")


def test_addresses_are_completed():
    assert load({"ARK_REDIS_URL": "redis://h:1"}).redis.url == "redis://h:1?db=2"
    assert load({"ARK_GDT_URL": "http://127.0.0.1:1/"}).gdt.url == "http://127.0.0.1:1"


def test_unknown_names_are_errors_with_the_nearest_match(conf):
    assert "ARK_HTTP_CONCURENCY is unknown: did you mean ARK_HTTP_CONCURRENCY?" in refused({"ARK_HTTP_CONCURENCY": "5"})
    assert "ARK_HTTP_COLOUR is unknown" in refused({"ARK_HTTP_COLOUR": "5"})
    assert "did you mean ARK_REDIS_URL?" in refused({"ARK_REDI_URL": "redis://h"})
    assert "did you mean ARK_HOME?" in refused({"ARK_HOMES": "/"})
    assert "http.red in file" in refused(conf("[http]\n\nred = 5\n"))
    assert ":3 is unknown: did you mean http.read?" in refused(conf("[http]\n\nred = 5\n"))
    assert "section [htp]" in refused(conf("[htp]\nread = 5\n"))
    assert "did you mean http.read?" in refused({}, {"http.red": "5"})
    load({"ARK_LANG": "zh", "ARKANSAS": "1", "PATH": "/bin"})


def test_a_file_that_cannot_be_used_is_named(conf, tmp_path):
    assert "/nowhere/ark.toml" in refused({"ARK_CONF": "/nowhere/ark.toml"})
    assert "ark.toml is not TOML: " in refused(conf("[http\n"))
    assert "line 2" in refused(conf("[http]\nread = \n"))
    assert "expected a section [http]" in refused(conf("http = 5\n"))
    assert "http.concurrency is '7' (file" in refused(conf('[http]\nconcurrency = "7"\n'))
    assert "http.attempts is True (file" in refused(conf("[http]\nattempts = true\n"))
    (tmp_path / "ark.toml").write_bytes(b"\xff")
    assert "is not TOML" in refused({"ARK_CONF": str(tmp_path / "ark.toml")})


SECRETS = [
    ("redis.url", "redis://user:s3cr%2Ft@h:1/2"),
    ("redis.url", "redis://h:1/2?password=s3cr%2Ft"),
    ("ledger.url", "mysql+pymysql://ark:s3cr%2Ft@h/nyfz"),
    ("sentry.dsn", "https://s3cr%2Ft@sentry.example/1"),
]


@pytest.mark.parametrize(("key", "url"), SECRETS)
def test_secrets_are_hidden_everywhere(key, url):
    variable = next(name for name, names in VARIABLES.items() if names == key)
    settings = load({variable: url})
    assert "s3cr" not in repr(settings)
    assert "***" in str(values(settings)[key])
    assert "s3cr" not in redact(f"cannot connect with s3cr%2Ft, {url}")
    assert "s3cr" not in redact("cannot connect with s3cr/t")


@pytest.mark.parametrize(("key", "url"), SECRETS)
def test_a_file_with_a_secret_is_private(conf, key, url):
    section, _, field = key.partition(".")
    text = f'[{section}]\n{field} = "{url}"\n'
    for mode in (0o644, 0o640, 0o604):
        message = refused(environ := conf(text, mode))
        assert f"chmod 600 {environ['ARK_CONF']}" in message
        assert "s3cr" not in message
    assert load(conf(text, 0o600)).origins[key].endswith(":2")
    load(conf("[http]\nread = 5\n", 0o644))


def test_a_secret_is_never_a_flag():
    message = refused({}, {"redis.url": "redis://:s3cret@h:1/2"})
    assert "ARK_REDIS_URL" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "url", ["redis://:pa/ss@h:1/2", "redis://:pa:ss@h:x/2", "redis://:pa@ss@h:1/x", "re dis://a:pass@"]
)
def test_a_malformed_url_does_not_show_its_password(url):
    assert "ss" not in refused({"ARK_REDIS_URL": url}).partition("expected")[0].replace("ARK_REDIS_URL", "")


@given(password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="@"), min_size=12))
def test_no_password_survives_masking(password):
    assert password not in masked(f"redis://user:{password}@host:6379/2")


def test_a_file_may_name_sections_inline(conf):
    assert load(conf("http = {read = 2.0}\n")).http.read == 2.0
    assert load(conf("http.read = 2.0\n")).http.read == 2.0
