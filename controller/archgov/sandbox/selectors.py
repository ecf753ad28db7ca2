"""Label and field selectors as they stand in a query."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from archgov.model.selector import Expression, Operator, Selector

from .errors import bad_request
from .objects import Object, found, labels
from .resources import Resource

Predicate = Callable[[Object], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^=!\s]+)\s*(?P<sign>==|!=|=)\s*(?P<value>[^=!]*)$")
_ALWAYS = ("metadata.name", "metadata.namespace")
# Fields whose absence reads as a value.
_ABSENT = {"spec.unschedulable": "false", "spec.hostNetwork": "false"}


def label_selector(text: str) -> Selector:
    """The selector that `?labelSelector=` spells.

    Raises:
        ApiError: 400 when the text is no selector.
    """
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return Selector(expressions=tuple(_requirement(part, text) for part in parts))


def _requirement(part: str, whole: str) -> Expression:
    if match := _SET.match(part):
        values = tuple(value.strip() for value in match["values"].split(","))
        return Expression(match["key"], Operator.IN if match["word"] == "in" else Operator.NOT_IN, values)
    if match := _EQUAL.match(part):
        return Expression(
            match["key"], Operator.NOT_IN if match["sign"] == "!=" else Operator.IN, (match["value"].strip(),)
        )
    if re.fullmatch(r"!?[\w./-]+", part):
        return Expression(part.lstrip("!"), Operator.DOES_NOT_EXIST if part[0] == "!" else Operator.EXISTS)
    raise bad_request(f'unable to parse requirement: "{part}" in "{whole}"; write one such as app=web or tier in (a,b)')


def predicate(resource: Resource, label_text: str, field_text: str) -> Predicate | None:
    """What an object must satisfy to be selected; None selects everything.

    Raises:
        ApiError: 400 for a text that is no selector, or a field that can't be selected by.
    """
    checks: list[Predicate] = []
    if label_text:
        wanted = label_selector(label_text)
        checks.append(lambda body: wanted.matches(labels(body)))
    checks += [_field_check(resource, part) for part in field_text.split(",") if part.strip()]
    if not checks:
        return None
    return checks[0] if len(checks) == 1 else lambda body: all(check(body) for check in checks)


def _field_check(resource: Resource, part: str) -> Predicate:
    match = _EQUAL.match(part.strip())
    if match is None:
        raise bad_request(f'invalid selector: "{part}"; write one such as metadata.name=web')
    field, wanted, equal = match["key"], match["value"].strip(), match["sign"] != "!="
    if field not in _ALWAYS and field not in resource.selectable:
        raise bad_request(
            f'"{field}" is not a known field selector: only {", ".join(f"{f!r}" for f in (*_ALWAYS, *resource.selectable))}'
        )
    path = ("source", "component") if field == "source" else tuple(field.split("."))
    absent = _ABSENT.get(field, "")
    return lambda body: (_text(found(path, body), absent) == wanted) is equal


def _text(value: Any, absent: str) -> str:
    if value is None:
        return absent
    return str(value).lower() if isinstance(value, bool) else str(value)
