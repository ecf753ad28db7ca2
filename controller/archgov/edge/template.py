"""What a pod asks of the scheduler, read from its spec or from a workload's template.

Hard rules only: preferences never forbid a node. What the model can't express is named in `unmodelled` instead of being
dropped, so that a workload whose rules are half understood is left where it is.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar, cast

from archgov.edge.tree import Json, Misshapen, flag, mapping, needed, number, objects, text, texts
from archgov.model.quantity import milli, whole
from archgov.model.selector import Expression, Labels, Operator, Selector
from archgov.model.shape import Taint, Toleration

T = TypeVar("T", bound=Hashable)

HOST_LABEL: Final = "kubernetes.io/hostname"
# Resources that are not counted in thousandths.
_WHOLE: Final = frozenset({"memory", "pods"})
# What a pod may ask for as a whole (KEP-2837), instead of container by container.
_POD_LEVEL: Final = ("cpu", "memory", "hugepages-")
# Volumes that are claims; an ephemeral one makes its own.
_CLAIMS: Final = frozenset({"persistentVolumeClaim", "ephemeral"})
_OPERATORS: Final = frozenset(Operator)
_DEFAULT_SCHEDULER: Final = "default-scheduler"
_NOWHERE: Final = Selector(expressions=(Expression(HOST_LABEL, Operator.IN),))


class Amounts(NamedTuple):
    """What a pod asks for, or a node offers.

    cpu: thousandths of a core. memory: bytes. pods: pods.
    extended: (resource, thousandths of a unit) of all others, sorted; none is zero.
    """

    cpu: int = 0
    memory: int = 0
    pods: int = 0
    extended: tuple[tuple[str, int], ...] = ()


class PodTerm(NamedTuple):
    """Pods that must (not) share a topology domain with this one; no selector selects none.

    Without namespaces and without a namespace selector the pod's own namespace is meant.
    """

    topology_key: str
    selector: Selector | None
    namespaces: tuple[str, ...]
    namespace_selector: Selector | None


class Spread(NamedTuple):
    """A hard (DoNotSchedule) topology spread constraint."""

    topology_key: str
    max_skew: int
    min_domains: int
    selector: Selector | None


class Template(NamedTuple):
    """The scheduling facts of a pod template.

    node: alternatives of required node labels, nodeSelector included; none means everywhere.
    apart, together: required pod (anti-)affinity.
    volumes: some volume is a claim, so its pods are bound to where the data is.
    unmodelled: hard rules that are not expressed above, in words, sorted.
    """

    labels: Labels
    requests: Amounts
    node: tuple[Selector, ...]
    tolerations: tuple[Toleration, ...]
    spread: tuple[Spread, ...]
    apart: tuple[PodTerm, ...]
    together: tuple[PodTerm, ...]
    volumes: bool
    unmodelled: tuple[str, ...]


def shared(value: T) -> T:
    """An equal value seen before, so that ten thousand pods of one template share it."""
    return cast("T", _seen(value))


@lru_cache(maxsize=1 << 16, typed=True)  # typed: a named tuple equals a plain one
def _seen(value: Hashable) -> Hashable:
    return value


def labels(parent: Json, key: str) -> Labels:
    """The map of texts at a key, sorted."""
    found = mapping(parent, key)
    for value in found.values():
        if type(value) is not str:
            raise Misshapen(f"{key} has the value {str(value)[:60]!r}, must be texts")
    return shared(tuple(sorted((sys.intern(name), sys.intern(value)) for name, value in found.items())))


def selector(parent: Json, key: str) -> Selector | None:
    """The label selector at a key; none when absent, which Kubernetes reads as selecting nothing."""
    if parent.get(key) is None:
        return None
    found = mapping(parent, key)
    expressions = (_expression(e) for e in objects(found, "matchExpressions"))
    return shared(Selector(labels(found, "matchLabels"), _in_order(expressions)))


def amounts(resources: Json) -> Amounts:
    """The quantities of a resource list."""
    return _amounts(_each(resources))


def amount(resource: str, found: object) -> int:
    """A quantity in the units of the fleet: memory in bytes, pods in pods, all else in thousandths.

    Raises:
        BadQuantity, Misshapen: it is no quantity.
    """
    if type(found) is not str and type(found) is not int:
        raise Misshapen(f'{resource} is {str(found)[:60]!r}, must be a quantity such as "500m"')
    return _whole(found) if resource in _WHOLE else _milli(found)


def requests(spec: Json, status: Json) -> Amounts:
    """What the scheduler reserves for a pod: for a template, the status is empty.

    The sum over containers and sidecars, or the peak while starting, whichever is more, and overhead. While an in-place
    resize is under way it is the larger of asked and allocated.
    Source: Kubernetes `component-helpers/resource/helpers.go`, PodRequests.
    """
    found = objects(status, "containerStatuses") + objects(status, "initContainerStatuses")
    statuses = {text(s, "name"): s for s in found}
    total: dict[str, int] = {}
    for container in objects(spec, "containers"):
        _add(total, _container(container, statuses))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in objects(spec, "initContainers"):
        need = _container(container, statuses)
        if text(container, "restartPolicy") == "Always":
            _add(total, need)
            _add(sidecars, need)
            _raise(peak, sidecars)
        else:
            _add(need, sidecars)
            _raise(peak, need)
    _raise(total, peak)
    total |= {name: value for name, value in _asked(mapping(spec, "resources")).items() if name.startswith(_POD_LEVEL)}
    _add(total, _each(mapping(spec, "overhead")))
    total["pods"] = 1
    return _amounts(total)


def template(parent: Json) -> Template:
    """The scheduling facts of the pod template in a workload's spec."""
    found = mapping(parent, "template")
    spec = mapping(found, "spec")
    affinity = mapping(spec, "affinity")
    node, odd = _node(spec, mapping(affinity, "nodeAffinity"))
    return shared(
        Template(
            labels=labels(mapping(found, "metadata"), "labels"),
            requests=requests(spec, {}),
            node=node,
            tolerations=tuple(sorted({_toleration(t) for t in objects(spec, "tolerations")})),
            spread=tuple(_spread(s) for s in objects(spec, "topologySpreadConstraints") if _is_hard(s)),
            apart=_terms(affinity, "podAntiAffinity"),
            together=_terms(affinity, "podAffinity"),
            volumes=any(not _CLAIMS.isdisjoint(volume) for volume in objects(spec, "volumes")),
            unmodelled=tuple(sorted({*odd, *_odd(spec)})),
        )
    )


