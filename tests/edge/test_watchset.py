"""All watches of one cluster as one observation."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from archgov.edge.client import Client
from archgov.edge.kubeconfig import Access
from archgov.edge.reflector import Pace, Resource
from archgov.edge.rows import DeploymentRow, Malformed, NodeRow, PodRow
from archgov.edge.tree import Json
from archgov.edge.watchset import MEMBER, REACH, Health, Patience, WatchSet, whole
from archgov.model.fleet import Reach
from tests.edge.fake_api import PODS, FakeApi, Fault, eventually

NODES = "/api/v1/nodes"
DEPLOYMENTS = "/apis/apps/v1/deployments"
INTENTS = "/apis/archgov.io/v1alpha1/placementintents"
PACE = Pace(first_wait=0.01, longest_wait=0.05, forbidden=0.05, missing=0.05)
HASTE = Patience(limit=5.0, probe=0.02, probe_again=0.02, probe_timeout=0.2)


class Watched:
    """A running watch set beside what it was heard to say."""

    def __init__(self, watch: WatchSet, changes: list[str]) -> None:
        self.watch = watch
        self.changes = changes

    @property
    def health(self) -> Health:
        return self.watch.health(time.monotonic())


@asynccontextmanager
async def watched(
    api: FakeApi, patience: Patience = HASTE, resources: tuple[Resource[Any], ...] = MEMBER
) -> AsyncIterator[Watched]:
    changes: list[str] = []
    async with Client(Access(api.url)) as client:
        watch = WatchSet(
            client,
            resources,
            changes.append,
            clock=time.monotonic,
            dice=random.Random(1),
            pace=PACE,
            patience=patience,
        )
        task = asyncio.create_task(watch.run())
        try:
            yield Watched(watch, changes)
        finally:
            assert not task.done(), "a watch set never ends by itself"
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def an_object(name: str, **parts: Json) -> Json:
    return {"metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}"}, **parts}


async def test_a_cluster_is_seen_once_every_kind_is_synced() -> None:
    async with FakeApi().serving() as api:
        api.put(NODES, an_object("n1"))
        api.put(PODS, an_object("p1"))
        api.put(PODS, an_object("odd", spec={"priority": "high"}))
        api.put(DEPLOYMENTS, an_object("cart", spec={"replicas": 2}))
        async with watched(api) as w:
            assert w.health.reach is Reach.UNKNOWN
            health = await w.watch.seen(10)
            assert (health.reach, health.evidence) == (Reach.YES, "")
            assert health.lag_seconds < 5
            assert [row.name for row in w.watch.rows(NodeRow)] == ["n1"]
            assert [row.name for row in w.watch.rows(PodRow)] == ["p1"]
            assert [(row.name, row.replicas) for row in w.watch.rows(DeploymentRow)] == [("cart", 2)]
            assert [(row.kind, row.name) for row in w.watch.malformed()] == [("Pod", "odd")]
            assert all(isinstance(row, Malformed) for row in w.watch.malformed())
            assert {state.kind for state in w.watch.states(time.monotonic())} == {resource.kind for resource in MEMBER}
            await eventually(lambda: REACH in w.changes)


async def test_one_kind_that_may_not_be_read_makes_the_cluster_unknown() -> None:
    async with FakeApi().serving() as api:
        api.not_served.add(DEPLOYMENTS)
        async with watched(api) as w:
            await eventually(lambda: sum(state.synced for state in w.watch.states(0.0)) == len(MEMBER) - 1)
            await eventually(lambda: w.health.evidence == "Deployment: /apis/apps/v1/deployments is not served")
            assert w.health.reach is Reach.UNKNOWN
            api.not_served.clear()
            assert (await w.watch.seen(10)).reach is Reach.YES


async def test_two_probes_without_an_answer_make_the_cluster_unknown_and_an_answer_brings_it_back() -> None:
    async with FakeApi().serving() as api:
        api.put(PODS, an_object("p1"))
        async with watched(api) as w:
            await w.watch.seen(10)
            await eventually(lambda: REACH in w.changes)
            w.changes.clear()
            api.answering.clear()
            await eventually(lambda: w.health.reach is Reach.UNKNOWN)
            assert w.health.evidence == "API server does not answer: Timeout: no answer within 0.2 s"
            assert [row.name for row in w.watch.rows(PodRow)] == ["p1"]
            await eventually(lambda: REACH in w.changes)
            api.answering.set()
            await eventually(lambda: w.health.reach is Reach.YES)


async def test_one_failed_probe_is_no_silence() -> None:
    async with FakeApi().serving() as api, watched(api, replace(HASTE, probe_again=60.0)) as w:
        await w.watch.seen(10)
        api.faults["probe"].append(Fault(503, "ServiceUnavailable"))
        await eventually(lambda: not api.faults["probe"])
        assert w.health.reach is Reach.YES


async def test_a_refused_probe_is_an_answer() -> None:
    async with FakeApi().serving() as api, watched(api) as w:
        await w.watch.seen(10)
        api.faults["probe"].extend([Fault(403, "Forbidden")] * 5)
        await eventually(lambda: not api.faults["probe"])
        assert w.health.reach is Reach.YES


async def test_a_server_that_is_gone_is_unknown_with_what_was_last_seen_until_it_is_back() -> None:
    api = FakeApi()
    api.put(PODS, an_object("p1"))
    server = AsyncExitStack()
    await server.enter_async_context(api.serving())
    port = int(api.url.rpartition(":")[2])
    async with watched(api) as w:
        await w.watch.seen(10)
        await server.aclose()
        await eventually(lambda: w.health.reach is Reach.UNKNOWN)
        assert w.health.evidence.startswith("API server does not answer: Refused")
        assert [row.name for row in w.watch.rows(PodRow)] == ["p1"]
        api.remove(PODS, "shop/p1")
        async with api.serving(port):
            await eventually(lambda: w.health.reach is Reach.YES and not w.watch.rows(PodRow))


async def test_without_an_open_watch_for_too_long_the_cluster_is_unknown() -> None:
    async with FakeApi().serving() as api, watched(api, replace(HASTE, limit=0.3)) as w:
        await eventually(lambda: all(api.watchers(resource.path) == 1 for resource in MEMBER))
        await eventually(lambda: w.health.reach is Reach.YES)
        api.faults["watch"].extend([Fault(500, "InternalError")] * 1000)
        api.faults["list"].extend([Fault(500, "InternalError")] * 1000)
        api.say(PODS, None)
        await eventually(lambda: w.health.evidence == "Pod: 500 InternalError: InternalError on purpose")
        assert w.health.reach is Reach.UNKNOWN
        assert w.health.lag_seconds > 0.3


async def test_nothing_heard_for_too_long_is_unknown_even_with_open_watches() -> None:
    async with FakeApi().serving() as api, watched(api) as w:
        await w.watch.seen(10)
        later = w.watch.health(time.monotonic() + 60)
        assert (later.reach, later.evidence) == (Reach.UNKNOWN, "nothing heard from the API server (limit 5 s)")
        assert later.lag_seconds >= 55


async def test_our_own_kinds_are_kept_whole_and_wake_for_what_was_asked_only() -> None:
    intent = whole("PlacementIntent", "archgov.io/v1alpha1", "placementintents")
    asked = an_object("eu-only", spec={"mode": "Enforce"}, status={"summary": "-"})
    asked["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    async with FakeApi().serving() as api:
        api.put(INTENTS, asked)
        async with watched(api, resources=(intent,)) as w:
            await w.watch.seen(10)
            (found,) = w.watch.objects("PlacementIntent")
            assert (found["apiVersion"], found["kind"]) == ("archgov.io/v1alpha1", "PlacementIntent")
            assert found["spec"] == {"mode": "Enforce"}
            assert "managedFields" not in found["metadata"]
            await eventually(lambda: REACH in w.changes)
            w.changes.clear()
            api.put(INTENTS, {**asked, "status": {"summary": "3 moves"}})
            await eventually(lambda: w.watch.objects("PlacementIntent")[0]["status"] == {"summary": "3 moves"})
            assert w.changes == []
            api.put(INTENTS, {**asked, "spec": {"mode": "Observe"}})
            await eventually(lambda: w.changes == ["PlacementIntent"])


async def test_a_new_resource_version_alone_wakes_nobody_but_is_kept() -> None:
    async with FakeApi().serving() as api:
        api.put(DEPLOYMENTS, an_object("cart"))
        async with watched(api) as w:
            await w.watch.seen(10)
            await eventually(lambda: REACH in w.changes)
            w.changes.clear()
            stored = api.put(DEPLOYMENTS, an_object("cart"))
            version = stored["metadata"]["resourceVersion"]
            await eventually(lambda: w.watch.rows(DeploymentRow)[0].resource_version == version)
            assert w.changes == []
