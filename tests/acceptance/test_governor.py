"""The quota taken to its last call by real runs against the simulated media, whose minutes are seconds here."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.acceptance.conftest import FUNDS, Ark, Said, Simulated, Stage
from tests.simulator import Media

if TYPE_CHECKING:
    import redis

Staging = Callable[..., Simulated]

SIZE, WINDOW = 240, 2
"""Calls in a minute of the medium, and its seconds."""


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_three_minutes_of_quota_are_used_without_a_refusal(stage: Staging, kind: str, rounding: str) -> None:
    minute = {"kind": kind, "size": SIZE, "window": WINDOW, "rounding": rounding, "phase": 0.7}
    here = stage(3 * SIZE, quota={"minute": minute}, latency={"kind": "lognormal", "seconds": 0.02})
    said = here.run(gdt_window=WINDOW)
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 3 * SIZE)
    assert (said.result["refused"], said.result["requests"]) == (0, 3 * SIZE)
    assert here.calls()["codes"].keys() == {"0"}
    assert said.result["seconds"] < 5 * WINDOW
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_second_run_begins_where_the_first_has_left_off(stage: Staging) -> None:
    """Right after a run that has used up the minute, another one waits for the next instead of being refused."""
    here = stage(SIZE, quota={"minute": {"size": SIZE, "window": 4}}, latency={"seconds": 0.02})
    for _ in range(2):
        said = here.run(gdt_window=4)
        assert (said.code, said.result["verified"], said.result["refused"]) == (0, SIZE, 0)
    assert here.calls()["codes"] == {"0": 2 * SIZE}


def test_of_a_day_that_is_not_enough_all_is_used_and_the_rest_is_done_tomorrow(stage: Staging) -> None:
    here = stage(400, quota={"day": {"size": 150, "window": 86400}}, latency={"seconds": 0.02})
    said = here.run(http_concurrency=10)
    told = said.result
    assert (said.code, told["status"], told["failed"], told["refused"]) == (75, "stopped", 0, 0)
    assert 0.95 * 150 <= told["verified"] <= 150
    assert told["requests"] == told["verified"]
    fit = re.search("about ([0-9]+) of 400 accounts fit into the day's quota", said.err)
    assert fit
    assert abs(int(fit[1]) - 150) <= 15
    assert "after 00:00 Asia/Shanghai" in said.err
    assert {unit["state"] for unit in here.ark.units(told["run_id"]).values()} == {"verified", "planned"}

    here.change(quota=None)  # the next day
    here.media.clear_stats()
    again = here.ark("rerun", told["run_id"])

    assert (again.code, again.result["verified"], again.result["refused"]) == (0, 400, 0)
    assert here.calls()["requests"] == 400 - told["verified"]
    assert here.differences(FUNDS) == (0, 0, 0)


@pytest.mark.parametrize(("flag", "setting"), [((), 30), (("--day-share", "30"), 90)], ids=["setting", "flag"])
def test_a_run_leaves_the_others_their_share_of_the_day(stage: Staging, flag: tuple[str, ...], setting: int) -> None:
    here = stage(300, latency={"seconds": 0.02})
    here.change(quota={"day": {"size": 400, "window": 86400}})  # of which nothing was used before
    said = here.run("gdt.funds", *flag, run_day_share=setting, http_concurrency=10)
    told = said.result
    assert (said.code, told["status"], told["refused"]) == (75, "stopped", 0)
    assert 110 <= told["verified"] <= 125
    assert "share of the day's quota is spent" in said.err
    assert "after 00:00 Asia/Shanghai" in said.err
    again = here.ark("rerun", told["run_id"])
    assert (again.code, again.result["verified"], again.result["refused"]) == (0, 300, 0)


@pytest.mark.parametrize("share", ["0", "101", "30%"])
def test_a_share_that_is_none_is_refused(ark: Ark, share: str) -> None:
    said = ark.refusal("run", "gdt.funds", "-t", "T1", "-g", "1", "-a", "1", "--day-share", share)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert "--day-share" in said.err


class Dialect(NamedTuple):
    """How a run of another medium's interface is staged."""

    section: str
    interface: str
    tokens: str
    table: str


