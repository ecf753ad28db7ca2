"""Objects as the rows that `kubectl get` prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from . import clock
from .objects import Object, condition, is_leaving, labels, listing, mapping, name, spec, status
from .pods import is_ready
from .resources import Resource

Cells = Callable[[Object], list[Any]]
_NAME = {"name": "Name", "type": "string", "format": "name", "description": "Name of the object", "priority": 0}


def table(resource: Resource, bodies: Sequence[Object], metadata: dict[str, Any], include: str) -> dict[str, Any]:
    """A metav1.Table of the objects."""
    columns, cells = _printer(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": [{"cells": cells(body), **_shown(body, include)} for body in bodies],
    }


def _shown(body: Object, include: str) -> dict[str, Any]:
    if include == "None":
        return {}
    return {"object": body if include == "Object" else partial(body)}


def partial(body: Object) -> Object:
    """The object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": body["metadata"]}


def human_duration(seconds: float) -> str:
    """An age as kubectl writes it: the two most telling units. Source: apimachinery, `util/duration`."""
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def age(body: Object) -> str:
    return _since(body["metadata"].get("creationTimestamp"))


def _since(text: Any) -> str:
    seconds = clock.seconds_since(text if isinstance(text, str) else None)
    return "<unknown>" if seconds is None else human_duration(max(0.0, seconds))


def _column(title: str, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    return {"name": title, "type": kind, "format": "", "description": "", "priority": priority}


def _printer(resource: Resource) -> tuple[list[dict[str, Any]], Cells]:
    if resource.custom:
        return _custom_printer(resource)
    titles, wide, cells = _PRINTERS.get(resource.qualified, ("Age", "", lambda body: [age(body)]))
    columns = [_NAME, *(_column(each.replace("_", " ")) for each in titles.split())]
    columns += [_column(each.replace("_", " "), priority=1) for each in wide.split()]
    if resource.qualified == "events":
        return columns[1:], cells
    return columns, lambda body: [name(body), *cells(body)]


# Custom resources


def _custom_printer(resource: Resource) -> tuple[list[dict[str, Any]], Cells]:
    declared = resource.columns or ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)
    columns = [
        {
            **_column(str(c.get("name")), str(c.get("type", "string")), int(c.get("priority", 0))),
            "description": c.get("description", ""),
        }
        for c in declared
    ]
    readers = [(json_path(str(c.get("jsonPath", ""))), str(c.get("type", "string"))) for c in declared]

    def cells(body: Object) -> list[Any]:
        return [name(body), *(_cell(read(body), kind) for read, kind in readers)]

    return [_NAME, *columns], cells


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "date":
        return _since(value)
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if not isinstance(value, list) else "[" + " ".join(map(str, value)) + "]"


