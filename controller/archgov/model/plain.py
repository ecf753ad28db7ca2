"""Frozen values to plain lists and back, for files and digests."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union


def to_plain(value: Any) -> Any:
    """Lists, texts, numbers, None that say everything about a value; a dataclass is [its name, its fields in order]."""
    kind: Any = type(value)
    return _writer(kind)(value)


def from_plain(kind: Any, plain: Any) -> Any:
    """The value of type `kind` that `to_plain` described.

    Raises:
        ValueError: the description is not one of that type.
    """
    try:
        return _reader(kind)(plain)
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


@cache
def _writer(kind: Any) -> Callable[[Any], Any]:
    if _is_record(kind):
        name, names = kind.__name__, [field.name for field in fields(kind)]
        return lambda value: [name, *[to_plain(getattr(value, field)) for field in names]]
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, tuple):
        return lambda value: [to_plain(item) for item in value]
    return lambda value: value


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin in (Union, types.UnionType):
        return _union_reader(arguments)
    if _is_record(kind):
        return _dataclass_reader(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return _plain_reader(getattr(kind, "__supertype__", kind))


def _plain_reader(kind: type) -> Callable[[Any], Any]:
    def read(plain: Any) -> Any:
        # Exactly: a truth value would pass for a number.
        if type(plain) is not kind:
            raise ValueError(f"expected a {kind.__name__}, found {str(plain)[:80]}")
        return plain

    return read


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _tuple_reader(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _reader(arguments[0])
        return lambda plain: tuple(each(item) for item in _items(plain))
    readers = [_reader(argument) for argument in arguments]
    return lambda plain: tuple(read(item) for read, item in zip(readers, _items(plain), strict=True))


def _items(plain: Any) -> list[Any]:
    # A text would pass for a list of its letters.
    if not isinstance(plain, list):
        raise TypeError(f"expected a list, found {str(plain)[:80]}")
    return plain


def _union_reader(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    by_name = {argument.__name__: argument for argument in arguments if _is_record(argument)}
    others = [argument for argument in arguments if argument is not type(None) and not _is_record(argument)]

    def read(plain: Any) -> Any:
        if plain is None:
            return None
        if by_name:
            return _reader(by_name[plain[0]])(plain)
        return _reader(others[0])(plain)

    return read


def _dataclass_reader(kind: type) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    readers: list[Callable[[Any], Any]] | None = None

    def read(plain: Any) -> Any:
        nonlocal readers
        # Late, so that a type may mention itself.
        readers = readers or [_reader(hints[name]) for name in names]
        if plain[0] != kind.__name__ or len(plain) != len(names) + 1:
            raise ValueError(f"expected a {kind.__name__} with {len(names)} fields, found {str(plain)[:80]}")
        return kind(*(read_field(item) for read_field, item in zip(readers, plain[1:], strict=True)))

    return read
