"""Careful reads from decoded JSON."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Misshapen(ValueError):
    """A field that isn't what its schema promises; says which one, what it is, what it must be."""


def mapping(parent: Json, key: str) -> Json:
    """The object at a key; absent and null are empty, as Kubernetes means them."""
    found = parent.get(key)
    if found is None:
        return {}
    if type(found) is not dict:
        raise _misshapen(key, found, "an object")
    return found


def objects(parent: Json, key: str) -> list[Json]:
    """The list of objects at a key; absent and null are empty."""
    found = parent.get(key)
    if found is None:
        return []
    if type(found) is not list:
        raise _misshapen(key, found, "a list")
    for item in found:
        if type(item) is not dict:
            raise _misshapen(key, item, "a list of objects")
    return found


def texts(parent: Json, key: str) -> tuple[str, ...]:
    """The list of texts at a key; absent and null are empty."""
    found = parent.get(key)
    if found is None:
        return ()
    if type(found) is not list or any(type(item) is not str for item in found):
        raise _misshapen(key, found, "a list of texts")
    return tuple(found)


def text(parent: Json, key: str, default: str = "") -> str:
    """The text at a key."""
    found = parent.get(key)
    if found is None:
        return default
    if type(found) is not str:
        raise _misshapen(key, found, "a text")
    return found


def needed(parent: Json, key: str) -> str:
    """The text at a key that must not be missing."""
    found = text(parent, key)
    if not found:
        raise Misshapen(f"{key} is missing")
    return found


def number(parent: Json, key: str, default: int = 0) -> int:
    """The integer at a key."""
    found = parent.get(key)
    if found is None:
        return default
    if type(found) is not int:
        raise _misshapen(key, found, "an integer")
    return found


def flag(parent: Json, key: str) -> bool:
    """The truth value at a key; absent is false."""
    found = parent.get(key)
    if found is None:
        return False
    if type(found) is not bool:
        raise _misshapen(key, found, "true or false")
    return found


def _misshapen(key: str, found: object, must: str) -> Misshapen:
    return Misshapen(f"{key} is {str(found)[:60]!r}, must be {must}")
