"""The OpenAPI v3 documents that kubectl reads to explain, to patch, to ask for validation."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from .definitions import PREFIX, closure, definitions
from .errors import no_such_path
from .resources import Registry, Resource

_TARGET = "#/components/schemas/"
_QUERY = [
    {"in": "query", "name": name, "schema": {"type": kind}}
    for name, kind in (
        ("dryRun", "string"),
        ("fieldManager", "string"),
        ("fieldValidation", "string"),
        ("force", "boolean"),
    )
]


def index(registry: Registry) -> dict[str, Any]:
    """Where each version's document is; the address changes with its content."""
    versions = sorted({(r.group, r.version) for r in registry})
    paths = {
        _path(*each): {"serverRelativeURL": f"/openapi/v3/{_path(*each)}?hash={_digest(registry, *each)}"}
        for each in versions
    }
    return {"paths": paths}


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _digest(registry: Registry, group: str, version: str) -> str:
    return hashlib.sha256(orjson.dumps(document(registry, group, version))).hexdigest()[:32]


def document(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """The document of one version of one group.

    Raises:
        ApiError: 404 for a version that isn't served.
    """
    members = [r for r in registry if (r.group, r.version) == (group, version)]
    if not members:
        raise no_such_path()
    own = {_name(r): _schema(r) for r in members}
    source = {**definitions(), **own}
    schemas = {name: _converted(body) for name, body in closure(tuple(own), source).items()}
    paths = {path: item for r in members for path, item in _paths(r).items()}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _name(resource: Resource) -> str:
    target = resource.schema.get("$ref")
    if isinstance(target, str):
        return target.removeprefix(PREFIX)
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _schema(resource: Resource) -> dict[str, Any]:
    target = resource.schema.get("$ref")
    body: dict[str, Any] = definitions()[target.removeprefix(PREFIX)] if isinstance(target, str) else resource.schema
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return {**body, "x-kubernetes-group-version-kind": [kind]}


def _converted(part: Any) -> Any:
    """A Swagger 2 schema as OpenAPI 3 has it: what stands beside a reference moves out of its way."""
    if isinstance(part, list):
        return [_converted(each) for each in part]
    if not isinstance(part, dict):
        return part
    target = part.get("$ref")
    if isinstance(target, str):
        beside = {key: _converted(value) for key, value in part.items() if key != "$ref"}
        reference = {"$ref": _TARGET + target.removeprefix(PREFIX)}
        return {**beside, "allOf": [reference]} if beside else reference
    return {key: _converted(value) for key, value in part.items()}


def _paths(resource: Resource) -> dict[str, Any]:
    root = f"/{_path(resource.group, resource.version)}/"
    root += ("namespaces/{namespace}/" if resource.namespaced else "") + resource.plural
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}

    def operation(action: str, **more: Any) -> dict[str, Any]:
        answer = {"200": {"description": "OK"}}
        return {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "responses": answer, **more}

    if not resource.storable:
        return {root: {"post": operation("post", parameters=_QUERY)}}
    return {
        root: {"get": operation("list"), "post": operation("post", parameters=_QUERY)},
        f"{root}/{{name}}": {
            "get": operation("get"),
            "put": operation("put", parameters=_QUERY),
            "patch": operation("patch", parameters=_QUERY),
            "delete": operation("delete"),
        },
    }
