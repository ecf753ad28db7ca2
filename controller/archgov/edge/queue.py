"""When a round is due: something changed, then it was quiet for a moment."""

from __future__ import annotations

import asyncio
import time
from typing import Final

# These can't wait for quiet: a cluster that falls silent or comes back, a witness that changes its mind.
URGENT: Final = frozenset({"Reach", "Witness"})


class Due:
    """Collects marks; a round starts after a quiet time, at the latest after a longest one."""

    def __init__(self, quiet_seconds: float, longest_seconds: float) -> None:
        self._quiet, self._longest = quiet_seconds, longest_seconds
        self._changed = asyncio.Event()
        self.alarm = asyncio.Event()

    def mark(self, kind: str) -> None:
        """Something of this kind changed."""
        self._changed.set()
        if kind in URGENT:
            self.alarm.set()

    async def wait(self, at_most: float) -> None:
        """Returns when a round is due, or after `at_most` seconds without a change."""
        try:
            async with asyncio.timeout(at_most):
                await self._changed.wait()
        except TimeoutError:
            return
        begin = time.monotonic()
        while not self.alarm.is_set() and time.monotonic() - begin < self._longest:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._quiet):
                    await self._changed.wait()
            except TimeoutError:
                break
        self._changed.clear()
        self.alarm.clear()
