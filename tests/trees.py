"""Accounts whose lists are too long, as trees of campaigns, ad groups and ads; and what of them is stored."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ark.ledger import Run
from tests.interface_check import AGENT, DATE, FIRST_ID, PAGE, Desk
from tests.media_server import Door, Medium

REACH = 4 * PAGE
"""What pages reach in these tests, so that they are quick; one has the real 10,000."""
ACCOUNT = str(FIRST_ID)
Tree = Sequence[Sequence[int]]
"""Campaigns of an account, each with its ad groups, each with so many ads."""


class Ad(NamedTuple):
    """Where an ad hangs; the ids of one kind are unique in an account."""

    campaign_id: int
    adgroup_id: int
    ad_id: int


def ads(tree: Tree) -> list[Ad]:
    found: list[Ad] = []
    groups = 0
    for campaign, sizes in enumerate(tree, 100):
        for size in sizes:
            groups += 1
            found += [Ad(campaign, 10_000 + groups, 1_000_000 + len(found) + number) for number in range(size)]
    return found


def bodies(ads: Sequence[Ad], *names: str, hours: int = 0) -> list[bytes]:
    """The records of one level: one per distinct combination of ids, and per hour."""
    distinct = dict.fromkeys(tuple((name, getattr(ad, name)) for name in names) for ad in ads)
    times = [{"hour": hour} for hour in range(hours)] or [{"date": DATE}]
    return [
        json.dumps({**time, **dict(ids), "site_set": "S", "cost": 7}).encode() for ids in distinct for time in times
    ]


WIDE = [[3, 2], [4], [1, 1, 1], [9], [2], [5], [1]]
"""No campaign is too long."""
DEEP = [[19, 18], [2], [7, 7, 7]]
"""Two campaigns are too long, none of their ad groups."""


def pulled(desk: Desk, medium: Medium, interface: str, accounts: Sequence[str] = (ACCOUNT,), page: int = PAGE) -> Run:
    """A run of a report on these accounts."""
    section = interface.partition(".")[0]
    desk.at(medium)
    desk.set(**{f"{section}_report_page": page})
    desk.token(section, AGENT)
    run = desk.run(interface, account_list=list(accounts))
    assert not medium.wrong
    assert run.requests == len(medium.calls)
    return run


def stored(desk: Desk, table: str, account: str = ACCOUNT) -> Counter[bytes]:
    """Records of an account that are stored, and how often (once per time line)."""
    return Counter(record for key, record in desk.stored(table).items() if key.split("|")[2] == account)


def whole(door: Door, lines: int, account: str = ACCOUNT) -> Counter[bytes]:
    """Every record of an account, `lines` times."""
    return Counter(dict.fromkeys(door.records[account], lines))


def reasons(desk: Desk, run: Run) -> set[str]:
    return {unit.reason for unit in desk.units(run)}
