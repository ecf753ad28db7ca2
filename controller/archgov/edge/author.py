"""Whose word an Approval is: a dry run that claims to be somebody else has to come back corrected.

So it doesn't matter what does it (a MutatingAdmissionPolicy, a webhook, the sandbox), only that it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from archgov.api import approval
from archgov.api.kind import API_VERSION
from archgov.edge.client import Api, ApiError
from archgov.edge.tree import Json
from archgov.model.condition import Kind, Reason

FORGED: Final = "archgov:nobody"
ASK_SECONDS: Final = 3.0


class Authors:
    """Who made each Approval, found out once of each: an author that was only claimed doesn't become true when a policy comes.

    What was found out stands in the Approval's status, so that it outlives archgov. Until then nobody hears the Approval.
    """

    def __init__(self, hub: Api) -> None:
        self._hub = hub
        self._stamped: dict[str, bool] = {}

    async def ask(self, ours: Iterable[Json]) -> None:
        """Finds out what isn't known yet, a namespace at a time; where the API server doesn't answer it is asked again."""
        approvals = [body for body in ours if body["kind"] == approval.NAME]
        known = {_uid(body): answer for body in approvals if (answer := self._known(body)) is not None}
        spaces = sorted({_namespace(body) for body in approvals if _uid(body) not in known})
        answers = dict(zip(spaces, await asyncio.gather(*map(self._asked, spaces)), strict=True))
        fresh = {_uid(body): answers.get(_namespace(body)) for body in approvals if _uid(body) not in known}
        self._stamped = known | {uid: answer for uid, answer in fresh.items() if answer is not None}

    def heard(self, ours: Iterable[Json]) -> Iterator[Json]:
        """The objects without Approvals of which nothing is known, without authors that nobody stamped."""
        for body in ours:
            known = self._known(body) if body["kind"] == approval.NAME else True
            if known:
                yield body
            elif known is False:
                yield {**body, "spec": {name: value for name, value in body["spec"].items() if name != "author"}}

    async def _asked(self, namespace: str) -> bool | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await stamps(self._hub, namespace)
        except (ApiError, TimeoutError):
            return None

    def _known(self, body: Json) -> bool | None:
        told = body.get("status", {}).get("conditions", [])
        reason = next((one.get("reason") for one in told if one.get("type") == Kind.ACCEPTED), None)
        return self._stamped.get(_uid(body)) if reason is None else reason != Reason.AUTHOR_UNVERIFIED


async def stamps(hub: Api, namespace: str) -> bool:
    """Whether an author that is made up is overwritten when an Approval is made there.

    Raises:
        ApiError: it can't be found out.
    """
    body = {
        "apiVersion": API_VERSION,
        "kind": approval.NAME,
        "metadata": {"generateName": "who-am-i-", "namespace": namespace},
        "spec": {"decision": "none", "planHash": "00000000", "verdict": "Approve", "author": FORGED},
    }
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/approvals"
    found = await hub.post(path, body, {"dryRun": "All"})
    author = (found.get("spec") or {}).get("author")
    return bool(author) and author != FORGED


def _uid(body: Json) -> str:
    return str(body["metadata"].get("uid", ""))


def _namespace(body: Json) -> str:
    return str(body["metadata"].get("namespace", ""))
