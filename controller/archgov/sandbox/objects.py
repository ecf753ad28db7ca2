"""Questions asked of Kubernetes objects, which stay plain JSON here.

A stored object is never changed in place: it is shared by the history, the pages of lists, the controllers. Whoever
changes something builds a new object around the unchanged parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archgov.model.selector import Expression, Operator, Selector

from . import clock

Object = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for cluster-scoped), name


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is a map, else an empty one: half-written objects must not crash a reader."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def name(body: Object) -> str:
    return str(mapping(body.get("metadata")).get("name", ""))


def namespace(body: Object) -> str:
    return str(mapping(body.get("metadata")).get("namespace", ""))


def key(body: Object) -> Key:
    return namespace(body), name(body)


def uid(body: Object) -> str:
    return str(body["metadata"].get("uid", ""))


def labels(body: Object) -> dict[str, str]:
    return mapping(mapping(body.get("metadata")).get("labels"))


def annotations_of(body: Object) -> dict[str, str]:
    return mapping(mapping(body.get("metadata")).get("annotations"))


def owners(body: Object) -> list[Object]:
    return listing(body["metadata"].get("ownerReferences"))


def controller_of(body: Object) -> Object | None:
    """The owner reference of the one controller of this object."""
    return next((owner for owner in owners(body) if owner.get("controller")), None)


def is_leaving(body: Object) -> bool:
    """Whether deletion has begun."""
    return "deletionTimestamp" in body["metadata"]


def spec(body: Object) -> dict[str, Any]:
    return mapping(body.get("spec"))


def status(body: Object) -> dict[str, Any]:
    return mapping(body.get("status"))


def with_metadata(body: Object, **changes: Any) -> Object:
    """The object with other metadata fields; None removes a field."""
    merged = {**body["metadata"], **changes}
    return {**body, "metadata": {field: value for field, value in merged.items() if value is not None}}


def with_status(body: Object, **changes: Any) -> Object:
    """The object with other status fields; None removes a field."""
    merged = {**status(body), **changes}
    return {**body, "status": {field: value for field, value in merged.items() if value is not None}}


def with_spec(body: Object, **changes: Any) -> Object:
    """The object with other spec fields; None removes a field."""
    merged = {**spec(body), **changes}
    return {**body, "spec": {field: value for field, value in merged.items() if value is not None}}


def condition(body: Object, kind: str) -> Object | None:
    """The condition of that type, if the status has it."""
    found = (each for each in listing(status(body).get("conditions")) if mapping(each).get("type") == kind)
    return next(found, None)


def conditioned(
    body: Object, kind: str, truth: str, reason: str = "", message: str = "", *, at: str | None = None
) -> Object:
    """The object with that condition set; its transition time moves only when its status does."""
    before = condition(body, kind)
    at = at or clock.now()
    since = at if before is None or before.get("status") != truth else before.get("lastTransitionTime", at)
    after = {"type": kind, "status": truth, "lastTransitionTime": since}
    after |= {field: text for field, text in (("reason", reason), ("message", message)) if text}
    known = listing(status(body).get("conditions"))
    if before is None:
        return with_status(body, conditions=[*known, after])
    return with_status(body, conditions=[after if each is before else each for each in known])


def unconditioned(body: Object, kind: str) -> Object:
    """The object without that condition."""
    kept = [each for each in listing(status(body).get("conditions")) if mapping(each).get("type") != kind]
    return with_status(body, conditions=kept or None)


def owner_reference(owner: Object) -> Object:
    """A controller reference to the owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def selector(value: Any) -> Selector:
    """A metav1.LabelSelector; an operator that Kubernetes doesn't know is skipped."""
    body = mapping(value)
    known = {operator.value: operator for operator in Operator}
    return Selector(
        labels=tuple(sorted((str(k), str(v)) for k, v in mapping(body.get("matchLabels")).items())),
        expressions=tuple(
            Expression(str(each.get("key")), known[each["operator"]], tuple(map(str, listing(each.get("values")))))
            for each in map(mapping, listing(body.get("matchExpressions")))
            if each.get("operator") in known
        ),
    )


def found(path: Iterable[str], body: Mapping[str, Any]) -> Any:
    """The value at a path of field names; None where it ends early."""
    value: Any = body
    for part in path:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