_STEP = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\\])+) | \[\?\(@\.(?P<key>\w+)\s*==\s*["'](?P<value>[^"']*)["']\)\]
    | \[(?P<index>\d+)\] | \[["'](?P<quoted>[^"']+)["']\] | (?P<every>\[\*\])""",
    re.VERBOSE,
)


def json_path(text: str) -> Callable[[Object], Any]:
    """A reader for the JSONPaths that printer columns use: fields, indices, `[*]`, `[?(@.type=="Ready")]`."""
    steps = list(_STEP.finditer(text.strip("{}")))

    def read(body: Object) -> Any:
        values: list[Any] = [body]
        for step in steps:
            values = [found for value in values for found in _taken(value, step)]
        return None if not values else values[0] if len(values) == 1 else values

    return read


def _taken(value: Any, step: re.Match[str]) -> list[Any]:
    field = step["field"] or step["quoted"]
    if field is not None:
        key = re.sub(r"\\(.)", r"\1", field)
        return [value[key]] if isinstance(value, dict) and value.get(key) is not None else []
    if not isinstance(value, list):
        return []
    if step["key"] is not None:
        return [each for each in value if str(mapping(each).get(step["key"])) == step["value"]]
    if step["index"] is not None:
        return value[int(step["index"]) : int(step["index"]) + 1]
    return value


# Built-in kinds


def _pod(body: Object) -> list[Any]:
    containers = listing(spec(body).get("containers"))
    states = [mapping(each) for each in listing(status(body).get("containerStatuses"))]
    ready = sum(bool(each.get("ready")) for each in states) if is_ready(body) else 0
    restarts = sum(int(each.get("restartCount", 0)) for each in states)
    phase = "Terminating" if is_leaving(body) else str(status(body).get("phase", "Unknown"))
    if phase == "Pending" and spec(body).get("nodeName"):
        phase = "ContainerCreating"
    address, node = status(body).get("podIP") or "<none>", spec(body).get("nodeName") or "<none>"
    nominated = status(body).get("nominatedNodeName") or "<none>"
    return [f"{ready}/{len(containers)}", phase, str(restarts), age(body), address, node, nominated, "<none>"]


def _node(body: Object) -> list[Any]:
    found = condition(body, "Ready")
    words = [{"True": "Ready"}.get(str(found.get("status")), "NotReady") if found else "Unknown"]
    if spec(body).get("unschedulable"):
        words.append("SchedulingDisabled")
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in labels(body) if key.startswith(prefix))
    info = mapping(status(body).get("nodeInfo"))
    addresses = {mapping(a).get("type"): mapping(a).get("address") for a in listing(status(body).get("addresses"))}
    return [
        ",".join(words),
        ",".join(roles) or "<none>",
        age(body),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _count(value: Any) -> int:
    return int(value or 0)


def _template_cells(body: Object) -> list[Any]:
    template = mapping(spec(body).get("template"))
    containers = [mapping(each) for each in listing(mapping(template.get("spec")).get("containers"))]
    names, images = ",".join(str(c.get("name")) for c in containers), ",".join(str(c.get("image")) for c in containers)
    return [names, images, _selector(spec(body).get("selector"))]


def _selector(value: Any) -> str:
    pairs = mapping(mapping(value).get("matchLabels"))
    return ",".join(f"{key}={each}" for key, each in sorted(pairs.items())) or "<none>"


def _deployment(body: Object) -> list[Any]:
    now = status(body)
    ready = f"{_count(now.get('readyReplicas'))}/{_count(spec(body).get('replicas'))}"
    return [
        ready,
        _count(now.get("updatedReplicas")),
        _count(now.get("availableReplicas")),
        age(body),
        *_template_cells(body),
    ]


def _replica_set(body: Object) -> list[Any]:
    now = status(body)
    return [
        _count(spec(body).get("replicas")),
        _count(now.get("replicas")),
        _count(now.get("readyReplicas")),
        age(body),
        *_template_cells(body),
    ]


def _stateful_set(body: Object) -> list[Any]:
    ready = f"{_count(status(body).get('readyReplicas'))}/{_count(spec(body).get('replicas'))}"
    return [ready, age(body), *_template_cells(body)[:2]]


def _daemon_set(body: Object) -> list[Any]:
    now = status(body)
    fields = "desiredNumberScheduled currentNumberScheduled numberReady updatedNumberScheduled numberAvailable"
    template = mapping(mapping(spec(body).get("template")).get("spec"))
    chosen = ",".join(f"{k}={v}" for k, v in sorted(mapping(template.get("nodeSelector")).items())) or "<none>"
    return [*(_count(now.get(field)) for field in fields.split()), chosen, age(body), *_template_cells(body)]


def _budget(body: Object) -> list[Any]:
    wanted = spec(body)
    low, high = wanted.get("minAvailable", "N/A"), wanted.get("maxUnavailable", "N/A")
    return [str(low), str(high), _count(status(body).get("disruptionsAllowed")), age(body)]


def _autoscaler(body: Object) -> list[Any]:
    wanted = spec(body)
    target = mapping(wanted.get("scaleTargetRef"))
    current = {
        _metric_name(each): _metric_value(each, "current") for each in listing(status(body).get("currentMetrics"))
    }
    metrics = [
        f"{_metric_name(each)}: {current.get(_metric_name(each), '<unknown>')}/{_metric_value(each, 'target')}"
        for each in listing(wanted.get("metrics"))
    ]
    return [
        f"{target.get('kind')}/{target.get('name')}",
        ", ".join(metrics) or "<none>",
        str(wanted.get("minReplicas", "<unset>")),
        _count(wanted.get("maxReplicas")),
        _count(status(body).get("currentReplicas")),
        age(body),
    ]


def _metric_name(metric: Any) -> str:
    body = mapping(metric)
    return str(mapping(body.get("resource")).get("name") or body.get("type", ""))


def _metric_value(metric: Any, which: str) -> str:
    value = mapping(mapping(mapping(metric).get("resource")).get(which))
    if "averageUtilization" in value:
        return f"{value['averageUtilization']}%"
    return str(value.get("averageValue") or value.get("value") or "<unknown>")


def _service(body: Object) -> list[Any]:
    ports = ",".join(
        f"{mapping(p).get('port')}/{mapping(p).get('protocol', 'TCP')}" for p in listing(spec(body).get("ports"))
    )
    chosen = ",".join(f"{k}={v}" for k, v in sorted(mapping(spec(body).get("selector")).items())) or "<none>"
    return [
        spec(body).get("type", "ClusterIP"),
        spec(body).get("clusterIP", "<none>"),
        "<none>",
        ports or "<none>",
        age(body),
        chosen,
    ]


def _event(body: Object) -> list[Any]:
    about = mapping(body.get("involvedObject"))
    seen = mapping(body.get("series")).get("lastObservedTime") or body.get("lastTimestamp") or body.get("eventTime")
    first = body.get("firstTimestamp") or body.get("eventTime")
    count = mapping(body.get("series")).get("count") or body.get("count") or 1
    source = mapping(body.get("source")).get("component") or body.get("reportingComponent", "")
    return [
        _since(seen or body["metadata"].get("creationTimestamp")),
        body.get("type", ""),
        body.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        str(body.get("message", "")).strip(),
        str(about.get("fieldPath", "")),
        source,
        _since(first or body["metadata"].get("creationTimestamp")),
        count,
        name(body),
    ]


def _quota(body: Object) -> list[Any]:
    hard, used = mapping(spec(body).get("hard")), mapping(status(body).get("used"))
    rows = {what: f"{what}: {used.get(what, '0')}/{hard[what]}" for what in sorted(hard)}
    limits = ", ".join(text for what, text in rows.items() if what.startswith("limits."))
    return [", ".join(text for what, text in rows.items() if not what.startswith("limits.")), limits, age(body)]


def _lease(body: Object) -> list[Any]:
    return [spec(body).get("holderIdentity", ""), age(body)]


def _size(body: Object) -> int:
    return len(mapping(body.get("data"))) + len(mapping(body.get("binaryData")))


_WORKLOAD = "Containers Images Selector"
_PRINTERS: dict[str, tuple[str, str, Cells]] = {
    "pods": ("Ready Status Restarts Age", "IP Node Nominated_Node Readiness_Gates", _pod),
    "nodes": ("Status Roles Age Version", "Internal-IP External-IP OS-Image Kernel-Version Container-Runtime", _node),
    "namespaces": ("Status Age", "", lambda b: [status(b).get("phase", ""), age(b)]),
    "deployments.apps": ("Ready Up-to-date Available Age", _WORKLOAD, _deployment),
    "replicasets.apps": ("Desired Current Ready Age", _WORKLOAD, _replica_set),
    "statefulsets.apps": ("Ready Age", "Containers Images", _stateful_set),
    "daemonsets.apps": ("Desired Current Ready Up-to-date Available Node_Selector Age", _WORKLOAD, _daemon_set),
    "poddisruptionbudgets.policy": ("Min_Available Max_Unavailable Allowed_Disruptions Age", "", _budget),
    "horizontalpodautoscalers.autoscaling": ("Reference Targets MinPods MaxPods Replicas Age", "", _autoscaler),
    "services": ("Type Cluster-IP External-IP Port(s) Age", "Selector", _service),
    "events": ("Last_Seen Type Reason Object Message", "Subobject Source First_Seen Count Name", _event),
    "resourcequotas": ("Request Limit Age", "", _quota),
    "leases.coordination.k8s.io": ("Holder Age", "", _lease),
    "configmaps": ("Data Age", "", lambda b: [_size(b), age(b)]),
    "secrets": ("Type Data Age", "", lambda b: [b.get("type", ""), _size(b), age(b)]),
    "serviceaccounts": ("Secrets Age", "", lambda b: [len(listing(b.get("secrets"))), age(b)]),
    "limitranges": ("Created_At", "", lambda b: [b["metadata"].get("creationTimestamp", "")]),
    "customresourcedefinitions.apiextensions.k8s.io": (
        "Created_At",
        "",
        lambda b: [b["metadata"].get("creationTimestamp", "")],
    ),
}
