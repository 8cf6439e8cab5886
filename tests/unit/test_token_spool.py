"""New tokens on this machine's disk, and which of them belong into Redis."""

import msgspec
import pytest

from ark.accounts.token_pairs import Pairs, is_pending
from ark.accounts.token_spool import Renewal, TokenSpool
from ark.errors import LocalDiskError

AGENT = "1050262"


def renewal(**more):
    fields = {"id": "1", "agent": AGENT, "used": "r0", "old_access": ["a0"], "old_refresh": ["r0"], "who": ""}
    return Renewal(**{**fields, "access": "a1", "refresh": "r1", **more})


@pytest.mark.parametrize(
    ("refresh", "there", "pending"),
    [
        ("r1", Pairs(["a0"], ["r0"]), True),
        ("r1", Pairs(["ax"], ["r0"]), True),
        ("r1", Pairs(["a1"], ["r1"]), False),
        ("r1", Pairs(["ax"], ["rx"]), False),
        ("r1", Pairs([], []), True),
        ("r0", Pairs(["a0"], ["r0"]), True),
        ("r0", Pairs([], ["r0"]), True),
        ("r0", Pairs(["a1"], ["r0"]), False),
        ("r0", Pairs(["ax"], ["r0"]), False),
    ],
)
def test_which_pairs_of_the_spool_belong_into_redis(refresh, there, pending):
    assert is_pending(renewal(refresh=refresh), there) is pending


def test_a_spool_keeps_each_renewal_by_itself(tmp_path):
    spool = TokenSpool(tmp_path / "tokens", "a/b_T1")
    first = spool.begin(AGENT, "r0", ["a0"], ["r0"], "me")
    second = spool.begin(AGENT, "r0", ["a0"], ["r0"], "me")
    spool.keep(msgspec.structs.replace(first, access="a1", refresh="r1"))
    spool.drop(second)
    spool.drop(second)
    assert [each.access for each in spool.of(AGENT)] == ["a1"]
    assert [*spool.of(AGENT[:-1])] == [*TokenSpool(tmp_path / "tokens", "a/b_T2").of(AGENT)] == []
    assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o700
    spool.path(first).write_bytes(b'{"id":')
    with pytest.raises(LocalDiskError, match=r"is damaged .*: move it away"):
        [*spool.of(AGENT)]
