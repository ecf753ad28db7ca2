"""A whole watch set against the sandbox's API server, over TLS."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest

from archgov.edge.client import JSON_PATCH, MERGE_PATCH, ApiError, Client
from archgov.edge.kubeconfig import from_file, from_text
from archgov.edge.reflector import Pace
from archgov.edge.rows import DeploymentRow, NamespaceRow, NodeRow, PodRow, ReplicaSetRow
from archgov.edge.watchset import MEMBER, WatchSet
from archgov.model.fleet import Reach
from archgov.sandbox import Fault, Sandbox, SandboxOptions
from tests.edge.fake_api import eventually
from tests.manifests import deployment, namespace, node

CART = "/apis/apps/v1/namespaces/shop/deployments/cart"
PACE = Pace(first_wait=0.05, longest_wait=0.2)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    fleet = {"eu": [namespace("shop"), node("n1", "a"), node("n2", "b"), deployment("shop/cart", 3)]}
    with Sandbox(fleet, tmp_path, SandboxOptions(speed=50)) as running:
        yield running


@asynccontextmanager
async def watching(client: Client) -> AsyncIterator[WatchSet]:
    watch = WatchSet(client, MEMBER, lambda _: None, clock=time.monotonic, dice=random.Random(1), pace=PACE)
    task = asyncio.create_task(watch.run())
    try:
        assert (await watch.seen(20)).reach is Reach.YES
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ready_pods(watch: WatchSet) -> int:
    return sum(row.ready and not row.terminating for row in watch.rows(PodRow))


async def test_every_kind_of_the_sandbox_is_mirrored_and_nothing_is_malformed(sandbox: Sandbox) -> None:
    async with Client(from_text(sandbox.kubeconfig_for("eu"))) as client, watching(client) as watch:
        await eventually(lambda: ready_pods(watch) == 3, seconds=20)
        assert {row.name: row.zone for row in watch.rows(NodeRow)} == {"n1": "a", "n2": "b"}
        assert "shop" in {row.name for row in watch.rows(NamespaceRow)}
        (cart,) = watch.rows(DeploymentRow)
        await eventually(lambda: watch.rows(DeploymentRow)[0].ready == 3)
        (replica_set,) = watch.rows(ReplicaSetRow)
        assert replica_set.owner is not None
        assert replica_set.owner.uid == cart.uid
        assert {row.owner.uid for row in watch.rows(PodRow) if row.owner} == {replica_set.uid}
        assert {row.requests for row in watch.rows(PodRow)} == {cart.template.requests}
        assert watch.malformed() == ()


async def test_a_scale_with_the_resource_version_is_seen_through_the_watch(sandbox: Sandbox) -> None:
    async with Client(from_file(sandbox.kubeconfig, "eu")) as client, watching(client) as watch:
        await eventually(lambda: ready_pods(watch) == 3, seconds=20)
        await eventually(lambda: watch.rows(DeploymentRow)[0].ready == 3)
        version = watch.rows(DeploymentRow)[0].resource_version
        scale = {"metadata": {"resourceVersion": version}, "spec": {"replicas": 1}}
        await client.patch(f"{CART}/scale", scale, MERGE_PATCH)
        await eventually(lambda: watch.rows(DeploymentRow)[0].replicas == 1 and ready_pods(watch) == 1, seconds=20)
        assert "archgov" in watch.rows(DeploymentRow)[0].replica_managers
        with pytest.raises(ApiError) as stale:
            await client.patch(f"{CART}/scale", scale, MERGE_PATCH)
        assert (stale.value.status, stale.value.reason) == (409, "Conflict")
        with pytest.raises(ApiError) as failed_test:
            await client.patch(CART, [{"op": "test", "path": "/metadata/uid", "value": "other"}], JSON_PATCH)
        assert failed_test.value.status == 422


@pytest.mark.parametrize("kind", ["410", "500", "half_line", "429"])
async def test_faults_of_the_watch_lose_nothing(
    sandbox: Sandbox, kind: Literal["410", "500", "half_line", "429"]
) -> None:
    async with Client(from_file(sandbox.kubeconfig, "eu")) as client, watching(client) as watch:
        await eventually(lambda: ready_pods(watch) == 3, seconds=20)
        sandbox.inject("eu", Fault(kind, match="watch/pods", count=2))
        await client.patch(f"{CART}/scale", {"spec": {"replicas": 5}}, MERGE_PATCH)
        await eventually(lambda: ready_pods(watch) == 5, seconds=30)
        await client.patch(f"{CART}/scale", {"spec": {"replicas": 2}}, MERGE_PATCH)
        await eventually(lambda: ready_pods(watch) == 2 and len(watch.rows(PodRow)) == 2, seconds=30)


@pytest.mark.parametrize("mode", ["silent", "refuse"])
async def test_a_cluster_that_fails_is_unknown_keeps_its_picture_and_comes_back(
    sandbox: Sandbox, mode: Literal["silent", "refuse"]
) -> None:
    async with Client(from_file(sandbox.kubeconfig, "eu")) as client, watching(client) as watch:
        await eventually(lambda: ready_pods(watch) == 3, seconds=20)
        sandbox.fail_cluster("eu", mode)
        await eventually(lambda: watch.health(time.monotonic()).reach is Reach.UNKNOWN, seconds=20)
        assert watch.health(time.monotonic()).evidence.startswith("API server does not answer: ")
        assert ready_pods(watch) == 3
        sandbox.heal_cluster("eu")
        await eventually(lambda: watch.health(time.monotonic()).reach is Reach.YES, seconds=20)
