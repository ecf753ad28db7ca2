"""One look at a live fleet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from archgov.api.kind import API_VERSION
from archgov.api.member_cluster import Member
from archgov.api.registry import KINDS
from archgov.cli.failure import CONNECTION, Failure
from archgov.edge.author import Authors
from archgov.edge.client import ApiError, Client
from archgov.edge.kubeconfig import Access, AccessError
from archgov.edge.members import Members
from archgov.edge.observe import Hub, Rejected, observe, understood
from archgov.edge.settings import Settings
from archgov.edge.witness import Witnesses
from archgov.model.fleet import Reach
from archgov.model.intent import CapacityIntent
from archgov.model.ref import ClusterName
from archgov.model.snapshot import Snapshot

# A cluster that does not show itself within this time is taken as unknown.
PATIENCE_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.1
PAGE: Final = 500
# Installed nowhere, archgov still sees the one cluster that it is pointed at.
LOCAL: Final = ClusterName("local")


def look(access: Access, patience: float = PATIENCE_SECONDS) -> tuple[Snapshot, tuple[str, ...]]:
    """What is there now, with what could not be understood of it, a line each.

    Raises:
        Failure: the API server does not answer, or refuses.
    """
    try:
        return asyncio.run(_look(access, patience))
    except ApiError as error:
        raise Failure(
            f"cannot reach the API server: {error}",
            CONNECTION,
            where=access.server,
        ) from None
    except AccessError as error:
        raise Failure(str(error), "correct the kubeconfig, or name another one", where=access.server) from None


async def _look(access: Access, patience: float) -> tuple[Snapshot, tuple[str, ...]]:
    async with Client(access) as client:
        await client.get("/version")
        hub = await _hub(client)
        watched = hub.members or (() if hub.unclear else (Member(LOCAL),))
        members, witnesses = Members(client, access, Settings().namespace, _ignore), Witnesses(_ignore)
        try:
            await members.follow(watched, hub.unclear)
            witnesses.watch(hub.probes)
            await _all_seen(members, witnesses, time.monotonic() + patience)
            now = time.time_ns() // 1_000_000
            snapshot = observe(hub, members.seen(), witnesses.current, now=now, seed=Settings().seed)
            return snapshot, tuple(_told(rejected) for rejected in hub.rejected)
        finally:
            await members.close()
            await witnesses.close()


async def _hub(client: Client) -> Hub:
    """What archgov's own API holds; nothing where it isn't installed."""
    base = f"/apis/{API_VERSION}"
    try:
        await client.get(base)
    except ApiError as error:
        if error.status == 404:
            return Hub()
        raise
    objects = [body for kind in KINDS.values() for body in await _listed(client, f"{base}/{kind.plural}", kind.name)]
    authors = Authors(client)
    await authors.ask(objects)
    heard = list(authors.heard(objects))
    named = {
        (intent.common.ref.namespace, intent.series.config_map)
        for intent in understood(heard).intents
        if isinstance(intent, CapacityIntent) and intent.series
    }
    return understood(heard, [body for place in sorted(named) for body in await _config_map(client, *place)])


async def _listed(client: Client, path: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    rest = ""
    while True:
        page = await client.list_page(path, {"limit": str(PAGE)} | ({"continue": rest} if rest else {}))
        # Items of a list don't say what they are.
        found += [{**body, "kind": kind, "apiVersion": API_VERSION} for body in page.get("items", [])]
        rest = str(page.get("metadata", {}).get("continue") or "")
        if not rest:
            return found


async def _config_map(client: Client, namespace: str, name: str) -> list[dict[str, Any]]:
    try:
        return [await client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")]
    except ApiError as error:
        if error.status == 404:
            return []
        raise


async def _all_seen(members: Members, witnesses: Witnesses, until: float) -> None:
    """Waits until every member is seen or silent, every witness has spoken, or time is up."""
    while time.monotonic() < until:
        settled = all(seen.health.reach is Reach.YES or seen.health.silent for seen in members.seen())
        if settled and all(witness.answers is not None for witness in witnesses.current):
            return
        await asyncio.sleep(POLL_SECONDS)


def _told(rejected: Rejected) -> str:
    metadata: Mapping[str, Any] = rejected.body.get("metadata", {})
    name = "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
    return f"{rejected.body['kind']} {name}: {rejected.error}"


def _ignore(_: str) -> None:
    """Nobody waits for changes here: whoever looks once asks again."""
