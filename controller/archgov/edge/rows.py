"""API objects reduced to slim rows: what a round looks at, nothing else.

Each `<kind>_row` takes a decoded object; one that isn't what its schema promises becomes a `Malformed` row that says
why. Amounts are integers in the fleet's units. Texts are shared between rows, for most occur ten thousand times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Final, NamedTuple, TypeVar

from archgov.edge import template as facts
from archgov.edge.template import Amounts, Template
from archgov.edge.tree import Json, Misshapen, flag, mapping, needed, number, objects, text, texts
from archgov.model.fleet import REGION_LABEL, ZONE_LABEL
from archgov.model.selector import Labels, Selector
from archgov.model.shape import Taint

Row = TypeVar("Row")

OURS: Final = "archgov.io/"
# Nodes that were registered before Kubernetes 1.17 may carry only these.
_OLD_ZONE_LABEL: Final = "failure-domain.beta.kubernetes.io/zone"
_OLD_REGION_LABEL: Final = "failure-domain.beta.kubernetes.io/region"
_MESSAGE_LIMIT: Final = 200
_PHASES_WITHOUT_LOAD: Final = ("Succeeded", "Failed")
_TRUTH: Final = {"True": True, "False": False}


class Malformed(NamedTuple):
    """An object that can't be read, so that nothing may be concluded from it."""

    kind: str
    namespace: str
    name: str
    why: str


class Owner(NamedTuple):
    """The controller of an object."""

    kind: str
    name: str
    uid: str


class NodeRow(NamedTuple):
    """A node; ready is None while its kubelet is silent."""

    name: str
    uid: str
    zone: str
    region: str
    labels: Labels
    taints: tuple[Taint, ...]
    unschedulable: bool
    ready: bool | None
    terminating: bool
    allocatable: Amounts


class PodRow(NamedTuple):
    """A pod; unschedulable says in the scheduler's words why it isn't bound, else it is empty."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    terminating: bool
    owner: Owner | None
    labels: Labels
    requests: Amounts
    unschedulable: str
    priority: int

    @property
    def scheduled(self) -> bool:
        return bool(self.node)

    @property
    def is_load(self) -> bool:
        """It takes room where it stands, or will take it."""
        return self.phase not in _PHASES_WITHOUT_LOAD


class DeploymentRow(NamedTuple):
    """A Deployment.

    annotations: those of archgov.io/ only. owner: the controller, such as an operator of the user's.
    updated: status.updatedReplicas. observed: the status speaks of this generation.
    replica_managers: field managers that own spec.replicas, sorted.
    resource_version: for preconditions; changes with every status, so two rows are compared without it.
    """

    namespace: str
    name: str
    uid: str
    labels: Labels
    annotations: Labels
    replicas: int
    ready: int
    updated: int
    observed: bool
    paused: bool
    terminating: bool
    selector: Selector | None
    template: Template
    owner: Owner | None
    replica_managers: tuple[str, ...]
    resource_version: str


class ReplicaSetRow(NamedTuple):
    """The link between a pod and its Deployment."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    replicas: int
    ready: int
    owner: Owner | None


class StatefulSetRow(NamedTuple):
    """Load that is never moved."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    annotations: Labels
    replicas: int
    ready: int
    selector: Selector | None
    template: Template
    owner: Owner | None


class DaemonSetRow(NamedTuple):
    """Load that is never moved: a pod on each matching node."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    desired: int
    ready: int
    selector: Selector | None
    template: Template
    owner: Owner | None


class PdbRow(NamedTuple):
    """A PodDisruptionBudget; min_available and max_unavailable are a count, a percentage such as "50%", or empty."""

    namespace: str
    name: str
    uid: str
    selector: Selector | None
    min_available: str
    max_unavailable: str
    disruptions_allowed: int


class HpaRow(NamedTuple):
    """A HorizontalPodAutoscaler; wants_more says that its own maximum holds it back."""

    namespace: str
    name: str
    uid: str
    target_kind: str
    target_name: str
    min: int
    max: int
    desired: int
    wants_more: bool
    owner: Owner | None
    resource_version: str


class QuotaRow(NamedTuple):
    """A ResourceQuota: (resource, amount), sorted; `requests.cpu` is called cpu. Scoped ones bind some pods only."""

    namespace: str
    name: str
    uid: str
    hard: tuple[tuple[str, int], ...]
    used: tuple[tuple[str, int], ...]
    scoped: bool


class NamespaceRow(NamedTuple):
    """A namespace."""

    name: str
    uid: str
    labels: Labels
    annotations: Labels
    terminating: bool


