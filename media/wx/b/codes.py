"""What the body codes of WeChat's own dialect mean.

Source: WeChat's general table of return codes; those of /marketing itself are not known. The quota is the account's
own: where it is used up, no other account has to wait. What is not listed fails the unit.
"""

from ark.answers import Code, CodeTable, Verdict

MINUTE = 1.0

_ADDRESS = Code(Verdict.FAIL, "this machine's address is not on the app's list of allowed ones")

CODES = CodeTable(
    {
        -1: Code(Verdict.RETRY, "system busy"),
        0: Code(Verdict.OK, "ok"),
        40001: Code(Verdict.TOKEN, "access token is not valid"),
        40014: Code(Verdict.TOKEN, "access token is not valid"),
        41001: Code(Verdict.TOKEN, "access token is missing"),
        42001: Code(Verdict.TOKEN, "access token has expired"),
        45009: Code(Verdict.FAIL, "the account's calls of this day are used up: run what failed again tomorrow"),
        45011: Code(Verdict.WAIT, "the account's calls of this minute are used up", MINUTE),
        45035: _ADDRESS,
        47001: Code(Verdict.FAIL, "JSON of a parameter is malformed"),
        48001: Code(Verdict.FAIL, "the API is not authorised for this app"),
        50001: Code(Verdict.SKIP, "the account has not authorised this app"),
        61004: _ADDRESS,
    }
)
