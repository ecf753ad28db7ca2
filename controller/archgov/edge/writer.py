"""What is written into archgov's own API: decisions, records, statuses."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final, Protocol

from archgov.api import render
from archgov.api.kind import API_VERSION
from archgov.api.registry import KINDS
from archgov.edge.client import APPLY_PATCH, CONFLICT, Api, ApiError
from archgov.edge.echo import Echo, key
from archgov.edge.tree import Json
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Decision, Outcome
from archgov.model.intent import Record
from archgov.model.ref import WorkloadRef

LOG: Final = logging.getLogger("archgov.writer")
ROOT: Final = f"/apis/{API_VERSION}"
STATUS_MANAGER: Final = "archgov-status"
ENDED: Final = (Outcome.VERIFIED, Outcome.SUPERSEDED, Outcome.REJECTED, Outcome.FAILED)
# Decisions kept in the API when they are over, per intent and in all; how many are deleted after one round.
KEPT: Final = 10
MOST_KEPT: Final = 5_000
MOST_DELETIONS: Final = 100
# A status whose conditions stay as they are is written at most this often.
STATUS_SECONDS: Final = 10


class HasEpoch(Protocol):
    """Whose epoch every write carries, so that a former leader's late one is refused."""

    @property
    def epoch(self) -> int: ...


class Writer:
    """Writes our own kinds, each only where it differs from what is stored."""

    def __init__(self, hub: Api, echo: Echo, epoch: HasEpoch) -> None:
        self._hub = hub
        self._echo = echo
        self._epoch = epoch
        self._told_at: dict[str, int] = {}

    async def open(self, decision: Decision, traceparent: str, now: int) -> bool:
        """Creates a Decision with its first outcome; it is the write-ahead record, so nothing is done without it."""
        body = render.decision_body(decision, traceparent, self._epoch.epoch)
        path = collection("Decision", decision.intents[0].namespace)
        try:
            await self._open(path, body)
        except ApiError as error:
            LOG.warning("a Decision could not be written", extra={"decision": decision.name, "why": str(error)})
            return False
        return await self.conclude(decision, decision.outcome, "", now)

    async def _open(self, path: str, body: Json) -> None:
        try:
            self._echo.note(await self._hub.post(path, body))
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            before = await self._hub.get(f"{path}/{body['metadata']['name']}")
            if before["spec"]["planHash"] == body["spec"]["planHash"] and not _is_over(before):
                return
            # A plan that comes again is another Decision: what people said of the first they didn't say of this one.
            await self._delete(before)
            self._echo.note(await self._hub.post(path, body))

    async def _delete(self, body: Json) -> None:
        metadata = body["metadata"]
        guard = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        how = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": guard}
        await self._hub.delete(f"{collection('Decision', metadata['namespace'])}/{metadata['name']}", how)
        self._echo.forget(body)

    async def conclude(
        self,
        decision: Decision,
        outcome: Outcome,
        reason: str,
        now: int,
        done: int = 0,
        cost: int | None = None,
        overtaken: tuple[WorkloadRef, ...] = (),
    ) -> bool:
        """Writes what became of a Decision. done: how many of its actions were carried out."""
        over = outcome is Outcome.VERIFIED
        if over:
            done = sum(action.workload not in overtaken for action in decision.actions)
        told = _outcome_condition(outcome, reason)
        status = render.decision_status(
            {},
            replace(decision, outcome=outcome),
            (told,),
            now,
            done=done,
            verified=now if over else None,
            cost=cost,
            reason=reason,
            overtaken=overtaken,
        )
        path = f"{collection('Decision', decision.intents[0].namespace)}/{decision.name}"
        return await self._status(path, "Decision", decision.intents[0].namespace, decision.name, status)

    async def remember(self, record: Record) -> bool:
        """Applies a WorkloadRecord; it must stand before the effects that it foresees."""
        body = render.record_body(record, self._epoch.epoch)
        path = f"{collection('WorkloadRecord', record.workload.namespace)}/{body['metadata']['name']}"
        try:
            self._echo.note(await self._hub.patch(path, body, APPLY_PATCH, {"force": "true"}))
        except ApiError as error:
            LOG.warning(
                "a WorkloadRecord could not be written", extra={"workload": record.workload.key, "why": str(error)}
            )
            return False
        return True

    async def tell(self, current: Json, status: dict[str, Any], now: int, *, at_once: bool = False) -> bool:
        """Writes the status of an object where it says something new, now and then unless it must be at once."""
        stored = {name: value for name, value in current.get("status", {}).items() if name != "epoch"}
        if stored == status:
            return False
        metadata = current["metadata"]
        uid = str(metadata.get("uid", metadata["name"]))
        same = stored.get("conditions") == status.get("conditions")
        if same and not at_once and now - self._told_at.get(uid, 0) < STATUS_SECONDS:
            return False
        self._told_at[uid] = now
        namespace = metadata.get("namespace", "")
        path = f"{collection(current['kind'], namespace)}/{metadata['name']}"
        return await self._status(path, current["kind"], namespace, metadata["name"], status)

    async def ensure_fleet(self, fleets: Iterable[Json]) -> None:
        """Creates the Fleet object with its defaults where there is none."""
        if any(True for _ in fleets):
            return
        body = {"apiVersion": API_VERSION, "kind": "Fleet", "metadata": {"name": "fleet"}, "spec": {}}
        try:
            self._echo.note(await self._hub.post(collection("Fleet"), body))
        except ApiError as error:
            if error.status != CONFLICT:
                LOG.warning("the Fleet object could not be created", extra={"why": str(error)})

    async def prune(self, decisions: Iterable[Json], needed: AbstractSet[tuple[str, str]], most: int = KEPT) -> None:
        """Deletes Decisions that are over beyond what is kept, some at a time, so that rounds go on."""
        for body in expendable(decisions, needed, most)[:MOST_DELETIONS]:
            with contextlib.suppress(ApiError):
                await self._delete(body)

    async def _status(self, path: str, kind: str, namespace: str, name: str, status: dict[str, Any]) -> bool:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": metadata,
            "status": {**status, "epoch": self._epoch.epoch},
        }
        try:
            params = {"force": "true", "fieldManager": STATUS_MANAGER}
            self._echo.note(await self._hub.patch(f"{path}/status", body, APPLY_PATCH, params))
        except ApiError as error:
            LOG.warning(
                "a status could not be written", extra={"object": f"{kind} {namespace}/{name}", "why": str(error)}
            )
            return False
        return True


