"""The base of every piece of an object: strict fields, with rules told once for parser plus API server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"
INT_OR_STRING = "x-kubernetes-int-or-string"
FORM = "x-archgov-form"  # read by the generator of schemas, which adds it to the description
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A requirement across fields.

    Attributes:
        cel: as the API server evaluates it.
        holds: the same for parse; None for rules that compare with the former object, or with metadata.
        message: `{field}` in it stands for the value of a text field that is present whenever the rule is broken.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None

    def schema(self) -> dict[str, str]:
        """An entry of x-kubernetes-validations."""
        entry = {"rule": self.cel, "message": _PLACE.sub("…", self.message)}
        if _PLACE.search(self.message):
            entry["messageExpression"] = '"' + _PLACE.sub(r'" + self.\1 + "', self.message) + '"'
        return entry

    def told(self, part: BaseModel) -> str:
        """The message about this very part."""
        return _PLACE.sub(lambda place: str(getattr(part, place[1])), self.message)


class Part(BaseModel):
    """A piece of an object as its author may write it: nothing unknown, nothing converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keeps_rules(self) -> Self:
        for rule in self.RULES:
            if rule.holds is not None and not rule.holds(self):
                raise PydanticCustomError("rule", "{told}", {"told": rule.told(self)})
        return self

    @model_validator(mode="after")
    def _names_things_once(self) -> Self:
        for name, field in type(self).model_fields.items():
            twice = _twice(getattr(self, name), field.json_schema_extra)
            if twice is not None:
                raise PydanticCustomError("rule", "{told}", {"told": f"{field.alias or name} has {twice} twice"})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        shown = handler(schema)
        if cls.RULES:
            handler.resolve_ref_schema(shown)[VALIDATIONS] = [rule.schema() for rule in cls.RULES]
        return shown


def map_by(*keys: str) -> dict[str, Any]:
    """Extensions of a list whose entries are told apart by these fields."""
    return {LIST_TYPE: "map", LIST_KEYS: list(keys)}


def set_of_texts() -> dict[str, Any]:
    """Extensions of a list that names each thing once."""
    return {LIST_TYPE: "set"}


def _twice(entries: Any, extensions: Any) -> str | None:
    """What stands twice in a list that the extensions say is a map or a set."""
    if not entries or not isinstance(extensions, dict) or LIST_TYPE not in extensions:
        return None
    seen: set[str] = set()
    for entry in entries:
        plain = entry.model_dump(by_alias=True, mode="json") if isinstance(entry, BaseModel) else {"": entry}
        key = "/".join(str(plain[name]) for name in extensions.get(LIST_KEYS, [""]))
        if key in seen:
            return key
        seen.add(key)
    return None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text has to look like.

    Attributes:
        pattern: RE2 without anchors; must match the whole text. expected: what would be right, after "must be".
        longest, shortest: characters; with some room, since a server that finds a text too long says nothing else.
        format: one that API servers check, if any.
        numbers: the least with the largest whole number that may stand there instead; None where only a text may.
        reads: what raises ValueError for texts that match and mean nothing, such as a 13th month.
    """

    pattern: str
    expected: str
    longest: int
    shortest: int = 1
    format: str = ""
    numbers: tuple[int, int] | None = None
    reads: Callable[[str], object] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        pattern = f"^({self.pattern})$"
        wanted: JsonSchemaValue = {
            FORM: self.expected,
            "pattern": pattern,
            "minLength": self.shortest,
            "maxLength": self.longest,
        }
        if self.format:
            wanted["format"] = self.format
        if self.numbers is not None:
            least, largest = self.numbers
            return {INT_OR_STRING: True, **wanted, "minimum": least, "maximum": largest}
        if self.format:
            return {"type": "string", **wanted}  # in CEL it is no text any more, and the server's own words are clear
        # The pattern alone would be refused as `should match '^…$'`; the rule says the same in words.
        rule = {"rule": f"self.matches({_quoted(pattern)})", "message": f"must be {self.expected}"}
        return {"type": "string", **wanted, VALIDATIONS: [rule]}

    def _checked(self, value: Any) -> Any:
        if not self.fits(value):
            raise PydanticCustomError("shape", "must be {expected}", {"expected": self.expected})
        return value

    def fits(self, value: Any) -> bool:
        return self._is_text(value) if isinstance(value, str) else self._is_number(value)

    def _is_number(self, value: Any) -> bool:
        return self.numbers is not None and type(value) is int and self.numbers[0] <= value <= self.numbers[1]

    def _is_text(self, value: str) -> bool:
        if not self.shortest <= len(value) <= self.longest or re.fullmatch(self.pattern, value) is None:
            return False
        try:
            if self.reads is not None:
                self.reads(value)
        except ValueError:
            return False
        return True


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
