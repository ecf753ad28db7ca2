"""Lists with watches that lose nothing, whatever the server does."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest

from archgov.edge.client import Client
from archgov.edge.kubeconfig import Access
from archgov.edge.reflector import KindState, Pace, Reflector, Resource
from archgov.edge.rows import Malformed, PodRow, pod_row
from archgov.edge.tree import Json
from tests.edge.fake_api import CUT, PODS, FakeApi, Fault, eventually

FAST = Pace(first_wait=0.01, longest_wait=0.05, silence=5.0, forbidden=0.05, missing=0.05)
POD = Resource("Pod", PODS, pod_row)


def a_pod(name: str, uid: str = "", **spec: Any) -> Json:
    return {"metadata": {"namespace": "shop", "name": name, "uid": uid or f"uid-{name}"}, "spec": spec}


class Highest(random.Random):
    """Dice that always fall on the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class Mirror:
    """A running reflector beside what it was heard to say."""

    def __init__(self, api: FakeApi, reflector: Reflector[Any], changes: list[str]) -> None:
        self.api = api
        self.reflector = reflector
        self.changes = changes

    @property
    def state(self) -> KindState:
        return self.reflector.state(time.monotonic())

    @property
    def streaming(self) -> bool:
        return self.state.synced and self.api.watchers(PODS) == 1 and self.state.evidence == ""

    @property
    def names(self) -> set[str]:
        return {row.name for row in self.reflector.rows()}


@asynccontextmanager
async def mirrored(api: FakeApi, pace: Pace = FAST, dice: random.Random | None = None) -> AsyncIterator[Mirror]:
    changes: list[str] = []
    async with api.serving(), Client(Access(api.url)) as client:
        reflector = Reflector(
            client, POD, changes.append, clock=time.monotonic, dice=dice or random.Random(1), pace=pace
        )
        task = asyncio.create_task(reflector.run())
        try:
            yield Mirror(api, reflector, changes)
        finally:
            assert not task.done(), "a reflector never ends by itself"
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_paged_list_then_a_watch_mirror_the_server() -> None:
    api = FakeApi()
    for i in range(7):
        api.put(PODS, a_pod(f"p{i}"))
    async with mirrored(api, replace(FAST, page=3)) as mirror:
        await eventually(lambda: mirror.streaming)
        assert mirror.names == {f"p{i}" for i in range(7)}
        assert (api.asked("list"), api.asked("page")) == (1, 2)
        api.put(PODS, a_pod("new"))
        api.remove(PODS, "shop/p0")
        api.put(PODS, a_pod("p1", nodeName="n1"))
        await eventually(lambda: mirror.state.events == 3)
        assert mirror.names == {"new", *(f"p{i}" for i in range(1, 7))}
        assert [row.node for row in mirror.reflector.rows() if row.name == "p1"] == ["n1"]
        assert mirror.state.resource_version == str(api.version)


async def test_a_watch_asks_for_bookmarks_from_where_the_list_was() -> None:
    api = FakeApi()
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        asked = next(r.query for r in api.requests if "watch" in r.query)
        assert asked["allowWatchBookmarks"] == "true"
        assert asked["resourceVersion"] == "100"
        assert 300 <= int(asked["timeoutSeconds"]) <= 600


async def test_a_resumed_watch_brings_what_was_deleted_while_the_stream_was_down() -> None:
    api = FakeApi()
    for name in ("a", "b"):
        api.put(PODS, a_pod(name))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        api.answering.clear()
        api.say(PODS, CUT)
        await eventually(lambda: api.asked("watch") == 2)
        api.remove(PODS, "shop/a")
        api.answering.set()
        await eventually(lambda: mirror.names == {"b"})
        assert (mirror.state.relists, mirror.state.ghosts) == (0, 0)


async def test_a_relist_deletes_ghosts() -> None:
    api = FakeApi()
    for name in ("a", "b", "c"):
        api.put(PODS, a_pod(name))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        api.answering.clear()
        api.say(PODS, CUT)
        await eventually(lambda: api.asked("watch") == 2)
        api.remove(PODS, "shop/a")
        api.remove(PODS, "shop/b")
        api.forget_history()
        mirror.changes.clear()
        api.answering.set()
        await eventually(lambda: mirror.names == {"c"})
        assert (mirror.state.relists, mirror.state.ghosts) == (1, 2)
        assert mirror.changes == ["Pod"]


