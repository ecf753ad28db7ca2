"""The scale subresource of workloads."""

from __future__ import annotations

from typing import Any

from .errors import Cause, invalid
from .objects import Object, listing, mapping, spec, status


def scale_of(body: Object) -> Object:
    """The autoscaling/v1 Scale of a workload."""
    metadata = body["metadata"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: metadata[k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")},
        "spec": {"replicas": spec(body).get("replicas", 0)},
        "status": {"replicas": status(body).get("replicas", 0), "selector": _text(spec(body).get("selector"))},
    }


def scaled(body: Object, scale: Any) -> Object:
    """The workload with the replicas of a Scale, under the Scale's resourceVersion and uid.

    Raises:
        ApiError: 422 when the replicas are no count.
    """
    wanted = mapping(mapping(scale).get("spec")).get("replicas", 0)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
        text = f"Invalid value: {wanted}: must be greater than or equal to 0"
        raise invalid(
            "Scale", "autoscaling", body["metadata"]["name"], [Cause("spec.replicas", "FieldValueInvalid", text)]
        )
    given = mapping(mapping(scale).get("metadata"))
    identity = {field: given[field] for field in ("resourceVersion", "uid") if given.get(field)}
    return {**body, "metadata": {**body["metadata"], **identity}, "spec": {**spec(body), "replicas": wanted}}


def _text(selector: Any) -> str:
    body = mapping(selector)
    parts = [f"{key}={value}" for key, value in sorted(mapping(body.get("matchLabels")).items())]
    for each in map(mapping, listing(body.get("matchExpressions"))):
        key, values = each.get("key"), ",".join(map(str, listing(each.get("values"))))
        match each.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(str(key))
            case "DoesNotExist":
                parts.append(f"!{key}")
    return ",".join(parts)
