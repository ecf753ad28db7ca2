"""A plain HTTPS client for one cluster of a sandbox, with builders for what the tests put there."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from archgov.sandbox import Sandbox

Json = dict[str, Any]
T = TypeVar("T")

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
ZONE = "topology.kubernetes.io/zone"
PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"


@dataclass(frozen=True)
class Answer:
    code: int
    body: Any
    headers: dict[str, str]

    @property
    def items(self) -> list[Json]:
        found: list[Json] = self.body["items"]
        return found

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


@dataclass(frozen=True)
class Api:
    """One user of one cluster."""

    url: str
    token: str
    trust: ssl.SSLContext

    @classmethod
    def of(cls, sandbox: Sandbox, cluster: str, user: str = "admin") -> Api:
        config = yaml.safe_load(sandbox.kubeconfig_for(cluster, user))
        ca = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        return cls(sandbox.url(cluster), sandbox.token(user), ssl.create_default_context(cadata=ca))

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json", **headers: str) -> Answer:
        request = self._request(method, path, body, media, headers)
        try:
            with urlopen(request, timeout=10, context=self.trust) as answer:  # noqa: S310 - as below
                return Answer(answer.status, json.load(answer), dict(answer.headers))
        except HTTPError as error:
            with error:
                return Answer(error.code, json.load(error), dict(error.headers))

    def _request(self, method: str, path: str, body: Any, media: str, headers: dict[str, str]) -> Request:
        data = None if body is None else json.dumps(body).encode()
        own = {"Authorization": f"Bearer {self.token}", "Content-Type": media, "User-Agent": "tests/1"}
        return Request(self.url + path, data, {**own, **headers}, method=method)  # noqa: S310 - a server of our own

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def create(self, path: str, body: Json) -> Answer:
        return self.ask("POST", path, body)

    def patch(self, path: str, body: Any, media: str = MERGE) -> Answer:
        return self.ask("PATCH", path, body, media)

    def apply(self, path: str, body: Json, manager: str = "tests", more: str = "") -> Answer:
        return self.ask("PATCH", f"{path}?fieldManager={manager}{more}", body, APPLY)

    def delete(self, path: str, options: Json | None = None) -> Answer:
        return self.ask("DELETE", path, options)

    def items(self, path: str) -> list[Json]:
        return self.get(path).items

    def watch(self, path: str, query: str = "") -> Iterator[Json]:
        """The events of a watch until the server ends it."""
        joined = f"{path}{'&' if '?' in path else '?'}watch=true&{query}"
        with urlopen(self._request("GET", joined, None, "", {}), timeout=15, context=self.trust) as stream:  # noqa: S310 - as above
            for line in stream:
                yield json.loads(line)


def eventually(question: Callable[[], T], seconds: float = 20.0) -> T:
    """The first answer that holds, asked again until a deadline."""
    until = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > until:
            assert answer, f"still {answer!r} after {seconds} s"
            return answer
        time.sleep(0.02)


def node(name: str, zone: str = "a", cpu: str = "4", memory: str = "16Gi", **spec: Any) -> Json:
    size = {"cpu": cpu, "memory": memory, "pods": "110"}
    labels = {ZONE: zone, "kubernetes.io/hostname": name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"capacity": size, "allocatable": size},
    }


def deployment(name: str, replicas: int = 1, cpu: str = "100m", kind: str = "Deployment", **pod: Any) -> Json:
    container = {"name": "main", "image": f"{name}:1", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}
    spec: Json = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], **pod}},
    }
    if kind == "DaemonSet":
        del spec["replicas"]
    if kind == "StatefulSet":
        spec["serviceName"] = name
    metadata = {"name": name, "namespace": "shop", "labels": {"app": name}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data}


def budget(name: str, app: str, **spec: Any) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
    }


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pods(api: Api, app: str) -> list[Json]:
    """The pods of an app that aren't on their way out."""
    found = api.items(f"{PODS}?labelSelector=app%3D{app}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(api: Api, app: str) -> int:
    return sum(map(is_ready, pods(api, app)))


def zone_of(api: Api, pod: Json) -> str:
    return str(api.get(f"/api/v1/nodes/{pod['spec']['nodeName']}").body["metadata"]["labels"][ZONE])


WIDGETS = "/apis/example.io/v1/namespaces/shop/widgets"


def widget(name: str, **spec: Any) -> Json:
    return {
        "apiVersion": "example.io/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"size": 1, **spec},
    }


def widget_definition() -> Json:
    """A CRD with most of what structural schemas can say."""
    part = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
    }
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How large the widget is."},
            "mode": {"type": "string", "enum": ["On", "Off"], "default": "Off"},
            "share": {"type": "string", "pattern": "^[0-9]{1,3}%$"},
            "window": {"type": "object", "default": {}, "properties": {"length": {"type": "string", "default": "10m"}}},
            "parts": {
                "type": "array",
                "maxItems": 3,
                "items": part,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "port": {"x-kubernetes-int-or-string": True},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    status = {
        "type": "object",
        "default": {"observedGeneration": -1},
        "properties": {
            "observedGeneration": {"type": "integer"},
            "ready": {"type": "string"},
            "conditions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                },
            },
        },
    }
    columns = [
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "selectableFields": [{"jsonPath": ".status.ready"}],
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["gadgets"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.io"},
        "spec": {"group": "example.io", "scope": "Namespaced", "names": names, "versions": [version]},
    }
