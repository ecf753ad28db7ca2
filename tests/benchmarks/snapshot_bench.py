"""A snapshot of 1,000,000 workloads on 500 clusters: build, canonicalise, digest, save, load.

    python -m tests.benchmarks.snapshot_bench [WORKLOADS]

About 3 clusters a workload, 3 zones a cluster, 400 nodes a cluster in 3 pools, 2,000 pod shapes with 4 resources; each
workload has labels of its own. Rows come in random order, as from watches. At most 4 GiB may be used.
"""

from __future__ import annotations

import sys
import tempfile

import numpy as np

from archgov.model.canonical import canonical
from archgov.model.fleet import (
    REGION_LABEL,
    ZONE_LABEL,
    Cluster,
    DeployedTable,
    Fleet,
    NodeTable,
    Price,
    StandingTable,
    WorkloadTable,
)
from archgov.model.names import Names
from archgov.model.quantity import GIB
from archgov.model.ref import ClusterName, DomainRef
from archgov.model.selector import Selector
from archgov.model.shape import NodeClass, PodShape, Taint, Toleration
from archgov.model.snapshot import Snapshot, load, save
from tests.benchmarks.measure import Meter

LIMIT_MIB = 4096
CLUSTERS, ZONES, POOLS, NODES, SHAPES = 500, 3, 3, 400, 2_000
RESOURCES = ("cpu", "memory", "pods", "nvidia.com/gpu")
GPU = Taint("nvidia.com/gpu", "", "NoSchedule")
POOL_LABEL = "node.kubernetes.io/instance-type"


def main(workloads: int) -> int:
    """Exit code 0 if the snapshot came back as it was, within the limit."""
    dice, meter = np.random.default_rng(7), Meter()
    with meter.step("build"):
        raw = a_large_fleet(dice, workloads)
    print(
        f"  {workloads:,} workloads, {len(raw.deployed.workload):,} objects, {len(raw.standing.workload):,} standing "
        f"rows, {len(raw.clusters)} clusters, {len(raw.domains):,} domains, {len(raw.nodes.name):,} nodes, "
        f"{len(raw.shapes):,} shapes, {len(raw.node_classes):,} node classes"
    )
    with meter.step("canonicalise"):
        fleet = canonical(raw)
    del raw
    snapshot = Snapshot(fleet)
    with meter.step("digest"):
        digest = snapshot.digest
    with tempfile.TemporaryFile() as file:
        with meter.step("save"):
            save(snapshot, file)
        print(f"  the file has {file.tell() / (1 << 20):,.0f} MiB")
        del snapshot, fleet
        file.seek(0)
        with meter.step("load"):
            loaded = load(file)
    with meter.step("digest again"):
        same = loaded.digest == digest
    print(f"  peak {meter.peak:,.0f} MiB of {LIMIT_MIB:,}; the loaded snapshot is {'' if same else 'NOT '}the same")
    return 0 if same and meter.peak <= LIMIT_MIB else 1


