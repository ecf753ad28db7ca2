"""Watches: nothing is missed, nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from archgov.sandbox import Sandbox, SandboxOptions
from tests.sandbox.api import Api, Json, config_map

MAPS = "/api/v1/namespaces/shop/configmaps"


def told(events: Iterator[Json], count: int) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in islice(events, count)]


def labelled(name: str, mark: str) -> Json:
    body = config_map(name)
    body["metadata"]["labels"] = {"w": mark}
    return body


def test_a_watch_from_a_version_tells_what_came_after(api: Api) -> None:
    since = api.get(MAPS).version
    api.create(MAPS, config_map("seen"))
    api.patch(f"{MAPS}/seen", {"data": {"a": "1"}})
    api.delete(f"{MAPS}/seen")
    events = api.watch(MAPS, f"resourceVersion={since}&timeoutSeconds=5&fieldSelector=metadata.name%3Dseen")
    assert told(events, 3) == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]


def test_a_selector_turns_changes_into_comings_and_goings(api: Api) -> None:
    api.create(MAPS, labelled("turn", "no"))
    since = api.get(MAPS).version
    for mark in ("yes", "no"):
        api.patch(f"{MAPS}/turn", {"metadata": {"labels": {"w": mark}}})
    events = api.watch(MAPS, f"resourceVersion={since}&timeoutSeconds=5&labelSelector=w%3Dyes")
    assert told(events, 2) == [("ADDED", "turn"), ("DELETED", "turn")]


def test_initial_events_end_with_a_marked_bookmark(api: Api) -> None:
    api.create(MAPS, labelled("first", "list"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5"
    added, bookmark = islice(api.watch(MAPS, f"{query}&labelSelector=w%3Dlist"), 2)
    assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "first")
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_ends_at_its_time_with_a_bookmark(api: Api) -> None:
    since = api.get(MAPS).version
    events = list(api.watch(MAPS, f"resourceVersion={since}&allowWatchBookmarks=true&timeoutSeconds=1"))
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert int(events[0]["object"]["metadata"]["resourceVersion"]) >= int(since)


def test_a_deleted_object_is_told_with_the_version_of_its_end(api: Api) -> None:
    made = api.create(MAPS, config_map("ended")).version
    api.delete(f"{MAPS}/ended")
    (event,) = islice(
        api.watch(MAPS, f"resourceVersion={made}&timeoutSeconds=5&fieldSelector=metadata.name%3Dended"), 1
    )
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made)


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Api]:
    with Sandbox({"eu": [config_map("x")]}, tmp_path, SandboxOptions(history=3)) as running:
        yield Api.of(running, "eu")


def test_a_version_older_than_the_history_is_gone(forgetful: Api) -> None:
    since = forgetful.get(MAPS).version
    for i in range(5):
        forgetful.patch(f"{MAPS}/x", {"data": {"i": str(i)}})
    (event,) = forgetful.watch(MAPS, f"resourceVersion={since}&timeoutSeconds=5")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_version_that_is_no_number_is_a_bad_request(api: Api) -> None:
    assert api.get(f"{MAPS}?watch=true&resourceVersion=abc").code == 400


def test_a_table_watch_has_a_row_for_each_change(api: Api) -> None:
    since = api.get(MAPS).version
    api.create(MAPS, config_map("row", a="1", b="2"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    request = f"{MAPS}?watch=true&resourceVersion={since}&timeoutSeconds=1&fieldSelector=metadata.name%3Drow"
    event = api.get(request, Accept=accept).body
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][:2] == ["row", 2]
