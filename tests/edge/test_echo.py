"""Reading what one has just written."""

from __future__ import annotations

from archgov.edge.echo import Echo
from archgov.edge.tree import Json


def record(version: int, name: str = "cart", need: int = 0) -> Json:
    metadata = {"namespace": "shop", "name": name, "resourceVersion": str(version)}
    return {"kind": "WorkloadRecord", "metadata": metadata, "spec": {"need": need}}


def test_a_write_counts_before_the_watch_shows_it() -> None:
    echo = Echo()
    echo.note(record(5, need=4))
    assert echo.over([record(3, need=2)]) == [record(5, need=4)]
    assert echo.over([]) == [record(5, need=4)]


def test_what_the_watch_shows_later_counts_more_for_good() -> None:
    echo = Echo()
    echo.note(record(5, need=4))
    assert echo.over([record(6, need=9)]) == [record(6, need=9)]
    assert echo.over([]) == []


def test_other_objects_are_left_as_they_are() -> None:
    echo = Echo()
    echo.note(record(5))
    assert record(3, "web") in echo.over([record(3, "web")])


def test_what_was_deleted_is_not_waited_for() -> None:
    echo = Echo()
    echo.note(record(5))
    echo.forget(record(5))
    assert echo.over([]) == []
