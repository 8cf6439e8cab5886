"""The kinds of fund that statements are asked for, one call each."""

FUND_TYPES = tuple(
    f"FUND_TYPE_{kind}"
    for kind in (
        "CASH", "GIFT", "SHARED", "BANK", "UNION_GIFT", "MP_CASH", "MP_BANK", "MP_GIFT", "CREDIT_ROLL",
        "CREDIT_TEMPORARY", "CONTRACT_GIFT_VIRTUAL", "CONTRACT_ASSIGN_VIRTUAL", "COMPENSATE_VIRTUAL",
        "INTERNAL_QUOTA", "TEST_VIRTUAL", "JD_PRIVILEGE", "JD_WIRELESS_CASH",
    )
)  # fmt: skip
"""The enum of the official clients of 2020, without UNSUPPORTED."""
