"""Kubernetes Events on intents, for changes that somebody would want to know of."""

from __future__ import annotations

from typing import Final

from archgov.api.instant import timestamp
from archgov.api.kind import API_VERSION
from archgov.edge.client import Api, ApiError
from archgov.model.condition import Condition, Kind, Status
from archgov.model.ref import IntentRef

COMPONENT: Final = "archgov.io/controller"
LONGEST: Final = 1000
# The same news about an intent is told again after this many seconds at the earliest.
REPEAT_SECONDS: Final = 600


class Recorder:
    """Posts an Event when the Ready condition of an intent changes its reason; losing one never delays a round."""

    def __init__(self, hub: Api) -> None:
        self._hub = hub
        self._told: dict[IntentRef, tuple[str, int]] = {}

    async def tell(self, intent: IntentRef, uid: str, conditions: tuple[Condition, ...], now: int) -> None:
        """Tells of an intent's Ready condition, unless that was told lately."""
        ready = next((one for one in conditions if one.kind is Kind.READY), None)
        if ready is None:
            return
        said, at = self._told.get(intent, ("", 0))
        if said == ready.reason and now - at < REPEAT_SECONDS:
            return
        self._told[intent] = (ready.reason, now)
        if said == ready.reason:
            return
        try:
            await self._hub.post(f"/api/v1/namespaces/{intent.namespace}/events", _event(intent, uid, ready, now))
        except ApiError:
            return


def _event(intent: IntentRef, uid: str, ready: Condition, now: int) -> dict[str, object]:
    stalled = ready.status is Status.FALSE
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{intent.name[:200]}.", "namespace": intent.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": intent.kind,
            "namespace": intent.namespace,
            "name": intent.name,
            "uid": uid,
        },
        "reason": ready.reason.value,
        "message": ready.message[:LONGEST],
        "type": "Warning" if stalled else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
    }
