"""Work that would stall the event loop, in a thread that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the work returns; whoever stops waiting leaves it to run out by itself.

    The threads of `asyncio.to_thread` would hold the end of the process until the last solve is over.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def work_then_tell() -> None:
        try:
            result = work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 whoever waits is told of all of them
            _tell(loop, done, partial(done.set_exception, error))
        else:
            _tell(loop, done, partial(done.set_result, result))

    # Spans that the work opens belong to the one that is open here.
    here = contextvars.copy_context()
    threading.Thread(target=here.run, args=(work_then_tell,), name=work.__name__, daemon=True).start()
    return await done


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[T], news: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(lambda: None if done.done() else news())
