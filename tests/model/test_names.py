"""Names that API servers take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.model.names import Names
from tests.strategies import texts


def sorted_names(names: list[str]) -> Names:
    return Names.of(sorted(names, key=str.encode))


@given(st.lists(texts))
def test_names_come_back_as_they_were(names: list[str]) -> None:
    packed = Names.of(names)
    assert list(packed) == names
    assert [packed[row] for row in range(len(packed))] == names
    assert [packed[row - len(names)] for row in range(len(names))] == names


def test_a_row_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Names.of(["a"])[1]
    with pytest.raises(IndexError):
        Names.of([])[0]


@given(st.lists(texts, unique=True), texts)
def test_a_name_is_found_where_it_is_and_nowhere_else(names: list[str], other: str) -> None:
    packed = sorted_names(names)
    assert [packed.find(name) for name in packed] == list(range(len(names)))
    assert (packed.find(other) is not None) == (other in names)


@given(st.lists(st.text("ab/", max_size=4), unique=True), st.text("ab/", max_size=3))
def test_a_prefix_finds_exactly_the_names_that_begin_so(names: list[str], prefix: str) -> None:
    packed = sorted_names(names)
    assert [packed[row] for row in packed.prefixed(prefix)] == [name for name in packed if name.startswith(prefix)]


@given(st.lists(texts))
def test_the_order_is_that_of_the_bytes(names: list[str]) -> None:
    packed = Names.of(names)
    assert list(packed.take(packed.order())) == sorted(names, key=str.encode)


@given(st.lists(texts, max_size=4))
def test_names_are_ordered_when_each_is_below_the_next(names: list[str]) -> None:
    assert Names.of(names).is_ordered() == (names == sorted(set(names), key=str.encode))


@given(st.data(), st.lists(texts, min_size=1))
def test_any_rows_can_be_taken(data: st.DataObject, names: list[str]) -> None:
    rows = data.draw(st.lists(st.integers(0, len(names) - 1)))
    assert list(Names.of(names).take(np.array(rows, np.intp))) == [names[row] for row in rows]
