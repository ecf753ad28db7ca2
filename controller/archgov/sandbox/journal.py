"""The request log: one JSON line for each write that reached a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from . import clock

_FLUSH_SECONDS = 0.05


class Journal:
    """Appends lines in the order of the writes; they reach the file within a twentieth of a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._started = clock.monotonic()
        self._pending = False
        path.write_bytes(b"")

    def write(self, entry: dict[str, Any]) -> None:
        stamped = {"t": round(clock.monotonic() - self._started, 6), "wall": clock.now_micro(), **entry}
        self._lines.append(orjson.dumps(stamped, option=orjson.OPT_APPEND_NEWLINE))
        if not self._pending:
            self._pending = True
            try:
                asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
            except RuntimeError:  # before the loop runs, start() flushes
                self._pending = False

    def flush(self) -> None:
        self._pending = False
        if self._lines:
            lines, self._lines = self._lines, []
            with self._path.open("ab") as file:
                file.writelines(lines)
