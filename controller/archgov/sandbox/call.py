"""A request as the API understands it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from . import protobuf
from .errors import bad_request, method_not_allowed, no_such_path, unsupported_media
from .resources import Registry, Resource

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE, STRATEGIC, APPLY)
_YAML = ("application/yaml", "application/x-yaml", "text/yaml", APPLY)
_JSON = ("application/json", "", "application/octet-stream", "text/plain", MERGE, JSON_PATCH, STRATEGIC)
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one resource."""

    verb: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    media: str
    accept: str
    user: str
    agent: str
    body: bytes

    @property
    def writes(self) -> bool:
        return self.verb in _WRITES

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dryRun"))

    @property
    def manager(self) -> str:
        return self.query.get("fieldManager") or self.agent.partition("/")[0] or "unknown"

    @property
    def wants_table(self) -> bool:
        return "as=Table" in self.accept

    @property
    def wants_metadata(self) -> bool:
        return "as=PartialObjectMetadata" in self.accept

    def flag(self, parameter: str) -> bool:
        return self.query.get(parameter, "").lower() in ("true", "1")

    def number(self, parameter: str) -> int:
        """A parameter that is a count; 0 when it isn't given.

        Raises:
            ApiError: 400 when it is no count.
        """
        text = self.query.get(parameter, "") or "0"
        if not text.isdigit():
            raise bad_request(f'unable to parse "{text}" as {parameter}: it must be a whole number')
        return int(text)

    def content(self) -> Any:
        """The body as JSON values.

        Raises:
            ApiError: 400 for what can't be read, 415 for a media type that isn't served.
        """
        return parsed(self.body, self.media)


def parsed(body: bytes, media: str) -> Any:
    """The body as JSON values; None for an empty one.

    Raises:
        ApiError: 400 for what can't be read, 415 for a media type that isn't served.
    """
    if not body.strip():
        return None
    if media in _YAML:
        try:
            return yaml.load(body, Loader=_Loader)  # noqa: S506 - a SafeLoader without dates
        except yaml.YAMLError as error:
            raise bad_request(f"error decoding YAML: {error}") from error
    if media == protobuf.MEDIA:
        return protobuf.decoded(body)
    if media not in _JSON:
        raise unsupported_media(media, ("application/json", "application/yaml"))
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target(registry: Registry, path: str) -> Target:
    """What a path under /api or /apis names.

    Raises:
        ApiError: 404 for a path that isn't served.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_path()
    if rest[0] == "namespaces" and len(rest) >= 3 and not (group == "" and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    else:
        namespace = ""
    resource = registry.served(group, version, rest[0])
    if resource is None or len(rest) > 3 or (namespace and not resource.namespaced):
        raise no_such_path()
    found = Target(resource, namespace, *rest[1:])
    if found.subresource and found.subresource not in subresources(resource):
        raise no_such_path()
    return found


def subresources(resource: Resource) -> tuple[str, ...]:
    """The subresources that a resource has."""
    extra = {"pods": ("eviction", "binding"), "namespaces": ("finalize",)}.get(resource.qualified, ())
    return ("status",) * resource.has_status + ("scale",) * resource.has_scale + extra


def verb_of(method: str, found: Target, query: Mapping[str, str]) -> str:
    """The Kubernetes verb of a request.

    Raises:
        ApiError: 405 for a verb that the resource hasn't.
    """
    named = bool(found.name)
    watches = query.get("watch", "").lower() in ("true", "1")
    verb = {
        ("GET", True): "watch" if watches else "get",
        ("GET", False): "watch" if watches else "list",
        ("POST", False): "create",
        ("PUT", True): "update",
        ("PATCH", True): "patch",
        ("DELETE", True): "delete",
        ("DELETE", False): "deletecollection",
    }.get((method, named))
    if method == "POST" and found.subresource in ("eviction", "binding"):
        return "create"
    if verb is None or verb not in found.resource.verbs or (found.resource.namespaced and _homeless(verb, found)):
        raise method_not_allowed()
    return verb


def _homeless(verb: str, found: Target) -> bool:
    return not found.namespace and verb not in ("list", "watch")
