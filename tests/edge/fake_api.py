"""A small API server that keeps objects, pages and watches them, and goes wrong on demand."""

from __future__ import annotations

import asyncio
import copy
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from archgov.edge.tree import Json

PODS = "/api/v1/pods"
CUT = object()  # said to a stream: the connection breaks


@dataclass(frozen=True)
class Fault:
    """One wrong answer, given instead of the right one."""

    status: int
    reason: str = "Fault"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class FakeApi:
    """Collections by path, objects by namespace/name; `faults` by "list", "page", "watch", "get" or "write"."""

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 0  # watches from an older resourceVersion are Expired
        self.url = ""
        self.collections: dict[str, dict[str, Json]] = defaultdict(dict)
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.requests: list[Request] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.not_served: set[str] = set()
        self.token = ""
        self.page_gate: asyncio.Event | None = None
        self._history: list[tuple[int, str, bytes]] = []
        self._streams: dict[str, set[asyncio.Queue[object]]] = defaultdict(set)
        self._pages: dict[str, tuple[list[Json], int]] = {}

    def put(self, path: str, found: Json) -> Json:
        """Stores an object; tells the watches."""
        self.version += 1
        stored = copy.deepcopy(found)
        stored.setdefault("metadata", {})["resourceVersion"] = str(self.version)
        kind = "MODIFIED" if _key(stored) in self.collections[path] else "ADDED"
        self.collections[path][_key(stored)] = stored
        self._tell(path, kind, stored)
        return stored

    def remove(self, path: str, key: str) -> None:
        """Deletes an object; tells the watches."""
        self.version += 1
        gone = self.collections[path].pop(key)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell(path, "DELETED", gone)

    def forget_history(self) -> None:
        """What etcd's compaction does: watches from before now are Expired."""
        self.oldest = self.version
        self._history.clear()
        self._pages.clear()

    def bookmark(self, path: str) -> int:
        """Tells the watches how far they are."""
        self.version += 1
        self.say(
            path,
            orjson.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.version)}}}) + b"\n",
        )
        return self.version

    def fail_watches(self, path: str, status: int, reason: str) -> None:
        """An ERROR event in every open watch."""
        told = {"type": "ERROR", "object": _status(status, reason)}
        self.say(path, orjson.dumps(told) + b"\n")

    def say(self, path: str, what: object) -> None:
        """Writes raw bytes into every open watch, None ends it, CUT breaks it."""
        for stream in self._streams[path]:
            stream.put_nowait(what)

    def watchers(self, path: str) -> int:
        """Open watches."""
        return len(self._streams[path])

    def asked(self, verb: str, path: str = PODS) -> int:
        """How often a collection was listed (first pages), paged or watched."""
        return sum(_verb(request.method, request.query) == verb for request in self.requests if request.path == path)

    @asynccontextmanager
    async def serving(self, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeApi]:
        """Listens on the loopback."""
        async with _listening(self._answer, port, tls) as url:
            self.url = url
            yield self

    def _tell(self, path: str, kind: str, found: Json) -> None:
        line = orjson.dumps({"type": kind, "object": found}) + b"\n"
        self._history.append((self.version, path, line))
        self.say(path, line)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        body = await request.read()
        self.requests.append(Request(request.method, request.path, query, dict(request.headers), body))
        await self.answering.wait()
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refuse(Fault(401, "Unauthorized"))
        verb = _verb(request.method, query) if request.path != "/version" else "probe"
        if self.faults[verb]:
            return _refuse(self.faults[verb].popleft())
        if request.path in self.not_served:
            return _refuse(Fault(404, "NotFound"))
        match verb:
            case "probe":
                return web.json_response({"gitVersion": "v1.36.0"})
            case "watch":
                return await self._watch(request, int(query["resourceVersion"]))
            case "list" | "page":
                return await self._list(request.path, int(query.get("limit", "0")), query.get("continue", ""))
            case _:
                return web.json_response({"kind": "Status", "received": body.decode()})

    async def _list(self, path: str, limit: int, token: str) -> web.Response:
        if token and token not in self._pages:
            return _refuse(Fault(410, "Expired"))
        items, version = self._pages[token] if token else (list(self.collections[path].values()), self.version)
        if token and self.page_gate is not None:
            await self.page_gate.wait()
        metadata = {"resourceVersion": str(version)}
        if limit and len(items) > limit:
            metadata["continue"] = f"page-{version}-{len(items)}"
            self._pages[metadata["continue"]] = (items[limit:], version)
            items = items[:limit]
        return web.Response(body=orjson.dumps({"metadata": metadata, "items": items}), content_type="application/json")

    async def _watch(self, request: web.Request, version: int) -> web.StreamResponse:
        if version < self.oldest:
            return _refuse(Fault(410, "Expired"))
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        stream: asyncio.Queue[object] = asyncio.Queue()
        for at, path, line in self._history:
            if at > version and path == request.path:
                stream.put_nowait(line)
        self._streams[request.path].add(stream)
        try:
            while isinstance(said := await stream.get(), bytes):
                await response.write(said)
            if said is CUT and request.transport is not None:
                request.transport.close()
        finally:
            self._streams[request.path].discard(stream)
        return response


@asynccontextmanager
async def _listening(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(text: str) -> AsyncIterator[str]:
    """A server that answers everything with the same text; yields its URL."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    async with _listening(answer, 0, None) as url:
        yield url


async def eventually(claim: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until the claim holds; fails when it never does."""
    until = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < until, "it never came true"
        await asyncio.sleep(0.005)


def _verb(method: str, query: dict[str, str]) -> str:
    if method != "GET":
        return "write"
    if "watch" in query:
        return "watch"
    if "continue" in query:
        return "page"
    return "list" if "limit" in query else "get"


def _key(found: Json) -> str:
    return f"{found['metadata'].get('namespace', '')}/{found['metadata'].get('name')}"


def _refuse(fault: Fault) -> web.Response:
    return web.json_response(_status(fault.status, fault.reason), status=fault.status, headers=fault.headers)


def _status(status: int, reason: str) -> Json:
    return {
        "kind": "Status",
        "code": status,
        "reason": reason,
        "message": f"{reason} on purpose",
        "details": {"kind": "pods"},
    }
