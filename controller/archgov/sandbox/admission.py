"""What Kubernetes fills into built-in objects, with the cross-field mistakes it refuses."""

from __future__ import annotations

import base64
import re
from typing import Any

from .errors import Cause
from .objects import Object, labels, listing, mapping, selector, spec, with_metadata
from .resources import Resource

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com')"
)
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_TEMPLATED = frozenset({"deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps"})
_TOLERATED_SECONDS = 300
_LOST = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def filled(resource: Resource, body: Object) -> Object:
    """The object with the defaults of its built-in kind."""
    match resource.qualified:
        case "pods":
            return _pod(body)
        case "deployments.apps":
            return _deployment(body)
        case "replicasets.apps":
            return _with_spec_defaults(_templated(body), {"replicas": 1})
        case "statefulsets.apps":
            return _with_spec_defaults(_templated(body), _STATEFUL_SET)
        case "daemonsets.apps":
            return _with_spec_defaults(_templated(body), _DAEMON_SET)
        case "namespaces":
            return _namespace(body)
        case "secrets":
            return _secret(body)
        case "services":
            return _service(body)
        case "horizontalpodautoscalers.autoscaling":
            return _with_spec_defaults(body, {"minReplicas": 1})
        case _:
            return body


def stamped(resource: Resource, body: Object, user: str) -> Object:
    """Who made an Approval, as the policy in admission/approval-author.yaml has real API servers say it."""
    if resource.qualified != "approvals.archgov.io" or not isinstance(body.get("spec"), dict):
        return body
    return {**body, "spec": {**body["spec"], "author": user}}


_ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
_STATEFUL_SET = {
    "replicas": 1,
    "podManagementPolicy": "OrderedReady",
    "revisionHistoryLimit": 10,
    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
}
_DAEMON_SET = {
    "revisionHistoryLimit": 10,
    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
}
_POD_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def _with_spec_defaults(body: Object, defaults: dict[str, Any]) -> Object:
    return {**body, "spec": {**defaults, **{k: v for k, v in spec(body).items() if v is not None}}}


