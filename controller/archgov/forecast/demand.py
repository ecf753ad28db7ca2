"""A plain seasonal quantile of what is coming.

Letters x[t] observed, m steps a season, w steps a day (or m, if shorter), o an origin: there x[t] is known for t < o
Point   f[t] = level * shape[(t - o) mod m]
        shape = median over the last four seasons before o of (x / mean of the season), phase by phase
        level = mean of the last w values / mean of shape at their phases: a shift is followed within a day
Band    e[t] = (x[t] - f[t]) / scale, by back-tests at origins of the last two seasons
        scale = mean of the season before o
        the forecast is f + scale * the ceil((n + 1) q)-th smallest of the n errors, never below 0
The rank is that of split conformal prediction (Vovk, Gammerman, Shafer, 2005): were errors exchangeable, x would exceed
it in at most a share 1 - q of all steps. They are not quite, so `coverage` says how it went. Without two seasons the
same rank of all values stands in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from archgov.forecast.history import DAY, WEEK, BadHistory, Bool, Float64, History

SEASONS: Final = 4
# Back-tests per forecast: enough errors for a 99 % quantile one step ahead, few enough for a history of minutes.
ORIGINS: Final = 200

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Demand ahead, with how well the same method did on the past.

    Attributes:
        values: (H,) the quantile of each step after the history's last.
        quantile: the level, between 0 and 1.
        error: mean absolute error of the middle, over that of repeating the last season; nan: not measured.
        coverage: share of held-out steps at or below the quantile as it was known then; nan: not measured.
        method: what was done, in words. history: observed samples that it rests on.
    """

    values: Float64
    quantile: float
    error: float
    coverage: float
    method: str
    history: int

    @property
    def peak(self) -> int:
        """The greatest value ahead, rounded up. It is the peak of a band, which is less than the band of the peak."""
        return math.ceil(round(float(self.values.max()), 6))


