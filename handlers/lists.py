"""Which of its agent's lists in Redis a job works from."""

from ark.accounts.keys import Keys
from ark.job import CHILD, Job
from handlers.api import ApiHandler


def list_key(handler: ApiHandler | type[ApiHandler], job: Job, keys: Keys) -> str:
    """The Redis list that a job works from: the one it names, else the one of its agent's generation."""
    second = job.agent_level == CHILD and handler.works_on == "accounts" and keys.child_accounts
    named: str = getattr(keys, handler.works_on)
    return job.redis_accounts_key or second or named


def disagreement(job: Job, keys: Keys) -> str:
    """What to tell where `agent_level` and the account key mean different generations; the key holds."""
    second = {keys.accounts: False, keys.child_accounts: True}.get(job.redis_accounts_key)
    if second is None or not job.agent_level or second == (job.agent_level == CHILD):
        return ""
    generation = "second" if second else "first"
    return (
        f"agent_level is {job.agent_level}, although {job.redis_accounts_key} holds accounts of the {generation}"
        " generation: the key holds"
    )
