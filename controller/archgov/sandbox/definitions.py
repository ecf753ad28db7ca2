"""Kubernetes' own OpenAPI definitions of the built-in kinds.

`builtin.json` is cut from `api/openapi-spec/swagger.json` of Kubernetes 1.36.3 (Apache-2.0): the definitions that the
table in `resources.py` reaches, each description shortened to its first sentence. To make it anew:
`python -m archgov.sandbox.definitions swagger.json builtin.json`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

PREFIX = "#/definitions/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
ROOTS = (
    *(
        f"io.k8s.api.core.v1.{kind}"
        for kind in (
            [
                "Namespace",
                "Node",
                "Pod",
                "ConfigMap",
                "Secret",
                "Service",
                "ServiceAccount",
                "Event",
                "ResourceQuota",
                "LimitRange",
                "Binding",
            ]
        )
    ),
    *(f"io.k8s.api.apps.v1.{kind}" for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")),
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.api.coordination.v1.Lease",
    "io.k8s.api.events.v1.Event",
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    "io.k8s.api.authentication.v1.TokenReview",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SubjectAccessReview",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    f"{META}.DeleteOptions",
)


@cache
def definitions() -> dict[str, Any]:
    """Every definition by its full name, as Kubernetes publishes it."""
    loaded: dict[str, Any] = orjson.loads((Path(__file__).parent / "builtin.json").read_bytes())
    return loaded


def reference(name: str) -> dict[str, Any]:
    """A schema that stands for the named definition."""
    return {"$ref": PREFIX + name}


def closure(names: Iterator[str] | tuple[str, ...], source: dict[str, Any]) -> dict[str, Any]:
    """The named definitions with all that they refer to, sorted by name."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached and name in source:
            reached.add(name)
            waiting.extend(_references(source[name]))
    return {name: source[name] for name in sorted(reached)}


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        target = part.get("$ref")
        if isinstance(target, str):
            yield target.rsplit("/", 1)[1]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _shortened(part: Any) -> Any:
    if isinstance(part, list):
        return [_shortened(value) for value in part]
    if not isinstance(part, dict):
        return part
    return {
        key: re.split(r"(?<=[.!?])\s", value.strip(), maxsplit=1)[0]
        if key == "description" and isinstance(value, str)
        else _shortened(value)
        for key, value in part.items()
    }


def _cut(swagger: Path, target: Path) -> None:
    cut = _shortened(closure(ROOTS, orjson.loads(swagger.read_bytes())["definitions"]))
    lines = [f"{orjson.dumps(name).decode()}:{orjson.dumps(body).decode()}" for name, body in cut.items()]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    _cut(Path(sys.argv[1]), Path(sys.argv[2]))
