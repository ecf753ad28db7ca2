"""Plain HTTP endpoints that answer 200 while what they stand for is alive."""

from __future__ import annotations

import asyncio
import contextlib


class Witness:
    """A probe endpoint on a socket of its own; silenced, it accepts connections but never answers."""

    def __init__(self, name: str, group: str) -> None:
        self.name = name
        self.group = group
        self._server: asyncio.Server | None = None
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError(f"witness {self.name} has not been started")
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/healthz"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)

    def silence(self) -> None:
        self._speaks.clear()

    def speak(self) -> None:
        self._speaks.set()

    async def stop(self) -> None:
        """Returns when no connection is left."""
        if self._server is not None:
            self._server.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = f"{self.name} of group {self.group} is here\n".encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        )
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self._speaks.wait()
            writer.write(head.encode() + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
