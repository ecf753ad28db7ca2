"""Our own writes, remembered until the watch shows them."""

from __future__ import annotations

from collections.abc import Iterable

from archgov.edge.tree import Json

Key = tuple[str, str, str]


class Echo:
    """Objects as the API server returned them to our writes; whoever looks through it never decides on an older picture."""

    def __init__(self) -> None:
        self._written: dict[Key, Json] = {}

    def note(self, written: Json) -> None:
        """Remembers what a write returned."""
        self._written[key(written)] = written

    def over(self, watched: Iterable[Json]) -> list[Json]:
        """The watched objects, each replaced by our newer write of it where the watch has not caught up."""
        found = {key(body): body for body in watched}
        for name, written in list(self._written.items()):
            if _version(found.get(name)) >= _version(written):
                del self._written[name]
            else:
                found[name] = written
        return list(found.values())

    def forget(self, gone: Json) -> None:
        """An object that was deleted is no longer waited for."""
        self._written.pop(key(gone), None)


def key(body: Json) -> Key:
    """Kind, namespace, name."""
    metadata = body["metadata"]
    return body["kind"], metadata.get("namespace", ""), metadata["name"]


def _version(body: Json | None) -> int:
    """ResourceVersions of one resource are ordered numbers (KEP-5504); 0 for nothing."""
    text = str(body["metadata"].get("resourceVersion", "")) if body else ""
    return int(text) if text.isdecimal() else 0
