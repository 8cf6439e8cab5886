"""conf/tenants.toml, read and checked: which values of the views count, and what starts per list of agents."""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ark import data_files
from ark.accounts.keys import Keys
from ark.errors import ConfigError
from ark.job.argument import nearest, shown
from ark.settings import CONF

AgentList = Literal["agents", "all_agents"]
Values = Annotated[list[int], Meta(min_length=1)]


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a row that counts."""

    tenant_status: Values
    auth_status: Values
    auth_type: Values


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The Redis key that lists the tenants whose agents are in Redis."""

    tenants: Annotated[str, Meta(min_length=1)]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is made of the views; `platforms` is medium -> platform_id, `heads` medium -> list -> interfaces."""

    counts: Counts
    platforms: Annotated[dict[str, int], Meta(min_length=1)]
    redis: Place
    heads: dict[str, dict[AgentList, list[str]]]

    def heads_of(self, medium: str, lists: Collection[str]) -> list[str]:
        """The interfaces to start for an agent that is in these lists, each once, in the file's order."""
        per_list: Mapping[AgentList, list[str]] = self.heads.get(medium, {})
        return list(dict.fromkeys(head for name, heads in per_list.items() if name in lists for head in heads))


def keys_of(medium: str, tenant: str) -> dict[AgentList, str]:
    """The Redis keys of the lists of agents that the medium has: `all_agents` only where it has generations."""
    keys = Keys.of(medium, tenant, date.min, "")
    lists: dict[AgentList, str] = {"agents": keys.agents, "all_agents": keys.all_agents}
    return {name: key for name, key in lists.items() if key}


def child_key_of(medium: str, tenant: str) -> str:
    """The Redis key of who is whose second-generation agent, as the medium lists them; empty: no generations."""
    return Keys.of(medium, tenant, date.min, "").child_agents


def load_rules(interfaces: Collection[str], path: Path = CONF / "tenants.toml") -> Rules:
    """The rules in `path`, all of whose interfaces are among `interfaces`.

    Raises ConfigError for a file that is not as expected, an unknown medium, list or interface (with the nearest name
    there is), and two media of one platform.
    """
    rules = data_files.read(path, Rules)
    for medium in rules.platforms:
        keys_of(medium, "T1")  # raises where there is no such medium
    for platform, times in Counter(rules.platforms.values()).items():
        if times > 1:
            raise ConfigError(f"[platforms] of {path} names platform {platform} {times} times: leave all but one out")
    for medium, heads in rules.heads.items():
        _check_heads(path, rules, medium, heads, interfaces)
    return rules


def _check_heads(
    path: Path, rules: Rules, medium: str, heads: Mapping[AgentList, list[str]], interfaces: Collection[str]
) -> None:
    if medium not in rules.platforms:
        hint = nearest(medium, rules.platforms) or f"; there are {', '.join(rules.platforms)}"
        raise ConfigError(f"[heads] of {path} names {shown(medium)}, which [platforms] does not{hint}")
    for name, started in heads.items():
        if name not in keys_of(medium, "T1"):
            raise ConfigError(f"[heads] of {path} names {medium}.{name}, which [redis] of conf/{medium}.toml does not")
        for head in started:
            if head not in interfaces:
                hint = nearest(head, interfaces) or "; see `ark interfaces`"
                raise ConfigError(
                    f"{medium}.{name} in [heads] of {path} names the unknown interface {shown(head)}{hint}"
                )
            if not head.startswith(f"{medium}."):
                raise ConfigError(f"{medium}.{name} in [heads] of {path} starts {head}: that is not one of {medium}")
