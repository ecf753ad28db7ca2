"""Series of demand in ConfigMaps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.api.fault import IntentError
from archgov.api.series import parse
from archgov.model.intent import SeriesRef
from archgov.model.snapshot import Sample

REF = SeriesRef("demand", "a.csv")


def config_map(text: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "demand", "namespace": "shop"}, "data": {"a.csv": text}}


def test_lines_become_samples() -> None:
    text = "time,place,amount\n2026-03-01T00:00:00Z,eu/a,1.5k\n\n2026-03-01T00:05:00+00:00,eu/a,250m\n"
    series = parse(config_map(text), REF)
    assert series.samples == (Sample(1_772_323_200, "eu/a", 1_500_000), Sample(1_772_323_500, "eu/a", 250))
    assert (series.namespace, series.config_map, series.key, series.step) == ("shop", "demand", "a.csv", 300)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'line 1 is ""; must be "time,place,amount"'),
        ("when,where\n", 'line 1 is "when,where"; must be "time,place,amount"'),
        ("time,place,amount\n1,2\n", "line 2 has 2 cells; must have 3: time, place, amount"),
        ("time,place,amount\nyesterday,a,1\n", 'line 2 has time "yesterday"; must be one such as 2026-03-01T09:00:00Z'),
        ("time,place,amount\n2026-03-01T00:00:00,a,1\n", "line 2 has time"),
        ("time,place,amount\n2026-03-01T00:00:00Z,a,-1\n", 'line 2 has amount "-1"; must be a quantity such as 300'),
        ("time,place,amount\n2026-03-01T00:00:00Z,a,999999999999G\n", "line 2 has amount"),
        (None, "data.a.csv is missing; add it, or name another key; there is a.csv"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(text: Any, message: str) -> None:
    with pytest.raises(IntentError) as refused:
        parse(config_map(text), REF)
    assert message in str(refused.value)


@given(body=st.sampled_from([{}, {"metadata": 3}, {"data": {"a.csv": ""}}, {"metadata": {}, "data": []}]))
def test_a_config_map_of_any_form_is_answered(body: dict[str, Any]) -> None:
    with pytest.raises(IntentError):
        parse(body, REF)


@given(st.text())
def test_any_text_is_a_series_or_is_refused(text: str) -> None:
    try:
        parse(config_map(f"time,place,amount\n{text}"), REF)
    except IntentError as error:
        assert "line" in error.path  # noqa: PT017
