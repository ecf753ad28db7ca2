"""Kubernetes quantities, exact."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.model.quantity import (
    BadQuantity,
    counted,
    duration,
    exact,
    micro_usd,
    milli,
    milli_text,
    percent,
    seconds,
    usd_a_day,
    whole,
)

SCALES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
decimals = st.tuples(st.sampled_from(("", "+", "-")), st.integers(0, 10**6), st.text("0123456789", max_size=4)).map(
    lambda parts: f"{parts[0]}{parts[1]}" + (f".{parts[2]}" if parts[2] else "")
)


@given(decimals, st.sampled_from(sorted(SCALES)))
def test_a_quantity_is_its_number_times_its_suffix(number: str, suffix: str) -> None:
    value = Fraction(number) * SCALES[suffix]
    assert exact(number + suffix) == value
    assert whole(number + suffix) == math.ceil(value)
    assert milli(number + suffix) == math.ceil(value * 1000)
    assert micro_usd(number + suffix) == math.ceil(value * 10**6)


@given(decimals, st.sampled_from("eE"), st.integers(-20, 20))
def test_an_exponent_is_a_power_of_ten(number: str, letter: str, power: int) -> None:
    assert exact(f"{number}{letter}{power}") == Fraction(number) * Fraction(10) ** power


# From the table tests of Kubernetes' apimachinery/pkg/api/resource.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("0n", 0),
        ("100m", Fraction(1, 10)),
        ("1.1Mi", Fraction(11 * 2**20, 10)),
        ("0.5Gi", 2**29),
        ("12.34", Fraction(1234, 100)),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1e-3", Fraction(1, 1000)),
        ("-1", -1),
        ("+2", 2),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("1025Ki", 1025 * 1024),
        (3, 3),
    ],
)
def test_quantities_mean_what_they_mean_in_kubernetes(text: str | int, value: Fraction | int) -> None:
    assert exact(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "1 ", " 1", ".", "-", "aoeu", "1.1.M", "1+1.0M", "0.1mi", "0.1am", ".5i", "1i", "1K", "1KI", "-3.01i",
     "-3.01e-", "1e", "1e3.5", "0x10", "1_000", "NaN", "inf", "٣", "1\n", True, 1.5, None],
)  # fmt: skip
def test_what_is_no_quantity_is_refused_with_an_example_of_one(text: str) -> None:
    with pytest.raises(BadQuantity, match="is not a quantity; write one such as 500m"):
        exact(text)


def test_fractions_round_up_as_in_kubernetes() -> None:
    assert (milli("1u"), whole("1m"), whole("1.0000000001Gi"), milli("-1u")) == (1, 1, 2**30 + 1, 0)


@pytest.mark.parametrize(("text", "value"), [("0%", 0), ("15%", 15), ("100%", 100), ("250%", 250)])
def test_a_percentage_is_the_number_before_its_sign(text: str, value: int) -> None:
    assert percent(text) == value


@pytest.mark.parametrize("text", ["", "%", "15", "-1%", "1.5%", "1000%", "15 %", "٣%", "15%\n"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(BadQuantity, match="must be a percentage such as"):
        percent(text)


@given(st.integers(0, 400), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_duration_adds_up_its_parts(days: int, hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{days}d{hours}h{minutes}m{rest}s") == 86_400 * days + 3600 * hours + 60 * minutes + rest


@pytest.mark.parametrize(("text", "value"), [("45s", 45), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("0s", 0)])
def test_parts_of_a_duration_may_be_left_out(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "1.5h", "1m1h", "10 m", "5ms", "٣m", "10m\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadQuantity, match="must be a duration such as"):
        seconds(text)


@given(st.integers(-(10**9), 10**9))
def test_thousandths_survive_being_written_down(amount: int) -> None:
    assert milli(milli_text(amount)) == amount


def test_money_is_shown_a_day() -> None:
    assert usd_a_day(1_000_000) == "24.00 $/day"
    assert usd_a_day(100_000_000) == "2,400.00 $/day"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (45, "45s"), (600, "10m"), (5400, "1h30m"), (86_400, "1d")])
def test_times_are_told_as_specs_write_them(seconds: int, words: str) -> None:
    assert duration(seconds) == words


def test_many_are_many() -> None:
    assert [counted(number, "pod") for number in (0, 1, 2, 1000)] == ["0 pods", "1 pod", "2 pods", "1,000 pods"]