def a_large_fleet(dice: np.random.Generator, workloads: int) -> Fleet:
    """A fleet in random order; `fit` is not yet counted."""
    domains = CLUSTERS * ZONES
    shapes = _shapes(dice)
    rows, clusters = _pairs(dice, workloads)
    uid = dice.integers(0, 256, (len(rows), 16), np.uint8)
    replicas = 1 + dice.poisson(2, len(rows)).astype(np.int32)
    places, standing = _standing(dice, rows, clusters, replicas)
    ready = np.minimum(standing, dice.integers(0, 50, len(standing), np.int32))
    mixed, placed = dice.permutation(len(rows)), dice.permutation(len(places[0]))
    return Fleet(
        resources=RESOURCES,
        clusters=tuple(_cluster(row) for row in range(CLUSTERS)),
        domains=tuple(DomainRef(_cluster_name(row // ZONES), "abc"[row % ZONES]) for row in range(domains)),
        node_classes=tuple(_class(row // POOLS, row % POOLS) for row in range(domains * POOLS)),
        label_sets=tuple(_labels(row) for row in range(workloads)),
        shapes=shapes,
        quotas=(),
        nodes=_nodes(dice),
        workloads=WorkloadTable(
            key=Names.of(f"team-{row % 2000}/Deployment/service-{row:07d}" for row in dice.permutation(workloads)),
            shape=dice.integers(0, len(shapes), workloads, np.int32),
            labels=dice.permutation(workloads).astype(np.int32),
            fixed=(dice.random(workloads) < 0.1).astype(np.int32),
            guarded=(dice.random(workloads) < 0.3).astype(np.int32),
        ),
        deployed=DeployedTable(
            rows[mixed], clusters[mixed], replicas[mixed], replicas[mixed], np.zeros(len(mixed), np.int32), uid[mixed]
        ),
        standing=StandingTable(places[0][placed], places[1][placed], standing[placed], ready[placed]),
        fit=np.zeros((len(shapes), domains), np.int64),
    )


def _cluster_name(row: int) -> ClusterName:
    return ClusterName(f"cluster-{row:03d}")


def _cluster(row: int) -> Cluster:
    return Cluster(
        _cluster_name(row), f"provider-{row % 3}", f"region-{row % 25}", price=Price(cpu=30_000, memory=4_000)
    )


def _class(domain: int, pool: int) -> NodeClass:
    labels = {
        POOL_LABEL: f"pool-{pool}",
        REGION_LABEL: f"region-{domain // ZONES % 25}",
        ZONE_LABEL: "abc"[domain % ZONES],
        "archgov.io/pool": f"{domain}-{pool}",
    }
    return NodeClass(tuple(sorted(labels.items())), (GPU,) if pool == 2 else ())


def _labels(row: int) -> tuple[tuple[str, str], ...]:
    return ("app.kubernetes.io/name", f"service-{row:07d}"), ("team", f"team-{row % 2000}"), ("tier", f"{row % 4}")


def _shapes(dice: np.random.Generator) -> tuple[PodShape, ...]:
    gpu = (Toleration("nvidia.com/gpu", "Exists"),)
    found = []
    for row in range(SHAPES):
        cpu, memory = int(dice.integers(1, 80)) * 50, int(dice.integers(1, 128)) * (GIB // 8)
        on_gpu = row % 20 == 0
        node = (Selector((("node.kubernetes.io/instance-type", f"pool-{row % POOLS}"),)),) if row % 5 == 0 else ()
        found.append(PodShape((cpu, memory, 1, 1000 * on_gpu), node, gpu if on_gpu else (), zone_skew=row % 2))
    return tuple(found)


def _nodes(dice: np.random.Generator) -> NodeTable:
    count = CLUSTERS * NODES
    domain = np.arange(count) % (CLUSTERS * ZONES)
    pool = dice.integers(0, POOLS, count)
    allocatable = np.stack([16_000 << pool, (64 * GIB) << pool, np.full(count, 110), 4000 * (pool == 2)], axis=1)
    used = (allocatable * dice.random((count, 1)) * dice.random((count, len(RESOURCES)))).astype(np.int64)
    mixed = dice.permutation(count)
    return NodeTable(
        name=Names.of(f"ip-10-{row >> 16}-{row >> 8 & 255}-{row & 255}.compute.internal" for row in mixed),
        domain=domain[mixed].astype(np.int32),
        kind=(domain * POOLS + pool)[mixed].astype(np.int32),
        allocatable=allocatable[mixed],
        used=used[mixed],
        ready=(dice.random(count) < 0.99).astype(np.int32),
        price=np.full(count, 800_000, np.int64),
    )


def _pairs(dice: np.random.Generator, workloads: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of workloads with the clusters they exist in: 1 to 5 neighbours each, 3 on average."""
    count = dice.integers(1, 6, workloads)
    rows = np.repeat(np.arange(workloads, dtype=np.int32), count)
    first = np.repeat(dice.integers(0, CLUSTERS, workloads), count)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    return rows, ((first + 7 * nth) % CLUSTERS).astype(np.int32)


def _standing(
    dice: np.random.Generator, rows: np.ndarray, clusters: np.ndarray, replicas: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Replicas dealt out to the zones of their cluster, beginning with a random one."""
    first = dice.integers(0, ZONES, len(rows))
    zone = (np.arange(ZONES)[None, :] - first[:, None]) % ZONES
    dealt = replicas[:, None] // ZONES + (zone < replicas[:, None] % ZONES)
    domain = clusters[:, None] * ZONES + np.arange(ZONES, dtype=np.int32)[None, :]
    there = dealt > 0
    workload = np.broadcast_to(rows[:, None], dealt.shape)
    return (workload[there], domain[there]), dealt[there].astype(np.int32)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
