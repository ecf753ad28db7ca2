"""The objects of one cluster under one resourceVersion counter, with a bounded history for watches."""

from __future__ import annotations

import builtins
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

import orjson

from .errors import expired
from .objects import Key, Object, key, listing, uid, with_metadata


class Change(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(slots=True, eq=False)
class Event:
    """One change; its JSON is made once, however many watch."""

    version: int
    change: Change
    now: Object
    before: Object | None
    _json: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> bytes:
        if not self._json:
            self._json = orjson.dumps(self.now)
        return self._json


Listener = Callable[[Event], None]


class Store:
    """Objects by resource, then by key; each write is seen by the listeners before it returns."""

    def __init__(self, history: int) -> None:
        self._objects: dict[str, dict[str, dict[str, Object]]] = defaultdict(dict)  # resource, namespace, name
        self._history: dict[str, deque[Event]] = defaultdict(lambda: deque(maxlen=history))
        self._forgotten: dict[str, int] = defaultdict(int)  # the newest version that history has lost
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._watchers: list[Callable[[str, Event], None]] = []
        self._by_uid: dict[str, tuple[str, Key]] = {}
        self._dependents: dict[str, dict[tuple[str, Key], None]] = defaultdict(dict)
        self.version = 1

    def get(self, resource: str, at: Key) -> Object | None:
        return self._objects[resource].get(at[0], {}).get(at[1])

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """The objects of a resource in the order of their keys."""
        homes = self._objects[resource]
        chosen = [namespace] if namespace else sorted(homes)
        return [held[name] for home in chosen if (held := homes.get(home)) for name in sorted(held)]

    def each(self, resource: str, namespace: str = "") -> Iterator[Object]:
        """The objects of a resource in no order that matters; nothing may be written meanwhile."""
        homes = self._objects[resource]
        if namespace:
            return iter(homes.get(namespace, {}).values())
        return chain.from_iterable(held.values() for held in homes.values())

    def by_uid(self, wanted: str) -> tuple[str, Key] | None:
        """Where the object with that uid is kept."""
        return self._by_uid.get(wanted)

    def dependents(self, owner: str) -> builtins.list[tuple[str, Key]]:
        """Where the objects are kept whose ownerReferences name that uid."""
        return list(self._dependents.get(owner, ()))

    def listen(self, resource: str, listener: Listener) -> Callable[[], None]:
        """Calls the listener at every change of the resource, until the returned function is called."""
        self._listeners[resource].append(listener)
        return lambda: self._listeners[resource].remove(listener)

    def listen_to_all(self, watcher: Callable[[str, Event], None]) -> None:
        """Calls the watcher at every change of anything, with the resource's key."""
        self._watchers.append(watcher)

    def put(self, resource: str, body: Object) -> Object:
        """Stores the object under the next version."""
        self.version += 1
        body = with_metadata(body, resourceVersion=str(self.version))
        at = key(body)
        held = self._objects[resource].setdefault(at[0], {})
        before = held.get(at[1])
        held[at[1]] = body
        self._index(resource, at, before, body)
        self._tell(resource, Event(self.version, Change.MODIFIED if before else Change.ADDED, body, before))
        return body

    def remove(self, resource: str, at: Key) -> Object:
        """Forgets the object; its last state carries the version of the removal."""
        before = self._objects[resource][at[0]].pop(at[1])
        self.version += 1
        body = with_metadata(before, resourceVersion=str(self.version))
        self._index(resource, at, before, None)
        self._tell(resource, Event(self.version, Change.DELETED, body, before))
        return body

    def since(self, resource: str, version: int) -> builtins.list[Event]:
        """The changes after a version, oldest first.

        Raises:
            ApiError: 410 when history no longer reaches that far back.
        """
        if version < self._forgotten[resource]:
            raise expired(f"too old resource version: {version} ({self._forgotten[resource]})")
        return [event for event in self._history[resource] if event.version > version]

    def _tell(self, resource: str, event: Event) -> None:
        past = self._history[resource]
        if len(past) == past.maxlen:
            self._forgotten[resource] = past[0].version
        past.append(event)
        for listener in tuple(self._listeners[resource]):
            listener(event)
        for watcher in self._watchers:
            watcher(resource, event)

    def _index(self, resource: str, at: Key, before: Object | None, after: Object | None) -> None:
        place = (resource, at)
        former = _owner_uids(before)
        latter = _owner_uids(after)
        for owner in former - latter:
            self._dependents[owner].pop(place, None)
            if not self._dependents[owner]:
                del self._dependents[owner]
        for owner in latter - former:
            self._dependents[owner][place] = None
        if before is not None and after is None:
            self._by_uid.pop(uid(before), None)
        if after is not None:
            self._by_uid[uid(after)] = place


def _owner_uids(body: Object | None) -> set[str]:
    if body is None:
        return set()
    return {owner.get("uid", "") for owner in listing(body["metadata"].get("ownerReferences"))}
