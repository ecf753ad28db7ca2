"""What the API keeps of decisions that are over: the newest of each intent, and not too many in all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.edge.tree import Json
from archgov.edge.writer import ENDED, KEPT, MOST_KEPT, expendable
from archgov.model.decision import Outcome


def decision(number: int, intent: str = "a", outcome: Outcome = Outcome.VERIFIED) -> Json:
    metadata = {
        "name": f"d{number:06}",
        "namespace": "shop",
        "creationTimestamp": f"2026-01-01T00:00:{number % 60:02}Z",
    }
    intents = [{"kind": "PlacementIntent", "namespace": "shop", "name": intent}]
    return {
        "kind": "Decision",
        "metadata": metadata,
        "spec": {"intents": intents},
        "status": {"outcome": outcome.value},
    }


def names(some: list[Json]) -> list[Any]:
    return [body["metadata"]["name"] for body in some]


def test_the_newest_of_each_intent_stay() -> None:
    every = [decision(i) for i in range(25)] + [decision(i, "b") for i in range(25, 30)]
    assert names(expendable(every, frozenset())) == [f"d{i:06}" for i in range(25 - KEPT)]


def test_ten_thousand_at_once_leave_five_thousand() -> None:
    every = [decision(i, str(i)) for i in range(10_000)]
    assert len(expendable(every, frozenset())) == 10_000 - MOST_KEPT


def test_what_somebodys_word_rests_on_stays() -> None:
    """A rollback keeps what stood before a decision, a rejection its plan from coming again: both read it there."""
    every = [decision(i) for i in range(25)]
    gone = expendable(every, {("shop", "d000000"), ("shop", "d000003")})
    assert names(gone) == [f"d{i:06}" for i in range(25 - KEPT) if i not in (0, 3)]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(list(Outcome))), max_size=60))
def test_whatever_is_open_stays(some: list[tuple[int, Outcome]]) -> None:
    every = [decision(i, str(intent), outcome) for i, (intent, outcome) in enumerate(some)]
    gone = expendable(every, frozenset())
    assert all(Outcome(body["status"]["outcome"]) in ENDED for body in gone)
    left = [body for body in every if body not in gone and Outcome(body["status"]["outcome"]) in ENDED]
    counts = [body["spec"]["intents"][0]["name"] for body in left]
    assert all(counts.count(name) <= KEPT for name in counts)


@pytest.mark.parametrize("outcome", [Outcome.PROPOSED, Outcome.APPLYING])
def test_open_ones_do_not_count_against_those_that_are_over(outcome: Outcome) -> None:
    assert expendable([decision(i, outcome=outcome) for i in range(50)], frozenset()) == []
