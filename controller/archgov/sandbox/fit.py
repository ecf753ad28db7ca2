"""Whether a node admits a pod: selectors, affinity, taints."""

from __future__ import annotations

from typing import Any

from .objects import Object, labels, listing, mapping, name, spec

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def admits(node: Object, wanted: Object) -> bool:
    """Whether the pod spec may run on the node, room aside."""
    return selects(node, wanted) and untolerated(node, wanted) is None


def selects(node: Object, wanted: Object) -> bool:
    """Whether node selector and required node affinity name the node."""
    chosen = labels(node)
    if any(chosen.get(k) != v for k, v in mapping(wanted.get("nodeSelector")).items()):
        return False
    required = mapping(_node_affinity(wanted).get(_REQUIRED))
    terms = listing(required.get("nodeSelectorTerms"))
    return not required or any(term_matches(mapping(term), node) for term in terms)


def pinned_to(wanted: Object) -> str | None:
    """The one node that the pod was made for, as a DaemonSet's pods are; None for all others."""
    terms = listing(mapping(_node_affinity(wanted).get(_REQUIRED)).get("nodeSelectorTerms"))
    fields = listing(mapping(terms[0]).get("matchFields")) if len(terms) == 1 else []
    values = listing(mapping(fields[0]).get("values")) if len(fields) == 1 else []
    return str(values[0]) if len(values) == 1 else None


def preference(node: Object, wanted: Object) -> int:
    """The summed weights of the preferred node affinity terms that name the node."""
    terms = map(mapping, listing(_node_affinity(wanted).get(_PREFERRED)))
    return sum(int(t.get("weight", 0)) for t in terms if term_matches(mapping(t.get("preference")), node))


def has_preference(wanted: Object) -> bool:
    return bool(_node_affinity(wanted).get(_PREFERRED))


def _node_affinity(wanted: Object) -> Object:
    return mapping(mapping(wanted.get("affinity")).get("nodeAffinity"))


def term_matches(term: Object, node: Object) -> bool:
    """Whether a node selector term names the node; an empty term names none."""
    expressions, fields = listing(term.get("matchExpressions")), listing(term.get("matchFields"))
    if not expressions and not fields:
        return False
    chosen = labels(node)
    return all(_holds(mapping(e), chosen) for e in expressions) and all(
        _holds(mapping(e), {"metadata.name": name(node)}) for e in fields
    )


def _holds(expression: Object, chosen: dict[str, str]) -> bool:
    key, values = str(expression.get("key")), [str(value) for value in listing(expression.get("values"))]
    match expression.get("operator"):
        case "In":
            return key in chosen and chosen[key] in values
        case "NotIn":
            return chosen.get(key) not in values
        case "Exists":
            return key in chosen
        case "DoesNotExist":
            return key not in chosen
        case "Gt":
            return _number(chosen.get(key)) is not None and _compare(chosen[key], values) > 0
        case "Lt":
            return _number(chosen.get(key)) is not None and _compare(chosen[key], values) < 0
        case _:
            return False


def _number(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.lstrip("-").isdigit() else None


def _compare(text: str, values: list[str]) -> int:
    limit = _number(values[0]) if values else None
    return 0 if limit is None else int(text) - limit


def keeps(node: Object, wanted: Object) -> bool:
    """Whether the pod spec may stay where it runs already."""
    return selects(node, wanted) and untolerated(node, wanted, effects=("NoExecute",)) is None


def untolerated(node: Object, wanted: Object, effects: tuple[str, ...] = ("NoSchedule", "NoExecute")) -> Object | None:
    """The first taint of these effects that keeps the pod off the node."""
    tolerations = [mapping(each) for each in listing(wanted.get("tolerations"))]
    taints = [mapping(each) for each in listing(spec(node).get("taints"))]
    if spec(node).get("unschedulable") and _UNSCHEDULABLE["key"] not in {taint.get("key") for taint in taints}:
        taints.append(_UNSCHEDULABLE)
    hard = (taint for taint in taints if taint.get("effect") in effects)
    return next((taint for taint in hard if not any(tolerates(t, taint) for t in tolerations)), None)


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether the toleration covers the taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
