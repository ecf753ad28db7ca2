"""Intents as the YAML that declares them: only what differs from the defaults."""

from __future__ import annotations

from typing import Any, Final

from archgov.api.common import LEVEL_OF
from archgov.api.kind import API_VERSION
from archgov.model.fleet import Level
from archgov.model.intent import (
    Budget,
    CapacityIntent,
    Common,
    Failback,
    FailoverIntent,
    Intent,
    Mode,
    PlacementIntent,
    Point,
)
from archgov.model.quantity import milli_text
from archgov.model.selector import Selector

KEY_OF: Final = {level: key for key, level in LEVEL_OF.items()}
Body = dict[str, Any]


def body(intent: Intent, annotations: dict[str, str] | None = None) -> Body:
    """The object that declares an intent; `parse` reads the same intent from it, but for what the API server adds."""
    common = intent.common
    metadata: Body = {"name": common.ref.name, "namespace": common.ref.namespace}
    if annotations:
        metadata["annotations"] = dict(annotations)
    spec = {"mode": common.mode.value, "target": _target(common), **_shared(common), **_own(intent)}
    return {"apiVersion": API_VERSION, "kind": common.ref.kind, "metadata": metadata, "spec": spec}


def _own(intent: Intent) -> Body:
    match intent:
        case PlacementIntent():
            return _placement(intent)
        case CapacityIntent():
            return _capacity(intent)
        case FailoverIntent():
            return _failover(intent)


def _target(common: Common) -> Body:
    target = common.target
    workloads: Body = _selector(target.workloads)
    if target.kinds:
        workloads["kinds"] = list(target.kinds)
    if target.names:
        workloads["names"] = list(target.names)
    found: Body = {"workloads": workloads}
    if target.clusters != Selector():
        found["clusters"] = _selector(target.clusters)
    if target.namespaces:
        found["namespaces"] = list(target.namespaces)
    return found


def _shared(common: Common) -> Body:
    found: Body = {}
    if common.suspend:
        found["suspend"] = True
    if common.priority:
        found["priority"] = common.priority
    disruption = common.disruption
    if disruption.budgets:
        found["disruption"] = {"budgets": [_budget(budget) for budget in disruption.budgets]}
    if disruption.min_improvement != 2:
        found.setdefault("disruption", {})["minImprovement"] = f"{disruption.min_improvement}%"
    return found


def _budget(budget: Budget) -> Body:
    found: Body = {
        "limit": f"{budget.limit}%" if budget.is_percent else str(budget.limit),
        "window": f"{budget.window}s",
    }
    if budget.schedule:
        found |= {"schedule": budget.schedule, "duration": f"{budget.duration}s", "timeZone": budget.time_zone}
    return found


def _placement(intent: PlacementIntent) -> Body:
    found: Body = {}
    if intent.load is not None:
        found["load"] = intent.load.value
    if intent.allow is not None:
        found["allow"] = _selector(intent.allow)
    if intent.deny is not None:
        found["deny"] = _selector(intent.deny)
    if intent.spread:
        found["spread"] = [_spread(one.level, one.max_share, one.min_domains) for one in intent.spread]
    return found


def _spread(level: Level, share: int, domains: int) -> Body:
    found: Body = {"topologyKey": KEY_OF[level]}
    # One of the two has to be said, so a spread that asks for nothing says so by its share.
    if share < 100 or not domains:
        found["maxShare"] = f"{share}%"
    if domains:
        found["minDomains"] = domains
    return found


def _capacity(intent: CapacityIntent) -> Body:
    found: Body = {"demand": _demand(intent), "perReplica": milli_text(intent.per_replica)}
    if intent.quantile != 95:
        found["serviceLevel"] = {"quantile": f"{intent.quantile}%"}
    if intent.horizon != 3600:
        found["horizon"] = f"{intent.horizon}s"
    if intent.headroom:
        found["headroom"] = f"{intent.headroom}%"
    if intent.minimum or intent.maximum:
        bounds = {"min": intent.minimum, "max": intent.maximum}
        found["bounds"] = {name: value for name, value in bounds.items() if value}
    return found


def _demand(intent: CapacityIntent) -> Body:
    if intent.series is not None:
        return {"series": {"configMap": intent.series.config_map, "key": intent.series.key}}
    if len(intent.demand) == 1 and not intent.demand[0].place:
        return {"static": milli_text(intent.demand[0].amount)}
    return {"points": [_point(point) for point in intent.demand]}


def _point(point: Point) -> Body:
    cluster, _, zone = point.place.partition("/")
    return {"cluster": cluster, **({"zone": zone} if zone else {}), "value": milli_text(point.amount)}


def _failover(intent: FailoverIntent) -> Body:
    found: Body = {"tolerate": [{"scope": one.level.value, "failures": one.failures} for one in intent.tolerate]}
    if intent.tier != 1:
        found["tier"] = intent.tier
    if intent.share != 100:
        found["share"] = f"{intent.share}%"
    if intent.on_loss is not Mode.RECOMMEND:
        found["onLoss"] = intent.on_loss.value
    if intent.rto:
        found["rto"] = f"{intent.rto}s"
    if intent.failback is not Failback.AUTOMATIC or intent.soak != 300:
        found["failback"] = {"mode": intent.failback.value, "soak": f"{intent.soak}s"}
    if intent.shed is not None:
        found["shed"] = {"to": intent.shed}
    return found


def _selector(selector: Selector) -> Body:
    found: Body = {}
    if selector.labels:
        found["matchLabels"] = dict(selector.labels)
    if selector.expressions:
        found["matchExpressions"] = [
            {"key": one.key, "operator": one.operator.value} | ({"values": list(one.values)} if one.values else {})
            for one in selector.expressions
        ]
    return found
