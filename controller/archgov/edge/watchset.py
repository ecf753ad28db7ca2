"""All that is watched of one cluster, with what may be concluded from it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from archgov.edge import rows
from archgov.edge.client import Api, ApiError
from archgov.edge.reflector import KindState, Pace, Reflector, Resource
from archgov.edge.rows import Malformed
from archgov.edge.tree import Json
from archgov.model.fleet import Reach

T = TypeVar("T")

REACH: Final = "Reach"  # what on_change is told when a cluster is seen again, or no longer
_PROBES_BEFORE_UNKNOWN: Final = 2
_EVIDENCE_LIMIT: Final = 3
_POLL_SECONDS: Final = 0.05
# What an object is asked for, as opposed to what became of it: our own status writes must not start the next round.
_ASKED_METADATA: Final = ("labels", "annotations", "finalizers", "deletionTimestamp")

_BY_ROW: Final[dict[type, Resource[Any]]] = {
    rows.NodeRow: Resource("Node", "/api/v1/nodes", rows.node_row),
    rows.PodRow: Resource("Pod", "/api/v1/pods", rows.pod_row),
    rows.NamespaceRow: Resource("Namespace", "/api/v1/namespaces", rows.namespace_row),
    rows.QuotaRow: Resource("ResourceQuota", "/api/v1/resourcequotas", rows.quota_row),
    rows.DeploymentRow: Resource(
        "Deployment", "/apis/apps/v1/deployments", rows.deployment_row, rows.same_but_for_version
    ),
    rows.ReplicaSetRow: Resource("ReplicaSet", "/apis/apps/v1/replicasets", rows.replica_set_row),
    rows.StatefulSetRow: Resource("StatefulSet", "/apis/apps/v1/statefulsets", rows.stateful_set_row),
    rows.DaemonSetRow: Resource("DaemonSet", "/apis/apps/v1/daemonsets", rows.daemon_set_row),
    rows.PdbRow: Resource("PodDisruptionBudget", "/apis/policy/v1/poddisruptionbudgets", rows.pdb_row),
    rows.HpaRow: Resource(
        "HorizontalPodAutoscaler",
        "/apis/autoscaling/v2/horizontalpodautoscalers",
        rows.hpa_row,
        rows.same_but_for_version,
    ),
}
# What is watched of a member cluster.
MEMBER: Final = tuple(_BY_ROW.values())


def whole(kind: str, api_version: str, plural: str) -> Resource[Json]:
    """A kind whose objects are kept as they are, such as our own; managedFields apart."""

    def reduce(found: Json) -> Json:
        metadata = found.get("metadata")
        names = metadata if isinstance(metadata, dict) else {}
        kept = {key: value for key, value in names.items() if key != "managedFields"}
        # Items of a list carry neither.
        return {**found, "apiVersion": api_version, "kind": kind, "metadata": kept}

    root = "/apis" if "/" in api_version else "/api"
    return Resource(kind, f"{root}/{api_version}/{plural}", reduce, _asks_the_same)


@dataclass(frozen=True, slots=True)
class Patience:
    """When a cluster counts as not seen; all in seconds.

    Attributes:
        limit: without an open watch, or a word from the server, for so long.
        probe, probe_again: between probes, and after one that failed. probe_timeout: of each.
        spread: reflectors start within this time, so that a fleet's lists don't come all at once.
    """

    limit: float = 15.0
    probe: float = 1.0
    probe_again: float = 0.3
    probe_timeout: float = 1.0
    spread: float = 0.0


class Health(NamedTuple):
    """Whether a cluster is seen; evidence says why not.

    lag_seconds: how old, at most, what is known of it may be. silent: its API server doesn't answer at all.
    """

    reach: Reach
    evidence: str
    lag_seconds: float
    silent: bool = False


class WatchSet:
    """The reflectors of one cluster, with a probe that notices silence before they do."""

    def __init__(
        self,
        api: Api,
        resources: Sequence[Resource[Any]],
        on_change: Callable[[str], None],
        *,
        clock: Callable[[], float],
        dice: random.Random,
        pace: Pace | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._api = api
        self._on_change = on_change
        self._clock = clock
        self._dice = dice
        self._patience = patience or Patience()
        self._reflectors: dict[str, Reflector[Any]] = {
            resource.kind: Reflector(api, resource, on_change, clock=clock, dice=dice, pace=pace)
            for resource in resources
        }
        self._answered_at = float("-inf")
        self._silence = ""
        self._silent_probes = 0
        self._reach = Reach.UNKNOWN

    async def run(self) -> None:
        """Watches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_probing())
            for reflector in self._reflectors.values():
                tasks.create_task(self._begin(reflector))

    def rows(self, row: type[T]) -> tuple[T, ...]:
        """All well-formed rows of one type, as of this moment."""
        return tuple(r for r in self._reflectors[_BY_ROW[row].kind].rows() if isinstance(r, row))

    def malformed(self) -> tuple[Malformed, ...]:
        """What could not be read."""
        every = (reflector.rows() for reflector in self._reflectors.values())
        return tuple(r for found in every for r in found if isinstance(r, Malformed))

    def objects(self, kind: str) -> tuple[Json, ...]:
        """All objects of a kind that is kept whole."""
        return self._reflectors[kind].rows()

    def states(self, now: float) -> tuple[KindState, ...]:
        """How well each kind is seen."""
        return tuple(reflector.state(now) for reflector in self._reflectors.values())

    def health(self, now: float) -> Health:
        """Whether the cluster is seen: only if every kind is synced, followed, and the server was heard of lately."""
        states = self.states(now)
        silent_for = min([now - self._answered_at, *(state.seconds_since_contact for state in states)])
        lag = max([silent_for, *(state.seconds_behind for state in states)])
        evidence = self._doubts(states, silent_for)
        silent = self._silent_probes >= _PROBES_BEFORE_UNKNOWN or silent_for > self._patience.limit
        return Health(Reach.UNKNOWN if evidence else Reach.YES, evidence, max(0.0, lag), silent)

    async def seen(self, timeout_seconds: float) -> Health:
        """The health once the cluster is seen, or at the end of the time."""
        until = self._clock() + timeout_seconds
        while True:
            health = self.health(self._clock())
            if health.reach is Reach.YES or self._clock() >= until:
                return health
            await asyncio.sleep(_POLL_SECONDS)

    def _doubts(self, states: tuple[KindState, ...], silent_for: float) -> str:
        if self._silent_probes >= _PROBES_BEFORE_UNKNOWN:
            return f"API server does not answer: {self._silence}"
        limit = self._patience.limit
        if silent_for > limit:
            return f"nothing heard from the API server (limit {limit:g} s)"
        doubts = [f"{s.kind}: {_doubt(s, limit)}" for s in states if not s.synced or s.seconds_behind > limit]
        more = f"; {len(doubts) - _EVIDENCE_LIMIT} more kinds" if len(doubts) > _EVIDENCE_LIMIT else ""
        return "; ".join(doubts[:_EVIDENCE_LIMIT]) + more

    async def _begin(self, reflector: Reflector[Any]) -> None:
        await asyncio.sleep(self._dice.uniform(0, self._patience.spread))
        await reflector.run()

    async def _keep_probing(self) -> None:
        while True:
            await self._probe()
            self._tell_when_turned()
            wait = self._patience.probe_again if self._silent_probes else self._patience.probe
            await asyncio.sleep(wait * self._dice.uniform(0.9, 1.1))

    async def _probe(self) -> None:
        try:
            await self._api.probe(self._patience.probe_timeout)
        except ApiError as error:
            # A refusal is an answer; what it refuses is for the reflectors to tell.
            if not 0 < error.status < 500:
                self._silent_probes += 1
                self._silence = str(error)
                return
        self._silent_probes = 0
        self._answered_at = self._clock()

    def _tell_when_turned(self) -> None:
        before, self._reach = self._reach, self.health(self._clock()).reach
        if before is not self._reach:
            self._on_change(REACH)


def _doubt(state: KindState, limit: float) -> str:
    return state.evidence or f"no open watch (limit {limit:g} s)"


def _asks_the_same(old: Json, new: Json) -> bool:
    return _asked(old) == _asked(new)


def _asked(found: Json) -> Json:
    metadata = found["metadata"]
    rest = {key: value for key, value in found.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": [metadata.get(key) for key in _ASKED_METADATA]}
