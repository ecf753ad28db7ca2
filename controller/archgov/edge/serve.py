"""What every replica serves over HTTP: probes, metrics, admission, and a read-only API.

That API answers with the asker's own permissions. It takes a bearer token in a header of its own, since the API server's service
proxy strips Authorization; the hub says whose it is (TokenReview) and what they may read (SubjectAccessReview). No token, no
answer.

Anybody may knock, and what serves shares a process with what acts. So everything that a stranger can make it do is bounded: open
connections, the seconds a request takes to arrive, questions to the hub, and pages that are worked out at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from archgov.api.kind import GROUP
from archgov.decide.round import Round
from archgov.edge.admit import NoReview, stamped
from archgov.edge.aside import aside
from archgov.edge.client import Api, ApiError, Limits
from archgov.edge.tree import Json
from archgov.model.snapshot import Snapshot

LOG: Final = logging.getLogger("archgov.serve")
TOKEN: Final = "X-Archgov-Token"  # noqa: S105 the name of a header
MOST_ROWS: Final = 1000
LARGEST: Final = 1 << 20
# Without a free file the door stays shut for so long.
SHUT_SECONDS: Final = 0.5

T = TypeVar("T")


class NotThere(LookupError):
    """What was asked for isn't there."""


class Busy(Exception):
    """As much of it is under way as may be; asking again later helps."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much others can make a replica do.

    Attributes:
        connections: open at once. read_seconds: until a request has arrived, and how long an idle connection stays.
        send_seconds: until an answer is taken.
        pages: worked out at once; they share the cores with the rounds. wait_seconds: for one's turn.
        reviews: questions to the hub at once. remember_seconds: how long an answer to one counts. remembered: answers kept.
        renew_seconds: between looks for a renewed certificate.
    """

    connections: int = 256
    read_seconds: float = 10.0
    send_seconds: float = 30.0
    pages: int = 2
    wait_seconds: float = 2.0
    reviews: int = 4
    remember_seconds: float = 5.0
    remembered: int = 1024
    renew_seconds: float = 10.0


# What serving may ask of the hub, by a client of its own: the operator's writes never wait behind a stranger's token.
REVIEWING: Final = Limits(request_seconds=5.0, connect_seconds=5.0, in_flight=4, writes_a_second=10.0, write_burst=20)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody gets no page."""

    status: int
    why: str


class Desk:
    """So many pieces of work at once; each keeps its place until it is really over, whoever stops waiting for it."""

    def __init__(self, places: int, wait_seconds: float) -> None:
        self._free = asyncio.Semaphore(places)
        self._wait_seconds = wait_seconds
        self._at_work: set[asyncio.Task[Any]] = set()

    async def work(self, piece: Callable[[], Awaitable[T]]) -> T:
        """What the piece gives.

        Raises:
            Busy: no place got free in time.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Busy from None
        task = asyncio.ensure_future(piece())
        self._at_work.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._at_work.discard(task)
        self._free.release()
        if not task.cancelled():
            task.exception()  # whoever waits is told of it; where nobody does, nobody wants to know


