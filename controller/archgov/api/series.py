"""Series of demand as ConfigMaps hold them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from archgov.api.fault import IntentError, shown
from archgov.api.instant import unix
from archgov.model.intent import SeriesRef
from archgov.model.quantity import BadQuantity, milli
from archgov.model.snapshot import Sample, Series

HEADER: Final = ("time", "place", "amount")
STEP_OF_ONE: Final = 3600  # a single time says nothing about the distance of times
MOST: Final = 10**15  # thousandths; what the tables of the model can hold with room to add up
_LONGEST_PLACE: Final = 127
_WHOLE_DECIMAL: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?[mkMG]?")


def parse(body: Mapping[str, Any], ref: SeriesRef) -> Series:
    """The series that a ConfigMap holds under a key: CSV with a header, then a time, a place, an amount per line.

    Raises:
        IntentError: there is no such key, or a line that makes no sense; names the first one.
    """
    metadata, data = body.get("metadata"), body.get("data")
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    path = f"ConfigMap {namespace}/{ref.config_map} data.{ref.key}"
    text = data.get(ref.key) if isinstance(data, Mapping) else None
    if not isinstance(text, str) or not isinstance(namespace, str):
        known = ", ".join(map(str, data)) if isinstance(data, Mapping) else "none"
        raise IntentError(path, "is missing", f"add it, or name another key; there is {known or 'none'}")
    samples = tuple(_samples(text, path))
    return Series(namespace, ref.config_map, ref.key, step=_step(samples), samples=samples)


def _samples(text: str, path: str) -> Iterator[Sample]:
    lines = csv.reader(text.splitlines())
    header = next(lines, [])
    if tuple(cell.strip() for cell in header) != HEADER:
        raise IntentError(f"{path} line 1", f'is "{",".join(header)}"', f'must be "{",".join(HEADER)}"')
    try:
        for cells in lines:
            if cells:
                yield _sample([cell.strip() for cell in cells], f"{path} line {lines.line_num}")
    except csv.Error as error:
        raise IntentError(f"{path} line {lines.line_num}", f"is no CSV: {error}", "correct it") from None


def _sample(cells: list[str], path: str) -> Sample:
    if len(cells) != len(HEADER):
        raise IntentError(path, f"has {len(cells)} cells", f"must have {len(HEADER)}: {', '.join(HEADER)}")
    time, place, amount = cells
    if len(place) > _LONGEST_PLACE:
        raise IntentError(path, f"has place {shown(place)}", "must be a cluster, cluster/zone, or empty for all")
    try:
        return Sample(unix(time), place, _amount(amount))
    except BadQuantity as error:
        raise IntentError(path, f"has amount {shown(amount)}", str(error)) from None
    except ValueError:
        raise IntentError(path, f"has time {shown(time)}", "must be one such as 2026-03-01T09:00:00Z") from None


def _amount(text: str) -> int:
    if not _WHOLE_DECIMAL.fullmatch(text) or (amount := milli(text)) > MOST:
        raise BadQuantity("must be a quantity such as 300, 2.5 or 1.5k")
    return amount


def _step(samples: tuple[Sample, ...]) -> int:
    """The smallest distance of two times of one place."""
    times: dict[str, set[int]] = {}
    for sample in samples:
        times.setdefault(sample.place, set()).add(sample.at)
    ordered = [sorted(ats) for ats in times.values()]
    return min((later - at for ats in ordered for at, later in pairwise(ats)), default=STEP_OF_ONE)