FUND = Dialect("jrtt", "jrtt.fund", "jrtt_new_access_token", "tenant_jrtt_advertiser_fund_get_v2")
ADS = Dialect("wx_b", "wx.b.ads", "wx_authorizer_access_token", "tenant_wx_b_ads_get_v1")


class Speaking(Stage):
    """A stage whose medium is the simulator in another dialect than gdt's."""

    def __init__(self, ark: Ark, directory: "redis.Redis[bytes]", media: Media, dialect: Dialect) -> None:
        super().__init__(ark, directory, media.url, ())
        self.media, self.dialect = media, dialect
        ark.settings |= {f"{dialect.section}_url": media.url, f"{dialect.section}_window": WINDOW}

    def plant(self, accounts: int, **scenario: Any) -> None:
        section, _, tokens, _ = self.dialect
        agent = {"tenant": self.tenant, "id": self.agent, "accounts": accounts}
        self.media.set_scenario({section: {"agents": [agent], **scenario}}, replace=True)
        self.media.clear_stats()
        self.accounts = self.media.accounts(self.agent, section)
        for told in self.media.directory():
            self.redis.zadd(f"{tokens}_{self.tenant}", {told["token"]: int(told.get("account") or told["agent"])})

    def fetch(self, **settings: Any) -> Said:
        named = [word for account in self.accounts for word in ("-a", account)]
        words = ["-t", self.tenant, "-d", self.date, "-g", self.agent, *named]
        return self.ark("run", self.dialect.interface, "--no-next", *words, **settings)

    def codes(self) -> dict[str, int]:
        (path,) = self.media.stats()["media"][self.dialect.section].values()
        return dict(path["codes"])


@pytest.fixture
def speaking(ark: Ark, directory: "redis.Redis[bytes]", media: Media) -> Iterator[Callable[[Dialect], Speaking]]:
    made: list[Speaking] = []

    def make(dialect: Dialect) -> Speaking:
        made.append(Speaking(ark, directory, media, dialect))
        return made[-1]

    yield make
    for each in made:
        each.clear()


def test_a_limit_by_the_second_is_found_with_few_refusals(speaking: Callable[[Dialect], Speaking]) -> None:
    here = speaking(FUND)
    here.plant(300, qps=40, latency={"seconds": 0.02})
    said = here.fetch(jrtt_window=60)
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 300)
    assert said.result["refused"] == here.codes().get("40100", 0) <= 60
    assert said.result["seconds"] < 20


def test_where_the_quota_is_each_accounts_own_only_that_account_waits(
    speaking: Callable[[Dialect], Speaking],
) -> None:
    """Lists of eleven to thirteen pages at five calls a minute: two waits, no try spent, and nobody else waits."""
    here = speaking(ADS)
    minute = {"kind": "sliding", "size": 5, "window": WINDOW}
    here.plant(30, objects={"ads": [10], "of": {}}, quota={"minute": minute})
    long = here.accounts[:3]
    here.media.set_scenario({ADS.section: {"objects": {"ads": [10], "of": dict.fromkeys(long, 61)}}})
    said = here.fetch(wx_b_list_page=5, http_attempts=1, http_concurrency=2)
    units = here.ark.units(said.result["run_id"])
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 30)
    for account, unit in units.items():
        waits = 2 if account in long else 0
        assert unit["requests"] == -(-unit["rows"] // 5) + waits, account
    assert said.result["refused"] == here.codes()["45011"] == 2 * len(long)
    assert said.result["seconds"] < 4 * WINDOW


def test_an_account_whose_day_is_used_up_fails_alone(speaking: Callable[[Dialect], Speaking]) -> None:
    here = speaking(ADS)
    here.plant(10, objects={"ads": [10]}, quota={"day": {"size": 5, "window": 86400}})
    here.media.set_scenario({ADS.section: {"objects": {"ads": [10], "of": {here.accounts[0]: 61}}}})
    said = here.fetch(wx_b_list_page=5)
    units = here.ark.units(said.result["run_id"])
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 9, 1)
    assert "45009" in units[here.accounts[0]]["reason"]
