"""What a cluster says it serves: versions, groups, resources."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from .call import subresources
from .errors import no_such_path
from .resources import Registry, Resource

GIT_VERSION = "v1.36.0+archgov-sandbox"
_SUBRESOURCE = {
    "scale": ("Scale", "autoscaling", "v1", ["get", "patch", "update"]),
    "eviction": ("Eviction", "policy", "v1", ["create"]),
    "binding": ("Binding", "", "v1", ["create"]),
    "finalize": ("Namespace", "", "v1", ["update"]),
}


def version() -> dict[str, Any]:
    return {
        "major": "1",
        "minor": "36",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def core_versions() -> dict[str, Any]:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(registry: Registry) -> dict[str, Any]:
    """The APIGroupList."""
    named = sorted((r for r in registry if r.group), key=lambda r: r.group)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, list(members)) for name, members in groupby(named, key=lambda r: r.group)],
    }


def group(registry: Registry, name: str) -> dict[str, Any]:
    """One APIGroup.

    Raises:
        ApiError: 404 for a group that isn't served.
    """
    members = [r for r in registry if r.group == name]
    if not members:
        raise no_such_path()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, members)}


def _group(name: str, members: list[Resource]) -> dict[str, Any]:
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for version in dict.fromkeys(m.version for m in members)
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(registry: Registry, group_name: str, version_name: str) -> dict[str, Any]:
    """The APIResourceList of one version of one group.

    Raises:
        ApiError: 404 for a version that isn't served.
    """
    members = [r for r in registry if (r.group, r.version) == (group_name, version_name)]
    if not members:
        raise no_such_path()
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group_name}/{version_name}" if group_name else version_name,
        "resources": [entry for resource in members for entry in _entries(resource)],
    }


def _entries(resource: Resource) -> list[dict[str, Any]]:
    main: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short:
        main["shortNames"] = list(resource.short)
    if resource.categories:
        main["categories"] = list(resource.categories)
    return [main, *(_sub_entry(resource, each) for each in subresources(resource))]


def _sub_entry(resource: Resource, name: str) -> dict[str, Any]:
    entry = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
    if name not in _SUBRESOURCE:
        return entry | {"kind": resource.kind, "verbs": ["get", "patch", "update"]}
    kind, group_name, version_name, verbs = _SUBRESOURCE[name]
    return entry | {"kind": kind, "group": group_name, "version": version_name, "verbs": verbs}
