"""Samples of a series as one history per place."""

from __future__ import annotations

from typing import Final

import numpy as np

from archgov.forecast.history import BadHistory, History
from archgov.model.snapshot import Sample, Series

# Five weeks of minutes, or five years of hours: older samples cost memory while saying little about the next days.
LONGEST: Final = 50_000


def histories(series: Series, until: int | None = None) -> dict[str, History]:
    """The history of every place that has a sample, from its first one up to the step that holds `until`.

    Steps without a sample are gaps, those after a place's last sample among them, so that all histories end together.
    Of several samples within one step the greatest counts.

    Args:
        series: its samples may be in any order.
        until: Unix seconds; samples after it are not looked at. None: the last sample of any place.

    Raises:
        BadHistory: the step is not positive, or an amount is negative; names the place.
    """
    if series.step <= 0:
        raise BadHistory(f"{_name(series)} has a step of {series.step} s; it must be positive")
    end = max((sample.at for sample in series.samples), default=0) if until is None else until
    by_place: dict[str, list[Sample]] = {}
    for sample in series.samples:
        if sample.at <= end:
            by_place.setdefault(sample.place, []).append(sample)
    return {
        place: history
        for place, samples in sorted(by_place.items())
        if (history := _history(series, samples, end)) is not None
    }


def _history(series: Series, samples: list[Sample], end: int) -> History | None:
    """None where the last sample is too old to say anything."""
    least = min(samples, key=lambda sample: (sample.amount, sample.at))
    if least.amount < 0:
        raise BadHistory(f'{_name(series)}: {least.amount} thousandths at {least.at} for "{least.place}" is below 0')
    slot = np.array([sample.at // series.step for sample in samples], np.int64)
    amount = np.array([sample.amount for sample in samples], np.int64)
    last = end // series.step
    first = max(int(slot.min()), last + 1 - LONGEST)
    recent = slot >= first
    if not recent.any():
        return None
    values = np.full(last + 1 - first, -1, np.int64)
    np.maximum.at(values, slot[recent] - first, amount[recent])
    return History.of(values, step=series.step, observed=values >= 0)


def _name(series: Series) -> str:
    return f"ConfigMap {series.namespace}/{series.config_map}, key {series.key}"
