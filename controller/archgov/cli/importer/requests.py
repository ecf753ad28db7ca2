"""Hourly requests of the NASA log, from the archive of request counts."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

HOUR: Final = 3600
ARCHIVE: Final = "requests.tar.xz"
MEMBER: Final = "nasa.csv"


class BadTrace(Exception):
    """A trace that can't be read; says which file, what is wrong, what was expected."""


def hourly_requests(folder: Path) -> npt.NDArray[np.int64]:
    """(T,) requests of each hour, oldest first; an hour without a row carries its predecessor on.

    Raises:
        BadTrace: the archive is missing, or holds no such table.
    """
    path = folder / ARCHIVE
    try:
        with tarfile.open(path, "r:xz") as archive:
            member = next((entry for entry in archive if Path(entry.name).name == MEMBER), None)
            content = archive.extractfile(member) if member else None
            if content is None:
                raise BadTrace(f"{path} holds no {MEMBER}")
            rows = list(csv.DictReader(io.TextIOWrapper(content, "utf-8")))
    except (OSError, tarfile.TarError) as error:
        raise BadTrace(f"{path} can't be read: {error}") from error
    return _by_hour(rows, path)


def _by_hour(rows: Sequence[dict[str, str]], path: Path) -> npt.NDArray[np.int64]:
    try:
        hours = [int(datetime.fromisoformat(row["minute"]).replace(tzinfo=UTC).timestamp()) // HOUR for row in rows]
        counts = [int(row["count"]) for row in rows]
    except (KeyError, ValueError) as error:
        raise BadTrace(f"{path}: {MEMBER} needs the columns minute,count: {error}") from error
    if not hours:
        raise BadTrace(f"{path}: {MEMBER} has no rows")
    total = np.zeros(max(hours) - min(hours) + 1, np.int64)
    np.add.at(total, np.array(hours) - min(hours), counts)
    seen = total > 0
    last = np.maximum.accumulate(np.where(seen, np.arange(len(total)), 0))
    filled: npt.NDArray[np.int64] = total[last]
    return filled
