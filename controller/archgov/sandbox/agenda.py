"""What a cluster's stand-ins have still to do: now, or after a delay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from . import clock
from .errors import ApiError
from .objects import Key

Task = Callable[[Key], None]
_SLICE_SECONDS = 0.005  # requests wait no longer than this for the stand-ins
_GATHER_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Agenda:
    """Tasks by key, each waiting at most once; nothing is done while paused."""

    def __init__(self, speed: float) -> None:
        self._waiting: dict[tuple[Task, Key], None] = {}
        self._speed = speed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False
        self._paused = False
        self._timers: set[asyncio.TimerHandle] = set()
        self._gathering: set[tuple[Task, Key]] = set()

    @property
    def idle(self) -> bool:
        return not self._waiting

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake()

    def stop(self) -> None:
        self._loop = None
        self._waiting.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._gathering.clear()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._wake()

    def real(self, seconds: float) -> float:
        """How long a delay of the stand-ins takes."""
        return seconds / self._speed

    def soon(self, task: Task, key: Key) -> None:
        """Does the task for that key once more, after what already waits."""
        self._waiting[task, key] = None
        self._wake()

    def shortly(self, task: Task, key: Key) -> None:
        """Does the task once for all that happens within a twentieth of a second of real time."""
        if (task, key) not in self._gathering:
            self._gathering.add((task, key))
            self._after(_GATHER_SECONDS, task, key)

    def later(self, seconds: float, task: Task, key: Key) -> None:
        """Does the task for that key after a delay, which the sandbox's speed divides."""
        self._after(self.real(seconds), task, key)

    def _after(self, seconds: float, task: Task, key: Key) -> None:
        if self._loop is None:
            self.soon(task, key)
            return
        handle: asyncio.TimerHandle | None = None

        def due() -> None:
            if handle is not None:
                self._timers.discard(handle)
            self.soon(task, key)

        handle = self._loop.call_later(seconds, due)
        self._timers.add(handle)

    def _wake(self) -> None:
        if self._loop is not None and self._waiting and not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self._slice)

    def _slice(self) -> None:
        self._scheduled = False
        until = clock.monotonic() + _SLICE_SECONDS
        while self._waiting and not self._paused and clock.monotonic() < until:
            task, key = next(iter(self._waiting))
            del self._waiting[task, key]
            self._gathering.discard((task, key))
            try:
                task(key)
            except ApiError as refusal:
                # A stand-in that is refused tries again; a real controller would.
                _log.warning("%s %s: %s", getattr(task, "__qualname__", task), "/".join(key), refusal)
                self.later(1.0, task, key)
            except Exception:  # noqa: BLE001 - one broken task must not end the others
                _log.exception("%s failed for %s", getattr(task, "__qualname__", task), "/".join(key))
        self._wake()
