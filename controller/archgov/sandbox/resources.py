"""The table of resources that a cluster serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .definitions import META, reference
from .objects import Object, listing, mapping, spec

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One served version of one resource."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    schema: dict[str, Any] = field(repr=False)
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    has_scale: bool = False
    verbs: tuple[str, ...] = ALL_VERBS
    selectable: tuple[str, ...] = ()
    columns: tuple[dict[str, Any], ...] = ()
    custom: bool = False
    stored_as: str = ""  # another resource that shows the same objects

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The key of its objects in the store, such as `pods` or `deployments.apps`."""
        return self.stored_as or (f"{self.plural}.{self.group}" if self.group else self.plural)

    @property
    def storable(self) -> bool:
        return "get" in self.verbs


_CORE = "io.k8s.api.core.v1."


def _built_in(  # one parameter for each column of the table
    group: str,
    version: str,
    plural: str,
    kind: str,
    definition: str,
    *,
    namespaced: bool = True,
    short: str = "",
    status: bool = False,
    scale: bool = False,
    categories: str = "",
    selectable: str = "",
    verbs: tuple[str, ...] = ALL_VERBS,
    stored_as: str = "",
) -> Resource:
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced=namespaced,
        schema=reference(definition),
        short=tuple(short.split()),
        categories=tuple(categories.split()),
        has_status=status,
        has_scale=scale,
        verbs=verbs,
        selectable=tuple(selectable.split()),
        stored_as=stored_as,
    )


_POD_FIELDS = (
    "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork status.phase "
    "status.podIP status.nominatedNodeName"
)
_INVOLVED = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"]
_EVENT_FIELDS = " ".join([f"involvedObject.{part}" for part in _INVOLVED] + ["reason reportingComponent source type"])
_NEW_EVENT_FIELDS = " ".join([f"regarding.{part}" for part in _INVOLVED] + ["reason reportingController type"])
_CREATE_ONLY = ("create",)

BUILT_IN: tuple[Resource, ...] = (
    _built_in(
        "",
        "v1",
        "namespaces",
        "Namespace",
        f"{_CORE}Namespace",
        namespaced=False,
        short="ns",
        status=True,
        selectable="status.phase",
    ),
    _built_in(
        "",
        "v1",
        "nodes",
        "Node",
        f"{_CORE}Node",
        namespaced=False,
        short="no",
        status=True,
        selectable="spec.unschedulable",
    ),
    _built_in(
        "", "v1", "pods", "Pod", f"{_CORE}Pod", short="po", status=True, categories="all", selectable=_POD_FIELDS
    ),
    _built_in("", "v1", "configmaps", "ConfigMap", f"{_CORE}ConfigMap", short="cm"),
    _built_in("", "v1", "secrets", "Secret", f"{_CORE}Secret", selectable="type"),
    _built_in("", "v1", "services", "Service", f"{_CORE}Service", short="svc", status=True, categories="all"),
    _built_in("", "v1", "serviceaccounts", "ServiceAccount", f"{_CORE}ServiceAccount", short="sa"),
    _built_in("", "v1", "events", "Event", f"{_CORE}Event", short="ev", selectable=_EVENT_FIELDS),
    _built_in("", "v1", "resourcequotas", "ResourceQuota", f"{_CORE}ResourceQuota", short="quota", status=True),
    _built_in("", "v1", "limitranges", "LimitRange", f"{_CORE}LimitRange", short="limits"),
    _built_in(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        "io.k8s.api.apps.v1.Deployment",
        short="deploy",
        status=True,
        scale=True,
        categories="all",
    ),
    _built_in(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        "io.k8s.api.apps.v1.ReplicaSet",
        short="rs",
        status=True,
        scale=True,
        categories="all",
    ),
    _built_in(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        "io.k8s.api.apps.v1.StatefulSet",
        short="sts",
        status=True,
        scale=True,
        categories="all",
    ),
    _built_in(
        "apps",
        "v1",
        "daemonsets",
        "DaemonSet",
        "io.k8s.api.apps.v1.DaemonSet",
        short="ds",
        status=True,
        categories="all",
    ),
    _built_in(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
        short="hpa",
        status=True,
        categories="all",
    ),
    _built_in(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "io.k8s.api.policy.v1.PodDisruptionBudget",
        short="pdb",
        status=True,
    ),
    _built_in("coordination.k8s.io", "v1", "leases", "Lease", "io.k8s.api.coordination.v1.Lease"),
    _built_in(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        "io.k8s.api.events.v1.Event",
        short="ev",
        selectable=_NEW_EVENT_FIELDS,
        stored_as="events",
    ),
    _built_in(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        namespaced=False,
        short="crd crds",
        status=True,
        categories="api-extensions",
    ),
    _built_in(
        "authentication.k8s.io",
        "v1",
        "tokenreviews",
        "TokenReview",
        "io.k8s.api.authentication.v1.TokenReview",
        namespaced=False,
        verbs=_CREATE_ONLY,
    ),
    _built_in(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "SelfSubjectReview",
        "io.k8s.api.authentication.v1.SelfSubjectReview",
        namespaced=False,
        verbs=_CREATE_ONLY,
    ),
    _built_in(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
        namespaced=False,
        verbs=_CREATE_ONLY,
    ),
    _built_in(
        "authorization.k8s.io",
        "v1",
        "subjectaccessreviews",
        "SubjectAccessReview",
        "io.k8s.api.authorization.v1.SubjectAccessReview",
        namespaced=False,
        verbs=_CREATE_ONLY,
    ),
)


