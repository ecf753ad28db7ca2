"""What changed between two observations of a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archgov.decide.overview import overview
from archgov.model.fleet import Fleet
from archgov.model.quantity import counted, usd_a_day
from archgov.model.snapshot import Snapshot

# Names that one line tells; the rest is a number.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that isn't as it was. what: in a few words. before, after: as people read them; "" for nothing."""

    what: str
    before: str
    after: str


def differences(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """Money, survivability, clusters, workloads and intents that differ, in this order; nothing where nothing does."""
    found = [*_figures(before.fleet, after.fleet)]
    found += _names("clusters", _clusters(before.fleet), _clusters(after.fleet))
    found += _names("services", _replicas(before.fleet), _replicas(after.fleet))
    found += _names("intents", _intents(before), _intents(after))
    return tuple(found)


def _figures(before: Fleet, after: Fleet) -> list[Difference]:
    then, now = overview(before), overview(after)
    pairs = [
        ("allocated", usd_a_day(then.allocated), usd_a_day(now.allocated)),
        ("bill", usd_a_day(then.bill), usd_a_day(now.bill)),
        ("replicas", f"{then.replicas:,}", f"{now.replicas:,}"),
        ("nodes", f"{then.nodes:,}", f"{now.nodes:,}"),
        *(
            (f"gone with one {level}", counted(was, "service"), counted(dict(now.fragile).get(level, 0), "service"))
            for level, was in then.fragile
        ),
    ]
    return [Difference(what, was, is_) for what, was, is_ in pairs if was != is_]


def _names(what: str, before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    new = [name for name in after if name not in before]
    gone = [name for name in before if name not in after]
    other = [name for name in after if name in before and before[name] != after[name]]
    found = []
    if new or gone:
        found.append(Difference(f"{what}, gone and new", _few(gone), _few(new)))
    if other:
        told = [f"{name} {before[name]} → {after[name]}" for name in other if isinstance(after[name], str)]
        found.append(Difference(f"{what} that changed", "", _few(told or other)))
    return found


def _clusters(fleet: Fleet) -> dict[str, Any]:
    return {cluster.name: "seen" if cluster.reach.value == "yes" else "not seen" for cluster in fleet.clusters}


def _replicas(fleet: Fleet) -> dict[str, Any]:
    total = dict.fromkeys(range(len(fleet.workloads.key)), 0)
    for row, count in zip(fleet.deployed.workload.tolist(), fleet.deployed.replicas.tolist(), strict=True):
        total[row] += count
    return {str(fleet.ref(row)): str(count) for row, count in total.items()}


def _intents(snapshot: Snapshot) -> dict[str, Any]:
    return {str(intent.common.ref): intent for intent in snapshot.intents}


def _few(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
