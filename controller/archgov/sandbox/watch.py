"""A watch: the changes of one resource as one client asked to see them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import orjson

from . import table
from .answers import outward
from .call import Call
from .cluster import Cluster
from .errors import ApiError, bad_request, expired
from .objects import Object, name, namespace
from .selectors import Predicate, predicate
from .store import Change, Event

_MOST_WAITING = 100_000  # lines; a client that reads slower than this is cut off


class Watch:
    """Lines for one client; those of the past first, then each change as it happens."""

    def __init__(self, cluster: Cluster, call: Call) -> None:
        """Starts to collect.

        Raises:
            ApiError: 400 for parameters that make no sense; 410 is told in the stream, as Kubernetes does.
        """
        self._cluster = cluster
        self._call = call
        self._chosen = _chosen(call)
        self._include = call.query.get("includeObject", "Metadata")
        self._plain = not (call.wants_table or call.wants_metadata or call.resource.stored_as or call.resource.custom)
        self._lines: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._listens: Callable[[], None] | None = None
        self.ended = False
        self.bookmarks = call.flag("allowWatchBookmarks")
        self._begin()

    def _begin(self) -> None:
        query = self._call.query
        version = query.get("resourceVersion", "")
        if version and not version.isdigit():
            raise bad_request(f'invalid resource version "{version}": take it from the metadata of a list')
        initial = self._call.flag("sendInitialEvents")
        store, resource = self._cluster.store, self._call.resource.qualified
        try:
            if initial or version in ("", "0"):
                for body in store.list(resource):
                    self._put(Change.ADDED, body, b"")
                if initial:
                    self.bookmark(initial=True)
            else:
                for event in store.since(resource, int(version)):
                    self._take(event)
        except ApiError as refusal:
            self.fail(refusal)
            return
        self._listens = store.listen(resource, self._take)

    def stop(self) -> None:
        """Collects no more."""
        if self._listens is not None:
            self._listens()
            self._listens = None

    def fail(self, refusal: ApiError) -> None:
        """Tells the client why the watch ends."""
        self._lines.append(_line("ERROR", orjson.dumps(refusal.status())))
        self.ended = True
        self._news.set()
        self.stop()

    def bookmark(self, *, initial: bool = False) -> None:
        """Tells the client how far it has come."""
        metadata: Object = {"resourceVersion": str(self._cluster.store.version), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body: Object = {
            "kind": self._call.resource.kind,
            "apiVersion": self._call.resource.api_version,
            "metadata": metadata,
        }
        if self._call.wants_table:
            body = table.table(self._call.resource, [], {"resourceVersion": metadata["resourceVersion"]}, "None")
            body["rows"] = [{"cells": [], "object": {**table.partial({"metadata": metadata})}}] if initial else []
        elif self._call.wants_metadata:
            body = table.partial(body)
        self._lines.append(_line("BOOKMARK", orjson.dumps(body)))
        self._news.set()

    async def lines(self, seconds: float) -> list[bytes]:
        """What has come together, after waiting for it as long as that; empty when nothing came."""
        if not self._lines:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return []
        taken, self._lines = list(self._lines), deque()
        return taken

    def _take(self, event: Event) -> None:
        was = event.before is not None and self._wants(event.before)
        now = event.change is not Change.DELETED and self._wants(event.now)
        if now:
            self._put(Change.MODIFIED if was else Change.ADDED, event.now, event.json if self._plain else b"")
        elif was:
            self._put(Change.DELETED, event.now, event.json if self._plain else b"")

    def _wants(self, body: Object) -> bool:
        return self._chosen is None or self._chosen(body)

    def _put(self, change: Change, body: Object, encoded: bytes) -> None:
        if not encoded and not self._wants(body) and change is Change.ADDED:
            return
        if len(self._lines) >= _MOST_WAITING:
            self.fail(expired("the client reads too slowly; list again"))
            return
        self._lines.append(_line(change, encoded or orjson.dumps(self._shown(body))))
        self._news.set()

    def _shown(self, body: Object) -> Object:
        if self._call.wants_table:
            version = {"resourceVersion": body["metadata"]["resourceVersion"]}
            return table.table(self._call.resource, [body], version, self._include)
        shown = outward(self._call.resource, body)
        return table.partial(shown) if self._call.wants_metadata else shown


def _line(change: str, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (change.encode(), body)


def _chosen(call: Call) -> Predicate | None:
    resource = call.resource
    wanted = predicate(resource, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
    checks: list[Predicate] = []
    if call.namespace:
        checks.append(lambda body: namespace(body) == call.namespace)
    if call.name:
        checks.append(lambda body: name(body) == call.name)
    if wanted is not None:
        found = wanted
        checks.append(lambda body: found(outward(resource, body)))
    return (lambda body: all(check(body) for check in checks)) if checks else None
