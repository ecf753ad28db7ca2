"""A snapshot whose names say nothing, yet are the same wherever they were the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final

from archgov.model.canonical import canonical
from archgov.model.fleet import CLUSTER_LABEL, PROVIDER_LABEL, REGION_LABEL, ZONE_LABEL, Fleet
from archgov.model.names import Names
from archgov.model.snapshot import Snapshot

# Keys that carry meaning for archgov or Kubernetes; without them selectors and topology would say nothing.
_KEPT: Final = frozenset({
    *(CLUSTER_LABEL, PROVIDER_LABEL, REGION_LABEL, ZONE_LABEL),
    *("kubernetes.io/arch", "kubernetes.io/os", "kubernetes.io/hostname"),
    *("Deployment", "StatefulSet", "DaemonSet", "PlacementIntent", "CapacityIntent", "FailoverIntent"),
})  # fmt: skip
# Fields whose texts are no names: words of Kubernetes, units, times.
_WORDS: Final = frozenset({"kind", "kinds", "effect", "operator", "schedule", "time_zone", "left", "extended"})
# Fields that hold prose, which may hold names.
_PROSE: Final = frozenset({"evidence", "reason", "by", "traceparent", "url"})

Rename = Callable[[str], str]


def hashed(snapshot: Snapshot, salt: bytes) -> Snapshot:
    """The same fleet under names made of keyed hashes; decisions, approvals and notes, which hold prose, are left out."""

    def part(name: str) -> str:
        digest = hashlib.blake2b(name.encode(), key=salt, digest_size=6).hexdigest()
        return name if name in _KEPT or not name else f"n{digest}"

    def rename(name: str) -> str:
        return name if name in _KEPT else "/".join(part(piece) for piece in name.split("/"))

    renamed = replace(
        snapshot,
        fleet=_fleet(snapshot.fleet, rename),
        **{name: _value(getattr(snapshot, name), rename) for name in _SMALL},
        lag=tuple((rename(cluster), lag) for cluster, lag in snapshot.lag),
        decisions=(),
        approvals=(),
        notes=("assumed: some prices",) if any(c.price.assumed for c in snapshot.fleet.clusters) else (),
    )
    return replace(
        renamed,
        intents=tuple(sorted(renamed.intents, key=lambda intent: intent.common.ref)),
        records=tuple(sorted(renamed.records, key=lambda record: record.workload)),
        losses=tuple(sorted(renamed.losses)),
        witnesses=tuple(sorted(renamed.witnesses, key=lambda witness: (witness.cluster, witness.name))),
        series=tuple(sorted(renamed.series, key=lambda one: (one.namespace, one.config_map, one.key))),
    )


_SMALL: Final = ("intents", "governance", "series", "records", "witnesses", "losses")


def _fleet(fleet: Fleet, rename: Rename) -> Fleet:
    small = ("clusters", "domains", "node_classes", "label_sets", "shapes", "quotas")
    return canonical(
        replace(
            fleet,
            **{name: _value(getattr(fleet, name), rename) for name in small},
            nodes=replace(fleet.nodes, name=Names.of(rename(name) for name in fleet.nodes.name)),
            workloads=replace(fleet.workloads, key=Names.of(rename(key) for key in fleet.workloads.key)),
        )
    )


def _value(value: Any, rename: Rename) -> Any:
    """A value with every text in it renamed, but for words and prose."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return rename(value)
    if isinstance(value, tuple):
        return tuple(_value(item, rename) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {
        field.name: "" if field.name in _PROSE else _value(getattr(value, field.name), rename)
        for field in fields(value)
        if field.name not in _WORDS
    }
    return replace(value, **changed)
