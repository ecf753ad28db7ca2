"""The story of the demo's own fleet: its intents, a region lost, a region back; every promise read from the API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from archgov.cli.demo import seen
from archgov.cli.demo.cluster import collection
from archgov.cli.demo.demand import search_demand
from archgov.cli.demo.fleet import APPS, MEMBERS
from archgov.cli.demo.seen import Deployed
from archgov.cli.demo.stage import apply, manifests
from archgov.cli.demo.teller import (
    DECLARED,
    FAILED_BACK,
    FAILED_OVER,
    FIXED_POINT,
    Promised,
    Teller,
    line,
    listed,
    open_questions,
    the_end,
    under_way,
)

SEED: Final = 7
_PACKAGED: Final = Path(__file__).parent / "samples"
# A wheel carries them beside this file; a checkout has one place for samples.
SAMPLES: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[4] / "crds" / "samples" / "demo"
LOST_REGION: Final = "eu-west"
WAITS: Final = "media/cheap-workers"


def tell(teller: Teller) -> None:
    """The chapters between archgov's first look and the end of the demo.

    Raises:
        Promised: what was promised was not observed.
    """
    intents_are_carried_out(teller)
    a_person_approves(teller)
    before = a_region_is_lost(teller)
    the_region_comes_back(teller, before)
    the_end(teller)


def intents_are_carried_out(teller: Teller) -> None:
    """Chapter 3: what can be enforced is, what is only recommended touches nothing, what can't be is explained."""
    before = seen.deployments(teller.the.members)
    apply(teller.the.hub, search_demand(datetime.now(UTC), SEED))
    bodies = manifests(SAMPLES)
    for body in bodies:
        apply(teller.the.hub, body)
    kinds = [body["kind"] for body in bodies]
    told = ", ".join(f"{kinds.count(kind)} {kind}s" for kind in dict.fromkeys(kinds))
    teller.voice.say(f"▸ applied crds/samples/demo: {told}\n")

    def missing() -> str:
        return open_questions(teller) or _not_as_declared(teller, before)

    took = teller.until("intents are carried out", FIXED_POINT, missing)
    for intent in seen.intents(teller.the.hub):
        teller.voice.say(line(intent))
    for step in seen.changed(teller.the.hub, before, seen.deployments(teller.the.members)):
        teller.voice.say(f"    {step}")
    teller.voice.say(f"  fixed point after {took:.1f} s: nothing left to do\n")


def a_person_approves(teller: Teller) -> None:
    """Chapter 4: a plan that waits is released by a person, whose name the API server says, and carried out as it was shown."""
    before = seen.deployments(teller.the.members)
    waiting = next(
        (d for d in seen.decisions(teller.the.hub) if _is_of(d, WAITS) and seen.outcome(d) == "Proposed"), None
    )
    if waiting is None:
        raise Promised(f"{WAITS} proposes a plan and waits: there is none")
    name, namespace = waiting["metadata"]["name"], waiting["metadata"]["namespace"]
    teller.voice.say(f"▸ now a person decides: archgov approve {name} -n {namespace}")
    said = {"decision": name, "planHash": waiting["spec"]["planHash"], "verdict": "Approve", "author": "the-boss"}
    metadata = {"name": f"{name}-approved", "namespace": namespace}
    body = {"apiVersion": waiting["apiVersion"], "kind": "Approval", "metadata": metadata, "spec": said}
    author = teller.the.hub.create(collection("approvals", namespace), body)["spec"]["author"]
    if author == said["author"]:
        raise Promised("a forged author is overwritten at admission: it was not")

    def missing() -> str:
        now = next(d for d in seen.decisions(teller.the.hub) if d["metadata"]["name"] == name)
        return "" if seen.outcome(now) == "Verified" else f"{name} is {seen.outcome(now)}"

    took = teller.until("the approved plan is carried out", FIXED_POINT, missing)
    for step in seen.changed(teller.the.hub, before, seen.deployments(teller.the.members)):
        teller.voice.say(f"    {step}")
    teller.voice.say(
        f"  verified after {took:.1f} s, approved by {author} (who claimed to be {said['author']}: overwritten)\n"
    )


def _is_of(decision: Mapping[str, Any], intent: str) -> bool:
    first = decision["spec"]["intents"][0]
    return f"{first['namespace']}/{first['name']}" == intent


def a_region_is_lost(teller: Teller) -> Deployed:
    """Chapter 5: both clusters of a region fall silent, their witnesses too; the survivors take over. Returns what stood before."""
    lost = [member.name for member in MEMBERS if member.region == LOST_REGION]
    left = {name: cluster for name, cluster in teller.the.members.items() if name not in lost}
    before = seen.deployments(teller.the.members)
    for name in lost:
        teller.the.sandbox.fail_cluster(name)
    begin = time.monotonic()
    teller.voice.say(f"▸ now {LOST_REGION} is lost ({', '.join(lost)} fall silent)")
    teller.until("the silence is noticed", DECLARED, lambda: _still_yes(teller, lost))
    noticed = time.monotonic() - begin
    teller.voice.say(f"  {noticed:4.1f} s  API servers do not answer → unknown: everything there is held as it is")
    for name in lost:
        teller.the.sandbox.silence(f"ingress-{name}")
    teller.until("the loss is declared", DECLARED, lambda: _undeclared(teller, lost))
    declared = time.monotonic() - begin
    teller.voice.say(f"  {declared:4.1f} s  their witnesses are silent too, {len(left)} other clusters are fine → lost")
    needs = _critical_needs()
    teller.until("the survivors hold what is needed", FAILED_OVER, lambda: _short(seen.deployments(left), needs, left))
    took = time.monotonic() - begin
    after = seen.deployments(left)
    for step in _raised(before, after, left):
        teller.voice.say(f"          {step}")
    astray = _outside_eu(after)
    if astray:
        raise Promised(f"residency was broken on the loss: {astray}")
    teller.voice.say(
        f"  {took:4.1f} s  critical workloads: 0 below need · residency held · "
        f"{took - declared:.1f} s after the declaration, 60 s allowed (pods here take 2–5 s to start)"
    )
    return before


