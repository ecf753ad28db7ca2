"""Which fields an object has, as sets of paths that field managers can own.

A path is a tuple of FieldsV1 elements: `f:name` for a field, `k:{...}` for an item of a keyed list, `v:...` for an item
of a set. Source: structured-merge-diff v6, `fieldpath` with `typed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from .schema import Schema, child, identity_of, items, resolved

Path = tuple[str, ...]
_ANY: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_ITEM = object()  # what a path of an item itself holds; its fields are compared one by one
SYSTEM = frozenset(
    {("f:apiVersion",), ("f:kind",)}
    | {
        ("f:metadata", f"f:{field}")
        for field in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "selfLink",
            "deletionGracePeriodSeconds",
            "managedFields",
            "generateName",
        ]
    }
)


def leaves(schema: Schema, body: Any) -> dict[Path, Any]:
    """Every ownable path of the object with the value that stands there, without those that the server writes."""
    out: dict[Path, Any] = {}
    _collect(resolved(schema), body, (), out)
    return {path: value for path, value in out.items() if path[:2] not in SYSTEM and path[:1] not in SYSTEM}


def _collect(schema: Schema, value: Any, path: Path, out: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value and schema.get("x-kubernetes-map-type") != "atomic":
        for field, each in value.items():
            _collect(child(schema, field) or _ANY, each, (*path, f"f:{field}"), out)
    elif isinstance(value, list) and value and schema.get("x-kubernetes-list-type") in ("map", "set"):
        for each in value:
            place = (*path, element(schema, each))
            out[place] = _ITEM
            if isinstance(each, dict):
                _collect(items(schema), each, place, out)
    else:
        out[path] = value


def element(schema: Schema, item: Any) -> str:
    """The path element that stands for an item of a list of type map or set."""
    identity = identity_of(schema, item) or orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    prefix = "k:" if schema.get("x-kubernetes-list-type") == "map" and isinstance(item, dict) else "v:"
    return prefix + identity.decode()


def encode(paths: Iterable[Path]) -> dict[str, Any]:
    """The paths as FieldsV1."""
    tree: dict[str, Any] = {}
    ordered = sorted(paths)
    for path in ordered:
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}
    return _trimmed(tree)


def _trimmed(tree: dict[str, Any]) -> dict[str, Any]:
    # A member without children is written {}, one with children carries "."
    return {part: {} if set(below) == {"."} else _trimmed(below) for part, below in tree.items()}


def decode(tree: Any) -> frozenset[Path]:
    """The paths that FieldsV1 names."""
    found: set[Path] = set()
    _walk(tree if isinstance(tree, dict) else {}, (), found)
    return frozenset(found)


def _walk(tree: dict[str, Any], path: Path, found: set[Path]) -> None:
    if path and (not tree or "." in tree):
        found.add(path)
    for part, below in tree.items():
        if part != ".":
            _walk(below if isinstance(below, dict) else {}, (*path, part), found)


def merged(schema: Schema, live: Any, applied: Any) -> Any:
    """The live value with the applied one laid over it: maps by field, keyed lists by key, everything else whole."""
    schema = resolved(schema)
    if isinstance(live, dict) and isinstance(applied, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        over = {f: merged(child(schema, f) or _ANY, live[f], v) if f in live else v for f, v in applied.items()}
        return {**live, **over}
    keyed = schema.get("x-kubernetes-list-type") in ("map", "set")
    if isinstance(live, list) and isinstance(applied, list) and keyed:
        wanted = {element(schema, each): each for each in applied}
        kept = [
            merged(items(schema), each, wanted.pop(place)) if (place := element(schema, each)) in wanted else each
            for each in live
        ]
        return kept + list(wanted.values())
    return applied


def without(schema: Schema, value: Any, path: Path) -> Any:
    """The value with what stands at the path taken out; a map or list that gets empty by it goes too."""
    schema = resolved(schema)
    head, rest = path[0], path[1:]
    if head.startswith("f:") and isinstance(value, dict) and head[2:] in value:
        field = head[2:]
        below = without(child(schema, field) or _ANY, value[field], rest) if rest else None
        kept = {k: v for k, v in value.items() if k != field}
        return {**value, field: below} if rest and below not in ({}, []) else kept
    if isinstance(value, list):
        out = []
        for each in value:
            if element(schema, each) != head:
                out.append(each)
            elif rest:
                out.append(without(items(schema), each, rest))
        return out
    return value


def readable(path: Path) -> str:
    """The path as conflict messages show it: `.spec.containers[name="web"].image`."""
    text = ""
    for part in path:
        mark, body = part[:2], part[2:]
        if mark == "f:":
            text += f".{body}"
        elif mark == "k:":
            keys = orjson.loads(body)
            text += "[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in sorted(keys.items())) + "]"
        else:
            text += f"[={body}]"
    return text