def same_but_for_version(old: DeploymentRow | HpaRow | Malformed, new: DeploymentRow | HpaRow | Malformed) -> bool:
    """Nothing differs but the resourceVersion, which every write of the status changes."""
    if isinstance(old, Malformed) or isinstance(new, Malformed):
        return old == new
    return old._replace(resource_version=new.resource_version) == new


def _forgiving(kind: str) -> Callable[[Callable[[Json], Row]], Callable[[Json], Row | Malformed]]:
    """Turns a reader that refuses into one that says what it refused."""

    def forgiving(read: Callable[[Json], Row]) -> Callable[[Json], Row | Malformed]:
        @wraps(read)
        def row(found: Json) -> Row | Malformed:
            try:
                return read(found)
            except ValueError as error:
                namespace, name = identity(found)
                return Malformed(kind, namespace, name, str(error))

        return row

    return forgiving


def identity(found: Json) -> tuple[str, str]:
    """(namespace, name) of an object as far as they can be read."""
    metadata = found.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    return str(names.get("namespace") or ""), str(names.get("name") or "")


@_forgiving("Node")
def node_row(found: Json) -> NodeRow:
    """The row of a Node."""
    metadata, spec, status = _parts(found)
    labels = facts.labels(metadata, "labels")
    place = dict(labels)
    return NodeRow(
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        zone=place.get(ZONE_LABEL) or place.get(_OLD_ZONE_LABEL, ""),
        region=place.get(REGION_LABEL) or place.get(_OLD_REGION_LABEL, ""),
        labels=labels,
        taints=facts.taints(spec),
        unschedulable=flag(spec, "unschedulable"),
        ready=_TRUTH.get(text(_condition(status, "Ready"), "status")),
        terminating=_terminating(metadata),
        allocatable=facts.amounts(mapping(status, "allocatable")),
    )


@_forgiving("Pod")
def pod_row(found: Json) -> PodRow:
    """The row of a Pod."""
    metadata, spec, status = _parts(found)
    return PodRow(
        namespace=_shared(metadata, "namespace"),
        name=needed(metadata, "name"),
        uid=needed(metadata, "uid"),
        node=_shared(spec, "nodeName"),
        phase=_shared(status, "phase"),
        ready=text(_condition(status, "Ready"), "status") == "True",
        terminating=_terminating(metadata),
        owner=_owner(metadata),
        labels=facts.labels(metadata, "labels"),
        requests=facts.requests(spec, status),
        unschedulable=_unschedulable(status),
        priority=number(spec, "priority"),
    )


@_forgiving("Deployment")
def deployment_row(found: Json) -> DeploymentRow:
    """The row of a Deployment."""
    metadata, spec, status = _parts(found)
    return DeploymentRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        labels=facts.labels(metadata, "labels"),
        annotations=_ours(metadata),
        replicas=number(spec, "replicas", 1),
        ready=number(status, "readyReplicas"),
        updated=number(status, "updatedReplicas"),
        observed=number(status, "observedGeneration") >= number(metadata, "generation"),
        paused=flag(spec, "paused"),
        terminating=_terminating(metadata),
        selector=facts.selector(spec, "selector"),
        template=facts.template(spec),
        owner=_owner(metadata),
        replica_managers=_replica_managers(metadata),
        resource_version=text(metadata, "resourceVersion"),
    )


@_forgiving("ReplicaSet")
def replica_set_row(found: Json) -> ReplicaSetRow:
    """The row of a ReplicaSet."""
    metadata, spec, status = _parts(found)
    return ReplicaSetRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        labels=facts.labels(metadata, "labels"),
        replicas=number(spec, "replicas", 1),
        ready=number(status, "readyReplicas"),
        owner=_owner(metadata),
    )


@_forgiving("StatefulSet")
def stateful_set_row(found: Json) -> StatefulSetRow:
    """The row of a StatefulSet."""
    metadata, spec, status = _parts(found)
    pods = facts.template(spec)
    return StatefulSetRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        labels=facts.labels(metadata, "labels"),
        annotations=_ours(metadata),
        replicas=number(spec, "replicas", 1),
        ready=number(status, "readyReplicas"),
        selector=facts.selector(spec, "selector"),
        template=pods._replace(volumes=pods.volumes or bool(objects(spec, "volumeClaimTemplates"))),
        owner=_owner(metadata),
    )


@_forgiving("DaemonSet")
def daemon_set_row(found: Json) -> DaemonSetRow:
    """The row of a DaemonSet."""
    metadata, spec, status = _parts(found)
    return DaemonSetRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        labels=facts.labels(metadata, "labels"),
        desired=number(status, "desiredNumberScheduled"),
        ready=number(status, "numberReady"),
        selector=facts.selector(spec, "selector"),
        template=facts.template(spec),
        owner=_owner(metadata),
    )