def _deployment(body: Object) -> Object:
    defaults = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    body = _with_spec_defaults(_templated(body), defaults)
    strategy = mapping(spec(body).get("strategy"))
    if strategy.get("type") == "Recreate":
        return body
    rolling = {**_ROLLING["rollingUpdate"], **mapping(strategy.get("rollingUpdate"))}  # type: ignore[dict-item]
    return {**body, "spec": {**spec(body), "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}


def _templated(body: Object) -> Object:
    template = mapping(spec(body).get("template"))
    filled_template = {**template, "spec": _pod_spec(mapping(template.get("spec")))}
    return {**body, "spec": {**spec(body), "template": filled_template}}


def _pod(body: Object) -> Object:
    wanted = _pod_spec(spec(body))
    tolerations = listing(wanted.get("tolerations"))
    known = {mapping(each).get("key") for each in tolerations}
    # The DefaultTolerationSeconds admission plugin: five minutes on a lost node, unless the pod says otherwise.
    tolerations = tolerations + [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_SECONDS}
        for key in _LOST
        if key not in known and None not in known
    ]
    wanted = {"serviceAccountName": "default", "enableServiceLinks": True, **wanted, "tolerations": tolerations}
    return {**body, "spec": wanted}


# What Go writes although nobody said it.
_FIRST_STATUS: dict[str, dict[str, Any]] = {
    "namespaces": {"phase": "Active"},
    "replicasets.apps": {"replicas": 0},
    "statefulsets.apps": {"replicas": 0, "availableReplicas": 0},
    "daemonsets.apps": {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    "poddisruptionbudgets.policy": {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
    "horizontalpodautoscalers.autoscaling": {"desiredReplicas": 0, "currentMetrics": None},
}


def first_status(resource: Resource, body: Object) -> Object:
    """The status with which an object of a built-in kind is born; what it brings along counts more."""
    born = _FIRST_STATUS.get(resource.qualified, {})
    if resource.qualified == "pods":
        born = {"phase": "Pending", "qosClass": _quality(spec(body))}
    return {**born, **mapping(body.get("status"))}


def _quality(wanted: Object) -> str:
    containers = [mapping(mapping(each).get("resources")) for each in listing(wanted.get("containers"))]
    if not any(each.get("requests") or each.get("limits") for each in containers):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(mapping(each.get("limits"))) and mapping(each.get("requests")) == each.get("limits")
        for each in containers
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _pod_spec(wanted: Object) -> Object:
    return {**_POD_SPEC, **wanted, "containers": [_container(mapping(c)) for c in listing(wanted.get("containers"))]}


def _container(body: Object) -> Object:
    image = str(body.get("image", ""))
    latest = image.endswith(":latest") or (":" not in image.rsplit("/", 1)[-1])
    out = {"imagePullPolicy": "Always" if latest else "IfNotPresent", **_CONTAINER, **body}
    limits, asked = mapping(out["resources"].get("limits")), mapping(out["resources"].get("requests"))
    if limits and set(limits) - set(asked):
        out["resources"] = {**out["resources"], "requests": {**limits, **asked}}
    if "ports" in out:
        out["ports"] = [{"protocol": "TCP", **mapping(port)} for port in listing(out["ports"])]
    return out


def _namespace(body: Object) -> Object:
    known = {**labels(body), "kubernetes.io/metadata.name": str(body["metadata"].get("name", ""))}
    return {**with_metadata(body, labels=known), "spec": {"finalizers": ["kubernetes"], **spec(body)}}


def _secret(body: Object) -> Object:
    plain = {k: base64.b64encode(str(v).encode()).decode() for k, v in mapping(body.get("stringData")).items()}
    out = {"type": "Opaque", **{field: value for field, value in body.items() if field != "stringData"}}
    return {**out, "data": {**mapping(out.get("data")), **plain}} if plain else out


def _service(body: Object) -> Object:
    defaults = {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }
    ports = [
        {"protocol": "TCP", "targetPort": mapping(p).get("port"), **mapping(p)}
        for p in listing(spec(body).get("ports"))
    ]
    return _with_spec_defaults({**body, "spec": {**spec(body), **({"ports": ports} if ports else {})}}, defaults)


def mistakes(resource: Resource, body: Object) -> list[Cause]:
    """What the API server refuses in any object, or in one of a built-in kind, beyond its schema."""
    found = _bad_names(body)
    if resource.qualified in _TEMPLATED:
        found += _bad_template(body)
    replicas = spec(body).get("replicas")
    if isinstance(replicas, int) and replicas < 0 and not resource.custom:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        found.append(Cause("spec.replicas", "FieldValueInvalid", text))
    if resource.qualified == "customresourcedefinitions.apiextensions.k8s.io":
        found += _bad_definition(body)
    return found


def _bad_names(body: Object) -> list[Cause]:
    name = str(body["metadata"].get("name", ""))
    found: list[Cause] = []
    if not _NAME.fullmatch(name) or len(name) > 253:
        found.append(Cause("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {_NAME_RULE}'))
    for key, value in mapping(body["metadata"].get("labels")).items():
        if not _LABEL_KEY.fullmatch(str(key)):
            text = f"Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.'"
            found.append(Cause("metadata.labels", "FieldValueInvalid", text))
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            text = (
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            )
            found.append(Cause("metadata.labels", "FieldValueInvalid", text))
    return found


def _bad_template(body: Object) -> list[Cause]:
    template = mapping(spec(body).get("template"))
    wanted = selector(spec(body).get("selector"))
    found = []
    if not wanted.labels and not wanted.expressions:
        found.append(Cause("spec.selector", "FieldValueRequired", "Required value"))
    elif not wanted.matches(mapping(mapping(template.get("metadata")).get("labels"))):
        text = "Invalid value: `selector` does not match template `labels`"
        found.append(Cause("spec.template.metadata.labels", "FieldValueInvalid", text))
    if not listing(mapping(template.get("spec")).get("containers")):
        found.append(Cause("spec.template.spec.containers", "FieldValueRequired", "Required value"))
    return found


def _bad_definition(body: Object) -> list[Cause]:
    wanted = spec(body)
    names = mapping(wanted.get("names"))
    full = f"{names.get('plural', '')}.{wanted.get('group', '')}"
    name = body["metadata"].get("name")
    found = []
    if name != full:
        text = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        found.append(Cause("metadata.name", "FieldValueInvalid", text))
    for i, version in enumerate(map(mapping, listing(wanted.get("versions")))):
        if not mapping(version.get("schema")).get("openAPIV3Schema"):
            text = "Required value: schemas are required"
            found.append(Cause(f"spec.versions[{i}].schema.openAPIV3Schema", "FieldValueRequired", text))
    return found


def immutable_changes(resource: Resource, before: Object, after: Object) -> list[Cause]:
    """Changes to fields that Kubernetes never lets change."""
    paths = {
        "deployments.apps": ("selector",),
        "replicasets.apps": ("selector",),
        "statefulsets.apps": ("selector", "serviceName"),
        "daemonsets.apps": ("selector",),
    }.get(resource.qualified, ())
    return [
        Cause(f"spec.{field}", "FieldValueInvalid", "Invalid value: field is immutable")
        for field in paths
        if spec(before).get(field) != spec(after).get(field)
    ]
