"""Who governs a member cluster: a ConfigMap there says so, and an archgov that it doesn't name only reports.

The claim is made with the first effect in a cluster, so that an archgov that only observes writes nothing there. It stands in
kube-public, which every cluster has. Whoever takes a cluster over deletes it there first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from archgov.edge.client import CONFLICT, NOT_FOUND, Api, ApiError
from archgov.edge.tree import Json
from archgov.model.ref import ClusterName

NAMESPACE: Final = "kube-public"
NAME: Final = "archgov-governor"
COLLECTION: Final = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PATH: Final = f"{COLLECTION}/{NAME}"
# A claim that was ours a minute ago is not asked for again.
FRESH_SECONDS: Final = 60.0


class Claims:
    """The claims of one archgov, known by the uid of its hub's kube-system namespace."""

    def __init__(self, hub: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._me = ""
        self._governors: dict[ClusterName, tuple[str, float]] = {}

    def governor(self, cluster: ClusterName) -> str:
        """Who governs a cluster, in words; empty while it isn't known."""
        who, _ = self._governors.get(cluster, ("", 0.0))
        return "this archgov" if who and who == self._me else f"another archgov ({who})" if who else ""

    async def refusal(self, cluster: ClusterName, api: Api) -> str:
        """Why nothing may be done in a cluster; empty where it is ours, or nobody's until now.

        Raises:
            ApiError: it can't be found out.
        """
        who, at = self._governors.get(cluster, ("", float("-inf")))
        if not who or who != self._me or self._clock() - at > FRESH_SECONDS:
            self._me = self._me or await self._identity()
            who = await self._claimed(api)
            self._governors[cluster] = (who, self._clock())
        if who == self._me:
            return ""
        return (
            f"{cluster} is governed by another archgov ({who}); where that one is gone, "
            f"delete ConfigMap {NAMESPACE}/{NAME} there"
        )

    async def _identity(self) -> str:
        found = await self._hub.get("/api/v1/namespaces/kube-system")
        return str(found["metadata"]["uid"])

    async def _claimed(self, api: Api) -> str:
        """Who the claim names, once it is made where there is none."""
        try:
            return _governor(await api.get(PATH))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
        metadata = {"name": NAME, "namespace": NAMESPACE}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"governor": self._me}}
        try:
            return _governor(await api.post(COLLECTION, body))
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return _governor(await api.get(PATH))


def _governor(claim: Json) -> str:
    return str((claim.get("data") or {}).get("governor") or "nobody")