def taints(spec: Json) -> tuple[Taint, ...]:
    """The taints of a node's spec that forbid pods, sorted."""
    found = (Taint(needed(t, "key"), text(t, "value"), text(t, "effect")) for t in objects(spec, "taints"))
    return shared(tuple(sorted(t for t in found if t.effect != "PreferNoSchedule")))


def _container(container: Json, statuses: dict[str, Json]) -> dict[str, int]:
    resources = mapping(container, "resources")
    need, asked = _asked(resources), resources.get("requests")
    status = statuses.get(text(container, "name"))
    if status is not None:
        for allocated in (mapping(mapping(status, "resources"), "requests"), mapping(status, "allocatedResources")):
            if allocated != asked:  # a resize is under way
                _raise(need, _each(allocated))
    return need


def _asked(resources: Json) -> dict[str, int]:
    # The API server fills absent requests from limits in pods, but not in templates.
    return _each(mapping(resources, "limits") | mapping(resources, "requests"))


def _each(resources: Json) -> dict[str, int]:
    return {name: amount(name, value) for name, value in resources.items()}


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: dict[str, int], least: dict[str, int]) -> None:
    for name, value in least.items():
        if value > total.get(name, 0):
            total[name] = value


def _amounts(found: dict[str, int]) -> Amounts:
    others = tuple(sorted((sys.intern(n), v) for n, v in found.items() if n not in ("cpu", "memory", "pods") and v))
    return shared(Amounts(found.get("cpu", 0), found.get("memory", 0), found.get("pods", 0), others))


_milli = lru_cache(maxsize=1 << 14)(milli)
_whole = lru_cache(maxsize=1 << 14)(whole)


def _toleration(found: Json) -> Toleration:
    return Toleration(text(found, "key"), text(found, "operator", "Equal"), text(found, "value"), text(found, "effect"))


def _is_hard(constraint: Json) -> bool:
    return text(constraint, "whenUnsatisfiable") != "ScheduleAnyway"


def _spread(found: Json) -> Spread:
    return Spread(
        topology_key=needed(found, "topologyKey"),
        max_skew=number(found, "maxSkew", 1),
        min_domains=number(found, "minDomains", 1),
        selector=selector(found, "labelSelector"),
    )


def _terms(affinity: Json, kind: str) -> tuple[PodTerm, ...]:
    required = objects(mapping(affinity, kind), "requiredDuringSchedulingIgnoredDuringExecution")
    return tuple(
        PodTerm(
            needed(term, "topologyKey"),
            selector(term, "labelSelector"),
            tuple(sorted(texts(term, "namespaces"))),
            selector(term, "namespaceSelector"),
        )
        for term in required
    )


def _node(spec: Json, affinity: Json) -> tuple[tuple[Selector, ...], set[str]]:
    """Alternatives of required node labels, with what of them the model can't express."""
    wanted = labels(spec, "nodeSelector")
    if affinity.get("requiredDuringSchedulingIgnoredDuringExecution") is None:
        return ((Selector(wanted),) if wanted else ()), set()
    terms = objects(mapping(affinity, "requiredDuringSchedulingIgnoredDuringExecution"), "nodeSelectorTerms")
    odd: set[str] = set()
    found: list[Selector] = []
    for term in terms:
        fields, expressions = objects(term, "matchFields"), objects(term, "matchExpressions")
        numeric = {text(e, "operator") for e in expressions} - _OPERATORS
        odd |= {"node affinity by field"} if fields else set()
        odd |= {f"node affinity with operator {operator}" for operator in numeric}
        if expressions and not numeric:
            found.append(Selector(wanted, _in_order(_expression(e) for e in expressions)))
    # A term without requirements matches no node, so a list of such terms does neither.
    return tuple(sorted(found, key=str)) or (_NOWHERE,), odd


def _expression(found: Json) -> Expression:
    operator = text(found, "operator")
    if operator not in _OPERATORS:
        raise Misshapen(f'operator is "{operator}", must be one of {", ".join(Operator)}')
    return Expression(needed(found, "key"), Operator(operator), tuple(sorted(texts(found, "values"))))


def _in_order(expressions: Iterable[Expression]) -> tuple[Expression, ...]:
    return tuple(sorted(expressions, key=lambda e: (e.key, e.operator, e.values)))


def _odd(spec: Json) -> Iterable[str]:
    """Hard rules that need more than labels, taints and amounts to be judged."""
    if objects(spec, "resourceClaims"):
        yield "device claims"
    if text(spec, "nodeName"):
        yield "node by name"
    if text(spec, "schedulerName", _DEFAULT_SCHEDULER) not in ("", _DEFAULT_SCHEDULER):
        yield f"scheduler {text(spec, 'schedulerName')}"
    if any(_holds_host_port(spec, c) for c in objects(spec, "containers")):
        yield "host ports"


def _holds_host_port(spec: Json, container: Json) -> bool:
    ports = objects(container, "ports")
    return bool(ports) and (flag(spec, "hostNetwork") or any(number(p, "hostPort") for p in ports))
