"""Questions asked of pods."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from archgov.model.quantity import BadQuantity, milli

from .objects import Object, condition, is_leaving, listing, mapping, spec, status

Amounts = dict[str, int]  # thousandths of the base unit, by resource name
_DONE = ("Succeeded", "Failed")


@lru_cache(maxsize=65536)
def amount(text: str) -> int:
    """A quantity in thousandths; 0 for what is no quantity."""
    try:
        return milli(text)
    except BadQuantity:
        return 0


def amounts(quantities: Any) -> Amounts:
    """A resource list in thousandths."""
    return {str(resource): amount(str(text)) for resource, text in mapping(quantities).items()}


def requests(pod: Object, kind: str = "requests") -> Amounts:
    """What the pod asks for: the sum over its containers, or its largest init container, plus overhead."""
    body = spec(pod)
    total: Amounts = {}
    for container in map(mapping, listing(body.get("containers"))):
        for resource, value in amounts(mapping(container.get("resources")).get(kind)).items():
            total[resource] = total.get(resource, 0) + value
    for container in map(mapping, listing(body.get("initContainers"))):
        for resource, value in amounts(mapping(container.get("resources")).get(kind)).items():
            total[resource] = max(total.get(resource, 0), value)
    for resource, value in amounts(body.get("overhead")).items():
        total[resource] = total.get(resource, 0) + value
    return total


def is_ready(pod: Object) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.get("status") == "True"


def is_done(pod: Object) -> bool:
    return status(pod).get("phase") in _DONE


def is_active(pod: Object) -> bool:
    """Whether a controller counts the pod as one of its replicas."""
    return not is_done(pod) and not is_leaving(pod)


def node_of(pod: Object) -> str:
    return str(spec(pod).get("nodeName") or "")
