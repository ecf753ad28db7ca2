"""Connections to the member clusters, as their MemberCluster objects come and go."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from archgov.api.member_cluster import Member
from archgov.edge import rows
from archgov.edge.client import Api, ApiError, Client, Limits
from archgov.edge.kubeconfig import Access, AccessError, from_text
from archgov.edge.observe import Seen
from archgov.edge.rows import DeploymentRow
from archgov.edge.tree import Json
from archgov.edge.watchset import MEMBER, Health, WatchSet
from archgov.model.fleet import Reach
from archgov.model.ref import ClusterName, WorkloadRef

LOG: Final = logging.getLogger("archgov.members")
RETRY_SECONDS: Final = 5.0
# How long a member that neither answers nor is silent holds up the first round.
PATIENCE_SECONDS: Final = 15.0
# After so long out of sight its Secret is read again: somebody may have renewed the credentials.
RENEW_SECONDS: Final = 30.0
# An effect that isn't answered soon must not hold up the answer to a loss.
LIMITS: Final = Limits(request_seconds=5.0)
NOBODY: Final[Mapping[ClusterName, str]] = MappingProxyType({})


@dataclass(slots=True)
class _Connection:
    """One member: its client, its watches once it could be reached; why not, until then.

    doubt: what is wrong with its object; it is held as it was until that is mended.
    written: replicas that we wrote, with the resourceVersion that they got, by uid, until the watch shows them.
    """

    member: Member
    since: float
    task: asyncio.Task[None] | None = None
    client: Client | None = None
    watches: WatchSet | None = None
    evidence: str = "not connected yet"
    was_seen: bool = False
    doubt: str = ""
    written: dict[str, tuple[int, int]] = field(default_factory=dict)

    def health(self) -> Health:
        health = self._health()
        if not self.doubt:
            return health
        return health._replace(
            reach=Reach.UNKNOWN, evidence=f"its MemberCluster is invalid: {self.doubt}", silent=False
        )

    def _health(self) -> Health:
        if self.watches is None:
            return Health(Reach.UNKNOWN, self.evidence, time.monotonic() - self.since)
        health = self.watches.health(time.monotonic())
        self.was_seen = self.was_seen or health.reach is Reach.YES
        return health

    def leads_to(self, member: Member) -> bool:
        """Whether it is a connection to this very member; one to a member that was never clear leads nowhere."""
        known = self.member
        return self.task is not None and (known.uid, known.secret) == (member.uid, member.secret)

    def deployments(self) -> tuple[DeploymentRow, ...]:
        """The Deployments, each at least as new as our last write of it."""
        if self.watches is None:
            return ()
        return tuple(self._caught_up(row) for row in self.watches.rows(DeploymentRow))

    def _caught_up(self, row: DeploymentRow) -> DeploymentRow:
        version, replicas = self.written.get(row.uid, (0, 0))
        if not version:
            return row
        # resourceVersions of one resource are ordered numbers (KEP-5504).
        if row.resource_version.isdecimal() and int(row.resource_version) >= version:
            del self.written[row.uid]
            return row
        return row._replace(replicas=replicas, resource_version=str(version))


class Members:
    """Watches every member cluster; a cluster that can't be reached is unknown, with the reason."""

    def __init__(self, hub: Api, own: Access, namespace: str, on_change: Callable[[str], None]) -> None:
        self._hub = hub
        self._own = own
        self._namespace = namespace
        self._on_change = on_change
        self._connections: dict[ClusterName, _Connection] = {}

    async def follow(self, members: Iterable[Member], unclear: Mapping[ClusterName, str] = NOBODY) -> None:
        """Connects to these and to nobody else; a member that changed how it is reached is connected anew.

        Args:
            unclear: members whose objects are invalid, with what is wrong. They don't leave the fleet: each is unknown, with
                its last good declaration.
        """
        wanted = {member.name: member for member in members}
        for name in self._connections.keys() - wanted.keys() - unclear.keys():
            await _ended(self._connections.pop(name))
        for name, why in unclear.items():
            self._connections.setdefault(name, _Connection(Member(name), time.monotonic())).doubt = why
        for name, member in wanted.items():
            known = self._connections.get(name)
            if known is not None and known.leads_to(member):
                known.member, known.doubt = member, ""
                continue
            fresh = _Connection(member, time.monotonic())
            if known is not None:
                await _ended(known)
                # What was seen stays until it is seen anew, unless it is another cluster of the same name.
                fresh.watches = known.watches if known.member.uid == member.uid else None
            self._connections[name] = fresh
            fresh.task = asyncio.get_running_loop().create_task(self._stay_connected(fresh))

    def seen(self) -> list[Seen]:
        """What is known of each member now."""
        return [_seen(connection) for connection in self._connections.values()]

    def api(self, cluster: ClusterName) -> Api | None:
        """The API server of a member, while it is seen."""
        connection = self._connections.get(cluster)
        return connection.client if connection and connection.health().reach is Reach.YES else None

    def deployments(self, workload: WorkloadRef) -> dict[ClusterName, DeploymentRow]:
        """The newest rows of a workload, by cluster, where it is seen."""
        found: dict[ClusterName, DeploymentRow] = {}
        for name, connection in self._connections.items():
            if connection.health().reach is Reach.YES:
                for row in connection.deployments():
                    if (row.namespace, row.name) == (workload.namespace, workload.name):
                        found[name] = row
        return found

    def wrote(self, cluster: ClusterName, uid: str, scale: Json) -> None:
        """Remembers what a write of replicas returned."""
        version = str(scale.get("metadata", {}).get("resourceVersion", ""))
        if version.isdecimal() and cluster in self._connections:
            self._connections[cluster].written[uid] = (int(version), int(scale.get("spec", {}).get("replicas", 0)))

    def undecided(self) -> list[ClusterName]:
        """Members of which it isn't clear yet whether they are seen."""
        return [
            name
            for name, connection in self._connections.items()
            if (health := connection.health()).reach is not Reach.YES
            and not connection.was_seen
            and not connection.doubt
            and not health.silent
            and time.monotonic() - connection.since < PATIENCE_SECONDS
        ]

    def never_seen(self) -> list[ClusterName]:
        """Members that were out of sight ever since archgov started, or they joined."""
        return [
            name
            for name, connection in self._connections.items()
            if connection.health().reach is not Reach.YES and not connection.was_seen
        ]

    async def close(self) -> None:
        """Ends every connection."""
        for connection in self._connections.values():
            await _ended(connection)
        self._connections.clear()

    async def _stay_connected(self, connection: _Connection) -> None:
        while True:
            try:
                await self._watch(connection, await self._kubeconfig(connection.member))
            except (ApiError, AccessError, ValueError) as error:
                connection.evidence = str(error)
                # Nothing comes of waiting for this one any longer.
                connection.since = min(connection.since, time.monotonic() - PATIENCE_SECONDS)
            except Exception as error:
                # Whatever it was, it is told, and the next attempt may find another world.
                LOG.exception("the watches of a member ended", extra={"cluster": connection.member.name})
                connection.evidence = f"archgov failed: {error!r}"
                connection.since = min(connection.since, time.monotonic() - PATIENCE_SECONDS)
            self._on_change("MemberCluster")
            await asyncio.sleep(RETRY_SECONDS)

    async def _watch(self, connection: _Connection, kubeconfig: str) -> None:
        """Watches until the cluster is out of sight and its kubeconfig is another one."""
        async with Client(self._access(connection.member, kubeconfig), LIMITS) as client, asyncio.TaskGroup() as tasks:
            watches = WatchSet(client, MEMBER, self._on_change, clock=time.monotonic, dice=random.Random())
            running = tasks.create_task(watches.run())
            if connection.watches is not None:
                # A picture from an earlier connection stays until the new one is whole.
                while (await watches.seen(RETRY_SECONDS)).reach is not Reach.YES:
                    if await self._is_renewed(connection, kubeconfig):
                        running.cancel()
                        return
            connection.client, connection.watches = client, watches
            self._on_change("MemberCluster")
            while not await self._is_renewed(connection, kubeconfig):  # noqa: ASYNC110 nothing tells of a Secret that changed
                await asyncio.sleep(RENEW_SECONDS)
            running.cancel()

    async def _is_renewed(self, connection: _Connection, kubeconfig: str) -> bool:
        if connection.health().reach is Reach.YES:
            return False
        try:
            return await self._kubeconfig(connection.member) != kubeconfig
        except (ApiError, AccessError, ValueError):
            return False

    async def _kubeconfig(self, member: Member) -> str:
        """What the member's Secret holds; empty for the cluster in which archgov runs."""
        if member.secret is None:
            return ""
        found = await self._hub.get(f"/api/v1/namespaces/{self._namespace}/secrets/{member.secret.name}")
        encoded = (found.get("data") or {}).get(member.secret.key)
        if not isinstance(encoded, str):
            raise AccessError(f"{self._secret(member)} has no key {member.secret.key}; put a kubeconfig there.")
        return base64.b64decode(encoded).decode()

    def _access(self, member: Member, kubeconfig: str) -> Access:
        return from_text(kubeconfig, source=self._secret(member)) if member.secret else self._own

    def _secret(self, member: Member) -> str:
        return f"Secret {self._namespace}/{member.secret.name}" if member.secret else "this cluster"


def _seen(connection: _Connection) -> Seen:
    watches, health = connection.watches, connection.health()
    if watches is None:
        return Seen(connection.member, health)
    return Seen(
        member=connection.member,
        health=health,
        nodes=watches.rows(rows.NodeRow),
        pods=watches.rows(rows.PodRow),
        deployments=connection.deployments(),
        replica_sets=watches.rows(rows.ReplicaSetRow),
        stateful_sets=watches.rows(rows.StatefulSetRow),
        daemon_sets=watches.rows(rows.DaemonSetRow),
        pdbs=watches.rows(rows.PdbRow),
        hpas=watches.rows(rows.HpaRow),
        quotas=watches.rows(rows.QuotaRow),
        namespaces=watches.rows(rows.NamespaceRow),
        malformed=watches.malformed(),
    )


async def _ended(connection: _Connection) -> None:
    if connection.task is not None:
        connection.task.cancel()
        await asyncio.gather(connection.task, return_exceptions=True)
