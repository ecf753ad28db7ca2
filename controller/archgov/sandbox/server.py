"""The HTTPS face of one cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import orjson
from aiohttp import web

from . import clock, discovery, openapi
from .answers import Answer, Answers
from .call import Call, target, verb_of
from .cluster import Cluster, Write
from .errors import ApiError, expired, internal, no_such_path, unauthorized
from .faults import Fault, Faults, refusal
from .watch import Watch

Mode = Literal["silent", "refuse"]
_BOOKMARK_SECONDS = 10.0
_HEALTH = ("/healthz", "/livez", "/readyz")
# kubectl asks for this where the newer one lacks a kind (a List, a misspelt one); an empty document lets it go on by discovery.
_OLD_OPENAPI = "/openapi/v2"
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_log = logging.getLogger(__name__)


class _Cut(Exception):
    """The connection ends without an answer."""


class ApiServer:
    """Serves a cluster on a port of its own, until it is told to fall silent."""

    def __init__(self, cluster: Cluster, users: dict[str, str], context: ssl.SSLContext) -> None:
        self._cluster = cluster
        self._users = users
        self._context = context
        self._answers = Answers(cluster, users)
        self._faults = Faults()
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._socket = _listening(0)
        self._http = web.Server(self._respond, handler_cancellation=True, access_log=None)
        self._server: asyncio.Server | None = None
        self.port: int = self._socket.getsockname()[1]

    async def start(self) -> None:
        """Answers from now on."""
        # The duplicate keeps the port listening while the server is closed: connections then hang, unaccepted.
        accepting = self._socket.dup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._http, sock=accepting, ssl=self._context)

    async def stop(self) -> None:
        self._speaks.set()
        if self._server is not None:
            self._server.close()
        self._http.pre_shutdown()
        open_ones = [each.transport for each in self._http.connections if each.transport is not None]
        await self._http.shutdown(0.1)
        for transport in open_ones:
            # TLS says goodbye first, and would wait for an answer from clients that are gone.
            transport.abort()
        self._socket.close()

    def fall_silent(self, mode: Mode) -> None:
        """Answers nothing more: connections hang, or are refused."""
        self._speaks.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        if mode == "refuse":
            self._socket.close()

    async def speak(self) -> None:
        """Answers again on the same port."""
        if self._server is None:
            if self._socket.fileno() < 0:
                self._socket = _listening(self.port)
            await self.start()
        self._speaks.set()

    def plant(self, fault: Fault) -> None:
        self._faults.plant(fault)

    # One request

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        await self._voice(request)
        call: Call | None = None
        try:
            user = self._user(request)
            if request.path == _OLD_OPENAPI:
                return web.Response(content_type=_PROTOBUF)
            static = self._static(request.path)
            if static is not None:
                return _json(200, static)
            call = self._call(request, user, body)
            await self._suffer(request, call)
            if call.verb == "watch":
                return await self._stream(request, call, Watch(self._cluster, call))
            return self._answered(self._answers.answer(call))
        except ApiError as error:
            self._note_refusal(call, error)
            return _json(error.code, error.status(), headers=error.headers)
        except _Cut:
            if request.transport is not None:
                request.transport.close()
            raise asyncio.CancelledError from None
        except Exception as error:  # noqa: BLE001 - a bug of ours is a 500, as the API server has it
            _log.exception("%s %s", request.method, request.path_qs)
            return _json(500, internal(str(error)).status())

    async def _voice(self, request: web.BaseRequest) -> None:
        """Waits while the server is silent; whoever has gone meanwhile gets nothing done."""
        if not self._speaks.is_set():
            await self._speaks.wait()
            if request.transport is None or request.transport.is_closing():
                raise asyncio.CancelledError

    def _user(self, request: web.BaseRequest) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._users.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None and request.path not in (*_HEALTH, "/version"):
            raise unauthorized()
        return user or "system:anonymous"

    def _static(self, path: str) -> dict[str, Any] | None:
        registry = self._cluster.registry
        parts = [part for part in path.split("/") if part]
        match parts:
            case ["version"]:
                return discovery.version()
            case ["healthz" | "livez" | "readyz"]:
                return {"status": "ok"}
            case ["api"]:
                return discovery.core_versions()
            case ["apis"]:
                return discovery.groups(registry)
            case ["api", version]:
                return discovery.resources(registry, "", version)
            case ["apis", group]:
                return discovery.group(registry, group)
            case ["apis", group, version]:
                return discovery.resources(registry, group, version)
            case ["openapi", "v3"]:
                return openapi.index(registry)
            case ["openapi", "v3", "api", version]:
                return openapi.document(registry, "", version)
            case ["openapi", "v3", "apis", group, version]:
                return openapi.document(registry, group, version)
            case ["api" | "apis", *_]:
                return None
        raise no_such_path()

    def _call(self, request: web.BaseRequest, user: str, body: bytes) -> Call:
        found = target(self._cluster.registry, request.path)
        return Call(
            verb=verb_of(request.method, found, request.query),
            resource=found.resource,
            namespace=found.namespace,
            name=found.name,
            subresource=found.subresource,
            query=request.query,
            media=request.content_type if "Content-Type" in request.headers else "",
            accept=request.headers.get("Accept", ""),
            user=user,
            agent=request.headers.get("User-Agent", ""),
            body=body,
        )

    def _answered(self, answer: Answer) -> web.Response:
        response = _json(answer.code, answer.body)
        for warning in answer.warnings:
            response.headers.add("Warning", f"299 - {orjson.dumps(warning).decode()}")
        return response

    def _note_refusal(self, call: Call | None, error: ApiError) -> None:
        if call is not None and call.writes and not call.dry_run and call.resource.storable:
            write = Write(user=call.user, agent=call.agent, verb=call.verb, subresource=call.subresource)
            self._cluster.refuse(write, call.resource, (call.namespace, call.name), error)

    # Faults

    async def _suffer(self, request: web.BaseRequest, call: Call) -> None:
        fault = self._faults.take(_told(request, call), streaming=False)
        if fault is None:
            return
        if fault.kind == "silence":
            await asyncio.Event().wait()
        raise refusal(fault)

    # Watching

    async def _stream(self, request: web.BaseRequest, call: Call, watch: Watch) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        until = clock.monotonic() + float(call.number("timeoutSeconds") or random.randint(1800, 3600))
        try:
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await self._pump(request, call, watch, response.write, until)
                await response.write_eof()
        finally:
            watch.stop()
        return response

    async def _pump(
        self,
        request: web.BaseRequest,
        call: Call,
        watch: Watch,
        send: Callable[[bytes], Awaitable[None]],
        until: float,
    ) -> None:
        bookmark_due = clock.monotonic() + _BOOKMARK_SECONDS
        while True:
            now = clock.monotonic()
            lines = await watch.lines(max(0.0, min(until, bookmark_due) - now))
            await self._voice(request)
            if lines:
                await self._break(request, call, watch, lines, send)
                await send(b"".join(lines))
            if watch.ended:
                return
            now = clock.monotonic()
            if now >= min(bookmark_due, until):
                bookmark_due = now + _BOOKMARK_SECONDS
                if watch.bookmarks:
                    watch.bookmark()
                    await send(b"".join(await watch.lines(0)))
            if now >= until:
                return

    async def _break(
        self,
        request: web.BaseRequest,
        call: Call,
        watch: Watch,
        lines: list[bytes],
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Lets a planted fault happen in place of the lines that would be sent."""
        fault = self._faults.take(_told(request, call), streaming=True)
        if fault is None:
            return
        if fault.kind == "silence":
            await asyncio.Event().wait()
        if fault.kind == "half_line":
            await send(lines[0][: len(lines[0]) // 2])
            raise _Cut
        watch.fail(expired("too old resource version: planted fault") if fault.kind == "410" else refusal(fault))
        lines[:] = await watch.lines(0)


def _told(request: web.BaseRequest, call: Call) -> str:
    """The request as faults match it."""
    what = f"{call.resource.plural}/{call.subresource}" if call.subresource else call.resource.plural
    return f"{call.verb}/{what} {request.path_qs}"


def _json(code: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    data = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(status=code, body=data, content_type="application/json", headers=headers)


def _listening(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    found.listen(128)
    found.setblocking(False)
    return found
