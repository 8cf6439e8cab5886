"""`python -m media.simulator [--port P] [--scenario FILE]`: serve until a signal ends it, at once.

First line on stdout: {"url":"http://127.0.0.1:PORT","pid":PID}.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import uvloop

from media.simulator.scenario import Scenario, ScenarioError
from media.simulator.server import Simulator


async def serve(scenario: Scenario, port: int, *, until_eof: bool) -> None:
    """Serve for ever, or until stdin ends."""
    bound = await Simulator(scenario).listen(port)
    place = {"url": f"http://127.0.0.1:{bound}", "pid": os.getpid()}
    print(json.dumps(place, separators=(",", ":")), flush=True)  # noqa: T201 -- the contract
    if until_eof:
        await asyncio.to_thread(sys.stdin.read)
    else:
        await asyncio.Event().wait()


def main() -> int:
    """Parse, load, serve. Exit codes as Ark's: 78 for a scenario that cannot be used, 69 for a port that is taken."""
    parser = argparse.ArgumentParser(prog="media.simulator", description="The media's side, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--scenario", type=Path, help="TOML, or JSON by its suffix; default: a few small agents of each medium"
    )
    parser.add_argument("--until-eof", action="store_true", help="end when stdin ends: no orphan of a killed parent")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has to be saved
    try:
        scenario = Scenario.load(options.scenario) if options.scenario else Scenario()
        uvloop.run(serve(scenario, options.port, until_eof=options.until_eof))
    except ScenarioError as error:
        print(f"simulator: {error}", file=sys.stderr)  # noqa: T201 -- one line for a human
        return 78
    except OSError as error:
        print(f"simulator: port {options.port}: {error}", file=sys.stderr)  # noqa: T201 -- as above
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