def collection(kind: str, namespace: str = "") -> str:
    """The path of a kind of ours, in a namespace where it has one."""
    plural = KINDS[kind].plural
    return f"{ROOT}/namespaces/{namespace}/{plural}" if namespace else f"{ROOT}/{plural}"


def expendable(decisions: Iterable[Json], needed: AbstractSet[tuple[str, str]], most: int = KEPT) -> list[Json]:
    """Decisions that are over and beyond `most` per intent, or MOST_KEPT in all; the oldest first. Open ones stay.

    Args:
        needed: (namespace, name) of those that somebody's word rests on; they stay too.
    """
    over = [body for body in decisions if _is_over(body) and key(body)[1:] not in needed]
    over.sort(key=lambda body: (body["metadata"].get("creationTimestamp", ""), body["metadata"]["name"]), reverse=True)
    kept: Counter[str] = Counter()
    beyond, all_kept = [], 0
    for body in over:
        first = body["spec"]["intents"][0]
        intent = f"{first['kind']}/{first['namespace']}/{first['name']}"
        if kept[intent] >= most or all_kept == MOST_KEPT:
            beyond.append(body)
        else:
            kept[intent] += 1
            all_kept += 1
    return beyond[::-1]


def _is_over(decision: Json) -> bool:
    return decision.get("status", {}).get("outcome") in ENDED


def newest_epoch(ours: Iterable[Json]) -> int:
    """The highest epoch in which any of our objects was written."""
    parts = (body.get(part) for body in ours for part in ("spec", "status"))
    return max((int(part.get("epoch") or 0) for part in parts if isinstance(part, dict)), default=0)


def _outcome_condition(outcome: Outcome, reason: str) -> Condition:
    match outcome:
        case Outcome.APPLYING:
            return Condition(Kind.READY, Status.FALSE, Reason.APPLYING, reason or "it is being carried out")
        case Outcome.VERIFIED:
            return Condition(Kind.READY, Status.TRUE, Reason.VERIFIED, reason or "observed as planned")
        case Outcome.REJECTED:
            return Condition(Kind.READY, Status.TRUE, Reason.REJECTED, reason or "a person rejected it")
        case Outcome.PROPOSED:
            return Condition(Kind.READY, Status.TRUE, Reason.RECOMMENDED, reason or "proposed; nothing is acted on")
        case _:
            return Condition(Kind.READY, Status.TRUE, Reason.SUPERSEDED, reason or "another plan took its place")