def from_definition(body: Object) -> tuple[Resource, ...]:
    """The resources that a CustomResourceDefinition asks for, one for each served version."""
    wanted, names = spec(body), mapping(spec(body).get("names"))
    return tuple(
        _custom(wanted, names, version)
        for version in map(mapping, listing(wanted.get("versions")))
        if version.get("served", True) and version.get("name")
    )


def _custom(wanted: dict[str, Any], names: dict[str, Any], version: dict[str, Any]) -> Resource:
    paths = (str(mapping(each).get("jsonPath", "")) for each in listing(version.get("selectableFields")))
    return Resource(
        group=str(wanted.get("group", "")),
        version=str(version["name"]),
        plural=str(names.get("plural", "")),
        kind=str(names.get("kind", "")),
        namespaced=wanted.get("scope") == "Namespaced",
        schema=_with_metadata(mapping(mapping(version.get("schema")).get("openAPIV3Schema"))),
        short=tuple(map(str, listing(names.get("shortNames")))),
        categories=tuple(map(str, listing(names.get("categories")))),
        has_status="status" in mapping(version.get("subresources")),
        selectable=tuple(path.lstrip(".") for path in paths),
        columns=tuple(map(mapping, listing(version.get("additionalPrinterColumns")))),
        custom=True,
    )


def _with_metadata(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with what every object has, which a CRD's author need not write down."""
    always = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": reference(f"{META}.ObjectMeta"),
    }
    return {**schema, "type": "object", "properties": {**mapping(schema.get("properties")), **always}}


class Registry:
    """What one cluster serves: the built-in resources with those of its CRDs."""

    def __init__(self) -> None:
        self._by_path = {(r.group, r.version, r.plural): r for r in BUILT_IN}
        self._by_key = {r.qualified: r for r in BUILT_IN if not r.stored_as}
        self.generation = 0  # a cache of what is served is good for one generation

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_path.values())

    def served(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def by_key(self, key: str) -> Resource:
        return self._by_key[key]

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        group, _, version = api_version.rpartition("/")
        for resource in self._by_path.values():
            if (resource.group, resource.version, resource.kind) == (group, version, kind):
                return resource
        return None

    def define(self, resources: Iterable[Resource]) -> None:
        for resource in resources:
            self._by_path[resource.group, resource.version, resource.plural] = resource
            self._by_key[resource.qualified] = resource
        self.generation += 1

    def withdraw(self, group: str, plural: str) -> None:
        self._by_path = {
            path: r for path, r in self._by_path.items() if not (r.custom and (path[0], path[2]) == (group, plural))
        }
        self._by_key.pop(f"{plural}.{group}", None)
        self.generation += 1
