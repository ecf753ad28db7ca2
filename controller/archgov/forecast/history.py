"""What was observed at a fixed step, with its gaps filled from the past alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

DAY: Final = 86_400
WEEK: Final = 7 * DAY


class BadHistory(ValueError):
    """A history that says nothing about the future; tells which sample is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Demand at one place, oldest first.

    Attributes:
        values: (T,) at least 0; where nothing was observed, what the past suggests.
        observed: (T,) whether a sample was there.
    """

    values: Float64
    observed: Bool

    @classmethod
    def of(cls, values: npt.ArrayLike, *, step: int, observed: npt.ArrayLike | None = None) -> History:
        """A history whose gaps are filled: with the value a week ago, else a day ago, else the last one.

        Args:
            step: seconds between values.
            observed: (T,) False for gaps, whose value is ignored; None: everything was observed.

        Raises:
            BadHistory: nothing was observed, the step is not positive, or an observed value is negative or no number.
        """
        given = np.array(values, np.float64)
        seen = np.ones(given.shape, np.bool_) if observed is None else np.array(observed, np.bool_)
        _refuse(given, seen, step)
        filled = _filled(given, seen, step)
        filled.setflags(write=False)
        seen.setflags(write=False)
        return cls(filled, seen)

    def __len__(self) -> int:
        return len(self.values)


def _refuse(values: Float64, observed: Bool, step: int) -> None:
    if step <= 0:
        raise BadHistory(f"the step between samples is {step} s; it must be positive")
    if values.ndim != 1 or observed.shape != values.shape:
        raise BadHistory(f"values have the shape {values.shape}, observed {observed.shape}; both must be one equal row")
    if not observed.any():
        raise BadHistory("no sample was observed; give at least one")
    wrong = np.flatnonzero(observed & ~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        raise BadHistory(f"sample {int(wrong[0])} is {values[wrong[0]]}; demand is a number that is at least 0")


def _filled(values: Float64, observed: Bool, step: int) -> Float64:
    filled = values.copy()
    back = [season // step for season in (WEEK, DAY) if season % step == 0 and season > step] + [1]
    first = int(np.argmax(observed))
    # Before the first sample there is no past: these steps are gaps, and nothing is judged or learned by them.
    filled[:first] = values[first]
    for gap in (first + np.flatnonzero(~observed[first:])).tolist():
        filled[gap] = filled[next(gap - lag for lag in back if gap - lag >= first)]
    return filled
