"""Bodies of objects, checked against what a kind may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from archgov.api.fault import Fault, IntentError, faults_of, joined, shown
from archgov.api.instant import unix
from archgov.api.kind import API_VERSION
from archgov.api.part import Part
from archgov.model.selector import Labels

DEEPEST: Final = 64
TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")

LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"  # of a domain name (RFC 1123)

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Meta:
    """What archgov reads of an object's metadata. created: Unix seconds, 0 before the API server has seen it."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 1
    created: int = 0
    labels: Labels = ()
    annotations: Labels = ()

    def annotation(self, key: str) -> str:
        return dict(self.annotations).get(key, "")


def read(body: Mapping[str, Any], kind: str, spec: type[P], *, namespaced: bool) -> tuple[Meta, P]:
    """Metadata, with the spec as its model.

    Raises:
        IntentError: with everything that is wrong.
    """
    plain = without_nulls(body)
    faults = [*_top_faults(plain, kind), *_meta_faults(plain.get("metadata"), namespaced)]
    try:
        parsed = spec.model_validate(plain.get("spec", {}))
    except ValidationError as error:
        raise IntentError.of([*faults, *faults_of(error, spec, "spec")]) from None
    if faults:
        raise IntentError.of(faults)
    return _meta(plain["metadata"]), parsed


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same in plain dicts and lists; a field that is null counts as not written, as it does for API servers.

    Raises:
        IntentError: it is nested deeper than any object of ours.
    """
    plain = _without_nulls(body, ())
    return plain if isinstance(plain, dict) else {}


def _without_nulls(value: Any, location: tuple[int | str, ...]) -> Any:
    if len(location) > DEEPEST:
        raise IntentError(joined("", location[:4]), "is nested too deeply", f"no object needs {DEEPEST} levels")
    if isinstance(value, Mapping):
        return {
            str(key): _without_nulls(item, (*location, str(key))) for key, item in value.items() if item is not None
        }
    if isinstance(value, list | tuple):
        return [_without_nulls(item, (*location, row)) for row, item in enumerate(value)]
    return value


def _top_faults(body: Mapping[str, Any], kind: str) -> list[Fault]:
    found = [
        Fault(name, f"is {shown(body.get(name))}", f'must be "{wanted}"')
        for name, wanted in (("apiVersion", API_VERSION), ("kind", kind))
        if body.get(name) != wanted
    ]
    return found + [Fault(key, "is unknown", f"known here: {', '.join(TOP)}") for key in body if key not in TOP]


def _meta_faults(metadata: Any, namespaced: bool) -> list[Fault]:
    if not isinstance(metadata, Mapping):
        return [Fault("metadata", "is missing", "add it with a name")]
    wanted: list[tuple[str, type, bool]] = [
        ("name", str, True),
        ("namespace", str, namespaced),
        ("uid", str, False),
        ("generation", int, False),
        ("creationTimestamp", str, False),
        ("labels", dict, False),
        ("annotations", dict, False),
    ]
    found = []
    for key, kind, required in wanted:
        value = metadata.get(key)
        if (value is None and required) or value == "":
            found.append(Fault(f"metadata.{key}", "is missing", "add it"))
        elif value is not None and not isinstance(value, kind):
            found.append(Fault(f"metadata.{key}", f"is {shown(value)}", f"must be {_WORDS[kind]}"))
        elif key in _NAMES and isinstance(value, str) and not _NAMES[key][0].fullmatch(value):
            found.append(Fault(f"metadata.{key}", f"is {shown(value)}", f"must be {_NAMES[key][1]}"))
    return (
        found
        + _time_faults(metadata.get("creationTimestamp"))
        + [fault for key in ("labels", "annotations") for fault in _text_faults(key, metadata.get(key))]
    )


def _time_faults(created: Any) -> list[Fault]:
    try:
        unix(created if isinstance(created, str) else "1970-01-01T00:00:00Z")
    except ValueError:
        return [
            Fault("metadata.creationTimestamp", f"is {shown(created)}", "must be a time: leave it to the API server")
        ]
    return []


def _text_faults(key: str, values: Any) -> list[Fault]:
    if not isinstance(values, Mapping):
        return []
    return [
        Fault(f"metadata.{key}.{name}", f"is {shown(value)}", "must be text: write it in quotes")
        for name, value in values.items()
        if not isinstance(value, str)
    ]


# As API servers take them: DNS subdomains (RFC 1123), and labels for namespaces.
_NAMES: Final = {
    "name": (
        re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*"),
        "lower-case letters, digits, dashes, dots, at most 253, such as eu-only",
    ),
    "namespace": (re.compile(LABEL), "lower-case letters, digits, dashes, at most 63, such as shop"),
}
_WORDS: Final[dict[type, str]] = {str: "text", int: "a whole number", dict: "an object with fields"}


def _meta(metadata: Mapping[str, Any]) -> Meta:
    return Meta(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 1),
        created=unix(metadata["creationTimestamp"]) if "creationTimestamp" in metadata else 0,
        labels=tuple(sorted(metadata.get("labels", {}).items())),
        annotations=tuple(sorted(metadata.get("annotations", {}).items())),
    )
