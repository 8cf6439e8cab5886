"""To whom the token is told: to a server that TLS vouches for, and to nobody whom that one names."""

import datetime as dt
import re
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.acceptance.conftest import Ark, staged
from tests.acceptance.test_http_faults import GOOD, check_all_are_stored, numbered, states, units
from tests.hostile import answer, hostile


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that Ark's processes trust."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return made


def served(by: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    """A server's side with a certificate of `by`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    by.issue_cert(*(names or ["127.0.0.1"]), **options).configure_cert(context)
    return context


def self_signed(_: trustme.CA) -> ssl.SSLContext:
    stranger, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with (
        stranger.cert_pem.tempfile() as certificate,
        stranger.private_key_pem.tempfile() as key,
    ):
        context.load_cert_chain(certificate, key)
    return context


def expired(authority: trustme.CA) -> ssl.SSLContext:
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return served(authority, not_before=ended - dt.timedelta(days=9), not_after=ended)


def outdated(authority: trustme.CA) -> ssl.SSLContext:
    context = served(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


UNTRUSTED: dict[str, tuple[Callable[[trustme.CA], ssl.SSLContext], str]] = {
    "self-signed": (self_signed, "self-signed certificate.*SSL_CERT_FILE"),
    "of an unknown authority": (lambda _: served(trustme.CA()), "unable to get local issuer.*SSL_CERT_FILE"),
    "expired": (expired, "certificate has expired"),
    "of another host": (lambda ca: served(ca, "api.e.qq.com"), "not valid for '127.0.0.1'"),
    "TLS 1.0": (outdated, "TLS fails"),
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_a_server_that_cannot_be_trusted_never_sees_the_token(
    ark: Ark, directory: Any, authority: trustme.CA, name: str
) -> None:
    make, reason = UNTRUSTED[name]
    with (
        hostile(lambda _: (GOOD,), tls=make(authority)) as server,
        staged(ark, directory, server.url, numbered(300)) as here,
    ):
        said = here.run()
        assert (said.code, states(here, said), server.calls) == (69, {"planned": 300}, [])
        assert re.search(reason, said.err), said.err


def test_a_server_of_an_authority_of_ones_own_is_trusted(ark: Ark, directory: Any, authority: trustme.CA) -> None:
    with (
        hostile(lambda _: (GOOD,), tls=served(authority)) as server,
        staged(ark, directory, server.url, numbered(60)) as here,
    ):
        assert here.run().result["verified"] == 60
        check_all_are_stored(here)


def test_a_redirect_takes_the_token_nowhere_not_even_from_https_to_http(
    ark: Ark, directory: Any, authority: trustme.CA
) -> None:
    with hostile(lambda _: (GOOD,)) as second:
        location = {"Location": second.url + "/v1.1/funds/get", "Refresh": f"0; url={second.url}"}
        with (
            hostile(lambda call: (answer("", int(call.account[-3:]), location),), tls=served(authority)) as first,
            staged(ark, directory, first.url, [f"10000{status}" for status in (301, 302, 303, 307, 308)]) as here,
        ):
            said = here.run()
            found = units(here, said)
        assert (said.code, said.result["failed"], len(first.calls)) == (3, 5, 5)
        assert all("redirects to 127.0.0.1" in unit["reason"] for unit in found.values())
        assert second.calls == []
