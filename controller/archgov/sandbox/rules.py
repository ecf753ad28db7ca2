"""CEL rules of custom resources (`x-kubernetes-validations`), evaluated where and as an API server evaluates them.

Rules in terms of `oldSelf` compare with the former value at the same place: items of a list correlate by the keys of a
list of type map, not at all in other lists. A part that did not change is not judged again, but by such rules. Kubernetes' own
extensions of CEL (`quantity`, `isIP`, …) are not there: a rule that uses them is not evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import orjson
from cel_expr_python import cel

from .errors import Cause
from .schema import Schema, child, identity_of, items, resolved

VALIDATIONS: Final = "x-kubernetes-validations"
_ENVIRONMENT: Final = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})
_ABSENT: Final = object()
# After one of these an API server evaluates no rule, since the value may not be what the rule is about.
_BLOCKING: Final = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
_UNCHECKED: Final = Cause(
    "<nil>",
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def rule_violations(schema: Schema, value: Any, former: Any, found: list[Cause]) -> list[Cause]:
    """What rules refuse beside what the schema itself `found`. former: None for an object that is created."""
    if any(cause.reason in _BLOCKING for cause in found):
        return [_UNCHECKED] if VALIDATIONS.encode() in orjson.dumps(schema) else []
    return list(_violations(resolved(schema), value, _ABSENT if former is None else former, ""))


def _violations(schema: Schema, value: Any, former: Any, path: str) -> Iterator[Cause]:
    for rule in schema.get(VALIDATIONS, ()):
        compares = "oldSelf" in rule["rule"]
        if former is _ABSENT if compares else value == former:
            continue
        if _holds(rule["rule"], value, former) is False:
            yield Cause(path or "<nil>", "FieldValueInvalid", f"Invalid value: {_shown(value)}{_message(rule, value)}")
    if isinstance(value, dict):
        for field, each in value.items():
            inner = child(schema, field)
            if inner is not None and each is not None:
                before = former.get(field, _ABSENT) if isinstance(former, dict) else _ABSENT
                yield from _violations(inner, each, before, f"{path}.{field}" if path else field)
    elif isinstance(value, list):
        inner = items(schema)
        befores = {identity_of(schema, each): each for each in former} if isinstance(former, list) else {}
        for i, each in enumerate(value):
            identity = identity_of(schema, each)
            before = befores.get(identity, _ABSENT) if identity is not None else _ABSENT
            yield from _violations(inner, each, before, f"{path}[{i}]")


def _holds(rule: str, value: Any, former: Any) -> bool | None:
    """None where the rule can't be told."""
    program = _program(rule)
    if program is None:
        return None
    answer = program.eval(data={"self": value, "oldSelf": None if former is _ABSENT else former}).value()
    return answer if isinstance(answer, bool) else False


@lru_cache(maxsize=1024)
def _program(text: str) -> cel.Expression | None:
    try:
        return _ENVIRONMENT.compile(text)
    except RuntimeError:
        return None


def _message(rule: dict[str, str], value: Any) -> str:
    program = _program(rule["messageExpression"]) if "messageExpression" in rule else None
    told = program.eval(data={"self": value}).value() if program is not None else None
    return told if isinstance(told, str) else rule.get("message") or f"failed rule: {rule['rule']}"


def _shown(value: Any) -> str:
    """Scalars are quoted in the refusal, objects and lists would fill it."""
    if isinstance(value, dict | list):
        return ""
    return f'"{value}": ' if isinstance(value, str) else f"{str(value).lower() if isinstance(value, bool) else value}: "
