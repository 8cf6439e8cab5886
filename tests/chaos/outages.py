"""kill -9 of the real HBase, its gateway, Redis and Ark itself in one run."""

from tests.acceptance.conftest import ended, wait_for
from tests.chaos.servers import Servers
from tests.chaos.stage import LIMIT, Ground, Outcome, Scene
from tests.chaos.tally import Point


def outage(ground: Ground, own: Servers, accounts: int = 150) -> Point:
    """One after the other while Ark works, and Ark last; then everything is started and the run is taken up."""
    scene = ground.scene(accounts, latency=0.05)
    process = scene.ark.start(*scene.command)
    _calls(scene, accounts // 3)
    own.kill("gateway")
    own.start()
    _calls(scene, accounts)
    own.kill("cluster", "server")
    wait_for(lambda: process.poll() is not None or _away(scene), LIMIT)
    process.kill()
    code = ended(process, LIMIT).code
    own.start()
    outcome: Outcome = scene.recover()
    return Point("real outage", f"{accounts} accounts", code, outcome)


def _calls(scene: Scene, number: int) -> None:
    wait_for(lambda: scene.requests().total() >= number, LIMIT)


def _away(scene: Scene) -> bool:
    """Whether Ark has met the store that is gone: it tells so, and goes on trying."""
    logs = scene.ark.home.glob("log/*/*.log")
    return any("store away" in log.read_text(encoding="utf-8") for log in logs)
