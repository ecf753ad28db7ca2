"""Whose word an Approval is: found out once, remembered, never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from archgov.edge.author import Authors
from archgov.edge.client import Api, ApiError
from archgov.edge.tree import Json


class Hub:
    """An API server that stamps authors in some namespaces, does not in others, or gives no answer (None)."""

    def __init__(self, stamps: Mapping[str, bool | None]) -> None:
        self.stamps = dict(stamps)
        self.asked: list[str] = []

    async def post(self, path: str, body: Json, params: Mapping[str, str]) -> Json:
        assert path.endswith("/approvals")
        assert params == {"dryRun": "All"}
        namespace = body["metadata"]["namespace"]
        self.asked.append(namespace)
        if self.stamps[namespace] is None:
            raise ApiError(500, "InternalError", "the webhook doesn't answer")
        author = "archgov" if self.stamps[namespace] else body["spec"]["author"]
        return {**body, "spec": {**body["spec"], "author": author}}


def word(name: str, namespace: str = "shop", reason: str = "") -> Json:
    found: dict[str, Any] = {
        "kind": "Approval",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}"},
        "spec": {"decision": "d", "author": "the-boss"},
    }
    if reason:
        found["status"] = {"conditions": [{"type": "Accepted", "status": "False", "reason": reason}]}
    return found


def heard(authors: Authors, *bodies: Json) -> list[str | None]:
    asyncio.run(authors.ask(bodies))
    return [body["spec"].get("author") for body in authors.heard(bodies)]


def authors(hub: Hub) -> Authors:
    return Authors(cast("Api", hub))


def test_an_author_is_believed_where_a_forged_one_is_overwritten() -> None:
    assert heard(authors(Hub({"shop": True, "media": False})), word("a"), word("b", "media")) == ["the-boss", None]


def test_what_was_only_claimed_does_not_become_true_when_a_policy_comes() -> None:
    hub = Hub({"shop": False})
    one = authors(hub)
    assert heard(one, word("early")) == [None]
    hub.stamps["shop"] = True
    assert heard(one, word("early"), word("late")) == [None, "the-boss"]
    # After a restart the status says it.
    assert heard(authors(hub), word("early", reason="AuthorUnverified")) == [None]


def test_without_an_answer_a_new_word_waits_and_an_old_one_still_counts() -> None:
    hub = Hub({"shop": None})
    one = authors(hub)
    assert heard(one, word("new"), word("pin", reason="RolledBack")) == ["the-boss"]
    hub.stamps["shop"] = True
    assert heard(one, word("new")) == ["the-boss"]
    hub.stamps["shop"] = None
    assert heard(one, word("new")) == ["the-boss"]


def test_nothing_is_asked_twice() -> None:
    hub = Hub({"shop": True})
    one = authors(hub)
    for _ in range(3):
        heard(one, word("a"), word("b"))
    assert hub.asked == ["shop"]


def test_other_kinds_pass_untouched() -> None:
    other = {"kind": "Decision", "metadata": {"name": "d", "namespace": "shop"}, "spec": {"author": "x"}}
    assert heard(authors(Hub({})), other) == ["x"]
