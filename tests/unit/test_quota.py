"""The header is read or ignored, never raised about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.quota import Quota, parse_remaining


@pytest.mark.parametrize(
    ("header", "quota"),
    [
        ("99%,74%", Quota(99, 74)),
        ("100%, 0%", Quota(100, 0)),
        (" 99 % , 74.6 % ", Quota(99, 74)),
        ("99,74", Quota(99, 74)),
        (None, None),
        ("", None),
        ("abc", None),
        ("100%", None),
        ("-1%,5%", None),
        ("101%,5%", None),
        ("99%,74%,3%", None),
        ("\u0669\u0669%,\u0667%", None),
        ("9" * 5000 + "%,1%", None),
    ],
)
def test_remaining_header(header, quota):
    assert parse_remaining(header) == quota


@given(st.text(max_size=30))
def test_no_header_raises(header):
    quota = parse_remaining(header)
    assert quota is None or (0 <= quota.day <= 100 and 0 <= quota.minute <= 100)
