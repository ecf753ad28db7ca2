"""The main job on any fleet: intents are carried out, verified and recorded; a zone is lost, and comes back.

What is promised of the loss: every workload that a FailoverIntent protects against it keeps its share *before* anybody acts, unless
the intent said beforehand that this can't be.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from archgov.api.kind import API_VERSION
from archgov.api.registry import parse_any
from archgov.cli.demo import played, seen
from archgov.cli.demo.cluster import collection
from archgov.cli.demo.fleet import HUB, Manifest
from archgov.cli.demo.seen import Deployed
from archgov.cli.demo.stage import apply
from archgov.cli.demo.teller import (
    DECLARED,
    FAILED_BACK,
    FAILED_OVER,
    FIXED_POINT,
    Promised,
    Teller,
    fragile,
    line,
    listed,
    money,
    open_questions,
    the_end,
)
from archgov.model.fleet import REGION_LABEL, ZONE_LABEL, Fixed, Fleet
from archgov.model.intent import FailoverIntent, Governance, Mode
from archgov.model.snapshot import Snapshot

QUIET_SECONDS: Final = 5.0
MOST_LINES: Final = 20
SOAK: Final = "10s"
# The spread that is asked for beside what is suggested.
SPREAD_NAME, SPREAD_SHARE, SPREAD_LEAST, SPREAD_MOST = "spread-over-regions", 80, 4, 20


@dataclass(frozen=True, slots=True)
class Zone:
    """The nodes of one cluster that stand in one zone: whoever survives the loss of a larger scope survives theirs."""

    cluster: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}/{self.name}"


def zone_witness(cluster: str, zone: str) -> str:
    """The name of the witness that speaks for a zone."""
    return f"probe-{cluster}-{zone}"


def tell(teller: Teller, snapshot: Snapshot) -> None:
    """The chapters between archgov's first look and the end of the demo.

    Raises:
        Promised: what was promised was not observed.
    """
    intents_are_carried_out(teller, _intents(teller, snapshot))
    everything_is_verified(teller)
    everything_stays(teller)
    before = seen.deployments(teller.the.members)
    zone = a_zone_is_lost(teller)
    the_zone_comes_back(teller, zone, before)
    everything_is_verified(teller)
    the_end(teller)


# ------------------------------------------------------------------------------------------------------------- intents


def _intents(teller: Teller, snapshot: Snapshot) -> list[Manifest]:
    """The snapshot's own; else what `archgov suggest` says of the running fleet, enforced, with one spread beside it."""
    if snapshot.intents:
        return played.declarations(snapshot, datetime.now(UTC))
    teller.voice.busy("archgov suggest looks for intents …")
    begin = time.monotonic()
    command = ("suggest", "--kubeconfig", str(teller.the.sandbox.kubeconfig), "--context", HUB, "-o", "yaml")
    done = subprocess.run([sys.executable, "-m", "archgov", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Promised(f"archgov suggest finds intents: {done.stderr.strip()}")
    found = [body for body in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if body]
    teller.voice.say(
        f"▸ archgov suggest: {len(found)} intents   {time.monotonic() - begin:.1f} s; all of them in Enforce"
    )
    spread = _spread(snapshot.fleet, _named(found, mending=True))
    if spread is None:
        return [_enforced(body) for body in found]
    _, names = _place(spread)
    teller.voice.say(f"  beside them one spread: at most {SPREAD_SHARE}% of {len(names)} workloads in one region")
    return [*(_enforced(body) for body in found if not _says_placement_of(body, spread)), spread]


def _named(bodies: list[Manifest], *, mending: bool) -> set[tuple[str, str]]:
    """(namespace, name) of workloads that suggestions name."""
    some = [b for b in bodies if (b["metadata"]["annotations"].get("archgov.io/suggest") == "mend") is mending]
    return {(namespace, name) for body in some for namespace, names in [_place(body)] for name in names}


def _place(body: Manifest) -> tuple[str, list[str]]:
    return body["metadata"]["namespace"], body["spec"]["target"]["workloads"].get("names", [])


def _says_placement_of(body: Manifest, spread: Manifest) -> bool:
    """Whether a suggestion describes where workloads of the spread stand today, which the spread is to change."""
    (namespace, names), (home, some) = _place(body), _place(spread)
    return body["kind"] == "PlacementIntent" and namespace == home and (not names or bool(set(names) & set(some)))


def _enforced(body: Manifest) -> Manifest:
    spec = {**body["spec"], "mode": "Enforce"}
    if body["kind"] == "FailoverIntent":
        spec |= {"onLoss": "Enforce", "failback": {"mode": "Automatic", "soak": SOAK}}
    return {**body, "spec": spec}


def _spread(fleet: Fleet, taken: set[tuple[str, str]]) -> Manifest | None:
    """Workloads of one namespace that stand mostly in one region though they exist in others, spread over regions."""
    uneven: dict[str, list[str]] = {}
    for s in range(len(fleet.workloads.key)):
        ref = fleet.ref(s)
        if fleet.workloads.fixed[s] == Fixed.FREE and (ref.namespace, ref.name) not in taken and _is_uneven(fleet, s):
            uneven.setdefault(ref.namespace, []).append(ref.name)
    if not uneven:
        return None
    namespace = max(sorted(uneven), key=lambda name: len(uneven[name]))
    return {
        "apiVersion": API_VERSION,
        "kind": "PlacementIntent",
        "metadata": {"name": SPREAD_NAME, "namespace": namespace},
        "spec": {
            "mode": "Enforce",
            "target": {"workloads": {"names": uneven[namespace][:SPREAD_MOST]}},
            "load": "FollowsReplicas",
            "spread": [{"topologyKey": REGION_LABEL, "maxShare": f"{SPREAD_SHARE}%"}],
        },
    }


def _is_uneven(fleet: Fleet, s: int) -> bool:
    by_region: Counter[str] = Counter()
    for k, replicas in fleet.spec_replicas(s).items():
        by_region[fleet.clusters[k].region] += replicas
    total = by_region.total()
    return total >= SPREAD_LEAST and len(by_region) > 1 and 100 * max(by_region.values()) > SPREAD_SHARE * total


def intents_are_carried_out(teller: Teller, bodies: list[Manifest]) -> None:
    """What is enforced is done, what can't be is explained."""
    before = seen.deployments(teller.the.members)
    for body in bodies:
        apply(teller.the.hub, body)
    kinds = Counter(body["kind"] for body in bodies)
    teller.voice.say(f"▸ applied {', '.join(f'{count} {kind}s' for kind, count in kinds.items())}\n")
    took = teller.until("intents are carried out", FIXED_POINT, lambda: open_questions(teller))
    _say_some(teller, [line(intent) for intent in seen.intents(teller.the.hub)], "intents")
    _say_some(
        teller,
        [f"    {step}" for step in seen.changed(teller.the.hub, before, seen.deployments(teller.the.members))],
        "workloads",
    )
    status = seen.fleet_status(teller.the.hub)
    teller.voice.say(f"  fixed point after {took:.1f} s; {fragile(status)}; {money(status)}\n")


def _say_some(teller: Teller, lines: list[str], what: str) -> None:
    for one in lines[:MOST_LINES]:
        teller.voice.say(one)
    if len(lines) > MOST_LINES:
        teller.voice.say(f"    and {len(lines) - MOST_LINES} more {what}")


def everything_is_verified(teller: Teller) -> None:
    """What the last decision about a workload in a cluster said was verified, or another plan took its place; all of it is Ready.

    Raises:
        Promised: a decision failed, a cluster holds something else than what was verified, or replicas that are not Ready.
    """
    found = sorted(
        seen.decisions(teller.the.hub), key=lambda one: (one["metadata"]["creationTimestamp"], _verified(one))
    )
    failed = [one["metadata"]["name"] for one in found if seen.outcome(one) == "Failed"]
    if failed:
        raise Promised(f"every action is verified: {listed(failed)} failed")
    last = {
        (name, action["cluster"]): (action["after"], _verified(decision) and name not in _overtaken(decision))
        for decision in found
        if seen.outcome(decision) != "Proposed"
        for action in decision["spec"]["actions"]
        for name in [f"{action['workload']['namespace']}/{action['workload']['name']}"]
    }
    now = seen.deployments(teller.the.members)
    wrong = []
    for (name, cluster), (after, is_verified) in last.items():
        replicas, ready = now.get(name, {}).get(cluster, (0, 0))
        if ready < replicas or (is_verified and replicas != after):
            told = f"verified were {after}" if is_verified else "overtaken"
            wrong.append(f"{name} in {cluster}: {replicas} replicas, {ready} Ready, {told}")
    if wrong:
        raise Promised(f"every action is verified: {listed(wrong)}")
    overtaken = sum(not is_verified for _, is_verified in last.values())
    teller.voice.say(
        f"  ✔ {len(last) - overtaken} replica counts of verified decisions are what the clusters hold"
        + (f"; {overtaken} were set by plans that a better one overtook" if overtaken else "")
        + "; all Ready"
    )


def _verified(decision: Mapping[str, Any]) -> bool:
    return seen.outcome(decision) == "Verified"


def _overtaken(decision: Mapping[str, Any]) -> list[str]:
    """Workloads of a decision that another plan led elsewhere."""
    found: list[str] = decision["status"].get("overtaken", [])
    return found


def everything_stays(teller: Teller) -> None:
    """At a fixed point nothing moves by itself.

    Raises:
        Promised: something did.
    """
    before, until = seen.deployments(teller.the.members), time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        time.sleep(1)
        teller.voice.busy("nothing moves by itself …")
    now = seen.deployments(teller.the.members)
    if moved := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        raise Promised(f"a fixed point stays: {listed(moved)} moved")
    teller.voice.say(f"  ✔ nothing moved for {QUIET_SECONDS:.0f} s\n")


# ---------------------------------------------------------------------------------------------------------- a zone lost


def a_zone_is_lost(teller: Teller) -> Zone:
    """The fullest zone of a cluster falls dark; floors hold before anybody acts, then archgov answers."""
    members = teller.the.members
    zone = _fullest_zone(teller)
    floors, excused = _floors(teller)
    teller.the.sandbox.fail_zone(zone.cluster, zone.name)
    begin = time.monotonic()
    teller.voice.say(f"▸ now zone {zone} is lost; {len(floors)} workloads shall survive that")
    teller.until("the zone falls dark", DECLARED, lambda: _still_ready(teller, zone))
    if below := _below(seen.deployments(members), floors):
        raise Promised(f"survivors keep their share: {listed(below)}")
    teller.voice.say(
        f"  {time.monotonic() - begin:5.1f} s  its pods are gone: {len(floors)} of {len(floors)} floors hold before anybody acts"
        + (f"; {len(excused)} intents had said they can't: {listed(excused, 4)}" if excused else "")
    )
    teller.the.sandbox.silence(zone_witness(zone.cluster, zone.name))
    teller.until("the loss is declared", DECLARED, lambda: "" if _is_declared(teller, zone) else str(zone))
    teller.voice.say(f"  {time.monotonic() - begin:5.1f} s  its witness is silent too → lost")
    before = seen.deployments(members)
    took = _until_quiet(
        teller, "the loss is answered", FAILED_OVER, lambda: listed(_below(seen.deployments(members), floors))
    )
    now = seen.deployments(members)
    more = sum(seen.replicas(now[name]) - seen.replicas(before.get(name, {})) for name in now)
    teller.voice.say(
        f"  {time.monotonic() - begin - took:5.1f} s  answered: {len(seen.failed_over(teller.the.hub))} workloads failed over, "
        f"{more} replicas more"
    )
    return zone


def _until_quiet(teller: Teller, what: str, patience: float, question: Callable[[], str]) -> float:
    """Waits until nothing is missing and no count has changed for a while; how long that while was."""
    last: Deployed = {}
    since = time.monotonic()

    def restless() -> str:
        nonlocal last, since
        now = seen.deployments(teller.the.members)
        if now != last:
            last, since = now, time.monotonic()
        return question() or ("" if time.monotonic() - since >= QUIET_SECONDS else "replicas are still changing")

    teller.until(what, patience, restless)
    return time.monotonic() - since


def the_zone_comes_back(teller: Teller, zone: Zone, before: Deployed) -> None:
    """Its nodes are Ready again; after the soak everything is as it was."""
    teller.the.sandbox.heal_zone(zone.cluster, zone.name)
    teller.the.sandbox.speak(zone_witness(zone.cluster, zone.name))
    teller.voice.say(f"▸ zone {zone} is back; failback waits for {SOAK} of health")

    def away() -> str:
        still = [*_less(before, seen.deployments(teller.the.members)), *seen.failed_over(teller.the.hub)]
        return listed(still) or open_questions(teller)

    took = teller.until("everything returns", FAILED_BACK, away)
    teller.voice.say(f"  {took:5.1f} s  every workload has its replicas again, all Ready")


def _fullest_zone(teller: Teller) -> Zone:
    """The zone with most Ready pods, in a cluster that has others."""
    pods = seen.ready_by_node(teller.the.members)
    held: Counter[Zone] = Counter()
    for cluster, node, labels in seen.nodes(teller.the.members):
        held[Zone(cluster, labels.get(ZONE_LABEL, ""))] += pods[cluster, node]
    zones = Counter(zone.cluster for zone in held)
    able = [zone for zone in sorted(held, key=str) if zones[zone.cluster] > 1]
    if not able:
        raise Promised("a zone can be lost: no cluster has two zones")
    return max(able, key=lambda zone: held[zone])


def _floors(teller: Teller) -> tuple[dict[str, int], list[str]]:
    """What each workload must keep when one zone of one cluster is lost, and the intents that said they can't promise it."""
    labels, now = seen.deployment_labels(teller.the.members), seen.deployments(teller.the.members)
    needs = {name: seen.replicas(at) for name, at in now.items()} | seen.needs(teller.the.hub)
    floors: dict[str, int] = {}
    excused = []
    for body in teller.the.hub.items(collection("failoverintents")):
        intent = parse_any({**body, "apiVersion": API_VERSION}, Governance())
        # Whoever only recommends promises nothing.
        if not isinstance(intent, FailoverIntent) or intent.common.mode is not Mode.ENFORCE:
            continue
        if _ready(body) != "True":
            excused.append(str(intent.common.ref))
            continue
        for name, need in needs.items():
            if name in labels and _covers(intent, name, labels[name]):
                floors[name] = max(floors.get(name, 0), -(-intent.share * need // 100))
    return floors, excused


def _covers(intent: FailoverIntent, name: str, labels: Mapping[str, str]) -> bool:
    target, (namespace, bare) = intent.common.target, name.split("/", 1)
    return (
        namespace == intent.common.ref.namespace
        and (not target.names or bare in target.names)
        and target.workloads.matches(labels)
    )


def _ready(body: Mapping[str, Any]) -> str:
    conditions = body.get("status", {}).get("conditions", [])
    return next((str(one["status"]) for one in conditions if one["type"] == "Ready"), "Unknown")


def _still_ready(teller: Teller, zone: Zone) -> str:
    here = {zone.cluster: teller.the.members[zone.cluster]}
    pods = seen.ready_by_node(here)
    left = sum(pods[place, node] for place, node, labels in seen.nodes(here) if labels.get(ZONE_LABEL) == zone.name)
    return f"{left} pods are still Ready there" if left else ""


def _below(now: Deployed, floors: Mapping[str, int]) -> list[str]:
    return [
        f"{name} {seen.ready(now.get(name, {}))}/{floor}"
        for name, floor in floors.items()
        if seen.ready(now.get(name, {})) < floor
    ]


def _is_declared(teller: Teller, zone: Zone) -> bool:
    return (zone.cluster, zone.name) in seen.lost_zones(teller.the.hub)


def _less(before: Deployed, now: Deployed) -> list[str]:
    """Workloads that have fewer replicas, or fewer Ready ones, than before."""
    return [
        name
        for name, at in before.items()
        if any(
            here[0] < was[0] or here[1] < was[1] for k, was in at.items() for here in [now.get(name, {}).get(k, (0, 0))]
        )
    ]
