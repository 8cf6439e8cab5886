"""Ark's side: a whole run as `ark run` does it. Accounts from Redis, ledger, gate, pipeline, store; settings: ARK_*.

python -m tests.bench.whole '{"interface": "gdt.funds", "output": "NONE", "rows": 100}'
"""

import json
import os
import sys

from ark.clock import today
from ark.job import from_flags
from ark.settings import load
from handlers import launch
from handlers.registry import names
from tests.bench import meter
from tests.bench.home import ACCOUNTS_KEY, AGENT


def main(interface, output, rows):
    names()  # imports every interface, as the command line does
    settings = load(os.environ)
    job, _ = from_flags(agent=AGENT, redis_key=ACCOUNTS_KEY, output=output, interface=interface, today=today())
    with meter.run():
        run = launch.run(settings, interface, job, lambda _: None, launch.How(follow=False))
    if (run.status, run.rows) != ("done", rows):
        sys.exit(f"the run is {run.status} with {run.rows} rows, expected {rows}: {run.error}")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
