"""What every replica serves over HTTP: probes, metrics, admission, and a read-only API.

That API answers with the asker's own permissions. It takes a bearer token in a header of its own, since the API server's service
proxy strips Authorization; the hub says whose it is (TokenReview) and what they may read (SubjectAccessReview). No token, no
answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from archgov.api.kind import GROUP
from archgov.decide.round import Round
from archgov.edge.admit import NoReview, stamped
from archgov.edge.aside import aside
from archgov.edge.client import Api, ApiError
from archgov.edge.tree import Json
from archgov.model.snapshot import Snapshot

TOKEN: Final = "X-Archgov-Token"  # noqa: S105 the name of a header
RENEW_SECONDS: Final = 10.0
MOST_ROWS: Final = 1000
LARGEST: Final = 1 << 20


class NotThere(LookupError):
    """What was asked for isn't there; says what is."""


class Pages(Protocol):
    """What the read-only API answers with; made where people's commands are made. Each may raise NotThere."""

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
    """The routes over one picture."""

    def __init__(self, hub: Api, picture: Picture, pages: Pages) -> None:
        self._hub = hub
        self._picture = picture
        self._pages = pages

    def application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST)
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
        body = await aside(generate_latest, REGISTRY)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _admit(self, request: web.Request) -> web.Response:
        try:
            review = orjson.loads(await request.read())
            return _json(200, stamped(review if isinstance(review, dict) else {}))
        except (orjson.JSONDecodeError, NoReview) as error:
            return _json(400, {"error": str(error)})

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
        return await self._read(request, asked["namespace"], lambda: self._pages.explain(self._seen()[0], asked))

    async def _report(self, request: web.Request) -> web.Response:
        return await self._read(request, "", lambda: self._pages.report(self._seen()[1]))

    def _seen(self) -> tuple[Snapshot, Round]:
        newest = self._picture.newest
        if newest is None:
            raise NotThere(
                "this replica has concluded no round: it stands by, or has just started; ask again, or the leader"
            )
        return newest

    async def _read(self, request: web.Request, namespace: str, page: Callable[[], Any]) -> web.Response:
        """A page, for those who may list Decisions in the namespace; in all of them where none is named."""
        token = request.headers.get(TOKEN, "").removeprefix("Bearer ").strip()
        if not token:
            return _json(401, {"error": f"no token; send yours as {TOKEN}: kubectl create token … gives one"})
        try:
            user = await _user(self._hub, token)
            if user is None:
                return _json(401, {"error": "the hub doesn't know this token"})
            if not await _may_read(self._hub, user, namespace):
                where = namespace or "all namespaces"
                return _json(403, {"error": f"{user['username']} may not list decisions.{GROUP} in {where}"})
        except ApiError as error:
            return _json(503, {"error": f"the hub can't be asked who you are: {error}"})
        try:
            found = await aside(page)
        except NotThere as error:
            return _json(404, {"error": str(error)})
        if isinstance(found, str):
            return web.Response(text=found, content_type="text/html")
        return _json(200, found)


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
    runner = web.AppRunner(server.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    context = _certified(tls) if tls else None
    site = web.TCPSite(runner, address, port, ssl_context=context)
    await site.start()
    renewing = asyncio.create_task(_renewed(context, tls)) if context and tls else None
    try:
        yield int(runner.addresses[0][1])
    finally:
        if renewing is not None:
            renewing.cancel()
        await runner.cleanup()


def _certified(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


async def _renewed(context: ssl.SSLContext, folder: Path) -> None:
    """Takes a renewed certificate for the connections to come; half of one that is being written is taken later."""
    known = (folder / "tls.crt").stat().st_mtime_ns
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            changed = (folder / "tls.crt").stat().st_mtime_ns
            if changed != known:
                context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
                known = changed
        except (OSError, ssl.SSLError):
            continue


def _json(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)
