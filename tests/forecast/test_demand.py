"""Forecasts against what came."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.forecast.demand import forecast
from archgov.forecast.history import BadHistory, History

HOUR, DAY, WEEK = 3600, 24, 168
Float64 = npt.NDArray[np.float64]


def a_season(weeks: float) -> Float64:
    """Hours of a service that is busy by day, less so at the weekend."""
    hour = np.arange(int(weeks * WEEK))
    working = hour // DAY % 7 < 5
    demand: Float64 = 100 + 50 * np.sin(2 * np.pi * hour / DAY) + 20.0 * working
    return demand


def ahead(values: npt.ArrayLike, steps: int = DAY, quantile: float = 0.95, step: int = HOUR) -> Float64:
    return forecast(History.of(values, step=step), steps=steps, quantile=quantile, step=step).values


@pytest.mark.parametrize("length", [1, 30, 3 * DAY, 4 * WEEK])
@pytest.mark.parametrize("level", [0.0, 7.0, 1e9])
def test_constant_demand_stays_constant(length: int, level: float) -> None:
    assert ahead(np.full(length, level)) == pytest.approx(np.full(DAY, level))


@given(st.integers(14, 35), st.integers(1, 2 * WEEK), st.sampled_from((0.5, 0.9, 0.99)))
def test_a_pure_season_is_forecast_without_error(days: int, steps: int, quantile: float) -> None:
    whole = a_season(8)
    known = DAY * days
    seen = forecast(History.of(whole[:known], step=HOUR), steps=steps, quantile=quantile, step=HOUR)
    assert seen.values == pytest.approx(whole[known : known + steps])
    assert seen.error == 0.0
    assert seen.peak == math.ceil(whole[known : known + steps].max() - 1e-6)
    assert seen.method.startswith("weekly season")


def test_between_two_days_and_two_weeks_the_season_is_a_day() -> None:
    daily = np.tile(np.arange(24.0) + 1, 14)
    seen = forecast(History.of(daily[: 13 * DAY], step=HOUR), steps=DAY, quantile=0.95, step=HOUR)
    assert seen.method.startswith("daily season")
    assert seen.values == pytest.approx(np.arange(24.0) + 1)


@pytest.mark.parametrize("step", [60, 300, HOUR, 6 * HOUR])
def test_any_step_that_divides_a_day_has_a_season(step: int) -> None:
    a_day = 86_400 // step
    whole = np.tile(1.0 + np.arange(a_day) % 5, 15)
    seen = forecast(History.of(whole, step=step), steps=3, quantile=0.9, step=step)
    assert seen.method.startswith("weekly season")
    assert seen.values == pytest.approx([1.0, 2.0, 3.0])


def test_a_shift_of_level_is_followed_within_a_day() -> None:
    whole = a_season(6)
    doubled = whole.copy()
    doubled[-DAY:] *= 2
    middle = ahead(doubled, quantile=0.5)
    assert middle == pytest.approx(2 * a_season(7)[6 * WEEK :][:DAY], rel=0.1)
    assert (ahead(doubled) >= 2 * a_season(7)[6 * WEEK :][:DAY] - 1e-6).all()


def test_a_short_history_falls_back_to_its_plain_quantile() -> None:
    seen = forecast(History.of(np.arange(1.0, 40.0), step=HOUR), steps=3, quantile=0.95, step=HOUR)
    assert seen.values.tolist() == [38.0, 38.0, 38.0]
    assert seen.method == "quantile of all 39 samples, for less than two days are known"
    assert seen.history == 39
    assert math.isnan(seen.error)


def test_too_few_samples_for_the_quantile_give_the_greatest() -> None:
    seen = forecast(History.of([3.0, 9.0, 4.0], step=HOUR), steps=2, quantile=0.95, step=HOUR)
    assert seen.values.tolist() == [9.0, 9.0]
    assert math.isnan(seen.coverage)


# 95 % is asked for; 30 fleets of noise, each judged on the two weeks that followed.
@pytest.mark.parametrize("steps", [1, DAY, WEEK])
def test_noise_stays_below_the_quantile_about_as_often_as_it_says(steps: int) -> None:
    dice = np.random.default_rng(3)
    below: list[float] = []
    claimed: list[float] = []
    for _ in range(30):
        whole = np.maximum(0.0, a_season(8) * (1 + 0.1 * dice.standard_normal(8 * WEEK)))
        for origin in range(6 * WEEK, 8 * WEEK - steps + 1, max(steps, 5 * DAY)):
            seen = forecast(History.of(whole[:origin], step=HOUR), steps=steps, quantile=0.95, step=HOUR)
            below.append(float((whole[origin : origin + steps] <= seen.values).mean()))
            claimed.append(seen.coverage)
    assert 0.90 <= np.mean(below) <= 0.99
    assert 0.90 <= np.mean(claimed) <= 0.99
    assert abs(np.mean(below) - np.mean(claimed)) <= 0.03


def test_noise_is_forecast_better_than_by_repeating_the_last_week() -> None:
    dice = np.random.default_rng(5)
    noisy = a_season(6) * (1 + 0.1 * dice.standard_normal(6 * WEEK))
    assert forecast(History.of(noisy, step=HOUR), steps=DAY, quantile=0.95, step=HOUR).error < 0.9


@given(st.data(), st.integers(2 * DAY, 5 * WEEK))
def test_a_higher_quantile_is_never_lower(data: st.DataObject, length: int) -> None:
    dice = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = dice.gamma(2.0, 50.0, length) * dice.integers(0, 2, length)
    low, high = sorted(data.draw(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99))))
    assert (ahead(values, quantile=low) <= ahead(values, quantile=high)).all()
    assert (ahead(values, quantile=low) >= 0).all()


@given(st.integers(0, 2**32), st.floats(0.1, 1000))
def test_the_unit_of_demand_does_not_matter(seed: int, unit: float) -> None:
    values = a_season(3) * np.random.default_rng(seed).uniform(0.8, 1.2, 3 * WEEK)
    assert ahead(values * unit) == pytest.approx(ahead(values) * unit)


# ------------------------------------------------------------------------------------------------------------ gaps


def test_gaps_are_filled_from_the_past_alone() -> None:
    season = a_season(4)
    observed = np.ones(len(season), np.bool_)
    observed[[30, 200, 400, 401, 402, 600]] = False
    holed = np.where(observed, season, np.nan)
    seen = forecast(History.of(holed, step=HOUR, observed=observed), steps=DAY, quantile=0.95, step=HOUR)
    assert seen.history == len(season) - 6
    assert seen.method.endswith("6 gaps filled from before")
    assert seen.values == pytest.approx(a_season(5)[4 * WEEK :][:DAY], rel=0.05)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=60), st.integers(0, 59))
def test_a_filled_gap_knows_nothing_of_later_samples(samples: list[tuple[bool, int]], cut: int) -> None:
    seen = [True, *(here for here, _ in samples)]
    values = [5, *(value for _, value in samples)]
    whole = History.of(values, step=6 * HOUR, observed=seen)
    early = History.of(values[: cut + 1], step=6 * HOUR, observed=seen[: cut + 1])
    assert whole.values[: cut + 1].tolist() == early.values.tolist()
    assert [value for value, here in zip(whole.values, seen, strict=True) if here] == [
        value for value, here in zip(values, seen, strict=True) if here
    ]


def test_a_gap_takes_the_value_of_last_week_else_yesterday_else_the_last_one() -> None:
    values = np.arange(1.0, 2 * WEEK + 1)
    observed = np.ones(len(values), np.bool_)
    observed[[3, 30, WEEK + 7]] = False
    filled = History.of(values, step=HOUR, observed=observed).values
    assert filled[[3, 30, WEEK + 7]].tolist() == [values[2], values[30 - DAY], values[7]]


def test_a_value_in_a_gap_is_never_looked_at() -> None:
    observed = [True, False, True]
    assert History.of([1.0, math.nan, 2.0], step=HOUR, observed=observed).values.tolist() == [1.0, 1.0, 2.0]
    assert History.of([1.0, -7.0, 2.0], step=HOUR, observed=observed).values.tolist() == [1.0, 1.0, 2.0]


# ---------------------------------------------------------------------------------------------------- no look-ahead


@given(st.integers(0, 2**32), st.integers(2 * WEEK, 4 * WEEK))
def test_what_comes_after_a_history_changes_nothing_in_it(seed: int, known: int) -> None:
    dice = np.random.default_rng(seed)
    whole = dice.gamma(2.0, 50.0, 5 * WEEK)
    other = whole.copy()
    other[known:] = dice.gamma(2.0, 5000.0, 5 * WEEK - known)
    assert ahead(whole[:known]).tolist() == ahead(other[:known]).tolist()


def test_coverage_is_judged_by_bands_that_were_known_then() -> None:
    # The last week is ten times as noisy. Bands that had seen it would cover it; those from before cannot.
    dice = np.random.default_rng(11)
    noise = dice.standard_normal(6 * WEEK) * np.where(np.arange(6 * WEEK) < 5 * WEEK, 0.01, 0.1)
    noisy = a_season(6) * (1 + noise)
    assert forecast(History.of(noisy, step=HOUR), steps=WEEK, quantile=0.95, step=HOUR).coverage < 0.75


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("wrong", [math.nan, -1.0, math.inf, -math.inf])
def test_what_is_no_demand_is_refused_by_its_place(wrong: float) -> None:
    with pytest.raises(BadHistory, match=r"sample 2 is .*; demand is a number that is at least 0"):
        History.of([1.0, 2.0, wrong], step=HOUR)


@pytest.mark.parametrize(
    ("values", "observed", "problem"),
    [
        ([], None, "no sample was observed"),
        ([1.0, 2.0], [False, False], "no sample was observed"),
        ([[1.0]], None, "must be one equal row"),
        ([1.0, 2.0], [True], "must be one equal row"),
    ],
)
def test_a_history_without_samples_is_refused(values: list[float], observed: list[bool] | None, problem: str) -> None:
    with pytest.raises(BadHistory, match=problem):
        History.of(values, step=HOUR, observed=observed)


def test_questions_without_an_answer_are_refused() -> None:
    with pytest.raises(BadHistory, match="the step between samples is 0 s"):
        History.of([1.0], step=0)
    with pytest.raises(BadHistory, match="ask for at least 1"):
        ahead([1.0], steps=0)
    for quantile in (0.0, 1.0, 95.0):
        with pytest.raises(BadHistory, match="must be between 0 and 1"):
            ahead([1.0], quantile=quantile)
