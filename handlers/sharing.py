"""The quotas that a run's calls go on, shared through Redis with whoever else uses them."""

import asyncio
import time

from ark.accounts.directory import Directory
from ark.governor import Governor
from ark.governor.fleet import Clock, Fleets, Who
from ark.governor.gate import Gate
from handlers.api import ApiHandler
from handlers.gates import OpenGate
from handlers.scopes import scope_of


class Sharing:
    """Opens gates for a run; `cap` is how many of its calls may be in flight. `aclose` gives all shares back.

    Nothing in here waits for a Redis that is away: then each process keeps its share, or goes by what it measures.
    """

    def __init__(self, directory: Directory, who: Who, cap: int) -> None:
        self._fleets = Fleets(directory, Clock(asyncio.get_running_loop().time, time.time))
        self._who, self._cap = who, cap

    async def open(self, handler: ApiHandler) -> Gate:
        """The gate of an interface's calls, with what earlier runs learned of their quota."""
        scope, window = scope_of(handler), handler.settings.window
        if scope is None:
            return OpenGate(Governor(handler.dialect, window=window, cap=self._cap), window)
        hint = await self._fleets.hint(str(scope), window)
        gate = Gate(Governor(handler.dialect, window=window, cap=self._cap, hint=hint), window)
        await self._fleets.join(str(scope), gate.governor, self._who, window=window, changed=gate.wake)
        return gate

    async def aclose(self) -> None:
        """Give back every share."""
        await self._fleets.aclose()
