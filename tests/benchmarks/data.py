"""Where public data for benchmarks lie, if they do."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE = Path(__file__).parents[2].parent / "shared" / "bench"


def bench_file(name: str) -> Path | None:
    """The file below ARCHGOV_BENCH_DATA, else below shared/bench beside the project; None, said in one line, if missing."""
    path = Path(os.environ.get("ARCHGOV_BENCH_DATA", _BESIDE)) / name
    if not path.is_file():
        print(f"  skipped: {path} is missing; ARCHGOV_BENCH_DATA names the folder that holds {name}")
        return None
    return path
