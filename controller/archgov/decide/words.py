"""Rules, amounts and times as people say them."""

from __future__ import annotations

from archgov.decide.clause import Clause, clause
from archgov.model.fleet import Fleet
from archgov.model.quantity import GIB, counted
from archgov.optimize.placement.conflict import Relaxation
from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
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


def way_out(fleet: Fleet, rows: tuple[int, ...], problem: Problem, way: Relaxation) -> str:
    """What would have to be true for a rule to let something pass; it ends the sentence "it would be chosen if …".

    Args:
        rows: workloads of the problem, by their place in it.
    """
    rule = next(rule for rule in problem.rules if rule.name == way.rule)
    name = clause(rule.name)
    if name.unless:
        return name.unless
    more = way.to - way.before
    match rule:
        case Allowed():
            return f"{fleet.clusters[way.to].name} were allowed: {name.told}"
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
    name = clause(rule.name)
    source = Clause(name.what.partition(": ")[0], owner=name.owner).told
    match rule:
        case Total():
            return f"{ref} needed {replicas}: {source}"
        case Ceiling():
            return f"{ref} were allowed {replicas}: {source}"
        case MaxShare() if way.before:
            return f"{name.told} were {way.to}% instead"
        case MinDomains():
            return f"{name.told} were {way.to} instead"
        case Survive():
            return f"{name.told} with {replicas}"
        case AtLeast(k=k):
            return f"demand of {ref} in {fleet.clusters[k].name} needed {replicas}: {source}"
        case _:
            return f"it gave way: {name.told}"


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
