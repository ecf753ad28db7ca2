"""Results as a terminal, a pipe, a pull request or a program wants them."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, assert_never

import yaml
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from archgov.cli.failure import Failure

# A table wider than this is wrapped within its cells, down to columns of this width.
WIDEST: Final = 100
NARROWEST: Final = 12
_GAP: Final = "  "
_DOT: Final = " · "
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Heading:
    """What follows is about this."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Some lines under a title; nothing is shown of one without lines."""

    title: str
    items: tuple[str, ...]


Block = Heading | Text | Table | Listing


@dataclass(frozen=True, slots=True)
class Output:
    """What the options of a command say about its result."""

    format: Format
    out: Path | None = None


def show(document: Any, blocks: Iterable[Block], to: Output) -> None:
    """Writes a result: the document for programs, the blocks for people."""
    match to.format:
        case Format.JSON:
            emit(json.dumps(document, indent=2, ensure_ascii=False), to.out)
        case Format.YAML:
            emit(in_yaml([document]), to.out)
        case Format.MARKDOWN:
            emit(markdown(blocks), to.out)
        case Format.TABLE:
            if to.out is None and sys.stdout.isatty():
                _in_colour(blocks)
            else:
                emit(plain(blocks), to.out)
        case _:
            assert_never(to.format)


def emit(text: str, out: Path | None) -> None:
    """Writes a text to a file, or to standard output.

    Raises:
        Failure: the file can't be written.
    """
    text = text.rstrip("\n") + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    save(text.encode(), out)


def save(content: bytes, out: Path) -> None:
    """Writes a file at once, so that nobody ever reads half of it.

    Raises:
        Failure: it can't be written.
    """
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_bytes(content)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failure(
            f"can't write {out}: {error.strerror}", "name a file in a directory that exists and may be written to"
        ) from None


def in_yaml(documents: Sequence[Any]) -> str:
    """One or several documents of YAML."""
    return yaml.safe_dump_all(
        documents, sort_keys=False, allow_unicode=True, width=120, explicit_start=len(documents) > 1
    )


def markdown(blocks: Iterable[Block]) -> str:
    """Blocks for a pull request."""
    return "\n\n".join(part for block in blocks if (part := _in_markdown(block)))


def plain(blocks: Iterable[Block]) -> str:
    """Blocks for a pipe: aligned columns, no colour; only tables are wrapped, within their cells."""
    return "\n".join(line for block in blocks for line in _in_plain(block))


def _in_markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"### {_escaped(text)}"
        case Text(text):
            return _escaped(text)
        case Table(columns, rows):
            lines = [columns, ("---",) * len(columns), *rows]
            return (
                "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines) if rows else ""
            )
        case Listing(title, items):
            told = "\n".join(f"- {_escaped(item)}" for item in items)
            return f"**{_escaped(title)}**\n\n{told}" if items else ""


def _escaped(text: str) -> str:
    """A text that markdown leaves as it is."""
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _in_plain(block: Block) -> Iterator[str]:
    match block:
        case Heading(text) | Text(text):
            yield text
        case Table(columns, rows) if rows:
            lines = [tuple(column.upper() for column in columns), *rows]
            width = _widths(lines)
            for line in lines:
                cells = [_wrapped(cell, width[c]) for c, cell in enumerate(line)]
                for parts in zip_longest(*cells, fillvalue=""):
                    yield _GAP.join(part.ljust(width[c]) for c, part in enumerate(parts)).rstrip()
        case Table():
            return
        case Listing(title, items):
            if items:
                yield f"{title}:"
            yield from (f"  {item}" for item in items)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column becomes: as its cells are, the widest ones narrowed until a line fits."""
    width = [max(map(len, column)) for column in zip(*lines, strict=True)]
    least = [max(len(word) for cell in column for word in _words(cell)) for column in zip(*lines, strict=True)]
    while sum(width) + len(_GAP) * (len(width) - 1) > WIDEST:
        narrowable = [c for c in range(len(width)) if width[c] > max(least[c], NARROWEST)]
        if not narrowable:
            break
        width[max(narrowable, key=lambda c: width[c])] -= 1
    return width


def _wrapped(cell: str, width: int) -> list[str]:
    lines = textwrap.wrap(_kept_together(cell), width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " ") for line in lines] or [""]


def _words(cell: str) -> list[str]:
    """What a cell can't be broken within."""
    return _kept_together(cell).split(" ") or [""]


def _kept_together(cell: str) -> str:
    """A cell that breaks between the entries of a list such as `eu-1 3 · us-1 2`, never within one."""
    entries = cell.split(_DOT)
    return f"{_NO_BREAK}· ".join(entry.replace(" ", _NO_BREAK) for entry in entries) if len(entries) > 1 else cell


def _in_colour(blocks: Iterable[Block]) -> None:
    console = Console(highlight=False, markup=False)
    for block in blocks:
        match block:
            case Heading(text):
                console.print(text, style="bold")
            case Text(text):
                console.print(text)
            case Table(columns, rows):
                if rows:
                    table = RichTable(*columns, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
                    for row in rows:
                        table.add_row(*(cell.replace("[", "\\[") for cell in row))
                    console.print(table)
            case Listing(title, items):
                if items:
                    console.print(f"{title}:", style="bold")
                for item in items:
                    console.print(f"  {item}")