def forecast(history: History, *, steps: int, quantile: float, step: int) -> Forecast:
    """The quantile of demand for each of the next `steps` steps of `step` seconds.

    Raises:
        BadHistory: no step is asked for, or the quantile is not between 0 and 1.
    """
    if steps < 1:
        raise BadHistory(f"a forecast of {steps} steps says nothing; ask for at least 1")
    if not 0 < quantile < 1:
        raise BadHistory(f"the quantile is {quantile}; it must be between 0 and 1, such as 0.95")
    for name, length in (("weekly", WEEK), ("daily", DAY)):
        season = length // step
        if length % step == 0 and season >= 2 and len(history) >= 2 * season:
            return _seasonal(history, steps, quantile, season, min(season, max(1, DAY // step)), name)
    return _plain(history, steps, quantile)


# --------------------------------------------------------------------------------------------------------- seasonal


@dataclass(frozen=True, slots=True, eq=False)
class _Backtest:
    """Errors of earlier forecasts, one row per origin.

    Attributes:
        origin: (I,). judged: (I, H) where the target was observed.
        error: (I, H) of the middle, in units of demand. scaled: (I, H) the same in units of scale.
        naive: (I, H) of repeating the last season.
    """

    origin: Int64
    judged: Bool
    error: Float64
    scaled: Float64
    naive: Float64


def _seasonal(history: History, steps: int, quantile: float, season: int, day: int, name: str) -> Forecast:
    x, T = history.values, len(history)
    past = _backtest(history, steps, season, day)
    middle, scale = _middle(x, T, steps, season, day)
    known = np.sort(past.scaled[past.judged])
    margin = known[_rank(len(known), quantile)] if len(known) else 0.0
    observed = int(history.observed.sum())
    return Forecast(
        values=np.maximum(0.0, middle + scale * margin),
        quantile=quantile,
        error=_relative_error(past),
        coverage=_coverage(past, quantile),
        method=f"{name} season, {T // season} of them, {len(known)} back-tested errors" + _gaps(T - observed),
        history=observed,
    )


def _middle(x: Float64, o: int, steps: int, season: int, day: int) -> tuple[Float64, float]:
    """The point forecast of the steps from an origin on, with the scale of its errors."""
    seasons = min(SEASONS, o // season)
    blocks = x[o - seasons * season : o].reshape(seasons, season)
    mean = blocks.mean(axis=1, keepdims=True)
    shape = np.median(blocks / np.where(mean > 0, mean, 1.0), axis=0)
    recent = float(shape[season - day :].mean())
    level = float(x[o - day : o].mean()) / recent if recent > 0 else float(mean[-1, 0])
    return level * shape[np.arange(steps) % season], float(mean[-1, 0]) or 1.0


def _backtest(history: History, steps: int, season: int, day: int) -> _Backtest:
    x, T = history.values, len(history)
    first = max(season, T - 2 * season)
    stride = max(min(steps, day), -(-(T - first) // ORIGINS))
    # Counted back from the end, so that the last origin tests the whole horizon.
    origin = np.arange(T - min(steps, T - first), first - 1, -stride, dtype=np.int64)[::-1]
    target = origin[:, None] + np.arange(steps)
    judged = target < T
    target = np.minimum(target, T - 1)
    middle, scale = zip(*(_middle(x, int(o), steps, season, day) for o in origin), strict=True)
    error = x[target] - np.array(middle)
    return _Backtest(
        origin=origin,
        judged=judged & history.observed[target],
        error=error,
        scaled=error / np.array(scale)[:, None],
        naive=x[target] - x[origin[:, None] - season + np.arange(steps) % season],
    )


def _relative_error(past: _Backtest) -> float:
    if not past.judged.any():
        return math.nan
    error, naive = (float(np.abs(of[past.judged]).mean()) for of in (past.error, past.naive))
    # Adding up to the mean and back costs the last bits: a season that repeats exactly is a perfect forecast.
    if error <= 1e-9 * max(1.0, naive):
        return 0.0
    return error / naive if naive > 0 else math.inf


def _coverage(past: _Backtest, quantile: float) -> float:
    """Each origin is judged by a band made of errors whose targets lie before it: nothing is looked up ahead."""
    target = past.origin[:, None] + np.arange(past.error.shape[1])
    under = judged = 0
    for row, origin in enumerate(past.origin):
        known = np.sort(past.scaled[past.judged & (target < origin)])
        mine = past.scaled[row, past.judged[row]]
        if _rank(len(known), quantile, capped=False) < len(known):
            under += int((mine <= known[_rank(len(known), quantile)] + 1e-9).sum())
            judged += len(mine)
    return under / judged if judged else math.nan


# ------------------------------------------------------------------------------------------------------------ plain


def _plain(history: History, steps: int, quantile: float) -> Forecast:
    seen = history.values[history.observed]
    value = np.sort(seen)[_rank(len(seen), quantile)]
    return Forecast(
        values=np.full(steps, value),
        quantile=quantile,
        error=math.nan,
        coverage=_plain_coverage(seen, quantile),
        method=f"quantile of all {len(seen)} samples, for less than two days are known",
        history=len(seen),
    )


def _plain_coverage(seen: Float64, quantile: float) -> float:
    """The later half, each sample judged by those before it."""
    late = range(max(1, len(seen) // 2), len(seen))
    judged = [t for t in late[-ORIGINS:] if _rank(t, quantile, capped=False) < t]
    under = sum(bool(seen[t] <= np.sort(seen[:t])[_rank(t, quantile)]) for t in judged)
    return under / len(judged) if judged else math.nan


def _rank(n: int, quantile: float, *, capped: bool = True) -> int:
    """Index of the ceil((n + 1) q)-th smallest of n; where n is too small, the greatest stands in."""
    rank = math.ceil(round((n + 1) * quantile, 9)) - 1
    return min(rank, n - 1) if capped else rank


def _gaps(count: int) -> str:
    return f"; {count} gaps filled from before" if count else ""
