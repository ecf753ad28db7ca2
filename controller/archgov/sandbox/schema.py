"""Structural schemas: what they prune, default or refuse.

One walk serves the built-in kinds (Kubernetes' own definitions) as well as custom ones; rules.py evaluates what custom ones
say in CEL beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from .definitions import PREFIX, definitions
from .errors import Cause

Schema = dict[str, Any]
_OPAQUE = frozenset(
    {
        "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    }
)
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
}


def resolved(schema: Schema) -> Schema:
    """The schema with a reference followed; opaque definitions accept anything."""
    target = schema.get("$ref")
    if not isinstance(target, str):
        return schema
    name = target.removeprefix(PREFIX)
    if name in _OPAQUE:
        return _ANYTHING
    if name == _QUANTITY:
        return {"x-kubernetes-int-or-string": True}
    found: Schema = definitions()[name]
    # The list and patch markers of a field stand beside the reference, not behind it.
    beside = {key: value for key, value in schema.items() if key.startswith("x-")}
    return {**found, **beside} if beside else found


def child(schema: Schema, field: str) -> Schema | None:
    """The schema of one field of an object; None where the schema doesn't know it."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and field in properties:
        return resolved(properties[field])
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return resolved(extra)
    if extra is True or schema.get("x-kubernetes-preserve-unknown-fields"):
        return _ANYTHING
    # A built-in definition without properties is free-form.
    return _ANYTHING if properties is None and schema.get("type") in ("object", None) else None


def items(schema: Schema) -> Schema:
    """The schema of a list's items."""
    return resolved(schema.get("items", _ANYTHING))


def pruned(schema: Schema, value: Any) -> tuple[Any, list[str]]:
    """The value without the fields that the schema doesn't know, then the paths of those fields."""
    unknown: list[str] = []
    return _pruned(resolved(schema), value, "", unknown), unknown


def _pruned(schema: Schema, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, list):
        inner = items(schema)
        return [_pruned(inner, each, f"{path}[{i}]", unknown) for i, each in enumerate(value)]
    if not isinstance(value, dict):
        return (
            str(value) if schema.get("x-kubernetes-int-or-string") and _is_number_for_quantity(schema, value) else value
        )
    kept = {}
    for field, each in value.items():
        inner_schema = child(schema, field)
        if inner_schema is None:
            unknown.append(f"{path}.{field}" if path else field)
        else:
            kept[field] = _pruned(inner_schema, each, f"{path}.{field}" if path else field, unknown)
    return kept


def _is_number_for_quantity(schema: Schema, value: Any) -> bool:
    # A bare quantity schema comes from a built-in definition, where Kubernetes always writes a string back.
    return len(schema) == 1 and isinstance(value, int | float) and not isinstance(value, bool)


def defaulted(schema: Schema, value: Any) -> Any:
    """The value with the schema's defaults filled in; nothing is changed in place."""
    schema = resolved(schema)
    if isinstance(value, list):
        inner = items(schema)
        return [defaulted(inner, each) for each in value]
    if not isinstance(value, dict):
        return value
    filled = {}
    for field, each in value.items():
        inner_schema = child(schema, field) or _ANYTHING
        if each is None and not inner_schema.get("nullable") and "default" in inner_schema:
            continue
        filled[field] = defaulted(inner_schema, each)
    for field, inner_schema in _properties(schema):
        if field not in filled and "default" in inner_schema:
            filled[field] = defaulted(inner_schema, orjson.loads(orjson.dumps(inner_schema["default"])))
    return filled


def _properties(schema: Schema) -> Iterator[tuple[str, Schema]]:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        yield from properties.items()


def violations(schema: Schema, value: Any, path: str = "") -> list[Cause]:
    """Everything in the value that the schema refuses, worded as the API server words it."""
    return list(_violations(resolved(schema), value, path))


def _violations(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    where = path or "<nil>"
    if value is None:
        if not schema.get("nullable") and "type" in schema:
            text = f'Invalid value: "null": {where} in body must be of type {schema["type"]}: "null"'
            yield Cause(where, "FieldValueTypeInvalid", text)
        return
    if not _has_type(schema, value):
        wanted = "integer,string" if schema.get("x-kubernetes-int-or-string") else schema.get("type")
        given = _type_name(value)
        text = f'Invalid value: "{given}": {where} in body must be of type {wanted}: "{given}"'
        yield Cause(where, "FieldValueTypeInvalid", text)
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(_shown(each) for each in schema["enum"])
        yield Cause(
            where, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {supported}"
        )
    if isinstance(value, str):
        yield from _text_violations(schema, value, where)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int | float):
        yield from _number_violations(schema, value, where)
    elif isinstance(value, list):
        yield from _list_violations(schema, value, path)
    elif isinstance(value, dict):
        yield from _object_violations(schema, value, path)
    yield from _combined_violations(schema, value, where)


