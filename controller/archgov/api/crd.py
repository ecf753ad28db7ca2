"""Structural schemas from our models, wrapped into CustomResourceDefinitions.

What pydantic writes is JSON Schema; what API servers take is a smaller language. Some of the difference they
refuse (`anyOf` with null, `$ref`, `additionalProperties: false` beside properties), some they lose without a word
(`const`, `propertyNames`), which is worse. So every keyword is either translated, known to be harmless, or an error
here, with the path of the field that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archgov.api.kind import CATEGORY, GROUP, VERSION, Column, Kind
from archgov.api.part import FORM, INT_OR_STRING, LIST_KEYS, LIST_TYPE, VALIDATIONS, Part
from archgov.api.registry import KINDS

UNSEEN: Final = {"observedGeneration": -1}  # kstatus reads it as InProgress, from the very first moment of an object

_KEPT: Final = frozenset(
    {
        "type",
        "description",
        "default",
        "enum",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "maxProperties",
        "required",
        LIST_TYPE,
        LIST_KEYS,
        INT_OR_STRING,
        VALIDATIONS,
    }
)
_DROPPED: Final = frozenset({"title", "$defs", "discriminator", "examples", "deprecated", "readOnly"})
_TRANSLATED: Final = frozenset({"$ref", "anyOf", "const", "properties", "items", "additionalProperties", FORM})
# YAML 1.1 reads these keys as truth values.
_TRUTHS: Final = frozenset({"y", "n", "yes", "no", "on", "off"})
_BOUNDS: Final = {
    "string": ("maxLength", "enum", "const"),
    "array": ("maxItems",),
    "object": ("properties", "maxProperties"),
}

Schema = dict[str, Any]


class Unstructural(ValueError):
    """A model that no API server could take; says where and why."""


def definitions() -> tuple[Schema, ...]:
    """The CustomResourceDefinitions of all kinds."""
    return tuple(definition(kind) for kind in KINDS.values())


def definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short],
                "categories": [CATEGORY],
            },
            "scope": kind.scope,
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> Schema:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "selectableFields": [{"jsonPath": path} for path in kind.selectable],
        "schema": {"openAPIV3Schema": _object(kind)},
    }


def _column(column: Column) -> Schema:
    shown: Schema = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**shown, "priority": 1} if column.wide else shown


def _object(kind: Kind) -> Schema:
    schema: Schema = {
        "type": "object",
        "description": kind.about,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(kind.spec),
            "status": {**structural(kind.status), "default": dict(UNSEEN)},
        },
    }
    if kind.rules:
        schema[VALIDATIONS] = [rule.schema() for rule in kind.rules]
    return schema


def structural(model: type[Part]) -> Schema:
    """The structural schema of a model.

    Raises:
        Unstructural: it has what API servers refuse or lose.
    """
    schema = model.model_json_schema(by_alias=True)
    return _node(schema, schema.get("$defs", {}), model.__name__, ())


def _node(node: Mapping[str, Any], models: Mapping[str, Schema], path: str, trail: tuple[str, ...]) -> Schema:
    if "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        if name in trail:
            raise Unstructural(f"{path}: {name} contains itself; a structural schema can't")
        return _node(_over(node, models[name], "$ref"), models, path, (*trail, name))
    if "anyOf" in node:
        return _node(_over(node, _only(node["anyOf"], path), "anyOf"), models, path, trail)
    if unknown := node.keys() - _KEPT - _DROPPED - _TRANSLATED:
        raise Unstructural(f"{path}: {', '.join(sorted(unknown))} is nothing an API server keeps")
    kept = {key: value for key, value in node.items() if key in _KEPT and not (key == "default" and value is None)}
    if "const" in node:
        kept["enum"] = [node["const"]]
    if FORM in node and "description" in node:
        kept["description"] = f"{node['description']} Written as {node[FORM]}."
    _check_bounds(node, path)
    return {**kept, **_below(node, models, path, trail)}


def _below(node: Mapping[str, Any], models: Mapping[str, Schema], path: str, trail: tuple[str, ...]) -> Schema:
    """What a node contains, translated."""
    found: Schema = {}
    if "properties" in node:
        for name in node["properties"]:
            if name.lower() in _TRUTHS:
                raise Unstructural(f"{path}.{name}: YAML reads that name as a truth value; choose another")
        found["properties"] = {
            name: _node(child, models, f"{path}.{name}", trail) for name, child in node["properties"].items()
        }
    if "items" in node:
        found["items"] = _node(node["items"], models, f"{path}[]", trail)
    if isinstance(node.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _node(node["additionalProperties"], models, f"{path}{{}}", trail)
    return found


def _over(node: Mapping[str, Any], below: Mapping[str, Any], without: str) -> Schema:
    """A node in place of a reference: what the field itself says goes over what its type says."""
    return {**below, **{key: value for key, value in node.items() if key != without}}


def _only(options: list[Schema], path: str) -> Schema:
    """X of `X | None`."""
    others = [option for option in options if option.get("type") != "null"]
    if len(others) != 1:
        raise Unstructural(f"{path}: a union of {len(others)} types; merge their fields, with a rule for each")
    return others[0]


def _check_bounds(node: Mapping[str, Any], path: str) -> None:
    """The cost of CEL rules is estimated from bounds, so that one missing bound can make a whole CRD be refused."""
    wanted = _BOUNDS.get(node.get("type", ""), ())
    if wanted and not any(bound in node for bound in wanted):
        raise Unstructural(f"{path}: needs {' or '.join(wanted)}")
