"""Pages of the API reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from archgov.api.crd import UNSEEN, structural
from archgov.api.kind import API_VERSION, CATEGORY, Kind
from archgov.api.meaning import CONDITIONS, REASONS
from archgov.api.part import INT_OR_STRING, VALIDATIONS

WRITTEN: Final = "<!-- Written by `make generate` from controller/archgov/api; edits here are lost. -->\n"


def pages(kinds: tuple[Kind, ...], samples: Mapping[str, str]) -> dict[str, str]:
    """The text of every page by its file name. samples: YAML by kind."""
    return {
        "README.md": _index(kinds),
        "conditions.md": _conditions(),
        **{f"{kind.singular}.md": _page(kind, samples[kind.name]) for kind in kinds},
    }


def _index(kinds: tuple[Kind, ...]) -> str:
    rows = [f"| [{kind.name}]({kind.singular}.md) | `{kind.short}` | {kind.about} |" for kind in kinds]
    return "\n".join(
        [
            WRITTEN,
            f"# API reference: `{API_VERSION}`",
            "",
            f"`kubectl get {CATEGORY} -A` lists all of them. [Conditions](conditions.md) explains what statuses say.",
            "",
            "| kind | short name | what it is for |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _page(kind: Kind, sample: str) -> str:
    return "\n".join(
        [
            WRITTEN,
            f"# {kind.name}",
            "",
            kind.about,
            "",
            _facts(kind),
            "",
            "```yaml",
            sample.rstrip("\n"),
            "```",
            "",
            "## Spec",
            "",
            *_table(structural(kind.spec), "spec"),
            *_rules(kind),
            "",
            "## Status",
            "",
            *_table({**structural(kind.status), "default": UNSEEN}, "status"),
            "",
        ]
    )


def _facts(kind: Kind) -> str:
    fields = ", ".join(f"`{path[1:]}`" for path in kind.selectable) or "none beyond metadata"
    return (
        f"`{API_VERSION}`, {kind.scope.lower()}, short name `{kind.short}`, in category `{CATEGORY}`. "
        f"Field selectors: {fields}."
    )


def _table(schema: Mapping[str, Any], path: str) -> list[str]:
    return [
        "| field | type | default | description |",
        "|---|---|---|---|",
        *(f"| `{row[0]}` | {row[1]} | {row[2]} | {row[3]} |" for row in _rows(schema, path)),
    ]


def _rows(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    """Field, type, default, description of everything below a node, parents first."""
    required = schema.get("required", [])
    for name, child in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        yield where, _type(child), _default(child, is_required=name in required), _cell(child.get("description", ""))
        yield from _rows(child, where)
        if "items" in child:
            yield from _rows(child["items"], f"{where}[]")


def _type(schema: Mapping[str, Any]) -> str:
    if INT_OR_STRING in schema:
        return "quantity"
    match schema.get("type"):
        case "array":
            return f"list of at most {schema['maxItems']}: {_type(schema['items'])}"
        case "object" if "additionalProperties" in schema:
            return f"map of at most {schema['maxProperties']}: {_type(schema['additionalProperties'])}"
        case "integer":
            return _between("integer", schema)
        case "string" if "enum" in schema:
            return _cell(" | ".join(f"`{value}`" for value in schema["enum"]))
        case other:
            return str(other)


def _between(name: str, schema: Mapping[str, Any]) -> str:
    match schema.get("minimum"), schema.get("maximum"):
        case None, None:
            return name
        case least, None:
            return f"{name}, at least {least}"
        case least, most:
            return f"{name}, {least} to {most}"


def _default(schema: Mapping[str, Any], *, is_required: bool) -> str:
    if is_required:
        return "*required*"
    return f"`{_text(schema['default'])}`" if "default" in schema else ""


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value or '""'
        case _:
            return str(value)


def _rules(kind: Kind) -> list[str]:
    named = [f"- `metadata.name`: {rule.message}" for rule in kind.rules]
    lines = [*named, *_told(structural(kind.spec), "spec")]
    return ["", "Beyond that:", "", *lines] if lines else []


def _told(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The rules of objects, as their messages say them."""
    if schema.get("type") == "object":
        yield from (f"- `{path}`: {rule['message']}" for rule in schema.get(VALIDATIONS, []))
    for name, child in schema.get("properties", {}).items():
        yield from _told(child, f"{path}.{name}")
    if "items" in schema:
        yield from _told(schema["items"], f"{path}[]")


def _conditions() -> str:
    return "\n".join(
        [
            WRITTEN,
            "# Conditions",
            "",
            "Every object of ours reports conditions in the sense of `metav1.Condition`, so that",
            "`kubectl wait --for=condition=Ready` works on each. Types are API, and so are reasons.",
            "",
            "## Types",
            "",
            "| type | what `True` means |",
            "|---|---|",
            *(f"| `{kind}` | {_cell(meaning)} |" for kind, meaning in CONDITIONS.items()),
            "",
            "## Reasons",
            "",
            "| reason | what happened |",
            "|---|---|",
            *(f"| `{reason}` | {_cell(meaning)} |" for reason, meaning in REASONS.items()),
            "",
        ]
    )


def _cell(text: str) -> str:
    """A text that stays in its column."""
    return text.replace("|", "\\|").replace("\n", " ")