@pytest.mark.parametrize("history_is_lost", [False, True])
async def test_a_recreated_pod_replaces_the_one_of_the_same_name(history_is_lost: bool) -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a", uid="first"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        api.answering.clear()
        api.say(PODS, CUT)
        await eventually(lambda: api.asked("watch") == 2)
        api.remove(PODS, "shop/a")
        api.put(PODS, a_pod("a", uid="second"))
        if history_is_lost:
            api.forget_history()
        api.answering.set()
        await eventually(lambda: [row.uid for row in mirror.reflector.rows()] == ["second"])
        assert mirror.state.ghosts == int(history_is_lost)


async def test_expired_on_the_list_is_answered_by_another_list() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    api.faults["list"].append(Fault(410, "Expired"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        assert mirror.names == {"a"}


async def test_expired_on_the_second_page_starts_again_from_the_first() -> None:
    api = FakeApi()
    for i in range(5):
        api.put(PODS, a_pod(f"p{i}"))
    api.faults["page"].append(Fault(410, "Expired"))
    async with mirrored(api, replace(FAST, page=3)) as mirror:
        await eventually(lambda: mirror.streaming)
        assert mirror.names == {f"p{i}" for i in range(5)}
        assert (api.asked("list"), api.asked("page")) == (2, 2)


async def test_expired_when_the_watch_opens_is_answered_by_a_list() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    api.faults["watch"].append(Fault(410, "Expired"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        assert api.asked("list") == 2


async def test_expired_within_the_stream_is_answered_by_a_list() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        del api.collections[PODS]["shop/a"]
        api.fail_watches(PODS, 410, "Expired")
        await eventually(lambda: mirror.names == set())
        assert (mirror.state.relists, mirror.state.ghosts) == (1, 1)


async def test_half_a_line_is_never_read_and_comes_again() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        line = orjson.dumps({"type": "ADDED", "object": a_pod("half")}) + b"\n"
        api.say(PODS, line[:40])
        api.say(PODS, CUT)
        await eventually(lambda: api.asked("watch") == 2)
        assert mirror.names == {"a"}
        api.put(PODS, a_pod("half"))
        await eventually(lambda: mirror.names == {"a", "half"})
        assert mirror.state.relists == 0


async def test_a_line_that_comes_in_pieces_is_put_together() -> None:
    api = FakeApi()
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        big = a_pod("big")
        big["metadata"]["annotations"] = {"note": "x" * 200_000}
        line = orjson.dumps({"type": "ADDED", "object": big}) + b"\n"
        for at in range(0, len(line), 70_000):
            api.say(PODS, line[at : at + 70_000])
            await asyncio.sleep(0)
        await eventually(lambda: mirror.names == {"big"})


async def test_bookmarks_alone_are_progress() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        mirror.changes.clear()
        last = [api.bookmark(PODS) for _ in range(3)][-1]
        await eventually(lambda: mirror.state.resource_version == str(last))
        api.forget_history()
        api.say(PODS, None)
        await eventually(lambda: api.asked("watch") == 2 and mirror.streaming)
        assert (api.asked("list"), mirror.changes) == (1, [])


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_too_many_requests_wait_as_long_as_the_server_asks(verb: str) -> None:
    api = FakeApi()
    api.faults[verb].append(Fault(429, "TooManyRequests", {"Retry-After": "1"}))
    began = time.monotonic()
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        assert time.monotonic() - began >= 1.0
        assert api.asked("list") == (2 if verb == "list" else 1)


async def test_a_storm_of_too_many_requests_costs_no_relist() -> None:
    api = FakeApi()
    api.faults["watch"].extend([Fault(429, "TooManyRequests")] * 6)
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        assert (api.asked("list"), api.asked("watch")) == (1, 7)


async def test_an_internal_error_within_the_stream_resumes() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        api.fail_watches(PODS, 500, "InternalError")
        await eventually(lambda: api.asked("watch") == 2 and mirror.streaming)
        assert api.asked("list") == 1


async def test_three_failures_in_a_row_relist() -> None:
    api = FakeApi()
    api.faults["watch"].extend([Fault(500, "InternalError")] * 3)
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        assert api.asked("list") == 2


async def test_a_line_that_is_no_event_is_a_failure_not_a_crash() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        for n, nonsense in enumerate(
            [b"{\n", b"null\n", b'{"type": "ADDED"}\n', b'{"type": "WHAT", "object": {}}\n'], 2
        ):
            api.say(PODS, nonsense)
            await eventually(lambda n=n: api.asked("watch") == n and mirror.streaming)  # type: ignore[misc]
        assert mirror.names == {"a"}


async def test_a_silent_stream_is_given_up() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api, replace(FAST, silence=0.2)) as mirror:
        await eventually(lambda: api.asked("watch") >= 3)
        assert mirror.names == {"a"}
        assert mirror.state.relists == 0


async def test_a_missing_permission_is_named_and_heals() -> None:
    api = FakeApi()
    api.faults["list"].extend([Fault(403, "Forbidden")] * 2)
    async with mirrored(api) as mirror:
        await eventually(lambda: "missing permission to list and watch /api/v1/pods" in mirror.state.evidence)
        assert not mirror.state.synced
        await eventually(lambda: mirror.streaming)


async def test_a_permission_that_is_taken_away_makes_the_kind_unknown_not_empty() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api, replace(FAST, forbidden=60.0)) as mirror:
        await eventually(lambda: mirror.streaming)
        mirror.changes.clear()
        api.faults["watch"].append(Fault(403, "Forbidden"))
        api.say(PODS, None)
        await eventually(lambda: not mirror.state.synced)
        assert (mirror.names, mirror.changes) == ({"a"}, ["Pod"])


async def test_a_kind_that_is_not_served_is_empty_and_not_observed() -> None:
    api = FakeApi()
    api.not_served.add(PODS)
    async with mirrored(api) as mirror:
        await eventually(lambda: api.asked("list") >= 2)
        assert (mirror.state.synced, mirror.names) == (False, set())
        assert mirror.state.evidence == "/api/v1/pods is not served"
        api.not_served.clear()
        await eventually(lambda: mirror.streaming)


async def test_a_kind_that_is_served_no_more_is_empty_and_not_observed() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api, replace(FAST, missing=60.0)) as mirror:
        await eventually(lambda: mirror.streaming)
        mirror.changes.clear()
        api.not_served.add(PODS)
        api.say(PODS, CUT)
        await eventually(lambda: not mirror.state.synced)
        assert (mirror.names, mirror.changes) == (set(), ["Pod"])


async def test_a_snapshot_during_a_relist_sees_the_old_picture_whole() -> None:
    api = FakeApi()
    for i in range(6):
        api.put(PODS, a_pod(f"p{i}"))
    async with mirrored(api, replace(FAST, page=2)) as mirror:
        await eventually(lambda: mirror.streaming)
        api.page_gate = asyncio.Event()
        api.collections[PODS] = {f"shop/q{i}": a_pod(f"q{i}") for i in range(6)}
        api.fail_watches(PODS, 410, "Expired")
        await eventually(lambda: api.asked("page") == 3)
        assert mirror.names == {f"p{i}" for i in range(6)}
        api.page_gate.set()
        await eventually(lambda: mirror.state.relists == 1)
        assert mirror.names == {f"q{i}" for i in range(6)}


async def test_a_malformed_pod_is_a_row_that_says_why() -> None:
    api = FakeApi()
    api.put(PODS, {"metadata": {"namespace": "shop", "name": "odd", "uid": "u"}, "spec": {"containers": "none"}})
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        assert mirror.reflector.rows() == (Malformed("Pod", "shop", "odd", "containers is 'none', must be a list"),)
        api.put(PODS, a_pod("odd", uid="u"))
        await eventually(lambda: isinstance(mirror.reflector.rows()[0], PodRow))


async def test_an_event_that_changes_no_row_wakes_nobody() -> None:
    api = FakeApi()
    api.put(PODS, a_pod("a"))
    async with mirrored(api) as mirror:
        await eventually(lambda: mirror.streaming)
        mirror.changes.clear()
        pod = a_pod("a")
        pod["metadata"]["annotations"] = {"somebody": "else"}
        api.put(PODS, pod)
        await eventually(lambda: mirror.state.events == 1)
        assert mirror.changes == []


async def test_an_hour_gone_by_relists() -> None:
    api = FakeApi()
    async with mirrored(api, replace(FAST, relist=0.0)) as mirror:
        await eventually(lambda: mirror.streaming)
        api.say(PODS, None)
        await eventually(lambda: api.asked("list") == 2)


async def test_the_wait_doubles_up_to_its_bound_and_starts_anew_after_calm() -> None:
    now = [0.0]
    async with FakeApi().serving() as api, Client(Access(api.url)) as client:
        reflector = Reflector(client, POD, lambda _: None, clock=lambda: now[0], dice=Highest())
        waits = [reflector._back_off() for _ in range(8)]
        assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
        now[0] += 121
        assert reflector._back_off() == 0.8


async def test_watches_that_end_at_once_come_back_ever_more_slowly() -> None:
    api = FakeApi()
    async with mirrored(api, replace(FAST, first_wait=0.05, longest_wait=1.0), Highest()) as mirror:
        await eventually(lambda: mirror.streaming)
        began = time.monotonic()
        for n in range(2, 5):
            api.say(PODS, None)
            await eventually(lambda n=n: api.asked("watch") == n and mirror.streaming)  # type: ignore[misc]
        assert time.monotonic() - began >= 0.05 + 0.1 + 0.2
