"""Rules, amounts and times as people say them."""

from __future__ import annotations

from archgov.model.fleet import Fleet
from archgov.model.quantity import GIB, counted
from archgov.model.ref import IntentRef
from archgov.optimize.placement.conflict import Relaxation
from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Fit,
    MaxShare,
    MinDomains,
    Problem,
    Quota,
    Rule,
    Survive,
    Total,
)


def in_words(rule: str) -> str:
    """A rule's name as people say it: what is asked, then who asks it."""
    owner, _, what = rule.partition(" ")
    if owner.count("/") != 2 or not what:
        return rule
    return f"{what} ({IntentRef.parse(owner.removesuffix(':'))})"


def way_out(fleet: Fleet, rows: tuple[int, ...], problem: Problem, way: Relaxation) -> str:
    """What would have to be true for a rule to let something pass; it ends the sentence "it would be chosen if …".

    Args:
        rows: workloads of the problem, by their place in it.
    """
    rule = next(rule for rule in problem.rules if rule.name == way.rule)
    more = way.to - way.before
    match rule:
        case Allowed():
            return f"{fleet.clusters[way.to].name} were allowed: {in_words(rule.name)}"
        case Capacity(k=k, p=p):
            return f"{fleet.clusters[k].name} had {_amount(fleet.resources[p], more)} more"
        case Quota(p=p):
            return f"{rule.name.partition(':')[0]} left {_amount(fleet.resources[p], more)} more"
        case Fit(k=k):
            return f"{fleet.clusters[k].name} had room for {counted(more, 'more pod')} of this shape"
        case _:
            return _other_number(fleet, str(fleet.ref(rows[rule.s])), rule, way)


def _other_number(fleet: Fleet, ref: str, rule: Rule, way: Relaxation) -> str:
    """A way out for a rule that names one workload."""
    replicas = f"{counted(way.to, 'replica')} instead of {way.before}"
    source = in_words(rule.name.partition(": ")[0])
    match rule:
        case Total():
            return f"{ref} needed {replicas}: {source}"
        case Ceiling():
            return f"{ref} were allowed {replicas}: {source}"
        case MaxShare() if way.before:
            return f"{in_words(rule.name)} were {way.to}% instead"
        case MinDomains():
            return f"{in_words(rule.name)} were {way.to} instead"
        case Survive():
            return f"{in_words(rule.name)} with {replicas}"
        case AtMost(k=k) | AtLeast(k=k):
            return _in_cluster(ref, fleet.clusters[k].name, rule.name, replicas)
        case _:
            return f"it gave way: {in_words(rule.name)}"


def _in_cluster(ref: str, cluster: str, rule: str, replicas: str) -> str:
    """A way out for a rule about one cluster; most of them end with what they stand for, not with a number."""
    ends = {
        f"{ref} isn't deployed in {cluster}": f"{ref} were deployed in {cluster}",
        f"{cluster} isn't seen": f"{cluster} were seen",
        f"spec.target.clusters leaves {ref} in {cluster} alone": f"spec.target.clusters named {cluster}",
        f"nothing of {ref} shrinks while a cluster of it isn't seen": f"every cluster of {ref} were seen",
        f"failback of {ref}": f"the failback of {ref} were over",
        f"no intent may move {ref}": f"an intent let {ref} move (load: FollowsReplicas)",
    }
    if rule in ends:
        return ends[rule]
    if f"demand of {ref} arrives" in rule:
        return f"demand of {ref} in {cluster} needed {replicas}: {in_words(rule.partition(': ')[0])}"
    return f"{in_words(rule)} with {replicas}"


def _amount(resource: str, amount: int) -> str:
    """An amount of a resource in the unit that people think in; the fleet counts bytes, pods, else thousandths."""
    match resource:
        case "cpu":
            return f"{amount / 1000:g} " + ("core" if amount == 1000 else "cores")
        case "memory":
            return f"{amount / GIB:.3g} GiB of memory"
        case "pods":
            return f"room for {counted(amount, 'pod')}"
        case _:
            return f"{amount / 1000:g} {resource}"
