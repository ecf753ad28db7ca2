"""Forecasts as the report draws them: what was, what is expected, what is planned to serve it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archgov.decide.need import outlooks, series_of
from archgov.decide.round import Round
from archgov.decide.still import plan_of
from archgov.forecast.demand import Forecast
from archgov.model.decision import Finding
from archgov.model.intent import CapacityIntent

# Of an hourly history a week is drawn; the horizon follows.
DRAWN = 168
MOST = 8
WIDTH, HEIGHT, TOP = 640.0, 120.0, 8.0
MILLI = 1000


@dataclass(frozen=True, slots=True)
class Outlook:
    """One series of one intent.

    Attributes:
        history, ahead: points of two lines, as SVG takes them. served: height of what is planned to be served; None without a plan.
        now: where the history ends. peak: greatest demand expected, in units of demand. told: how good the forecast is.
    """

    intent: str
    place: str
    history: str
    ahead: str
    served: float | None
    now: float
    peak: str
    capacity: str
    quantile: str
    told: str


def outlook(concluded: Round) -> tuple[Outlook, ...]:
    """The forecasts of all CapacityIntents that have a history, the first few of them."""
    stage, found = concluded.stage, []
    for one in stage.of(CapacityIntent):
        looks = outlooks(stage.snapshot, one.intent)
        series = series_of(stage.snapshot, one.intent)
        plan = plan_of(concluded, one)
        if isinstance(looks, Finding) or series is None:
            continue
        rows = [s for s, row in enumerate(stage.base.rows) if row in one.rows]
        replicas = int(plan.target[rows].sum()) if plan is not None and rows else 0
        for look in looks:
            if look.forecast is None:
                continue
            past = [s.amount / MILLI for s in series.samples if s.place == look.place][-DRAWN:]
            ahead = [float(value) / MILLI for value in look.forecast.values]
            # Of several places each has a part; what serves all of them is shown where there is one.
            served = replicas * one.intent.per_replica / MILLI if len(looks) == 1 and replicas else None
            found.append(_drawn(str(one.intent.common.ref), look.place, past, ahead, served, look.forecast))
    return tuple(found[:MOST])


def _drawn(
    intent: str, place: str, past: list[float], ahead: list[float], served: float | None, made: Forecast
) -> Outlook:
    most = max([*past, *ahead, served or 0.0, 1e-9])
    step = WIDTH / max(1, len(past) + len(ahead) - 1)

    def height(value: float) -> float:
        return round(HEIGHT - (HEIGHT - TOP) * value / most, 1)

    def line(values: list[float], begin: int) -> str:
        return " ".join(f"{round((begin + i) * step, 1)},{height(value)}" for i, value in enumerate(values))

    told = [] if math.isnan(made.error) else [f"error {made.error:.2f} of repeating the last season"]
    told += [] if math.isnan(made.coverage) else [f"{made.coverage:.0%} of the past stayed within it"]
    return Outlook(
        intent=intent,
        place=place or "everywhere",
        history=line(past, 0),
        ahead=line([*past[-1:], *ahead], max(0, len(past) - 1)),
        served=None if served is None else height(served),
        now=round(max(0, len(past) - 1) * step, 1),
        peak=f"{max(ahead):,.0f}",
        capacity="" if served is None else f"{served:,.0f}",
        quantile=f"P{round(100 * made.quantile)}",
        told=", ".join(told) or "too little history to say how good it is",
    )
