"""The public GPU cluster trace of 2023 (openb, USENIX ATC 2023) as a snapshot of a fleet.

A cluster is all nodes of one GPU model; a workload is all pods of one shape with one quality of service. Of the trace's pods the
Running and the Pending ones count. GPU is summed per node in thousandths: sharing within one GPU is not modelled. Regions, zones,
prices are assumptions and are marked as such; demand follows the hourly requests of the NASA log for latency-sensitive pods.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archgov.cli.importer.requests import HOUR, BadTrace, hourly_requests
from archgov.model.canonical import canonical
from archgov.model.fleet import (
    REGION_LABEL,
    ZONE_LABEL,
    Cluster,
    DeployedTable,
    Fixed,
    Fleet,
    Int32,
    Int64,
    NodeTable,
    Price,
    StandingTable,
    WorkloadTable,
)
from archgov.model.names import Names
from archgov.model.ref import ClusterName, DomainRef, WorkloadRef
from archgov.model.selector import Expression, Labels, Operator, Selector
from archgov.model.shape import NodeClass, PodShape
from archgov.model.snapshot import Sample, Series, Snapshot

MIB: Final = 1 << 20
# One unit is a thousandth of a GPU, so that shares stay whole numbers, which Kubernetes wants of extended resources.
GPU: Final = "archgov.io/gpu-milli"
RESOURCES: Final = ("cpu", "memory", "pods", GPU)
MODEL_LABEL: Final = "archgov.io/gpu-model"
NO_GPU: Final = "none"
ZONES: Final = ("a", "b", "c")
COUNTED: Final = ("Running", "Pending")
LATENCY_SENSITIVE: Final = "LS"
PODS_A_NODE: Final = 110
# Four weeks of history are enough for a weekly season.
HISTORY: Final = 4 * 7 * 24
NODE_LIST: Final = "openb_node_list_all_node.csv"

# Assumptions, all of them: where each model's cluster stands, US dollars per core-, GiB- and GPU-hour.
REGIONS: Final = ("east", "north", "west")
CORE_HOUR, GIB_HOUR = 30_000, 4_000
GPU_HOUR: Final[Mapping[str, int]] = {
    "A10": 600_000,
    "G2": 500_000,
    "G3": 900_000,
    "P100": 400_000,
    "T4": 300_000,
    "V100M16": 1_100_000,
    "V100M32": 1_400_000,
}
OTHER_GPU_HOUR: Final = 500_000


@dataclass(frozen=True, slots=True)
class Node:
    """A row of the node list."""

    name: str
    cpu: int
    memory: int
    gpu: int
    model: str


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """What pods of one workload have in common. gpu: thousandths in all. models: allowed ones, all of them when empty."""

    quality: str
    cpu: int
    memory: int
    gpu: int
    models: tuple[str, ...]

    @property
    def ref(self) -> WorkloadRef:
        name = f"c{self.cpu}-m{self.memory}" + (f"-g{self.gpu}" if self.gpu else "")
        suffix = "-" + "-".join(model.lower() for model in self.models) if self.models else ""
        return WorkloadRef(self.quality.lower(), "Deployment", (name + suffix)[:63].rstrip("-"))

    @property
    def requests(self) -> tuple[int, ...]:
        return (self.cpu, self.memory * MIB, 1, self.gpu * 1000)


def openb(folder: Path, workload: str, *, seed: int, now: int) -> Snapshot:
    """The trace with one of its pod lists, placed first-fit in a seeded order.

    Args:
        folder: of the trace; the request log lies beside it in `web-requests`. workload: such as `gpuspec10`.
        now: Unix milliseconds, when the observation is said to have been taken; the latest sample of demand is of then.

    Raises:
        BadTrace: a file is missing or has other columns.
    """
    nodes = _nodes(folder / NODE_LIST)
    shapes = _shapes(folder / f"openb_pod_list_{workload}.csv")
    placed, waiting, used = _first_fit(nodes, shapes, seed)
    fleet = _fleet(nodes, sorted(shapes), placed, waiting, used)
    series = _series(sorted(shapes), shapes, hourly_requests(folder.parent / "web-requests"), seed, now // 1000)
    notes = (
        f"imported from the openb trace, pod list {workload}, seed {seed}: pods placed first-fit",
        "assumed: regions, zones, prices; GPU is summed per node in thousandths, sharing within one GPU is not modelled",
        "assumed: demand follows the hourly NASA request log, phases seeded; only quality LS follows it",
    )
    return Snapshot(fleet=fleet, series=series, notes=notes, now=now, seed=seed)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise BadTrace(
            f"{path} can't be read: {error.strerror}; name the folder of the trace and one of its lists"
        ) from error


def _nodes(path: Path) -> list[Node]:
    try:
        return [
            Node(row["sn"], int(row["cpu_milli"]), int(row["memory_mib"]), int(row["gpu"]), row["model"] or NO_GPU)
            for row in _rows(path)
        ]
    except (KeyError, ValueError) as error:
        raise BadTrace(f"{path} needs the columns sn,cpu_milli,memory_mib,gpu,model: {error}") from error


def _shapes(path: Path) -> Counter[Shape]:
    try:
        return Counter(_shape(row) for row in _rows(path) if row["pod_phase"] in COUNTED)
    except (KeyError, ValueError, TypeError) as error:
        raise BadTrace(f"{path} is no pod list with phases and quality of service: {error}") from error


def _shape(row: Mapping[str, str]) -> Shape:
    gpus = int(row["num_gpu"])
    return Shape(
        quality=row["qos"],
        cpu=int(row["cpu_milli"]),
        memory=int(row["memory_mib"]),
        gpu=int(row["gpu_milli"]) if gpus == 1 else gpus * 1000,
        models=tuple(sorted(set(filter(None, row["gpu_spec"].split("|"))))),
    )


def _zone(row: int) -> str:
    return ZONES[row % len(ZONES)]


def _first_fit(
    nodes: Sequence[Node], shapes: Counter[Shape], seed: int
) -> tuple[dict[tuple[Shape, int], int], Counter[Shape], Int64]:
    """Replicas by (shape, node), those that no node took, and (N, P) what is used."""
    room = np.array([(node.cpu, node.memory * MIB, PODS_A_NODE, node.gpu * 1_000_000) for node in nodes], np.int64)
    free = room.copy()
    models = np.array([node.model for node in nodes])
    order = np.random.default_rng(seed).permutation([i for i, n in enumerate(shapes.values()) for _ in range(n)])
    kinds = list(shapes)
    placed: Counter[tuple[Shape, int]] = Counter()
    waiting: Counter[Shape] = Counter()
    for number in order.tolist():
        shape = kinds[number]
        fits = (free >= np.array(shape.requests, np.int64)).all(axis=1)
        if shape.models:
            fits &= np.isin(models, shape.models)
        if not fits.any():
            waiting[shape] += 1
            continue
        node = int(np.argmax(fits))
        free[node] -= np.array(shape.requests, np.int64)
        placed[shape, node] += 1
    return dict(placed), waiting, room - free


def _fleet(
    nodes: Sequence[Node],
    shapes: Sequence[Shape],
    placed: Mapping[tuple[Shape, int], int],
    waiting: Counter[Shape],
    used: Int64,
) -> Fleet:
    models = sorted({node.model for node in nodes})
    clusters = tuple(_cluster(model, number) for number, model in enumerate(models))
    domains = tuple(DomainRef(cluster.name, zone) for cluster in clusters for zone in ZONES)
    domain_row = {domain: row for row, domain in enumerate(domains)}
    of_node = [domain_row[DomainRef(ClusterName(_name(node.model)), _zone(row))] for row, node in enumerate(nodes)]
    classes = tuple(NodeClass(_node_labels(clusters[row // len(ZONES)], domain)) for row, domain in enumerate(domains))
    standing: Counter[tuple[int, int]] = Counter()
    shape_row = {shape: row for row, shape in enumerate(shapes)}
    for (shape, node), count in placed.items():
        standing[shape_row[shape], of_node[node]] += count
    return canonical(
        Fleet(
            resources=RESOURCES,
            clusters=clusters,
            domains=domains,
            node_classes=classes,
            label_sets=tuple(_labels(shape) for shape in shapes),
            shapes=tuple(PodShape(shape.requests, node=_affinity(shape)) for shape in shapes),
            quotas=(),
            nodes=NodeTable(
                name=Names.of(node.name for node in nodes),
                domain=np.array(of_node, np.int32),
                kind=np.array(of_node, np.int32),
                allocatable=np.array([_allocatable(node) for node in nodes], np.int64),
                used=used,
                ready=np.ones(len(nodes), np.int32),
                price=np.array([_bill(node) for node in nodes], np.int64),
            ),
            workloads=WorkloadTable(
                key=Names.of(shape.ref.key for shape in shapes),
                shape=np.arange(len(shapes), dtype=np.int32),
                labels=np.arange(len(shapes), dtype=np.int32),
                fixed=np.full(len(shapes), Fixed.FREE, np.int32),
                guarded=np.zeros(len(shapes), np.int32),
            ),
            deployed=_deployed(shapes, models, standing, waiting),
            standing=_standing(standing),
            fit=np.zeros((0, 0), np.int64),
        )
    )


def _name(model: str) -> str:
    return f"gpu-{model.lower()}" if model != NO_GPU else "cpu"


def _cluster(model: str, number: int) -> Cluster:
    extended = ((GPU, GPU_HOUR.get(model, OTHER_GPU_HOUR) // 1000),) if model != NO_GPU else ()
    return Cluster(
        name=ClusterName(_name(model)),
        provider="openb",
        region=REGIONS[number % len(REGIONS)],
        labels=((MODEL_LABEL, model),),
        price=Price(CORE_HOUR, GIB_HOUR, extended, assumed=True),
    )


def _node_labels(cluster: Cluster, domain: DomainRef) -> Labels:
    return tuple(sorted({**dict(cluster.labels), ZONE_LABEL: domain.zone, REGION_LABEL: cluster.region}.items()))


def _labels(shape: Shape) -> Labels:
    return (("app", shape.ref.name), ("qos", shape.quality))


def _affinity(shape: Shape) -> tuple[Selector, ...]:
    """A list of models is a required node affinity; a pod that asks for GPU without naming one takes any."""
    if not shape.models:
        return ()
    return (Selector(expressions=(Expression(MODEL_LABEL, Operator.IN, shape.models),)),)


def _allocatable(node: Node) -> tuple[int, ...]:
    return (node.cpu, node.memory * MIB, PODS_A_NODE, node.gpu * 1_000_000)


def _bill(node: Node) -> int:
    """Micro-USD per hour of a node: its resources at the assumed prices."""
    gpu = GPU_HOUR.get(node.model, OTHER_GPU_HOUR) * node.gpu
    return node.cpu * CORE_HOUR // 1000 + node.memory * GIB_HOUR // 1024 + gpu


def _deployed(
    shapes: Sequence[Shape], models: Sequence[str], standing: Mapping[tuple[int, int], int], waiting: Counter[Shape]
) -> DeployedTable:
    """Every workload exists in every cluster that could take it; pods that found no node wait in the first of them."""
    rows: list[tuple[int, int, int, int, int]] = []
    for s, shape in enumerate(shapes):
        able = [k for k, model in enumerate(models) if _may_run(shape, model)]
        for k in able:
            there = sum(standing.get((s, k * len(ZONES) + zone), 0) for zone in range(len(ZONES)))
            left = waiting[shape] if k == able[0] else 0
            rows.append((s, k, there + left, there, left))
    table = np.array(rows, np.int32).reshape(len(rows), 5)
    uid = np.frombuffer(np.arange(len(rows), dtype=">u8").tobytes(), np.uint8).reshape(len(rows), 8)
    padded = np.concatenate([np.zeros((len(rows), 8), np.uint8), uid], axis=1)
    columns: list[Int32] = [np.ascontiguousarray(column) for column in table.T]
    return DeployedTable(columns[0], columns[1], columns[2], columns[3], columns[4], padded)


def _may_run(shape: Shape, model: str) -> bool:
    return (not shape.models or model in shape.models) and (not shape.gpu or model != NO_GPU)


def _standing(standing: Mapping[tuple[int, int], int]) -> StandingTable:
    rows = np.array([(s, j, n) for (s, j), n in standing.items()], np.int32).reshape(len(standing), 3)
    return StandingTable(*(np.ascontiguousarray(rows[:, column]) for column in (0, 1, 2, 2)))


def _series(
    shapes: Sequence[Shape], counts: Mapping[Shape, int], requests: npt.NDArray[np.int64], seed: int, now: int
) -> tuple[Series, ...]:
    """Demand of every workload, in thousandths of what one replica serves; its level of today is the P75 of the log."""
    dice = np.random.default_rng(seed + 1)
    end = now // HOUR * HOUR
    p75 = max(1, int(np.percentile(requests, 75)))
    start = int(np.argmin(np.abs(requests[HISTORY:] - p75))) + HISTORY
    found = []
    for shape in shapes:
        phase = int(dice.integers(0, len(requests)))
        history = np.roll(requests, phase)[start - HISTORY + 1 : start + 1]
        if shape.quality != LATENCY_SENSITIVE:
            history = np.full(HISTORY, p75)
        amount = history * (counts[shape] * 1000) // p75
        samples = tuple(
            Sample(end - (HISTORY - 1 - hour) * HOUR, "", int(value)) for hour, value in enumerate(amount.tolist())
        )
        found.append(Series(shape.ref.namespace, shape.ref.name, "demand.csv", HOUR, samples))
    return tuple(sorted(found, key=lambda series: (series.namespace, series.config_map)))
