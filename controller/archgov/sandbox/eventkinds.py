"""The same Event as core/v1 or events.k8s.io/v1 shows it; the store keeps the former."""

from __future__ import annotations

from .objects import Object, mapping

_RENAMED = (("involvedObject", "regarding"), ("message", "note"))
_DEPRECATED = (
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


def to_new(body: Object) -> Object:
    """A core/v1 Event as events.k8s.io/v1."""
    names = dict(_RENAMED + _DEPRECATED)
    return {**{names.get(field, field): value for field, value in body.items()}, "apiVersion": "events.k8s.io/v1"}


def to_core(body: Object) -> Object:
    """An events.k8s.io/v1 Event as core/v1."""
    names = {new: old for old, new in _RENAMED + _DEPRECATED}
    out = {**{names.get(field, field): value for field, value in body.items()}, "apiVersion": "v1"}
    # core/v1 has this one as a required field.
    return {**out, "involvedObject": mapping(out.get("involvedObject"))}
