import json
import resource
import socket
import ssl
import threading

import pytest
import trustme
from click.testing import CliRunner

from ark.accounts import embedded_redis
from ark.errors import ServiceDownError
from ark.settings import load
from handlers import doctor
from handlers.cli import services
from handlers.doctor import Finding, examine


@pytest.fixture
def medium():
    """The url of something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody():
    """An address at which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture
def healthy(ark_home, medium):
    """Settings with which all is well, on an empty machine."""
    yield load({"ARK_HOME": str(ark_home), "ARK_GDT_URL": medium})
    embedded_redis.stop(ark_home)


def only(name, settings):
    (finding,) = examine(settings, {name: doctor.CHECKS[name]})
    assert finding.service == name
    return finding


def test_an_empty_machine_is_healthy(healthy):
    result = CliRunner().invoke(services.doctor, ["--json"], obj=healthy)
    findings = json.loads(result.stdout)
    assert [one["service"] for one in findings] == [
        "redis", "hbase", "kafka", "sentry", "ledger", "gdt", "jrtt", "wx", "wx_b", "disk", "files",
    ]  # fmt: skip
    assert [one for one in findings if not one["ok"]] == []
    assert result.exit_code == 0
    text = CliRunner().invoke(services.doctor, obj=healthy)
    assert [line.split()[1] for line in text.stdout.splitlines()] == ["ok"] * 11
    assert f"`kill {embedded_redis.pid(healthy.home)}` ends it" in text.stdout


def test_everything_that_is_away_is_told_in_one_line_each_without_secrets(ark_home, nobody):
    away = load(
        {
            "ARK_HOME": str(ark_home),
            "ARK_REDIS_URL": f"redis://:s3cr3t-word@{nobody}/2",
            "ARK_HBASE_URL": f"thrift://{nobody}",
            "ARK_KAFKA_URL": nobody,
            "ARK_SENTRY_DSN": f"http://s3cr3t-key@{nobody}/1",
            "ARK_LEDGER_URL": f"mysql+pymysql://ark:s3cr3t-word@{nobody}/nyfz",
            "ARK_TENANT_URL": f"mysql+pymysql://ark:s3cr3t-word@{nobody}/eton",
            "ARK_GDT_URL": f"http://{nobody}",
        }
    )
    result = CliRunner().invoke(services.doctor, obj=away)
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert result.exit_code == 69
    down = ("redis", "hbase", "kafka", "sentry", "ledger", "tenant", "gdt")
    assert [name for name in lines if " WRONG " in lines[name]] == list(down)
    assert "s3cr3t" not in result.stdout
    for name in set(down) - {"kafka"}:
        assert nobody.rpartition(":")[2] in lines[name]


def test_a_check_that_hangs_holds_up_nobody(monkeypatch, healthy):
    monkeypatch.setattr(doctor, "LIMIT", 0.1)
    ended = threading.Event()
    found = examine(healthy, {"slow": lambda _: str(ended.wait(60)), "quick": lambda _: "fine"})
    ended.set()
    assert found == [Finding("slow", False, "no answer within 0.1 s"), Finding("quick", True, "fine")]


def test_what_a_client_raises_is_a_finding(healthy):
    def strange(_settings):
        raise LookupError("no such thing")

    def known(_settings):
        raise ServiceDownError("it is down")

    assert examine(healthy, {"a": strange, "b": known}) == [
        Finding("a", False, "LookupError: no such thing; check a.* in `ark settings`"),
        Finding("b", False, "it is down"),
    ]


def test_a_certificate_that_nobody_knows_is_refused(ark_home):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def shake_hands():
            connection, _ = server.accept()
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=shake_hands)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}"
        finding = only("gdt", load({"ARK_HOME": str(ark_home), "ARK_GDT_URL": url}))
        thread.join()
    assert not finding.ok
    assert "certificate that is not trusted" in finding.text


def test_a_home_that_cannot_be_used_is_named(ark_home, monkeypatch):
    (ark_home / "file").write_text("in the way")
    finding = only("disk", load({"ARK_HOME": str(ark_home / "file")}))
    assert not finding.ok
    assert f"{ark_home}/file cannot be written" in finding.text
    monkeypatch.setattr(doctor, "FREE", 2**80)
    finding = only("disk", load({"ARK_HOME": str(ark_home)}))
    assert not finding.ok
    assert "MiB left" in finding.text


def test_calls_in_flight_are_compared_with_open_files(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert only("files", load({})).ok
    finding = only("files", load({"ARK_HTTP_CONCURRENCY": "500"}))
    assert not finding.ok
    assert "256 open files are allowed, http.concurrency 500 needs 600" in finding.text


def test_settings_show_value_and_origin(healthy):
    result = CliRunner().invoke(services.settings, obj=healthy)
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["http.concurrency"].split()[1:] == [
        "50",
        f"conf/default.toml:{lines['http.concurrency'].split(':')[-1]}",
    ]
    assert lines["gdt.url"].endswith("environment ARK_GDT_URL")
    assert lines["redis.url"].split()[1] == "-"


def test_settings_as_json_hide_secrets():
    environ = {"ARK_REDIS_URL": "redis://:s3cr3t-word@h:1/2", "ARK_SENTRY_DSN": "https://s3cr3t-key@h/1"}
    result = CliRunner().invoke(services.settings, ["--json"], obj=load(environ))
    document = json.loads(result.stdout)
    assert document["redis.url"] == {"value": "redis://:***@h:1/2", "origin": "environment ARK_REDIS_URL"}
    assert document["sentry.dsn"]["value"] == "***"
    assert document["http.total"]["value"] == 30.0
    assert "s3cr3t" not in result.stdout


def test_a_dsn_that_is_none_is_told(ark_home):
    (found,) = examine(load({"ARK_HOME": str(ark_home), "ARK_SENTRY_DSN": "garbage"}), {"sentry": doctor._sentry})
    assert not found.ok
    assert "sentry.dsn is no DSN" in found.text
