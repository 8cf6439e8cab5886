"""A registered secret is nowhere to be read, however it is spelt; everything else stays as it was."""

import base64
import json
import secrets
import threading
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.redact import CUT, MASK, SHORTEST, Vault, redact, redact_error, redact_to, redact_value, register

CANARY = "cAnary/9f+8e=7d&余额 6c"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quote": quote,
    "quote, every character": lambda text: quote(text, safe=""),
    "quote, lower hex": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "quote_plus": quote_plus,
    "quoted twice": lambda text: quote(quote(text)),
    "JSON": json.dumps,
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON of careful encoders": lambda text: json.dumps(text).replace("/", r"\/").replace("=", r"\u003d"),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"token": text})),
    "JSON in a query": lambda text: quote_plus(json.dumps({"token": text})),
    "repr of bytes": lambda text: repr(text.encode()),
}
BASE64 = {"base64": base64.b64encode, "urlsafe base64": base64.urlsafe_b64encode}


@pytest.fixture
def vault():
    vault = Vault()
    vault.add(CANARY)
    return vault


def mask(vault, text):
    return vault.mask(text.encode()).decode()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_hidden_in_every_spelling(vault, spelling):
    spelt = SPELLINGS[spelling](CANARY)
    masked = mask(vault, f"before {spelt} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "9f" not in masked
    assert "7d" not in masked


@pytest.mark.parametrize("lead", ["", "a", "ab", "user:"])
@pytest.mark.parametrize("encode", BASE64.values(), ids=BASE64)
def test_a_secret_is_hidden_in_base64_at_every_alignment(vault, encode, lead):
    text = encode(f"{lead}{CANARY}!".encode()).decode()
    masked = mask(vault, f"Basic {text}")
    assert MASK in masked
    assert len(masked) <= len("Basic ") + len(lead) * 4 // 3 + 4 + len(MASK) + 4


@given(
    secret=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=SHORTEST, max_size=30),
    layers=st.lists(st.sampled_from([quote, quote_plus, lambda text: json.dumps(text)[1:-1]]), max_size=2),
)
def test_any_secret_is_hidden_under_any_two_layers(secret, layers):
    vault = Vault()
    vault.add(secret)
    text = secret
    for layer in layers:
        text = layer(text)
    assert MASK in mask(vault, f"<{text}>")


@given(text=st.text())
def test_what_holds_no_secret_stays_as_it_is(text):
    vault = Vault()
    vault.add("b3f1c2d4e5a69788")
    assert vault.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass") == text


def test_the_longest_of_secrets_that_begin_alike_is_hidden():
    vault = Vault()
    vault.add("token-1")
    vault.add("token-1-of-the-second-generation")
    assert mask(vault, "x token-1-of-the-second-generation x token-1 x") == "x *** x *** x"


def test_secrets_side_by_side_are_both_hidden():
    vault = Vault()
    vault.add("aaaa1111")
    vault.add("bbbb2222")
    assert mask(vault, "aaaa1111bbbb2222") == MASK * 2


def test_a_secret_too_short_to_protect_anything_is_not_registered():
    vault = Vault()
    vault.add("")
    vault.add("123")
    assert mask(vault, "123 rows of account 1234") == "123 rows of account 1234"


def test_thousands_of_secrets_are_all_hidden():
    vault = Vault()
    tokens = [secrets.token_hex(16) for _ in range(3000)]
    for token in tokens:
        vault.add(token)
    assert mask(vault, " ".join(tokens)) == " ".join([MASK] * 3000)


def test_registering_and_hiding_at_once_from_many_threads():
    vault = Vault()
    missed = []

    def work(name):
        for number in range(200):
            vault.add(f"secret-{name}-{number:05}")
            if "secret" in mask(vault, f"a secret-{name}-{number:05} b"):
                missed.append((name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /v1.1/funds/get?access_token=zzz&account_id=7", "GET /v1.1/funds/get?access_token=***&account_id=7"),
        ("GET /get?a=1&access_token=zz%2Fzz%3D&b=2", "GET /get?a=1&access_token=***&b=2"),
        ("{'Access-Token': 'zzz', 'X': 1}", "{'Access-Token': '***', 'X': 1}"),
        ('{"access_token":"zzz","x":1}', '{"access_token":"***","x":1}'),
        (r'"{\"access_token\": \"zzz\"}"', r'"{\"access_token\": \"***\"}"'),
        ("%7B%27account_token%27%3a++%27zzz%27%2c%27x%27", "%7B%27account_token%27%3a++%27***%27%2c%27x%27"),
        (
            "GET /marketing/funds/get?agency_token=enp6&version=v1.1",
            "GET /marketing/funds/get?agency_token=***&version=v1.1",
        ),
        ("{'agency_key': 'zzz', 'x': 1}", "{'agency_key': '***', 'x': 1}"),
        ("ARK_WX_B_AGENCY_KEY=zzz", "ARK_WX_B_AGENCY_KEY=***"),
        ("Authorization: Bearer zzz", "Authorization: Bearer ***"),
        ("redis://:zzz@127.0.0.1:6379/2", "redis://:***@127.0.0.1:6379/2"),
        ("mysql+pymysql://ark:z.z@db/ark", "mysql+pymysql://ark:***@db/ark"),
        ("zrange jrtt_new_access_token_T100117 0 -1", "zrange jrtt_new_access_token_T100117 0 -1"),
        ("the access_token is refused", "the access_token is refused"),
    ],
)
def test_values_of_telling_keys_are_hidden_although_nobody_registered_them(text, masked):
    assert redact(text) == masked


def test_nested_values_are_hidden_and_numbers_and_shapes_stay():
    register("deep-secret-1")
    register("8812345678")
    value = {
        "params": ({"note": "a deep-secret-1 b"}, b"deep-secret-1", 7, 1.5, None, True),
        "deep-secret-1": ["x"],
        "number": 8812345678,
        "Access-Token": "never registered",
        "agency_key": "nor this one",
    }
    assert redact_value(value) == {
        "params": [{"note": "a *** b"}, MASK, 7, 1.5, None, True],
        MASK: ["x"],
        "number": MASK,
        "Access-Token": MASK,
        "agency_key": MASK,
    }


def test_a_long_text_is_cut_and_no_secret_is_cut_in_two():
    register("0123456789abcdef")
    for length in range(90, 110):
        shown = redact_to("x" * length + "0123456789abcdef" + "y" * 10_000, 100)
        assert shown.endswith(CUT)
        assert len(shown) <= 100 + len(CUT)
        assert "0123" not in shown


def test_a_text_a_little_longer_than_its_limit_is_shown_up_to_it():
    assert redact_to("x" * 100, 100) == "x" * 100
    assert redact_to("x" * 101, 100) == "x" * 100 + CUT


def test_an_error_is_told_once_with_its_class_and_without_secrets():
    register("error-secret")
    assert redact_error(ValueError("of error-secret")) == "ValueError: of ***"
    assert redact_error(KeyError("")) == "KeyError: ''"
    assert redact_error(ConnectionError("ConnectionError: away")) == "ConnectionError: away"


@given(text=st.text(st.characters()))
def test_redact_takes_any_text(text):
    assert isinstance(redact(text), str)


def test_a_short_form_at_the_end_of_the_text_is_no_longer_than_the_text():
    vault = Vault()
    vault.add("s3cr%2Ft")
    vault.add("s3cr/t")
    assert vault.mask(b"%20s3cr/t") == b"%20***"