@_forgiving("PodDisruptionBudget")
def pdb_row(found: Json) -> PdbRow:
    """The row of a PodDisruptionBudget."""
    metadata, spec, status = _parts(found)
    return PdbRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        selector=facts.selector(spec, "selector"),
        min_available=_count_or_percentage(spec, "minAvailable"),
        max_unavailable=_count_or_percentage(spec, "maxUnavailable"),
        disruptions_allowed=number(status, "disruptionsAllowed"),
    )


@_forgiving("HorizontalPodAutoscaler")
def hpa_row(found: Json) -> HpaRow:
    """The row of a HorizontalPodAutoscaler."""
    metadata, spec, status = _parts(found)
    target, limited = mapping(spec, "scaleTargetRef"), _condition(status, "ScalingLimited")
    return HpaRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        target_kind=needed(target, "kind"),
        target_name=needed(target, "name"),
        min=number(spec, "minReplicas", 1),
        max=number(spec, "maxReplicas"),
        desired=number(status, "desiredReplicas"),
        wants_more=text(limited, "status") == "True" and text(limited, "reason") == "TooManyReplicas",
        owner=_owner(metadata),
        resource_version=text(metadata, "resourceVersion"),
    )


@_forgiving("ResourceQuota")
def quota_row(found: Json) -> QuotaRow:
    """The row of a ResourceQuota."""
    metadata, spec, status = _parts(found)
    return QuotaRow(
        namespace=_shared(metadata, "namespace"),
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        hard=_quota(mapping(spec, "hard")),
        used=_quota(mapping(status, "used")),
        scoped=bool(texts(spec, "scopes") or mapping(spec, "scopeSelector")),
    )


@_forgiving("Namespace")
def namespace_row(found: Json) -> NamespaceRow:
    """The row of a Namespace."""
    metadata, _, status = _parts(found)
    return NamespaceRow(
        name=_name(metadata),
        uid=needed(metadata, "uid"),
        labels=facts.labels(metadata, "labels"),
        annotations=_ours(metadata),
        terminating=_terminating(metadata) or text(status, "phase") == "Terminating",
    )


def _parts(found: Json) -> tuple[Json, Json, Json]:
    return mapping(found, "metadata"), mapping(found, "spec"), mapping(found, "status")


def _name(metadata: Json) -> str:
    return sys.intern(needed(metadata, "name"))


def _shared(parent: Json, key: str) -> str:
    return sys.intern(text(parent, key))


def _terminating(metadata: Json) -> bool:
    return bool(text(metadata, "deletionTimestamp"))


def _owner(metadata: Json) -> Owner | None:
    for reference in objects(metadata, "ownerReferences"):
        if flag(reference, "controller"):
            return facts.shared(Owner(needed(reference, "kind"), needed(reference, "name"), needed(reference, "uid")))
    return None


def _ours(metadata: Json) -> Labels:
    return tuple(pair for pair in facts.labels(metadata, "annotations") if pair[0].startswith(OURS))


def _condition(status: Json, kind: str) -> Json:
    return next((c for c in objects(status, "conditions") if c.get("type") == kind), {})


def _unschedulable(status: Json) -> str:
    condition = _condition(status, "PodScheduled")
    if text(condition, "status") != "False":
        return ""
    reason = text(condition, "reason", "Unschedulable")
    return facts.shared(f"{reason}: {text(condition, 'message')}"[:_MESSAGE_LIMIT])


def _replica_managers(metadata: Json) -> tuple[str, ...]:
    found = {
        text(entry, "manager")
        for entry in objects(metadata, "managedFields")
        if "f:replicas" in mapping(mapping(entry, "fieldsV1"), "f:spec")
    }
    return facts.shared(tuple(sorted(found)))


def _count_or_percentage(spec: Json, key: str) -> str:
    found = spec.get(key)
    if found is None:
        return ""
    if type(found) not in (int, str):
        raise Misshapen(f'{key} is {str(found)[:60]!r}, must be a count or a percentage such as "50%"')
    return str(found)


def _quota(found: Json) -> tuple[tuple[str, int], ...]:
    named = {_quota_resource(name): value for name, value in found.items()}
    # The unit goes by the last part: limits.memory is memory.
    return tuple(sorted((name, facts.amount(name.rpartition(".")[2], value)) for name, value in named.items()))


def _quota_resource(name: str) -> str:
    """A quota's resource under the name that nodes use for it."""
    return "pods" if name == "count/pods" else name.removeprefix("requests.")
