"""What archgov's safety rests on, on a real API server: the Lease, the epoch of every write, preconditions of effects."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from archgov.edge.client import MERGE_PATCH, ApiError, Client
from archgov.edge.elect import Election, NoLongerLeading, Terms
from archgov.edge.kubeconfig import from_file
from tests.controlplane.plane import Plane
from tests.controlplane.test_crds import KINDS, MERGE, World, plane, world
from tests.manifests import deployment

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(300)]
__all__ = ["plane", "world"]

SYSTEM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "archgov-system"}}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/archgov-system/leases/archgov"


def candidate(client: Client, name: str) -> Election:
    return Election(client, "archgov-system", Terms(2, 1.5, 0.2), identity=name, dice=random.Random(1))


async def test_a_lease_is_had_by_one_handed_over_and_taken_back(plane: Plane) -> None:
    plane.apply(SYSTEM)
    plane.call("DELETE", LEASE)
    async with Client(from_file(plane.kubeconfig)) as client:
        first, second = candidate(client, "a"), candidate(client, "b")
        leading = asyncio.create_task(first.run())
        await asyncio.wait_for(first.elected.wait(), 10)
        waiting = asyncio.create_task(second.run())
        await asyncio.sleep(3)
        assert (first.leads(), second.leads(), first.epoch) == (True, False, 1)
        leading.cancel()
        await first.release()
        await asyncio.wait_for(second.elected.wait(), 10)
        assert (first.leads(), second.epoch) == (False, 2)
        # Somebody takes the Lease by hand: who led ends.
        plane.call("PATCH", LEASE, {"spec": {"holderIdentity": "c"}}, content=MERGE)
        with pytest.raises(NoLongerLeading, match="c holds"):
            await asyncio.wait_for(waiting, 10)


async def test_a_deleted_lease_begins_above_the_epochs_that_were_written(plane: Plane) -> None:
    plane.apply(SYSTEM)
    plane.call("DELETE", LEASE)
    async with Client(from_file(plane.kubeconfig)) as client:
        one = candidate(client, "a")
        one.newest = lambda: 41
        leading = asyncio.create_task(one.run())
        await asyncio.wait_for(one.elected.wait(), 10)
        leading.cancel()
        assert one.epoch == 42
        assert plane.call("GET", LEASE).body["spec"]["leaseTransitions"] == 42


@pytest.mark.parametrize("sample", KINDS.values(), ids=KINDS)
def test_a_former_leaders_status_comes_too_late(world: World, sample: dict[str, Any]) -> None:
    path, _ = world.applied(sample)

    def write(status: dict[str, Any]) -> tuple[int, str]:
        answer = world.plane.call("PATCH", f"{path}/status", {"status": status}, content=MERGE)
        return answer.code, answer.message if answer.code > 299 else ""

    assert write({"epoch": 5}) == (200, "")
    assert write({"epoch": 6}) == (200, "")
    code, message = write({"epoch": 4})
    assert code == 422
    assert "a newer leader of archgov has written this" in message
    assert write({"epoch": None})[0] == 422


def test_a_former_leaders_record_comes_too_late(world: World) -> None:
    sample = KINDS["WorkloadRecord"]
    path, stored = world.applied({**sample, "spec": {**sample["spec"], "epoch": 7}})
    assert stored["spec"]["epoch"] == 7
    late = world.plane.call("PATCH", path, {"spec": {"epoch": 6, "need": 1}}, content=MERGE)
    assert late.code == 422
    assert "a newer leader of archgov has written this" in late.message
    assert world.plane.call("PATCH", path, {"spec": {"epoch": 8, "need": 1}}, content=MERGE).code == 200


async def test_replicas_are_not_set_on_what_somebody_wrote_meanwhile(world: World) -> None:
    body = deployment("shop/cart", 2)
    body["metadata"].pop("uid", None)
    body.pop("status", None)
    path, stored = world.applied(body)
    seen = stored["metadata"]["resourceVersion"]
    world.plane.call("PATCH", path, {"metadata": {"labels": {"by": "somebody"}}}, content=MERGE)
    async with Client(from_file(world.plane.kubeconfig)) as client:
        stale = {"metadata": {"resourceVersion": seen}, "spec": {"replicas": 5}}
        with pytest.raises(ApiError) as refused:
            await client.patch(f"{path}/scale", stale, MERGE_PATCH)
        assert refused.value.status == 409
        now = (await client.get(path))["metadata"]["resourceVersion"]
        fresh = {"metadata": {"resourceVersion": now}, "spec": {"replicas": 5}}
        assert (await client.patch(f"{path}/scale", fresh, MERGE_PATCH))["spec"]["replicas"] == 5
