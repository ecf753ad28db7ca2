"""The plain seasonal forecast on two public request logs, 24 hours ahead at each of 28 midnights.

python -m tests.benchmarks.forecast_bench

Score: mean absolute error over that of repeating yesterday on the known past (MASE, lag 24), averaged over origins;
share of hours at or below the 95 % quantile; share of days whose greatest hour is at or below the peak. Hours without
data are missing, and not judged.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from archgov.forecast.demand import forecast
from archgov.forecast.history import Float64, History
from tests.benchmarks.data import bench_file
from tests.benchmarks.measure import Meter

HOUR, DAY, ORIGINS = 3600, 24, 28
LEAST_COVERAGE = 0.85


def main() -> int:
    """Exit code 0, also where the data are missing; 1 if a band is broken so often that nobody should rely on it."""
    path = bench_file("web-requests/requests.tar.xz")
    if path is None:
        return 0
    meter, broken = Meter(), 0
    for name, hours in _series(path).items():
        with meter.step(name):
            error, naive, below, peaks = _scores(hours)
        print(
            f"    MASE {error:.3f}, repeating yesterday {naive:.3f}; below P95 {below:.1%}, days below peak {peaks:.1%}"
        )
        broken += below < LEAST_COVERAGE
    return 1 if broken else 0


def _series(path: Path) -> dict[str, Float64]:
    """Hourly sums by series, from a midnight on; NaN where an hour has no row."""
    found: dict[str, Float64] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if file is not None:
                found[Path(member.name).stem] = _hourly(csv.DictReader(io.TextIOWrapper(file)))
    return found


def _hourly(rows: csv.DictReader[str]) -> Float64:
    total: dict[int, float] = defaultdict(float)
    for row in rows:
        at = datetime.fromisoformat(row["minute"]).replace(tzinfo=UTC)
        total[int(at.timestamp()) // HOUR] += float(row["count"])
    midnight = min(total) // DAY * DAY
    hours = np.full(max(total) + 1 - midnight, np.nan)
    hours[np.array(list(total)) - midnight] = list(total.values())
    return hours


def _scores(hours: Float64) -> tuple[float, float, float, float]:
    """MASE, that of repeating yesterday, coverage of the hours, coverage of the days' peaks."""
    last = (len(hours) - DAY) // DAY * DAY
    errors, naives, below, peaks = [], [], [], []
    for origin in range(last - DAY * (ORIGINS - 1), last + 1, DAY):
        first = int(np.argmax(~np.isnan(hours)))
        past, actual = hours[first:origin], hours[origin : origin + DAY]
        history = History.of(past, step=HOUR, observed=~np.isnan(past))
        middle, high = (forecast(history, steps=DAY, quantile=q, step=HOUR) for q in (0.5, 0.95))
        scale = np.nanmean(np.abs(past[DAY:] - past[:-DAY]))
        seen = ~np.isnan(actual)
        if seen.any():
            errors.append(float(np.abs(actual - middle.values)[seen].mean() / scale))
            naives.append(float(np.abs(actual - history.values[-DAY:])[seen].mean() / scale))
            below.append(float((actual <= high.values)[seen].mean()))
            peaks.append(float(actual[seen].max() <= high.peak))
    return float(np.mean(errors)), float(np.mean(naives)), float(np.mean(below)), float(np.mean(peaks))


if __name__ == "__main__":
    raise SystemExit(main())
