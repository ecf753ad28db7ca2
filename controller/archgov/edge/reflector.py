"""One kind of one cluster, mirrored as rows.

    list ──► watch ──► watch again from the last resourceVersion ──► …
      ▲        │
      └────────┘ 410 anywhere, three failures in a row, an hour gone by

A list replaces the store in one step, so that whoever looks sees the old picture or the new one, and what was deleted
while nobody watched is gone. The resourceVersion survives everything else, so a broken stream costs no list.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from operator import eq
from typing import Final, Generic, NamedTuple, TypeVar

import orjson

from archgov.edge.client import Api, ApiError, NoAnswer
from archgov.edge.tree import Json

Row = TypeVar("Row")

_FAILURES_BEFORE_RELIST: Final = 3
# A watch that ends sooner without a word is a server in trouble, not one whose time was up.
_SHORT_LIFE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Resource(Generic[Row]):
    """A kind to watch.

    Attributes:
        path: its collection over all namespaces, such as /api/v1/pods.
        reduce: the row of an object; doesn't raise.
        same: nothing has changed between two rows that a round would look at.
    """

    kind: str
    path: str
    reduce: Callable[[Json], Row]
    same: Callable[[Row, Row], bool] = eq


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a reflector is; all in seconds but `page` and `breath`.

    Attributes:
        page: objects in a page of a list.
        breath: events after which other tasks get their turn.
        first_wait, longest_wait: bounds of the jittered back-off. calm: without failures for so long, it starts anew.
        silence: bookmarks come about once a minute, so a stream silent for longer is dead.
        watch: bounds of a watch's life, so that watches spread over the replicas of an API server again.
        relist: a full list as a net under missed events.
        forbidden, missing: between attempts at what we may not read, or what isn't served.
    """

    page: int = 500
    breath: int = 250
    first_wait: float = 0.8
    longest_wait: float = 30.0
    calm: float = 120.0
    silence: float = 70.0
    watch: tuple[int, int] = (300, 600)
    relist: float = 3600.0
    forbidden: float = 60.0
    missing: float = 180.0


class KindState(NamedTuple):
    """How well one kind is seen.

    synced: the store once held the whole truth, and the kind is still served and permitted.
    seconds_behind: 0 while a watch is open, else how long ago the server last spoke of this kind.
    seconds_since_contact: how long ago anything came, bookmarks included.
    ghosts: rows that lists removed because their deletion was missed.
    evidence: what keeps it from being seen, or nothing.
    """

    kind: str
    synced: bool
    resource_version: str
    seconds_behind: float
    seconds_since_contact: float
    objects: int
    events: int
    relists: int
    ghosts: int
    evidence: str


