"""What a scenario is given, as the operator would see it.

`hub.yaml` holds what people, and archgov before, wrote into the hub: objects as they are. `clusters.yaml` tells in a short form
what stands in the member clusters; here it becomes Nodes, Deployments, ReplicaSets and Pods, and from them rows:

    now: 2026-03-02T09:00:00Z
    clusters:
      eu-1: {zones: {a: 2 x 8, b: 2 x 8}}            # nodes x cores, with 4 GiB for each core
      us-1: {zones: {a: 1 x 8}, silent: true, witnesses: {probe: silent}}
      ap-1: {zones: {a: 1 x 8}, dark: [a]}           # nodes there are NotReady
    workloads:
      shop/cart:
        pod: {cpu: 500m, memory: 1Gi}
        at: {eu-1: {a: 2, b: 1}, us-1: {}}           # Ready replicas by zone; {} has a Deployment at 0
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

import yaml

from archgov.api.instant import unix
from archgov.api.member_cluster import Member
from archgov.edge import rows
from archgov.edge.observe import Seen, observe, understood
from archgov.edge.watchset import Health
from archgov.model.fleet import Reach
from archgov.model.intent import Witness
from archgov.model.snapshot import Snapshot
from tests.manifests import Manifest, deployment, node, pod, replica_set, uid

SEED = 1
GIB_A_CORE = 4
SEEN = Health(Reach.YES, "", 0.0)
SILENT = Health(Reach.UNKNOWN, "API server does not answer: Timeout", 30.0, silent=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Given:
    """Objects of the hub beside the short form of the clusters. questions: commands of archgov, without their source."""

    hub: Sequence[Manifest]
    clusters: Manifest
    questions: Sequence[str]


def read(folder: Path) -> Given:
    def documents(name: str) -> list[Any]:
        return list(yaml.load_all((folder / name).read_text(), _AsWritten))

    (clusters,), (questions,) = documents("clusters.yaml"), documents("questions.yaml")
    return Given([_born(body) for body in documents("hub.yaml")], clusters, questions)


def snapshot(given: Given, shuffled: random.Random | None = None) -> Snapshot:
    """The observation, made of everything in the order of the files, or in a random one."""
    mix = _Mix(shuffled)
    config_maps = [body for body in given.hub if body["kind"] == "ConfigMap"]
    ours = [body for body in given.hub if body["kind"] != "ConfigMap"]
    hub = understood(mix(ours), mix(config_maps))
    assert not hub.rejected, [str(one.error) for one in hub.rejected]
    now = unix(given.clusters["now"])
    declared = {str(member.name): member for member in hub.members}
    assert declared.keys() == given.clusters["clusters"].keys(), "every cluster has a MemberCluster, and the other way"
    seen = [
        _seen(declared[name], told, given.clusters["workloads"], mix)
        for name, told in given.clusters["clusters"].items()
    ]
    witnesses = [
        _probed(probe.witness, given.clusters["clusters"][name].get("witnesses", {}), now)
        for name, member in declared.items()
        for probe in member.probes
    ]
    return observe(hub, mix(seen), mix(witnesses), now=now * 1000, seed=SEED)


class _AsWritten(yaml.SafeLoader):
    """Times stay text, as they do in JSON."""


_AsWritten.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Mix:
    """Puts things into another order, if it is asked to."""

    def __init__(self, dice: random.Random | None) -> None:
        self.dice = dice

    def __call__(self, some: Iterable[T]) -> list[T]:
        mixed = list(some)
        if self.dice is not None:
            self.dice.shuffle(mixed)
        return mixed


def _born(body: Manifest) -> Manifest:
    """With what the API server gives at birth."""
    metadata = body["metadata"]
    parts = (body["kind"], metadata.get("namespace", ""), metadata["name"])
    return {**body, "metadata": {"uid": uid(*parts), "generation": 1, **metadata}}


def _probed(witness: Witness, told: Mapping[str, str], now: int) -> Witness:
    return replace(witness, answers=told.get(witness.name) != "silent", since=now - 60)


def _seen(member: Member, told: Manifest, workloads: Mapping[str, Manifest], mix: _Mix) -> Seen:
    nodes = [body for zone in told["zones"] for body in _nodes(zone, told)]
    here = {name: each for name, each in workloads.items() if member.name in each["at"]}
    deployments = [_deployment(name, each, member.name) for name, each in here.items()]
    pods = [body for of in deployments for body in _pods(of, here, member.name, nodes)]
    return Seen(
        member=member,
        health=SILENT if told.get("silent") else SEEN,
        nodes=_rows(rows.node_row, mix(nodes)),
        deployments=_rows(rows.deployment_row, mix(deployments)),
        replica_sets=_rows(rows.replica_set_row, mix(replica_set(of) for of in deployments)),
        pods=_rows(rows.pod_row, mix(pods)),
    )


def _nodes(zone: str, told: Manifest) -> Iterator[Manifest]:
    count, _, cores = told["zones"][zone].partition(" x ")
    ready = "Unknown" if zone in told.get("dark", ()) else "True"
    for number in range(1, int(count) + 1):
        yield node(f"{zone}{number}", zone, cpu=cores, memory=f"{int(cores) * GIB_A_CORE}Gi", ready=ready)


def _deployment(name: str, told: Manifest, cluster: str) -> Manifest:
    return deployment(
        name,
        sum(told["at"][cluster].values()),
        **told["pod"],
        labels=told.get("labels", {}),
        spread=told.get("spread", False),
        cluster=cluster,
    )


def _pods(
    of: Manifest, workloads: Mapping[str, Manifest], cluster: str, nodes: Sequence[Manifest]
) -> Iterator[Manifest]:
    """The replicas of a Deployment, in turn on the nodes of each zone."""
    name = f"{of['metadata']['namespace']}/{of['metadata']['name']}"
    for zone, replicas in workloads[name]["at"][cluster].items():
        homes = [body for body in nodes if body["metadata"]["labels"]["topology.kubernetes.io/zone"] == zone]
        for number, home in enumerate(islice(cycle(homes), replicas)):
            ready = home["status"]["conditions"][0]["status"] == "True"
            yield pod(
                f"{name}-{zone}{number}",
                home["metadata"]["name"],
                replica_set(of),
                ready=ready,
                **workloads[name]["pod"],
            )


def _rows(reader: Callable[[Any], Any], bodies: Iterable[Manifest]) -> tuple[Any, ...]:
    found = tuple(reader(body) for body in bodies)
    assert not any(isinstance(row, rows.Malformed) for row in found), found
    return found