def the_region_comes_back(teller: Teller, before: Deployed) -> None:
    """Chapter 6: the clusters answer again; after the soak everything returns to where it was, and nothing is lost on the way."""
    lost = [member.name for member in MEMBERS if member.region == LOST_REGION]
    for name in lost:
        teller.the.sandbox.heal_cluster(name)
        teller.the.sandbox.speak(f"ingress-{name}")
    teller.voice.say(f"▸ {LOST_REGION} is back; failback waits for 10 s of health, then moves in waves")
    took = teller.until("everything returns", FAILED_BACK, lambda: _not_home(teller, before))
    teller.until("failback is verified", FAILED_BACK, lambda: listed(under_way(teller)))
    now = seen.deployments(teller.the.members)
    kept = sum(seen.replicas(at) for at in now.values()) - sum(seen.replicas(at) for at in before.values())
    more = f"; {kept} replicas stay, since which zone a removal empties is not archgov's to say" if kept > 0 else ""
    teller.voice.say(f"  {took:4.1f} s  every failed-over workload is back, every replica Ready{more}\n")


def _not_as_declared(teller: Teller, before: Deployed) -> str:
    """What the intents of the samples promise, looked up in the clusters; "" when all of it holds."""
    now = seen.deployments(teller.the.members)
    if astray := _outside_eu(now):
        return f"residency: {astray}"
    if now["media/transcode"] != before["media/transcode"]:
        return "media/transcode was moved although nobody has approved it"
    if now["media/thumbs"] != before["media/thumbs"]:
        return "media/thumbs was moved although its intent can't be met"
    if len(now["media/captions"]) < 2:
        return "media/captions stands in one region only"
    if not _intent(teller, "thumbs").message:
        return "media/thumbs isn't explained"
    cart = now["shop/cart"]
    grown = seen.replicas(cart) > seen.replicas(before["shop/cart"])
    return (
        "" if grown and seen.ready(cart) == seen.replicas(cart) else "shop/cart doesn't survive the loss of a zone yet"
    )


def _intent(teller: Teller, name: str) -> seen.Intent:
    return next(intent for intent in seen.intents(teller.the.hub) if intent.name == name)


def _outside_eu(now: Deployed) -> str:
    abroad = {member.name for member in MEMBERS if member.jurisdiction != "eu"}
    astray = [
        f"{workload} in {cluster}"
        for workload, at in now.items()
        if workload.startswith("payments/")
        for cluster, (replicas, _) in at.items()
        if cluster in abroad and replicas
    ]
    return ", ".join(astray)


def _still_yes(teller: Teller, lost: list[str]) -> str:
    said = seen.reach(teller.the.hub)
    return ", ".join(name for name in lost if said.get(name) == "yes")


def _undeclared(teller: Teller, lost: list[str]) -> str:
    declared = seen.lost(teller.the.hub)
    missing = [name for name in lost if name not in declared]
    return f"not declared: {', '.join(missing)}" if missing else ""


def _critical_needs() -> dict[str, int]:
    """What each critical Deployment needed when the fleet began, by the demo's own table."""
    return {
        app.name: sum(app.at.values())
        for app in APPS
        if app.tier == "critical" and app.kind == "Deployment" and app.namespace in ("payments", "shop")
    }


def _short(now: Deployed, needs: Mapping[str, int], left: Mapping[str, Any]) -> str:
    below = [
        f"{name} {seen.ready(now.get(name, {}), left)}/{need}"
        for name, need in needs.items()
        if seen.ready(now.get(name, {}), left) < need
    ]
    return f"below need: {', '.join(below)}" if below else ""


def _raised(before: Deployed, after: Deployed, left: Mapping[str, Any]) -> list[str]:
    grown: dict[str, int] = {}
    shed: list[str] = []
    for name in after:
        for cluster in left:
            was, now = (side.get(name, {}).get(cluster, (0, 0))[0] for side in (before, after))
            if now > was:
                grown[cluster] = grown.get(cluster, 0) + now - was
            elif now < was:
                shed.append(f"{name} −{was - now} in {cluster}")
    lines = (
        ["floors: " + ", ".join(f"+{count} replicas {cluster}" for cluster, count in sorted(grown.items()))]
        if grown
        else []
    )
    return lines + ([f"shed: {', '.join(shed)}"] if shed else [])


def _not_home(teller: Teller, before: Deployed) -> str:
    """Workloads that are still failed over, lack replicas where they stood, or have some that aren't Ready."""
    now = seen.deployments(teller.the.members)
    away = set(seen.failed_over(teller.the.hub))
    for name, at in before.items():
        here = now.get(name, {})
        if seen.ready(here) < seen.replicas(here) or any(
            here.get(k, (0, 0))[0] < count for k, (count, _) in at.items()
        ):
            away.add(name)
        if name.startswith("payments/") and _counts(here) != _counts(at):
            away.add(name)
    return f"on their way: {', '.join(sorted(away))}" if away else ""


def _counts(at: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    return {cluster: count for cluster, (count, _) in at.items() if count}
