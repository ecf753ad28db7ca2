"""Who owns which field: managedFields after an update or an apply, with the conflicts of the latter.

Source: structured-merge-diff v6, `merge/update.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import clock
from .errors import ApiError
from .fields import Path, decode, encode, leaves, merged, readable, without
from .objects import Object, listing, mapping, with_metadata
from .schema import Schema

Owned = frozenset[Path]
_APPLY = "Apply"


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, by which operation, through which door."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class _Claim:
    manager: Manager
    paths: Owned
    time: str


def claims_of(body: Object) -> list[Object]:
    """The managedFields entries of an object."""
    return [each for each in listing(mapping(body.get("metadata")).get("managedFields")) if mapping(each)]


def updated(schema: Schema, before: Object | None, after: Object, manager: Manager) -> Object:
    """The new object with managedFields in which the manager owns what it changed."""
    old, new = leaves(schema, before or {}), leaves(schema, after)
    changed = _changed(old, new)
    gone = frozenset(old) - frozenset(new)
    claims = _claims(after if claims_of(after) else before or {})
    others = [_Claim(c.manager, c.paths - changed - gone, c.time) for c in claims if c.manager != manager]
    mine = next((c for c in claims if c.manager == manager), _Claim(manager, frozenset(), ""))
    paths = (mine.paths - gone) | changed
    time = clock.now() if changed or not mine.time else mine.time
    return _with_claims(after, [*others, _Claim(manager, paths, time)])


def applied(schema: Schema, before: Object | None, config: Object, manager: Manager, *, force: bool) -> Object:
    """The live object with the configuration laid over it, what the manager gave up taken out.

    Raises:
        ApiError: 409 when a field that would change belongs to somebody else, unless forced.
    """
    live = before or {}
    wanted = frozenset(leaves(schema, config))
    claims = _claims(live)
    others = [claim for claim in claims if claim.manager != manager]
    last = next((claim for claim in claims if claim.manager == manager), None)
    body = merged(schema, live, _without_claims(config))
    # An item goes before its fields: without its key it could no longer be told from others.
    for path in sorted((last.paths if last else frozenset()) - wanted):
        if not any(_holds(claim.paths, path) for claim in others):
            body = without(schema, body, path)
    old, new = leaves(schema, live), leaves(schema, body)
    changed, gone = _changed(old, new), frozenset(old) - frozenset(new)
    taken = [(claim, claim.paths & changed) for claim in others if claim.paths & changed]
    if taken and not force:
        raise _conflict(taken)
    kept = [_Claim(c.manager, c.paths - changed - gone, c.time) for c in others]
    same = last is not None and last.paths == wanted and not changed
    mine = _Claim(manager, wanted, last.time if same and last else clock.now())
    return _with_claims(body, [*kept, mine])


def _changed(old: dict[Path, Any], new: dict[Path, Any]) -> Owned:
    return frozenset(path for path, value in new.items() if path not in old or old[path] != value)


def _holds(paths: Owned, path: Path) -> bool:
    return any(each[: len(path)] == path for each in paths)


def _claims(body: Object) -> list[_Claim]:
    return [
        _Claim(
            Manager(
                str(each.get("manager", "")),
                str(each.get("operation", "")),
                str(each.get("apiVersion", "")),
                str(each.get("subresource", "")),
            ),
            decode(each.get("fieldsV1")),
            str(each.get("time", "")),
        )
        for each in claims_of(body)
    ]


def _without_claims(body: Object) -> Object:
    return with_metadata(body, managedFields=None) if mapping(body.get("metadata")) else body


def _with_claims(body: Object, claims: list[_Claim]) -> Object:
    order = sorted(claims, key=lambda c: (c.manager.operation != _APPLY, c.time, c.manager.name))
    entries = [_entry(claim) for claim in order if claim.paths]
    return with_metadata(body, managedFields=entries or None)


def _entry(claim: _Claim) -> Object:
    entry = {
        "manager": claim.manager.name,
        "operation": claim.manager.operation,
        "apiVersion": claim.manager.api_version,
        "time": claim.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(claim.paths),
    }
    return entry | ({"subresource": claim.manager.subresource} if claim.manager.subresource else {})


def _conflict(taken: list[tuple[_Claim, Owned]]) -> ApiError:
    causes, lines = [], []
    for claim, paths in taken:
        manager = claim.manager
        through = f' with subresource "{manager.subresource}"' if manager.subresource else ""
        who = f'"{manager.name}"{through} using {manager.api_version}'
        shown = [readable(path) for path in sorted(paths)]
        causes += [{"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": f} for f in shown]
        lines.append(f"conflicts with {who}:" + "".join(f"\n- {field}" for field in shown))
    count = len(causes)
    text = f"{causes[0]['message']}: {causes[0]['field']}" if count == 1 else "\n".join(lines)
    message = f"Apply failed with {count} conflict{'' if count == 1 else 's'}: {text}"
    return ApiError(409, "Conflict", message, {"causes": causes})
