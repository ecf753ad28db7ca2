"""The independent judge: what archgov must never do, worked out from the sandbox's log of writes alone.

It imports nothing of archgov. Whatever was asked for is told to it by the test that asked.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ARCHGOV = "system:serviceaccount:archgov-system:archgov"
REPLICA_SETS = "system:serviceaccount:kube-system:replicaset-controller"
OURS = "archgov.io"
SYSTEM = "archgov-system"

Entry = Mapping[str, Any]
Place = tuple[str, str]  # cluster, namespace/name


@dataclass(frozen=True)
class Budget:
    """At most `limit` replicas of these workloads may be taken away within `window` seconds."""

    workloads: frozenset[str]
    limit: int
    window: float


@dataclass(frozen=True)
class Outage:
    """A cluster that was silent, in Unix seconds: its pods count for nobody."""

    cluster: str
    since: float
    until: float = float("inf")


@dataclass(frozen=True)
class Asked:
    """What the intents of a scenario asked for, workloads as `namespace/name`.

    Attributes:
        needs: replicas in all, where that isn't the sum of spec.replicas before archgov first wrote.
        allowed: clusters that residency leaves. shed: replicas that a workload may be cut down to on a loss.
        floors: replicas that the survivors of a loss must have; once reached they are kept until the loss is over.
    """

    needs: Mapping[str, int] = field(default_factory=dict)
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    shed: Mapping[str, int] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True)
class Violation:
    """One broken invariant, by its number in the design, at the line of the log that broke it."""

    invariant: str
    line: int
    what: str


def entries(log: Path) -> list[Entry]:
    """The request log, in order; half a line at the end is still being written."""
    text = log.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def violations(log: Iterable[Entry], asked: Asked | None = None) -> list[Violation]:
    """Everything that archgov did and must not have done."""
    judge = _Judge(asked or Asked())
    for line, entry in enumerate(log, start=1):
        judge.take(line, entry)
    return judge.found


@dataclass
class _Judge:
    asked: Asked
    found: list[Violation] = field(default_factory=list)
    replicas: dict[Place, int] = field(default_factory=dict)
    wrote_last: dict[Place, str] = field(default_factory=dict)
    pods: dict[tuple[str, str, str], Entry] = field(default_factory=dict)
    pods_of: dict[str, dict[tuple[str, str, str], Entry]] = field(default_factory=lambda: defaultdict(dict))
    was_ready: Counter[str] = field(default_factory=Counter)
    first_sum: dict[str, int] = field(default_factory=dict)
    foreign: Counter[str] = field(default_factory=Counter)
    decisions: dict[tuple[str, str], Entry] = field(default_factory=dict)
    removed: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    losses: dict[str, bool] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    silent: frozenset[str] = frozenset()

    def take(self, line: int, entry: Entry) -> None:
        if entry["code"] >= 300:
            return
        self._note_outages(_wall(entry))
        if entry["user"] == ARCHGOV:
            self._touch(line, entry)
        if entry["group"] == OURS:
            self._take_ours(entry)
        elif entry["resource"] == "deployments":
            self._take_deployment(line, entry)
        elif entry["resource"] == "pods":
            self._take_pod(line, entry)

    def _say(self, invariant: str, line: int, what: str) -> None:
        self.found.append(Violation(invariant, line, what))

    # ------------------------------------------------------------------------------------------------- objects

    def _touch(self, line: int, entry: Entry) -> None:
        """(vii): replicas by the scale subresource, our own kinds, Events, our own Lease, claims; nothing else."""
        what = (entry["group"], entry["resource"], entry["subresource"])
        named = (entry["resource"], entry["namespace"], entry["name"])
        if what == ("apps", "deployments", "scale") or entry["group"] == OURS or entry["resource"] == "events":
            return
        if named in (("leases", SYSTEM, "archgov"), ("configmaps", "kube-public", "archgov-governor")):
            return
        self._say("vii", line, f"archgov wrote {'/'.join(filter(None, what))} {entry['namespace']}/{entry['name']}")

    def _take_ours(self, entry: Entry) -> None:
        after = entry["after"]
        if entry["resource"] == "decisions":
            key = (entry["namespace"], entry["name"])
            if after is None:
                self.decisions.pop(key, None)
            else:
                self.decisions[key] = after
        if entry["resource"] == "memberclusters" and after is not None:
            losses = (after.get("status") or {}).get("losses", [])
            self.losses[entry["name"]] = any(not loss.get("ended") for loss in losses)

    def _take_deployment(self, line: int, entry: Entry) -> None:
        place = (entry["cluster"], f"{entry['namespace']}/{entry['name']}")
        before = self.replicas.get(place, (entry["before"] or {}).get("replicas", 0))
        if entry["after"] is None:
            self.replicas.pop(place, None)
            return
        after = entry["after"]["replicas"]
        if entry["user"] == ARCHGOV:
            self._take_effect(line, entry, place, before, after)
        elif place[1] in self.first_sum:
            self.foreign[place[1]] += after - before
        if before != after:
            self.wrote_last[place] = entry["user"]
        self.replicas[place] = after

    def _take_pod(self, line: int, entry: Entry) -> None:
        key = (entry["cluster"], entry["namespace"], entry["name"])
        before, after = self.pods.get(key) or entry["before"], entry["after"]
        workload = _workload(after or before)
        if after is None:
            self.pods.pop(key, None)
            self.pods_of[workload].pop(key, None)
        else:
            self.pods[key] = self.pods_of[workload][key] = after
        if not workload or entry["cluster"] in self.silent:
            return
        ready = self._ready(workload)
        if _counts(before) and not _counts(after):
            place = (entry["cluster"], workload)
            if entry["user"] == REPLICA_SETS and self.wrote_last.get(place) == ARCHGOV:
                self._removed_pod(line, workload, ready)
            else:
                self.was_ready[workload] = min(self.was_ready[workload] - 1, ready)
        self.was_ready[workload] = max(self.was_ready[workload], ready)
        if self._is_lost() and ready >= self.asked.floors.get(workload, 1 << 30):
            self.reached.add(workload)

    # ------------------------------------------------------------------------------------------------- effects

    def _take_effect(self, line: int, entry: Entry, place: Place, before: int, after: int) -> None:
        cluster, workload = place
        if before == after:
            return
        self.first_sum.setdefault(workload, sum(n for (_, name), n in self.replicas.items() if name == workload))
        self._check_decision(line, place, before, after)
        allowed = self.asked.allowed.get(workload)
        if after > before and allowed is not None and cluster not in allowed:
            self._say("ii", line, f"{workload} grows to {after} in {cluster}; residency leaves {sorted(allowed)}")
        if after < before and not self._may_shed(workload, before - after):
            self._check_removal(line, entry, place, before - after)

    def _check_decision(self, line: int, place: Place, before: int, after: int) -> None:
        """(v): some Decision that is being carried out leads from one side of this write to the other."""
        for body in self.decisions.values():
            if (body.get("status") or {}).get("outcome") != "Applying":
                continue
            for action in body["spec"]["actions"]:
                named = f"{action['workload']['namespace']}/{action['workload']['name']}"
                same_way = (action["after"] - action["before"]) * (after - before) > 0
                between = sorted((action["before"], action["after"]))
                if (action["cluster"], named) == place and same_way and between[0] <= after <= between[1]:
                    return
        self._say("v", line, f"no Decision leads {place[1]} in {place[0]} from {before} to {after}")

    def _check_removal(self, line: int, entry: Entry, place: Place, count: int) -> None:
        cluster, workload = place
        # What isn't Ready goes first; in the worst case nothing else is spared.
        idle = self.replicas.get(place, 0) - self._ready(workload, cluster)
        left = self._ready(workload) - max(0, count - max(0, idle))
        least = self._least(workload)
        if left < least:
            self._say("iii", line, f"{workload} would have {left} Ready after −{count} in {cluster}, needs {least}")
        if self._is_lost():
            self._say("vi", line, f"{workload} shrinks in {cluster} while a loss is declared")
        at = _wall(entry)
        self.removed[workload].append((at, count))
        for budget in self.asked.budgets:
            spent = sum(
                n
                for name in budget.workloads
                for when, n in self.removed.get(name, ())
                if at - when < budget.window and workload in budget.workloads
            )
            if spent > budget.limit:
                self._say("iv", line, f"{spent} removals within {budget.window:g} s, the budget grants {budget.limit}")

    def _removed_pod(self, line: int, workload: str, ready: int) -> None:
        """(i): a Ready pod went because archgov asked for fewer."""
        if ready < self._least(workload) and ready < self.asked.shed.get(workload, 1 << 30):
            self._say("i", line, f"{workload} has {ready} Ready, {self._least(workload)} must stay")
        if workload in self.reached and self._is_lost() and ready < self.asked.floors[workload]:
            self._say("vi", line, f"{workload} had reached its floor {self.asked.floors[workload]}, has {ready} Ready")

    # ---------------------------------------------------------------------------------------------------- facts

    def _least(self, workload: str) -> int:
        """min(need, what was Ready)."""
        need = self.asked.needs.get(workload)
        if need is None:
            need = self.first_sum.get(workload, 0) + self.foreign[workload]
        return min(need, self.was_ready[workload])

    def _ready(self, workload: str, cluster: str = "") -> int:
        return sum(
            1
            for (where, _, _), pod in self.pods_of[workload].items()
            if _counts(pod) and where not in self.silent and (not cluster or where == cluster)
        )

    def _is_lost(self) -> bool:
        return any(self.losses.values())

    def _may_shed(self, workload: str, count: int) -> bool:
        left = sum(n for (c, name), n in self.replicas.items() if name == workload and c not in self.silent) - count
        return self._is_lost() and workload in self.asked.shed and left >= self.asked.shed[workload]

    def _note_outages(self, now: float) -> None:
        """Pods of a silent cluster count for nobody; what it takes away archgov hasn't taken."""
        silent = frozenset(o.cluster for o in self.asked.outages if o.since <= now < o.until)
        if silent == self.silent:
            return
        self.silent = silent
        for workload in list(self.was_ready):
            self.was_ready[workload] = self._ready(workload)


def _counts(pod: Entry | None) -> bool:
    """Ready, and not on its way out."""
    return pod is not None and bool(pod.get("ready")) and not pod.get("terminating")


def _workload(pod: Entry | None) -> str:
    """`namespace/name` of the Deployment that a pod belongs to, or nothing."""
    namespace, kind, name = (str((pod or {}).get("owner") or "//")).split("/", 2)
    return f"{namespace}/{name}" if kind == "Deployment" else ""


def _wall(entry: Entry) -> float:
    return datetime.fromisoformat(entry["wall"]).timestamp()