class Readers:
    """Who may read what, as the hub says; what it said is known for a few seconds, by a hash of the token."""

    def __init__(self, hub: Api, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._bounds = bounds
        self._clock = clock
        self._desk = Desk(bounds.reviews, bounds.wait_seconds)
        self._known: dict[bytes, tuple[float, Refusal | None]] = {}

    async def refusal(self, token: str, namespace: str) -> Refusal | None:
        """Why the token's owner may not list Decisions in the namespace, in all where none is named; None where they may.

        Raises:
            Busy: the hub is asked about too many already. ApiError: it didn't answer.
        """
        # No token and no namespace holds a line break, so no two questions are one.
        asked = hashlib.sha256(f"{namespace}\n{token}".encode()).digest()
        until, known = self._known.get(asked, (float("-inf"), None))
        if self._clock() < until:
            return known
        return await self._desk.work(lambda: self._ask(asked, token, namespace))

    async def _ask(self, asked: bytes, token: str, namespace: str) -> Refusal | None:
        found = await _refusal(self._hub, token, namespace)
        self._known.pop(asked, None)
        while len(self._known) >= self._bounds.remembered:
            del self._known[next(iter(self._known))]
        self._known[asked] = (self._clock() + self._bounds.remember_seconds, found)
        return found


class Pages(Protocol):
    """What the read-only API answers with; made where people's commands are made.

    Each may raise NotThere. Where a namespace is named, the reader may know of that one only: no answer names what others have.
    """

    def history(self, namespace: str, decision: str, last: int) -> Any:
        """Rows of the ledger."""

    def replay(self, namespace: str, decision: str) -> Any:
        """A decision compared with what would be decided again."""

    def explain(self, snapshot: Snapshot, asked: Mapping[str, str]) -> Any:
        """Why an intent's workloads are where they are; `asked` as on the command line."""

    def report(self, concluded: Round) -> str:
        """The page about a round."""


class Picture(Protocol):
    """What the operator knows now."""

    @property
    def is_well(self) -> bool:
        """Whether this process should go on."""

    @property
    def is_ready(self) -> bool:
        """Whether it sees its own kinds."""

    @property
    def newest(self) -> tuple[Snapshot, Round] | None:
        """The last round with what it rests on; None before the first."""


class Server:
    """The routes over one picture.

    Args:
        hub: asked who reads; best a client of its own. leader: who leads, empty where it isn't known, None for this replica.
    """

    def __init__(
        self,
        hub: Api,
        picture: Picture,
        pages: Pages,
        leader: Callable[[], str | None] = lambda: "",
        bounds: Bounds | None = None,
    ) -> None:
        self._picture = picture
        self._pages = pages
        self._leader = leader
        self.bounds = bounds or Bounds()
        self._readers = Readers(hub, self.bounds)
        self._thinking = Desk(self.bounds.pages, self.bounds.wait_seconds)
        self._scraping = Desk(self.bounds.pages, self.bounds.wait_seconds)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST, middlewares=[self._sent])
        app.add_routes([
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics),
            web.post("/admission/approval-author", self._admit),
            web.get("/api/v1/history", self._history),
            web.get("/api/v1/replay/{namespace}/{decision}", self._replay),
            web.get("/api/v1/explain/{kind}/{namespace}/{name}", self._explain),
            web.get("/api/v1/report", self._report),
        ])  # fmt: skip
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return _text(200, "ok") if self._picture.is_well else _text(503, "it leads no longer")

    async def _readyz(self, _: web.Request) -> web.Response:
        return _text(200, "ok") if self._picture.is_ready else _text(503, "its own kinds are not seen yet")

    async def _metrics(self, _: web.Request) -> web.Response:
        try:
            body = await self._scraping.work(lambda: aside(generate_latest, REGISTRY))
        except Busy:
            return _later(503, "too many scrapes at once")
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _admit(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(self.bounds.read_seconds):
                review = orjson.loads(await request.read())
            return _json(200, stamped(review if isinstance(review, dict) else {}))
        except TimeoutError:
            return _hung_up(_json(408, {"error": f"no whole review came within {self.bounds.read_seconds:g} s"}))
        except (orjson.JSONDecodeError, NoReview) as error:
            return _json(400, {"error": str(error)})

    @web.middleware
    async def _sent(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The answer, once it is taken: a client that doesn't read it is hung up on."""
        answer = await handler(request)
        try:
            async with asyncio.timeout(self.bounds.send_seconds):
                await answer.prepare(request)
                await answer.write_eof()
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        return answer

    async def _history(self, request: web.Request) -> web.Response:
        namespace, last = request.query.get("namespace", ""), request.query.get("last", "50")
        if not last.isdecimal() or not 0 < int(last) <= MOST_ROWS:
            return _json(400, {"error": f"last is {last}; must be a number from 1 to {MOST_ROWS}"})
        decision = request.query.get("decision", "")
        return await self._read(request, namespace, lambda: self._pages.history(namespace, decision, int(last)))

    async def _replay(self, request: web.Request) -> web.Response:
        namespace, decision = request.match_info["namespace"], request.match_info["decision"]
        return await self._read(request, namespace, lambda: self._pages.replay(namespace, decision))

    async def _explain(self, request: web.Request) -> web.Response:
        asked = {**request.query, **request.match_info}
        return await self._of_newest(request, asked["namespace"], lambda newest: self._pages.explain(newest[0], asked))

    async def _report(self, request: web.Request) -> web.Response:
        return await self._of_newest(request, "", lambda newest: self._pages.report(newest[1]))

    async def _of_newest(
        self, request: web.Request, namespace: str, page: Callable[[tuple[Snapshot, Round]], Any]
    ) -> web.Response:
        newest = self._picture.newest
        return await self._read(request, namespace, (lambda: page(newest)) if newest is not None else None)

    async def _read(self, request: web.Request, namespace: str, page: Callable[[], Any] | None) -> web.Response:
        """A page, for those who may list Decisions in the namespace; in all of them where none is named."""
        if not is_private(request.transport):
            return _json(
                403, {"error": "a token would travel in the clear; set ARCHGOV_TLS_DIRECTORY, or ask by loopback"}
            )
        token = request.headers.get(TOKEN, "").removeprefix("Bearer ").strip()
        if not token:
            return _json(401, {"error": f"no token; send yours as {TOKEN}: kubectl create token … gives one"})
        try:
            refusal = await self._readers.refusal(token, namespace)
        except Busy:
            return _later(429, "the hub is being asked about too many tokens already")
        except ApiError as error:
            return _later(503, f"the hub can't be asked who you are: {error}")
        if refusal is not None:
            return _json(refusal.status, {"error": refusal.why})
        if page is None:
            return _later(503, self._no_round())
        try:
            found = await self._thinking.work(lambda: aside(page))
        except Busy:
            return _later(503, f"{self.bounds.pages} pages are being worked out already")
        except NotThere as error:
            return _json(404, {"error": str(error)})
        if isinstance(found, str):
            return web.Response(text=found, content_type="text/html")
        return _json(200, found)

    def _no_round(self) -> str:
        leader = self._leader()
        if leader is None:
            return "this replica leads, but has concluded no round yet"
        return f"this replica stands by: {f'ask {leader}, which leads' if leader else 'it knows of no leader'}"


def is_private(transport: asyncio.BaseTransport | None) -> bool:
    """Whether nobody between reads what a connection carries: it is encrypted, or never leaves the machine."""
    if transport is None:
        return False
    if transport.get_extra_info("sslcontext") is not None:
        return True
    name = transport.get_extra_info("sockname")
    return bool(name) and ip_address(name[0]).is_loopback


async def _refusal(hub: Api, token: str, namespace: str) -> Refusal | None:
    user = await _user(hub, token)
    if user is None:
        return Refusal(401, "the hub doesn't know this token")
    if not await _may_read(hub, user, namespace):
        where = namespace or "all namespaces"
        return Refusal(403, f"{user['username']} may not list decisions.{GROUP} in {where}")
    return None


async def _user(hub: Api, token: str) -> Json | None:
    """Whose token it is, as the hub knows them."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = (await hub.post("/apis/authentication.k8s.io/v1/tokenreviews", body)).get("status") or {}
    user = status.get("user")
    return user if status.get("authenticated") is True and isinstance(user, dict) else None


async def _may_read(hub: Api, user: Json, namespace: str) -> bool:
    wanted = {
        "group": GROUP,
        "resource": "decisions",
        "verb": "list",
        **({"namespace": namespace} if namespace else {}),
    }
    spec: Json = {"user": user["username"], "groups": user.get("groups") or [], "resourceAttributes": wanted}
    if user.get("uid"):
        spec["uid"] = user["uid"]
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    found = await hub.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return (found.get("status") or {}).get("allowed") is True


@asynccontextmanager
async def serving(server: Server, address: str, port: int, tls: Path | None) -> AsyncIterator[int]:
    """Serves while the block lasts; yields the port. Port 0 is any free one."""
    bounds, context = server.bounds, _certified(tls) if tls else None
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=1.0,
        keepalive_timeout=bounds.read_seconds,
        lingering_time=bounds.read_seconds,
    )
    async with AsyncExitStack() as stack:
        doors = [stack.enter_context(closing(door)) for door in await _doors(address, port)]
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        guests = _Guests(runner, context, bounds)
        tasks = [asyncio.create_task(guests.welcome(door)) for door in doors]
        stack.push_async_callback(_cancelled, tasks)
        if context and tls:
            stack.push_async_callback(_cancelled, [asyncio.create_task(renewed(context, tls, bounds.renew_seconds))])
        yield int(doors[0].getsockname()[1])


async def _doors(address: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address that a name stands for."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    doors: list[socket.socket] = []
    for family, where in dict.fromkeys((family, to[:2]) for family, _, _, _, to in found):
        try:
            door = socket.create_server((str(where[0]), port), family=family, backlog=128)
        except OSError:
            for open_ in doors:
                open_.close()
            raise
        door.setblocking(False)
        doors.append(door)
        port = door.getsockname()[1]
    return doors


class _Guests:
    """The connections that are open, those that still shake hands among them; beyond the bound they are closed unread.

    A site of aiohttp counts none, and asyncio's own server tells a protocol of a connection only after its TLS handshake.
    """

    def __init__(self, runner: web.AppRunner, context: ssl.SSLContext | None, bounds: Bounds) -> None:
        self._runner = runner
        self._context = context
        self._bounds = bounds
        self._greeted: set[asyncio.Task[None]] = set()

    async def welcome(self, door: socket.socket) -> None:
        """Lets in whoever comes, until it is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    guest, _ = await loop.sock_accept(door)
                except ConnectionError:  # the guest left at once
                    continue
                except OSError as error:  # no file is free
                    LOG.warning("a connection wasn't accepted", extra={"why": str(error)})
                    await asyncio.sleep(SHUT_SECONDS)
                    continue
                if self._open >= self._bounds.connections:
                    guest.close()
                    continue
                task = asyncio.create_task(self._greet(guest))
                self._greeted.add(task)
                task.add_done_callback(self._greeted.discard)
        finally:
            await _cancelled(list(self._greeted))

    @property
    def _open(self) -> int:
        server = self._runner.server
        return len(self._greeted) + (len(server.connections) if server is not None else 0)

    async def _greet(self, guest: socket.socket) -> None:
        server, seconds = self._runner.server, self._bounds.read_seconds
        if server is None:
            guest.close()
            return
        tls = {"ssl_handshake_timeout": seconds, "ssl_shutdown_timeout": seconds} if self._context else {}
        # What comes is no TLS, or the guest left: their affair, and the socket is closed.
        with suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(server, guest, ssl=self._context, **tls)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _certified(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


async def renewed(context: ssl.SSLContext, folder: Path, seconds: float) -> None:
    """Takes a renewed certificate for the connections to come; one that is missing or half written is taken later."""
    known = 0  # the first look takes whatever is there: it may have been renewed since it was loaded
    while True:
        await asyncio.sleep(seconds)
        try:
            changed = (folder / "tls.crt").stat().st_mtime_ns
            if changed != known:
                context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
                known = changed
        except (OSError, ssl.SSLError):
            continue


def _json(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _later(status: int, why: str) -> web.Response:
    """No answer now; asking again helps."""
    answer = _json(status, {"error": f"{why}; ask again"})
    answer.headers["Retry-After"] = "5"
    return answer


def _hung_up(answer: web.Response) -> web.Response:
    """An answer after which the connection ends."""
    answer.force_close()
    return answer


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)