class Reflector(Generic[Row]):
    """Keeps the rows of one kind up to date until it is cancelled."""

    def __init__(
        self,
        api: Api,
        resource: Resource[Row],
        on_change: Callable[[str], None],
        *,
        clock: Callable[[], float],
        dice: random.Random,
        pace: Pace | None = None,
    ) -> None:
        self._api = api
        self._resource = resource
        self._on_change = on_change
        self._clock = clock
        self._dice = dice
        self._pace = pace or Pace()
        self._store: dict[str, Row] = {}
        self._synced = False
        self._version = ""
        self._list_due = True
        self._list_at = float("-inf")
        self._heard_at = clock()
        self._streaming = False
        self._evidence = "not listed yet"
        self._failures = 0
        self._waits = 0
        self._failed_at = float("-inf")
        self._events = 0
        self._lists = 0
        self._ghosts = 0

    def rows(self) -> tuple[Row, ...]:
        """All rows of this moment."""
        return tuple(self._store.values())

    def state(self, now: float) -> KindState:
        """How well the kind is seen at `now`, on the reflector's clock."""
        since_contact = max(0.0, now - self._heard_at)
        return KindState(
            kind=self._resource.kind,
            synced=self._synced,
            resource_version=self._version,
            seconds_behind=0.0 if self._streaming else since_contact,
            seconds_since_contact=since_contact,
            objects=len(self._store),
            events=self._events,
            relists=max(0, self._lists - 1),
            ghosts=self._ghosts,
            evidence=self._evidence,
        )

    async def run(self) -> None:
        """Mirrors until cancelled; whatever the server does is answered by another attempt."""
        while True:
            try:
                wait = await self._follow()
            except ApiError as error:
                wait = self._after(error)
            await asyncio.sleep(wait)

    async def _follow(self) -> float:
        """One watch, after a list where one is due; returns how long to wait before the next."""
        if self._list_due or self._clock() >= self._list_at:
            await self._list()
        began, before = self._clock(), self._events
        await self._watch()
        ended_at_once = self._clock() - began < _SHORT_LIFE_SECONDS and self._events == before
        return self._back_off() if ended_at_once else 0.0

    async def _list(self) -> None:
        found: dict[str, Row] = {}
        params = {"limit": str(self._pace.page)}
        while True:
            page = await self._api.list_page(self._resource.path, params)
            self._heard_at = self._clock()
            metadata, items = page.get("metadata"), page.get("items")
            if not isinstance(metadata, dict) or not isinstance(items, list | None):
                raise NoAnswer("BadAnswer", f"{self._resource.path} answered with what is no list")
            found.update((_key(item), self._resource.reduce(item)) for item in items or () if isinstance(item, dict))
            if not metadata.get("continue"):
                break
            params["continue"] = str(metadata["continue"])
            await asyncio.sleep(0)
        self._swap(found, str(metadata.get("resourceVersion") or ""))

    def _swap(self, found: dict[str, Row], version: str) -> None:
        old, self._store = self._store, found
        changed = not self._synced or not self._alike(old, found)
        self._ghosts += len(old.keys() - found.keys())
        self._version, self._synced, self._list_due = version, True, False
        self._list_at = self._clock() + self._pace.relist * self._dice.uniform(0.9, 1.1)
        self._lists += 1
        self._failures = 0
        if changed:
            self._on_change(self._resource.kind)

    def _alike(self, old: dict[str, Row], new: dict[str, Row]) -> bool:
        return old.keys() == new.keys() and all(self._resource.same(row, new[key]) for key, row in old.items())

    async def _watch(self) -> None:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(self._dice.randint(*self._pace.watch)),
        }
        async with self._api.stream(self._resource.path, params, self._pace.silence) as lines:
            self._streaming, self._heard_at, self._evidence = True, self._clock(), ""
            try:
                await self._take_all(lines)
                self._heard_at = self._clock()
            except NoAnswer as error:
                if error.reason != "Silence":
                    self._heard_at = self._clock()
                raise
            finally:
                self._streaming = False

    async def _take_all(self, lines: AsyncIterator[bytes]) -> None:
        taken = 0
        async for line in lines:
            self._heard_at = self._clock()
            self._take(line)
            taken += 1
            if taken % self._pace.breath == 0:
                await asyncio.sleep(0)

    def _take(self, line: bytes) -> None:
        """Applies one line of a watch to the store."""
        kind, found = _event(line)
        if kind == "ERROR":
            raise ApiError.of(found)
        version = _version(found)
        if kind == "BOOKMARK":
            self._version = version or self._version
            self._failures = 0
            return
        key = _key(found)
        if kind == "DELETED":
            changed = self._store.pop(key, None) is not None
        else:
            row, old = self._resource.reduce(found), self._store.get(key)
            self._store[key] = row
            changed = old is None or not self._resource.same(old, row)
        self._version = version or self._version
        self._events += 1
        self._failures = 0
        if changed:
            self._on_change(self._resource.kind)

    def _after(self, error: ApiError) -> float:
        """What to remember of a failure; returns how long to wait."""
        self._evidence = str(error)
        match error.status:
            case 410:
                self._list_due = True
            case 429 if error.retry_after is not None:
                return error.retry_after + self._dice.uniform(0, self._pace.first_wait)
            case 429:
                pass
            case 403:
                self._evidence = f"missing permission to list and watch {self._resource.path}: {error.message}"
                self._unsee()
                return self._pace.forbidden * self._dice.uniform(0.5, 1)
            case 404:
                self._evidence = f"{self._resource.path} is not served"
                self._store = {}
                self._unsee()
                return self._pace.missing * self._dice.uniform(0.5, 1)
            case _ if error.reason == "Silence":
                # A long wait already; the next stream goes on where this one went quiet.
                return 0.0
            case _:
                self._failures += 1
                self._list_due = self._list_due or self._failures >= _FAILURES_BEFORE_RELIST
        return self._back_off()

    def _unsee(self) -> None:
        was_synced, self._synced, self._list_due = self._synced, False, True
        if was_synced:
            self._on_change(self._resource.kind)

    def _back_off(self) -> float:
        now = self._clock()
        self._waits = 0 if now - self._failed_at > self._pace.calm else self._waits + 1
        self._failed_at = now
        # Full jitter: whoever fails together must not come back together.
        return self._dice.uniform(0, min(self._pace.longest_wait, self._pace.first_wait * 2 ** min(self._waits, 16)))


def _event(line: bytes) -> tuple[str, Json]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NoAnswer("BadAnswer", "a line of the watch is no JSON") from error
    found = event.get("object") if isinstance(event, dict) else None
    if not isinstance(found, dict) or event.get("type") not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"):
        raise NoAnswer("BadAnswer", "a line of the watch is no event")
    return event["type"], found


def _version(found: Json) -> str:
    metadata = found.get("metadata")
    return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""


def _key(found: Json) -> str:
    """The uid; an object without one is malformed, and kept under its name."""
    metadata = found.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    return str(names.get("uid") or f"{names.get('namespace')}/{names.get('name')}")
