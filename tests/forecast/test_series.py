"""Histories from ConfigMaps."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.forecast.demand import forecast
from archgov.forecast.history import BadHistory
from archgov.forecast.series import LONGEST, histories
from archgov.model.snapshot import Sample
from tests.build import MONDAY, a_series

HOUR = 3600


def test_every_place_has_a_history_of_its_own() -> None:
    found = histories(a_series("shop/demand", {"us-1": [4, 5], "eu-1": [1, 2]}))
    assert list(found) == ["eu-1", "us-1"]
    assert found["eu-1"].values.tolist() == [1000.0, 2000.0]
    assert found["us-1"].values.tolist() == [4000.0, 5000.0]


def test_all_histories_end_together() -> None:
    found = histories(a_series("shop/demand", {"eu-1": [1, 2, 3], "us-1": [4]}))
    assert found["us-1"].values.tolist() == [4000.0, 4000.0, 4000.0]
    assert found["us-1"].observed.tolist() == [True, False, False]


def test_steps_without_a_sample_are_gaps() -> None:
    history = histories(a_series("shop/demand", [1, None, 3]))[""]
    assert history.observed.tolist() == [True, False, True]
    assert history.values.tolist() == [1000.0, 1000.0, 3000.0]


def test_silence_up_to_now_is_a_gap_too() -> None:
    history = histories(a_series("shop/demand", [1, 2]), until=MONDAY + 4 * HOUR)[""]
    assert history.observed.tolist() == [True, True, False, False, False]


def test_samples_from_the_future_are_not_looked_at() -> None:
    series = a_series("shop/demand", {"eu-1": [1, 2, 300], "us-1": [None, None, 4]})
    found = histories(series, until=MONDAY + HOUR)
    assert list(found) == ["eu-1"]
    assert found["eu-1"].values.tolist() == [1000.0, 2000.0]


def test_the_greatest_of_several_samples_in_a_step_counts() -> None:
    series = a_series("shop/demand", [5])
    more = (Sample(MONDAY + 60, "", 9000), Sample(MONDAY + 120, "", 7000))
    assert histories(replace(series, samples=series.samples + more))[""].values.tolist() == [9000.0]


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 50), min_size=1, max_size=200))
def test_the_order_of_samples_changes_nothing(dice: Random, amounts: list[int]) -> None:
    series = a_series("shop/demand", {"eu-1": amounts, "us-1": amounts[::2]})
    mixed = list(series.samples)
    dice.shuffle(mixed)
    for place, history in histories(series).items():
        other = histories(replace(series, samples=tuple(mixed)))[place]
        one, same = (forecast(each, steps=5, quantile=0.9, step=HOUR) for each in (history, other))
        assert one.values.tolist() == same.values.tolist()
        assert one.method == same.method


def test_only_the_latest_steps_are_kept() -> None:
    series = replace(a_series("shop/demand", [1]), samples=(Sample(0, "", 8000), Sample(LONGEST * HOUR, "", 5000)))
    history = histories(series)[""]
    assert len(history) == LONGEST
    assert history.values[0] == history.values[-1] == 5000
    assert history.observed.sum() == 1


def test_a_place_that_fell_silent_too_long_ago_says_nothing() -> None:
    assert histories(a_series("shop/demand", [1]), until=MONDAY + 2 * LONGEST * HOUR) == {}


def test_an_empty_series_says_nothing() -> None:
    assert histories(a_series("shop/demand", [])) == {}


def test_a_negative_amount_is_refused_with_its_time_and_place() -> None:
    series = a_series("shop/demand", {"eu-1": [1, -2]})
    with pytest.raises(
        BadHistory, match=f'ConfigMap shop/demand, key demand.csv: -2000 .* at {MONDAY + HOUR} for "eu-1"'
    ):
        histories(series)


@pytest.mark.parametrize("step", [0, -60])
def test_a_step_that_is_not_positive_is_refused(step: int) -> None:
    with pytest.raises(BadHistory, match="it must be positive"):
        histories(replace(a_series("shop/demand", [1]), step=step))


def test_histories_can_not_be_written_to() -> None:
    history = histories(a_series("shop/demand", [1, 2]))[""]
    for array in (history.values, history.observed):
        with pytest.raises(ValueError, match="read-only"):
            np.copyto(array, 0)
