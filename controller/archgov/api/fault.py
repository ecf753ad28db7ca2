"""What is wrong with an object, in words its author can act on."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

SHOWN: Final = 5  # more than a handful at once helps nobody; the next attempt shows the rest
LONGEST_VALUE: Final = 60

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: where, as kubectl writes it. problem: what was seen there. fix: what would be taken.
    """

    path: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}; {self.fix}"


class IntentError(ValueError):
    """An object that can't be taken as it is. `path`, `problem` and `fix` are those of the first fault."""

    def __init__(self, path: str, problem: str, fix: str, *others: Fault) -> None:
        self.faults = (Fault(path, problem, fix), *others)
        rest = len(self.faults) - SHOWN
        told = [str(fault) for fault in self.faults[:SHOWN]] + ([f"{rest} more"] if rest > 0 else [])
        super().__init__(". ".join(told))

    @property
    def path(self) -> str:
        return self.faults[0].path

    @property
    def problem(self) -> str:
        return self.faults[0].problem

    @property
    def fix(self) -> str:
        return self.faults[0].fix

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> IntentError:
        """The error that tells all of these; there must be one at least."""
        first, *others = faults
        return cls(first.path, first.problem, first.fix, *others)


def shown(value: object) -> str:
    """A value as its author wrote it, cut to what fits a line."""
    match value:
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            text = json.dumps(value, ensure_ascii=False, default=str)
            return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def joined(path: str, location: Iterable[int | str]) -> str:
    """A path and what lies below it: `spec` with ("spread", 0, "maxShare") is `spec.spread[0].maxShare`."""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def faults_of(error: ValidationError, model: type[BaseModel], path: str) -> list[Fault]:
    """What pydantic found in an object of `model` that lies at `path`."""
    return [_fault(detail, model, path) for detail in error.errors(include_url=False)]


def _fault(detail: ErrorDetails, model: type[BaseModel], path: str) -> Fault:
    location: Location = detail["loc"]
    where = joined(path, location)
    match detail["type"]:
        case "missing":
            return Fault(where, "is missing", f"add it: {_description(model, location)}")
        case "extra_forbidden":
            return Fault(where, "is unknown", _known(model, location))
        case "rule":
            return Fault(where, "is refused", detail["msg"])
        case _:
            return Fault(where, f"is {shown(detail['input'])}", _wanted(detail))


def _wanted(detail: ErrorDetails) -> str:
    """What would be right, for the errors that concern one value."""
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "literal_error" | "enum":
            return f"must be one of {str(context['expected']).replace(' or ', ', ').replace(chr(39), '')}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short" | "string_too_short":
            return f"must have at least {context['min_length']} {_units(detail)}"
        case "too_long" | "string_too_long":
            return f"must have at most {context['max_length']} {_units(detail)}"
        case "string_type":
            return "must be text: write it in quotes"
        case "int_type" | "int_from_float" | "int_parsing":
            return "must be a whole number"
        case "bool_type":
            return "must be true or false"
        case "list_type":
            return "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be an object with fields"
        case _:
            return detail["msg"][:1].lower() + detail["msg"][1:]


def _units(detail: ErrorDetails) -> str:
    return "characters" if detail["type"].startswith("string") else "entries"


def _description(model: type[BaseModel], location: Location) -> str:
    owner = _owner(model, location[:-1])
    for field in owner.model_fields.values() if owner else ():
        if field.alias == location[-1] and field.description:
            return field.description
    return "it is required"


def _known(model: type[BaseModel], location: Location) -> str:
    owner = _owner(model, location[:-1])
    names = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"is {close[0]} meant?" if close else f"known here: {', '.join(names)}"


def _owner(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """The model that describes what lies at a location."""
    found: Any = model
    for step in location:
        if isinstance(step, int):
            continue
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return None
        fields = [field for name, field in found.model_fields.items() if step in (name, field.alias)]
        found = _model_in(fields[0].annotation) if fields else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `list[Spread] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)
