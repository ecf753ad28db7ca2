"""What a round released, carried out: one write each, after a last look at the newest rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, Protocol

from archgov.decide.round import Effect
from archgov.edge.claim import Claims
from archgov.edge.client import CONFLICT, MERGE_PATCH, Api, ApiError
from archgov.edge.elect import Terms
from archgov.edge.observe import Seen, uid_bytes
from archgov.edge.rows import DeploymentRow
from archgov.edge.tree import Json
from archgov.model.decision import Action
from archgov.model.fleet import Reach
from archgov.model.intent import Record
from archgov.model.ref import ClusterName, WorkloadRef

LOG: Final = logging.getLogger("archgov.effects")


class Result(StrEnum):
    """What came of an effect."""

    DONE = "done"
    GONE = "gone"  # the object, or the sight of its cluster
    CHANGED = "changed"  # somebody else wrote it since
    HELD = "held"  # what the removal counted on is no longer there
    REFUSED = "refused"
    UNANSWERED = "unanswered"  # it may have happened or not


class Places(Protocol):
    """Where effects take place."""

    def api(self, cluster: ClusterName) -> Api | None:
        """The API server of a cluster, while it is seen."""

    def deployments(self, workload: WorkloadRef) -> Mapping[ClusterName, DeploymentRow]:
        """The newest rows of a workload, by cluster, where it is seen."""

    def wrote(self, cluster: ClusterName, uid: str, scale: Json) -> None:
        """Remembers what a write of replicas returned."""


class Leadership(Protocol):
    """Who may act, and for how long an effect may be under way."""

    def leads(self) -> bool:
        """Whether this process may act."""

    @property
    def terms(self) -> Terms:
        """How long a lease counts."""


class Effects:
    """Carries effects out; `refused` says what the API servers refused the last time, other than for a race."""

    def __init__(self, places: Places, claims: Claims, alarm: asyncio.Event, leadership: Leadership) -> None:
        self._places = places
        self._claims = claims
        self._alarm = alarm
        self._leadership = leadership
        self.refused: dict[WorkloadRef, str] = {}

    async def carry_out(
        self, effects: Iterable[Effect], counted: Mapping[WorkloadRef, int], tell: Callable[[Effect, Result], None]
    ) -> list[tuple[Effect, Result]]:
        """Carries out all that still hold, cluster by cluster at the same time, additions first.

        Args:
            counted: Ready replicas, as `ready` counted them when the round was concluded.
            tell: called with each as soon as it is known what came of it.
        """
        by_cluster: dict[ClusterName, list[Effect]] = {}
        for effect in sorted(effects, key=lambda effect: (effect.action.removes, effect.action)):
            by_cluster.setdefault(effect.action.cluster, []).append(effect)
        self.refused = {}
        each = await asyncio.gather(*(self._in_order(some, counted, tell) for some in by_cluster.values()))
        return [pair for some in each for pair in some]

    async def _in_order(
        self, effects: list[Effect], counted: Mapping[WorkloadRef, int], tell: Callable[[Effect, Result], None]
    ) -> list[tuple[Effect, Result]]:
        found = []
        for effect in effects:
            result = await self._one(effect, counted)
            tell(effect, result)
            found.append((effect, result))
        return found

    async def _one(self, effect: Effect, counted: Mapping[WorkloadRef, int]) -> Result:
        action = effect.action
        api, rows = self._places.api(action.cluster), self._places.deployments(action.workload)
        row = rows.get(action.cluster)
        if api is None or row is None:
            return Result.GONE
        if row.replicas != action.before or uid_bytes(row.uid).hex() != action.uid:
            return Result.CHANGED
        if not self._leadership.leads():
            return Result.HELD
        if action.removes and (self._alarm.is_set() or _ready(rows.values()) < counted.get(action.workload, 0)):
            return Result.HELD
        told = {
            "decision": effect.decision,
            "workload": action.workload.key,
            "cluster": action.cluster,
            "before": action.before,
            "after": action.after,
        }
        try:
            # Nothing of this leader's may be under way any more when the next one begins.
            async with asyncio.timeout(self._leadership.terms.effect):
                if why := await self._claims.refusal(action.cluster, api):
                    self.refused[action.workload] = why
                    return Result.REFUSED
                written = await _scale(api, action.workload, action.after, row.resource_version)
        except TimeoutError:
            LOG.warning("an effect was not answered in time", extra=told)
            return Result.UNANSWERED
        except ApiError as error:
            LOG.warning("an effect was refused", extra={**told, "why": str(error)})
            if error.status not in (0, CONFLICT):
                self.refused[action.workload] = f"{action.workload} in {action.cluster}: {error}"
            return Result.REFUSED if error.status else Result.UNANSWERED
        self._places.wrote(action.cluster, row.uid, written)
        LOG.info("an effect was carried out", extra=told)
        return Result.DONE


def without(record: Record, action: Action, at: int) -> Record:
    """The record as if an action had not been foreseen at a time (Unix seconds), since it certainly didn't happen."""
    pending = tuple((cluster, n) for cluster, n in record.pending if cluster != action.cluster)
    written = tuple((c, action.before if c == action.cluster else n) for c, n in record.written)
    last = record.removals[-1] if action.removes and record.removals else None
    # Less is charged than goes where some of it has no node.
    charged = last is not None and last.at == at and last.replicas <= action.removes
    return replace(
        record,
        written=written,
        pending=pending,
        removals=record.removals[:-1] if charged else record.removals,
    )


def ready(seen: Iterable[Seen]) -> dict[WorkloadRef, int]:
    """Ready replicas of every Deployment in the clusters that are seen, as the clusters themselves count them."""
    rows: dict[WorkloadRef, list[DeploymentRow]] = {}
    for one in seen:
        if one.health.reach is Reach.YES:
            for row in one.deployments:
                rows.setdefault(WorkloadRef(row.namespace, "Deployment", row.name), []).append(row)
    return {ref: _ready(some) for ref, some in rows.items()}


def _ready(rows: Iterable[DeploymentRow]) -> int:
    # More Ready than asked for are on their way out.
    return sum(min(row.ready, row.replicas) for row in rows)


async def _scale(api: Api, workload: WorkloadRef, replicas: int, resource_version: str) -> Json:
    """Sets replicas by the scale subresource, only if nobody wrote the object since it was read.

    Raises:
        ApiError: 409 when somebody did.
    """
    path = f"/apis/apps/v1/namespaces/{workload.namespace}/deployments/{workload.name}/scale"
    body = {"metadata": {"resourceVersion": resource_version}, "spec": {"replicas": replicas}}
    return await api.patch(path, body, MERGE_PATCH)
