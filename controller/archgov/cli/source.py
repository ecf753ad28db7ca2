"""What a command looks at: a saved fleet or a live one, with intents laid over it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from archgov.api.kind import API_VERSION
from archgov.api.load import Declared, LoadError, declared, read
from archgov.api.member_cluster import Member
from archgov.cli.access import access
from archgov.cli.failure import Failure
from archgov.cli.live import look
from archgov.decide.simulate import without
from archgov.model.fleet import Cluster, Fleet, Reach
from archgov.model.intent import Governance, Intent
from archgov.model.quantity import BadQuantity, seconds
from archgov.model.snapshot import BadSnapshot, Snapshot, load

# A cluster that was seen a minute ago is planned with; nothing of it shrinks while it isn't seen.
STALE_AFTER = "1m"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fleet is looked at."""

    snapshot: Path | None = None
    kubeconfig: Path | None = None
    context: str = ""

    def __post_init__(self) -> None:
        if self.snapshot and (self.kubeconfig or self.context):
            raise Failure("--snapshot and --kubeconfig name two fleets", "give one of them")


def fleet(source: Source, stale_after: str = STALE_AFTER, left_out: Collection[str] = ()) -> Snapshot:
    """The fleet that a source shows, every cluster of it seen lately enough.

    Raises:
        Failure: there is none, it can't be read, or a cluster has not been seen for longer than `stale_after`.
    """
    limit = _duration(stale_after)
    seen = saved(source.snapshot) if source.snapshot else _live(source)
    unknown = sorted(set(left_out) - seen.fleet.cluster_row.keys())
    if unknown:
        known = ", ".join(seen.fleet.cluster_row) or "none"
        raise Failure(f'no cluster "{unknown[0]}" to leave out', f"known are {known}")
    kept = without(seen, left_out)
    lost = {loss.cluster for loss in kept.losses if not loss.ended and not loss.zone}
    for cluster in kept.fleet.clusters:
        if cluster.reach is Reach.UNKNOWN and cluster.name not in lost:
            _refuse_stale(kept, cluster, limit)
    return kept


def saved(file: Path) -> Snapshot:
    """The snapshot of a file.

    Raises:
        Failure: it can't be read, or holds none.
    """
    try:
        with file.open("rb") as content:
            return load(content)
    except OSError as error:
        raise Failure(f"can't read {file}: {error.strerror}", "name a file that archgov snapshot wrote") from None
    except BadSnapshot as error:
        raise Failure(f"{error}", "write it again with archgov snapshot", where=str(file)) from None


def overlaid(snapshot: Snapshot, files: Iterable[Path], namespace: str, *, prune: bool) -> Snapshot:
    """A fleet with the objects of files laid over it: the same kind, namespace, name is replaced, others stay unless pruned.

    Raises:
        Failure: the files can't be taken as they are.
    """
    paths = list(files)
    found = declarations(paths, snapshot.governance, namespace)
    if paths and found == Declared():
        where = ", ".join(map(str, paths))
        raise Failure(
            f"no object of archgov's is in {where}", f"name files whose objects have apiVersion: {API_VERSION}"
        )
    governance = found.governance or snapshot.governance
    named = {intent.common.ref: intent for intent in found.intents}
    kept = {intent.common.ref: intent for intent in snapshot.intents if not prune}
    # An object that is replaced keeps its identity, so that a plan which it led to already is recognised.
    intents = {**kept, **{ref: _continued(intent, kept.get(ref)) for ref, intent in named.items()}}
    series = {(one.namespace, one.config_map, one.key): one for one in (*snapshot.series, *found.series)}
    return replace(
        snapshot,
        fleet=_with_members(snapshot.fleet, found.members),
        intents=tuple(intents[ref] for ref in sorted(intents)),
        governance=governance,
        series=tuple(series[key] for key in sorted(series)),
    )


def declarations(files: Iterable[Path], governance: Governance, namespace: str) -> Declared:
    """What files declare.

    Raises:
        Failure: with a line for everything that is wrong.
    """
    paths = list(files)
    for path in paths:
        if not path.exists():
            raise Failure(f"there is no {path}", "name a file or directory of YAML with -f")
    try:
        return declared(read(*paths), governance, namespace)
    except LoadError as error:
        first, *others = error.problems
        raise Failure(first, "\n".join(others)) from None


def _live(source: Source) -> Snapshot:
    snapshot, strange = look(access(source.kubeconfig, source.context))
    for line in strange:
        sys.stderr.write(f"warning: {line}\n")
    return snapshot


def _duration(text: str) -> int:
    try:
        return seconds(text)
    except BadQuantity as error:
        raise Failure(f"--stale-after: {error}") from None


def _refuse_stale(snapshot: Snapshot, cluster: Cluster, limit: int) -> None:
    age = -(-dict(snapshot.lag).get(cluster.name, 0) // 1000)
    row = snapshot.fleet.cluster_row[cluster.name]
    ever_seen = bool((snapshot.fleet.domain_cluster == row).any())
    if ever_seen and age <= limit:
        return
    out = f"leave it out with --without {cluster.name}"
    told = f"its last observation is {in_words(age)} old; plan anyway with --stale-after {short(age)}, or {out}"
    raise Failure(
        f'cannot reach cluster "{cluster.name}": {cluster.evidence or "no evidence"}',
        told if ever_seen else f"it has not been observed yet; {out}",
    )


def in_words(age: int) -> str:
    """A time in seconds as people say it."""
    return f"{age} s" if age < 120 else f"{age // 60} min"


def short(age: int) -> str:
    """The next whole minute as a duration."""
    return f"{age // 60 + 1}m"


def _with_members(seen: Fleet, members: Iterable[Member]) -> Fleet:
    """The fleet with what MemberClusters declare of clusters that it has."""
    named = {member.name: member for member in members}
    strangers = sorted(named.keys() - seen.cluster_row.keys())
    for name in strangers:
        sys.stderr.write(f"warning: MemberCluster {name} is not observed yet; nothing is planned there\n")
    clusters = tuple(_declared(cluster, named.get(cluster.name)) for cluster in seen.clusters)
    return replace(seen, clusters=clusters)


def _declared(cluster: Cluster, member: Member | None) -> Cluster:
    if member is None:
        return cluster
    return replace(
        cluster,
        labels=member.labels,
        provider=member.provider or cluster.provider,
        region=member.region or cluster.region,
        price=member.price or cluster.price,
        reserve=member.reserve,
    )


def _continued(intent: Intent, former: Intent | None) -> Intent:
    if former is None:
        return intent
    same = replace(intent, common=replace(intent.common, uid=former.common.uid, generation=former.common.generation))
    if same == former:
        return former
    generation = former.common.generation + 1
    return replace(intent, common=replace(intent.common, uid=former.common.uid, generation=generation))
