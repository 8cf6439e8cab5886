"""The names of the Redis keys: templates in conf/{section}.toml, filled with tenant, agent and date."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import NamedTuple, Self

from ark.errors import ConfigError
from ark.rows import compact
from ark.settings import CONF


class Keys(NamedTuple):
    """The sorted sets of one tenant: score = agent id, member = token, agent or account id (seed 003 §1.2).

    What a medium does not have is empty. `child_agents` keeps who is whose: score = first-generation agent, member =
    second-generation agent.
    """

    tokens: str
    agents: str
    accounts: str
    refresh_tokens: str = ""
    all_agents: str = ""
    child_agents: str = ""
    child_accounts: str = ""

    @classmethod
    def of(cls, section: str, tenant: str, day: date, agent: str) -> Self:
        """The keys of `tenant`; `section` is gdt, jrtt, wx or wx_b.

        Raises ConfigError where a template is missing, is not known, or names an unknown field.
        """
        values = {"tenant": tenant, "agent": agent, "date": compact(day)}
        try:
            return cls(**{name: template.format(**values) for name, template in _templates(section).items()})
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ConfigError(
                f"[redis] of conf/{section}.toml: {error} is missing or unknown; it needs tokens, agents and accounts,"
                f" may have {', '.join(cls._field_defaults)}, all made of {{tenant}}, {{agent}} and {{date}}"
            ) from error


@cache
def _templates(section: str) -> Mapping[str, str]:
    path = CONF / f"{section}.toml"
    if not path.exists():
        raise ConfigError(f"medium {section!r} is unknown: there is no conf/{section}.toml")
    templates: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8")).get("redis", {})
    return templates
