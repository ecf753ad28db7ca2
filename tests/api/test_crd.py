"""The generated CRDs: up to date, and free of what API servers refuse or silently lose."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from archgov.api.crd import Unstructural, definition, structural
from archgov.api.generate import generated, write
from archgov.api.part import Part
from archgov.api.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 256 * 1024  # beyond it `kubectl apply` can't keep its annotation

# Everything a structural schema may say; what is missing here is refused or lost by API servers.
STRUCTURAL = {
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
    "properties",
    "items",
    "additionalProperties",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-int-or-string",
}


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = definition(KINDS[kind])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}.{key}")


def test_generated_files_are_up_to_date() -> None:
    files = generated(ROOT)
    assert {path: path.read_text() for path in files} == files
    assert {*(ROOT / "crds").glob("*.yaml"), *(ROOT / "docs" / "reference").glob("*.md")} == set(files)


def test_generating_again_changes_nothing_and_removes_what_is_no_more(tmp_path: Path) -> None:
    samples = tmp_path / "crds" / "samples"
    samples.mkdir(parents=True)
    for sample in (ROOT / "crds" / "samples").glob("*.yaml"):
        (samples / sample.name).write_text(sample.read_text())
    former = tmp_path / "crds" / "archgov.io_formers.yaml"
    former.write_text("kind: Former\n")
    assert write(tmp_path)
    assert write(tmp_path) == []
    assert not former.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_node_is_structural_and_bounded(kind: str) -> None:
    for path, node in nodes(schema_of(kind)):
        assert node.keys() <= STRUCTURAL, path
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not ("properties" in node and "additionalProperties" in node), path
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if node.get("type") == "string" and path.startswith((".spec", ".status")):
            assert "maxLength" in node or "enum" in node, path
        if node.get("x-kubernetes-list-type") == "map":
            keys = set(node["x-kubernetes-list-map-keys"])
            assert keys <= set(node["items"]["required"]), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    for path, node in nodes(schema_of(kind)):
        if path.startswith((".spec", ".status")) and not path.endswith((".items", ".additionalProperties")):
            assert node.get("description"), path


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_selectors_point_at_fields(kind: str) -> None:
    paths = {path for path, _ in nodes(schema_of(kind))}
    version = definition(KINDS[kind])["spec"]["versions"][0]
    for column in version["additionalPrinterColumns"]:
        path = column["jsonPath"].split("[")[0]
        known = path if not path.startswith((".status.capacity.", ".status.inUse.")) else path.rpartition(".")[0]
        assert known in paths | {".metadata.creationTimestamp"}, column
    for field in version["selectableFields"]:
        assert field["jsonPath"] in paths
    assert len(version["selectableFields"]) <= 8


def test_names_are_distinct_and_crds_can_be_applied() -> None:
    kinds = tuple(KINDS.values())
    assert (
        len({kind.short for kind in kinds} | {kind.singular for kind in kinds} | {kind.plural for kind in kinds}) == 24
    )
    assert all(path.stat().st_size < LARGEST for path in (ROOT / "crds").glob("*.yaml"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_object_says_that_nobody_has_looked_at_it(kind: str) -> None:
    assert schema_of(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}


class Colour(StrEnum):
    RED = "red"


class Other(Part):
    name: str = Field(max_length=3)


class Recursive(Part):
    inner: Recursive | None = None


class WithExclusive(Part):
    number: int = Field(gt=0)


class WithUnion(Part):
    either: Other | Literal["none"] = "none"


class WithDecimal(Part):
    price: Decimal


class WithTuple(Part):
    pair: tuple[int, int]


class WithEnumKeys(Part):
    by_colour: dict[Colour, int] = Field(max_length=3)


class WithUniqueItems(Part):
    names: set[int] = Field(max_length=3)


class WithTruthName(Part):
    on: bool = False


class WithUnboundedText(Part):
    text: str


class WithUnboundedList(Part):
    numbers: list[int]


class WithUnboundedMap(Part):
    numbers: dict[str, int]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (Recursive, "Recursive.inner"),
        (WithExclusive, "WithExclusive.number"),
        (WithUnion, "WithUnion.either"),
        (WithDecimal, "WithDecimal.price"),
        (WithTuple, "WithTuple.pair"),
        (WithEnumKeys, "WithEnumKeys.byColour"),
        (WithUniqueItems, "WithUniqueItems.names"),
        (WithTruthName, "WithTruthName.on"),
        (WithUnboundedText, "WithUnboundedText.text"),
        (WithUnboundedList, "WithUnboundedList.numbers"),
        (WithUnboundedMap, "WithUnboundedMap.numbers"),
    ],
)
def test_what_a_server_would_refuse_or_lose_is_an_error_that_names_the_field(model: type[Part], path: str) -> None:
    with pytest.raises(Unstructural, match=f"^{path}"):
        structural(model)


class Translated(Part):
    optional: int | None = Field(default=None, description="A number.")
    constant: Literal["a"] = Field(description="A constant.")
    other: Other = Field(description="Said here.")


def test_what_can_be_translated_is() -> None:
    schema = structural(Translated)
    assert schema["properties"]["optional"] == {"type": "integer", "description": "A number."}
    assert schema["properties"]["constant"] == {"type": "string", "enum": ["a"], "description": "A constant."}
    assert schema["properties"]["other"]["description"] == "Said here."
    assert schema["properties"]["other"]["properties"] == {"name": {"type": "string", "maxLength": 3}}
    assert "additionalProperties" not in schema
