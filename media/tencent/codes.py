"""What the body codes of the Marketing API mean.

Source: developers.e.qq.com, error codes (v1.1 page of 2020 for 10000 and 10001, the later pages for most others), and
seed 003 for 11017. What is not listed fails the unit.
"""

from ark.answers import Code, CodeTable, Verdict

MINUTE = 1.0
"""Windows to wait where the medium says "retry after one minute"."""
LONG = 5.0
"""Windows to wait where it says "pause" or "far too frequent": the request page names five minutes."""
SECOND = 1 / 60

_PARAMETER = Code(Verdict.FAIL, "a parameter is missing or out of range")
_SYSTEM = Code(Verdict.RETRY, "system exception")
_GRANT = Code(Verdict.FAIL, "authorisation code or refresh token is not valid any more, authorise the agent again")
_TOKEN = Code(Verdict.TOKEN, "access token is invalid")

CODES = CodeTable(
    {
        0: Code(Verdict.OK, "ok"),
        10000: Code(Verdict.RETRY, "system busy"),
        10001: Code(Verdict.RETRY, "API under maintenance", MINUTE),
        11000: Code(Verdict.TOKEN, "access token has expired"),
        11002: _TOKEN,
        11004: _TOKEN,
        11005: _TOKEN,
        11007: Code(Verdict.FAIL, "client_id is wrong"),
        11008: Code(Verdict.LATER, "the app's requests of the day are used up"),
        11014: Code(Verdict.FAIL, "the API is outside of the granted scope"),
        11016: Code(Verdict.WAIT, "the app's calls of this second are used up", SECOND),
        11017: Code(Verdict.WAIT, "the app's calls of this minute are used up", MINUTE),
        11018: Code(Verdict.LATER, "the app's calls of this day are used up"),
        11019: Code(Verdict.WAIT, "calls are far too frequent", LONG),
        12000: Code(Verdict.FAIL, "access_token, timestamp or nonce is missing"),
        12003: Code(Verdict.FAIL, "JSON of a parameter is malformed"),
        12007: Code(Verdict.FAIL, "unknown API or wrong method"),
        12008: Code(Verdict.FAIL, "fields is not an array"),
        12009: Code(Verdict.FAIL, "fields names an unknown field"),
        12100: Code(Verdict.RETRY, "nonce was used before"),
        12101: Code(Verdict.RETRY, "timestamp is off by more than 300 seconds, check this machine's clock"),
        12201: Code(Verdict.SKIP, "account is not valid for this token"),
        12203: Code(Verdict.SKIP, "account is not permitted for this token"),
        12700: Code(Verdict.RETRY, "resource is being modified"),
        30104: Code(Verdict.WAIT, "the report back-end's own limit is reached", MINUTE),
        31033: Code(Verdict.FAIL, "a whitelist privilege is missing"),
        32211: Code(Verdict.SKIP, "advertiser account is inactive"),
        51001: Code(Verdict.RETRY, "the report back-end could not answer", MINUTE),
        60000: Code(Verdict.RETRY, "module asks to try again"),
        62000: Code(Verdict.RETRY, "the report back-end could not answer", MINUTE),
        72000: Code(Verdict.RETRY, "module asks to try again"),
    },
    ranges=[
        (11009, 11013, _GRANT),
        (18001, 18014, _PARAMETER),
        (30000, 30099, _SYSTEM),
    ],
)
