"""Witnesses of clusters and zones: URLs that are asked whether they still answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import aiohttp

from archgov.api.member_cluster import Probe
from archgov.model.intent import Witness

SECONDS: Final = 1.0  # between probes, and at most for each
# One lost packet is no silence.
MISSES: Final = 2
ALIVE_BELOW: Final = 500


class Witnesses:
    """Keeps asking a changing set of witnesses; `current` is what they said last."""

    def __init__(self, on_change: Callable[[str], None], seconds: float = SECONDS) -> None:
        self._on_change = on_change
        self._seconds = seconds
        self._said: dict[tuple[str, str], Witness] = {}
        self._misses: dict[tuple[str, str], int] = {}
        self._tasks: dict[Probe, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def watch(self, probes: Iterable[Probe]) -> None:
        """Asks these from now on, and nobody else."""
        wanted = set(probes)
        for probe in set(self._tasks) - wanted:
            self._tasks.pop(probe).cancel()
            self._said.pop(_key(probe), None)
        for probe in wanted - set(self._tasks):
            self._said.setdefault(_key(probe), probe.witness)
            self._tasks[probe] = asyncio.get_running_loop().create_task(self._keep_asking(probe))

    @property
    def current(self) -> tuple[Witness, ...]:
        return tuple(self._said.values())

    async def close(self) -> None:
        """Ends every task and connection."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _keep_asking(self, probe: Probe) -> None:
        while True:
            self._note(probe, answered=await self._ask(probe.url))
            await asyncio.sleep(self._seconds)

    async def _ask(self, url: str) -> bool:
        # A witness is asked on a fresh connection: an old one could outlive what it stands for.
        self._session = self._session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        try:
            timeout = aiohttp.ClientTimeout(total=self._seconds)
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as answer:
                return answer.status < ALIVE_BELOW
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _note(self, probe: Probe, *, answered: bool) -> None:
        key = _key(probe)
        self._misses[key] = 0 if answered else self._misses.get(key, 0) + 1
        if not answered and self._misses[key] < MISSES:
            return
        before = self._said.get(key, probe.witness)
        if before.answers is not answered:
            self._said[key] = replace(before, answers=answered, since=int(time.time()))
            self._on_change("Witness")


def _key(probe: Probe) -> tuple[str, str]:
    return probe.witness.cluster, probe.witness.name
