"""The three patches that name no field manager: merge, JSON and strategic merge."""

from __future__ import annotations

from typing import Any

from .errors import ApiError, bad_request
from .objects import mapping
from .schema import Schema, child, items, resolved

_ANY: Schema = {"x-kubernetes-preserve-unknown-fields": True}


def merge(live: Any, change: Any) -> Any:
    """RFC 7386: maps merge, null removes, everything else replaces."""
    if not isinstance(change, dict):
        return change
    out = dict(live) if isinstance(live, dict) else {}
    for field, value in change.items():
        if value is None:
            out.pop(field, None)
        else:
            out[field] = merge(out.get(field), value)
    return out


def json_patch(live: Any, operations: Any) -> Any:
    """RFC 6902.

    Raises:
        ApiError: 400 for what is no patch; 422 for a path that isn't there or a failed test, as the API server does.
    """
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    for step in map(mapping, operations):
        live = _operate(live, step)
    return live


def _operate(live: Any, step: dict[str, Any]) -> Any:
    path = _pointer(step.get("path"))
    match step.get("op"):
        case "add":
            return _set(live, path, step.get("value"), insert=True)
        case "replace":
            _value_at(live, path)
            return _set(live, path, step.get("value"), insert=False)
        case "remove":
            return _removed(live, path)
        case "test":
            if _value_at(live, path, missing=None) != step.get("value"):
                raise _unprocessable(f"testing value {step.get('path')} failed: test failed")
            return live
        case "move":
            source = _pointer(step.get("from"))
            return _set(_removed(live, source), path, _value_at(live, source), insert=True)
        case "copy":
            return _set(live, path, _value_at(live, _pointer(step.get("from"))), insert=True)
        case unknown:
            raise bad_request(f"Unexpected kind: {unknown}; an operation is add, remove, replace, move, copy or test")


def _unprocessable(why: str) -> ApiError:
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}")


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise bad_request(f"{text!r} is no JSON pointer; write one such as /spec/replicas")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


_RAISE = object()


def _value_at(live: Any, path: list[str], missing: Any = _RAISE) -> Any:
    value = live
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif missing is _RAISE:
            raise _unprocessable(f"doc is missing path: /{'/'.join(path)}: missing value")
        else:
            return missing
    return value


def _set(live: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(live, dict):
        if rest and head not in live:
            raise _unprocessable(f"doc is missing path: {head}: missing value")
        return {**live, head: _set(live.get(head), rest, value, insert=insert)}
    if isinstance(live, list) and (head == "-" or (head.isdigit() and int(head) <= len(live))):
        i = len(live) if head == "-" else int(head)
        if rest:
            return [_set(each, rest, value, insert=insert) if j == i else each for j, each in enumerate(live)]
        return [*live[:i], value, *live[i if insert else i + 1 :]]
    raise _unprocessable(f"doc is missing path: {head}: missing value")


def _removed(live: Any, path: list[str]) -> Any:
    _value_at(live, path)
    head, rest = path[0], path[1:]
    if isinstance(live, dict):
        if rest:
            return {**live, head: _removed(live[head], rest)}
        return {field: value for field, value in live.items() if field != head}
    i = int(head)
    return [*live[:i], _removed(live[i], rest), *live[i + 1 :]] if rest else [*live[:i], *live[i + 1 :]]


def strategic(schema: Schema, live: Any, change: Any) -> Any:
    """Strategic merge: keyed lists merge by the key that the built-in definitions name.

    Source: Kubernetes, `apimachinery/pkg/util/strategicpatch`.
    """
    schema = resolved(schema)
    if not isinstance(change, dict):
        return change
    if change.get("$patch") == "replace":
        return {field: value for field, value in change.items() if field != "$patch"}
    if change.get("$patch") == "delete":
        return {}
    out = dict(live) if isinstance(live, dict) else {}
    if isinstance(change.get("$retainKeys"), list):
        out = {field: value for field, value in out.items() if field in change["$retainKeys"]}
    for field, value in change.items():
        if field.startswith("$deleteFromPrimitiveList/"):
            target = field.partition("/")[2]
            out[target] = [each for each in out.get(target, []) if each not in value]
        elif field.startswith("$"):
            continue
        elif value is None:
            out.pop(field, None)
        else:
            out[field] = _strategic_field(child(schema, field) or _ANY, out.get(field), value)
    return _ordered(schema, out, change)


def _strategic_field(schema: Schema, live: Any, value: Any) -> Any:
    if isinstance(value, list):
        return _strategic_list(schema, live if isinstance(live, list) else [], value)
    return strategic(schema, live, value)


def _strategic_list(schema: Schema, live: list[Any], change: list[Any]) -> list[Any]:
    # Some fields have two strategies, such as "merge,retainKeys".
    if "merge" not in str(schema.get("x-kubernetes-patch-strategy", "")).split(","):
        return [each for each in change if mapping(each).get("$patch") != "replace"]
    merge_key = schema.get("x-kubernetes-patch-merge-key")
    if merge_key is None:
        return live + [each for each in change if each not in live]
    if any(mapping(each).get("$patch") == "replace" for each in change):
        return [each for each in change if "$patch" not in mapping(each)]
    out = list(live)
    for each in map(mapping, change):
        at = next((i for i, old in enumerate(out) if mapping(old).get(merge_key) == each.get(merge_key)), None)
        if each.get("$patch") == "delete":
            out = [old for old in out if mapping(old).get(merge_key) != each.get(merge_key)]
        elif at is None:
            out.append(strategic(items(schema), {}, each))
        else:
            out[at] = strategic(items(schema), out[at], each)
    return out


def _ordered(schema: Schema, out: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    for directive, order in change.items():
        field = directive.partition("/")[2]
        if directive.startswith("$setElementOrder/") and isinstance(out.get(field), list) and isinstance(order, list):
            merge_key = (child(schema, field) or _ANY).get("x-kubernetes-patch-merge-key")
            out[field] = _sorted_by(out[field], order, merge_key)
    return out


def _sorted_by(values: list[Any], order: list[Any], merge_key: str | None) -> list[Any]:
    def identity(each: Any) -> Any:
        return mapping(each).get(merge_key) if merge_key else each

    wanted = [identity(each) for each in order]
    # Items that the patch's author doesn't know keep their place behind the ones they do.
    return sorted(values, key=lambda each: wanted.index(identity(each)) if identity(each) in wanted else len(wanted))