def _has_type(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        whole = not isinstance(value, float) or value.is_integer() or _is_number_for_quantity(schema, value)
        return isinstance(value, str | int | float) and not isinstance(value, bool) and whole
    wanted = schema.get("type")
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return wanted not in _TYPES or _TYPES[wanted](value)


def _type_name(value: Any) -> str:
    return next(kind for kind in ("string", "boolean", "integer", "number", "object", "array") if _TYPES[kind](value))


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:
        return None


def _text_violations(schema: Schema, value: str, where: str) -> Iterator[Cause]:
    size = len(value)
    if size > schema.get("maxLength", size):
        limit = schema["maxLength"]
        yield Cause(where, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")
    if size < schema.get("minLength", size):
        text = f"{_shown(value)}: {where} in body should be at least {schema['minLength']} chars long"
        yield Cause(where, "FieldValueInvalid", f"Invalid value: {text}")
    pattern = _pattern(schema["pattern"]) if "pattern" in schema else None
    if pattern is not None and not pattern.search(value):
        text = f"{_shown(value)}: {where} in body should match '{schema['pattern']}'"
        yield Cause(where, "FieldValueInvalid", f"Invalid value: {text}")
    if schema.get("format") == "date-time" and not _is_instant(value):
        text = f"{_shown(value)}: {where} in body must be of type date-time: {_shown(value)}"
        yield Cause(where, "FieldValueTypeInvalid", f"Invalid value: {text}")


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _number_violations(schema: Schema, value: float, where: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        word = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield Cause(where, "FieldValueInvalid", f"Invalid value: {value}: {where} in body should be {word} {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        word = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield Cause(where, "FieldValueInvalid", f"Invalid value: {value}: {where} in body should be {word} {high}")
    step = schema.get("multipleOf")
    if step and value % step:
        yield Cause(
            where, "FieldValueInvalid", f"Invalid value: {value}: {where} in body should be a multiple of {step}"
        )


def _list_violations(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        text = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        yield Cause(path, "FieldValueTooMany", text)
    if len(value) < schema.get("minItems", 0):
        text = f"Invalid value: {len(value)}: {path} in body should have at least {schema['minItems']} items"
        yield Cause(path, "FieldValueInvalid", text)
    inner = items(schema)
    seen: set[bytes] = set()
    for i, each in enumerate(value):
        yield from _violations(inner, each, f"{path}[{i}]")
        identity = identity_of(schema, each)
        if identity is not None and identity in seen:
            yield Cause(f"{path}[{i}]", "FieldValueDuplicate", f"Duplicate value: {identity.decode()}")
        seen.add(identity or b"")


def identity_of(schema: Schema, item: Any) -> bytes | None:
    """What must be unique about an item of a list of type map or set; None where nothing must."""
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set":
        return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    if kind == "map" and isinstance(item, dict):
        inner = items(schema)
        keys = {
            name: item.get(name, _key_default(inner, name)) for name in schema.get("x-kubernetes-list-map-keys", [])
        }
        return orjson.dumps({k: v for k, v in keys.items() if v is not None}, option=orjson.OPT_SORT_KEYS)
    return None


def _key_default(inner: Schema, name: str) -> Any:
    # `protocol` is the one key of a built-in list that has a default which the definitions don't carry.
    known = (inner.get("properties") or {}).get(name, {})
    return known.get("default", "TCP" if name == "protocol" else None)


def _object_violations(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Cause]:
    for field in schema.get("required", ()):
        if field not in value:
            yield Cause(f"{path}.{field}" if path else field, "FieldValueRequired", "Required value")
    if len(value) > schema.get("maxProperties", len(value)):
        text = f"Too many: {len(value)}: must have at most {schema['maxProperties']} items"
        yield Cause(path, "FieldValueTooMany", text)
    if len(value) < schema.get("minProperties", 0):
        text = f"Invalid value: {len(value)}: {path} in body should have at least {schema['minProperties']} properties"
        yield Cause(path, "FieldValueInvalid", text)
    for field, each in value.items():
        inner = child(schema, field)
        if inner is not None:
            yield from _violations(inner, each, f"{path}.{field}" if path else field)


def _combined_violations(schema: Schema, value: Any, where: str) -> Iterator[Cause]:
    for part in schema.get("allOf", ()):
        yield from _violations(part, value, "" if where == "<nil>" else where)
    for word, wanted in (("anyOf", "at least one"), ("oneOf", "exactly one")):
        parts = schema.get(word)
        if not parts:
            continue
        fitting = sum(not violations(part, value) for part in parts)
        if fitting == 0 or (word == "oneOf" and fitting != 1):
            text = f"Invalid value: {_shown(value)}: {where} in body must validate {wanted} schema ({word})"
            yield Cause(where, "FieldValueInvalid", text)
    if "not" in schema and not violations(schema["not"], value):
        yield Cause(
            where,
            "FieldValueInvalid",
            f"Invalid value: {_shown(value)}: {where} in body must not validate the schema (not)",
        )
