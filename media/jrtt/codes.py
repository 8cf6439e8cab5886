"""What jrtt's body codes mean.

Sources: public client libraries that list the official appendix (2019 to 2022), notes that cite it page by page, and
recorded clients. What is not listed fails the unit.
"""

from ark.answers import Code, CodeTable, Verdict

SECOND = 1 / 60
"""Windows. 40100 comes from a limiter by the second whose limit is not public."""
LONG = 5.0
"""Windows to wait after 40110 where X-RateLimit-RetryIn does not tell."""

_AUTH = Code(Verdict.FAIL, "authorisation failed, see the medium's text")
_STATE = Code(Verdict.FAIL, "the account's recharge or state forbids it")
_REAUTHORISE = Code(Verdict.FAIL, "refresh token is not valid any more, authorise the agent again")

CODES = CodeTable(
    {
        0: Code(Verdict.OK, "ok"),
        40000: Code(Verdict.FAIL, "the account id or the request cannot be understood"),
        40001: Code(Verdict.FAIL, "a parameter is wrong"),
        40002: Code(Verdict.SKIP, "no permission for this account, or it does not exist"),
        40003: Code(Verdict.FAIL, "a filter field is wrong"),
        40100: Code(Verdict.WAIT, "calls are too frequent", SECOND),
        40101: Code(Verdict.FAIL, "the developer is not accepted"),
        40102: Code(Verdict.TOKEN, "access token has expired"),
        40103: Code(Verdict.FAIL, "refresh token has expired, authorise the agent again"),
        40104: Code(Verdict.TOKEN, "access token is empty"),
        40105: Code(Verdict.TOKEN, "access token is wrong or was revoked"),
        40106: Code(Verdict.FAIL, "the account's login is abnormal"),
        40107: _REAUTHORISE,
        40108: Code(Verdict.FAIL, "grant type is wrong"),
        40109: Code(Verdict.FAIL, "AES error"),
        40110: Code(Verdict.WAIT, "the developer's calls of this interface are used up", LONG),
        40113: _AUTH,
        40115: Code(Verdict.FAIL, "authorisation code was used before"),
        40118: _AUTH,
        40119: _AUTH,
        40130: Code(Verdict.FAIL, "the medium limits this account, which was idle for 90 days: run it again later"),
        40300: Code(Verdict.SKIP, "the advertiser is disabled"),
        40301: Code(Verdict.SKIP, "the advertiser is blacklisted"),
        40900: Code(Verdict.FAIL, "file signature is wrong"),
        50000: Code(Verdict.RETRY, "system error"),
    },
    ranges=[
        (40200, 40305, _STATE),
        (50001, 59999, Code(Verdict.RETRY, "system error of a module")),
    ],
)
