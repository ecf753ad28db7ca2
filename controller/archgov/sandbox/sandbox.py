"""Several clusters in one process, each behind an API server that real clients accept."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml

from .agenda import Agenda
from .certs import Authority, authority
from .cluster import Cluster, Write
from .daemonset import DaemonSets
from .deployment import Deployments
from .disruption import Budgets
from .faults import Fault
from .garbage import Garbage
from .identity import ADMIN, OPERATOR, user_of
from .journal import Journal
from .kubelet import Kubelet
from .objects import Object, mapping, namespace
from .outage import Outages
from .quota import Quotas
from .replicaset import ReplicaSets
from .scheduler import Scheduler
from .server import ApiServer, Mode
from .statefulset import StatefulSets
from .witness import Witness

_T = TypeVar("_T")
_START_SECONDS = 60.0
_FIRST_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_FIRST = ("CustomResourceDefinition", "Namespace", "Node", "ResourceQuota", "LimitRange")
_LOAD = Write(user="system:sandbox", agent="archgov-sandbox", verb="create", trusted=True)


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How a sandbox behaves; the same seed gives the same names and delays for the same order of events."""

    seed: int = 1
    start_seconds: tuple[float, float] = (2.0, 5.0)  # from a pod's binding to its readiness
    speed: float = 1.0  # divides every delay of the stand-ins
    history: int = 20_000  # changes of one resource that a watch can go back


@dataclass(frozen=True, slots=True)
class _Member:
    cluster: Cluster
    server: ApiServer
    outages: Outages


@dataclass(frozen=True, slots=True)
class _Run:
    """What exists between start and stop."""

    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    authority: Authority
    journal: Journal


class Sandbox:
    """Clusters that practise being a fleet.

    Args:
        fleet: the Kubernetes objects that each cluster begins with.
        directory: where the kubeconfig, the request log and the server's key are written.
    """

    def __init__(
        self,
        fleet: Mapping[str, Sequence[Mapping[str, Any]]],
        directory: Path,
        options: SandboxOptions = SandboxOptions(),
    ) -> None:
        if not fleet:
            raise ValueError("a sandbox needs at least one cluster; a cluster without objects is fine: {'hub': []}")
        self._fleet = fleet
        self._directory = directory
        self._options = options
        self._tokens = {account: secrets.token_hex(16) for account in (ADMIN, OPERATOR)}
        self._users = {token: user_of(account) for account, token in self._tokens.items()}
        self._members: dict[str, _Member] = {}
        self._witnesses: dict[str, Witness] = {}
        self._run: _Run | None = None
        self.kubeconfig = directory / "kubeconfig"
        self.request_log = directory / "requests.jsonl"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Its life

    def start(self) -> None:
        """Returns when every cluster answers."""
        if self._run is not None:
            raise RuntimeError("this sandbox runs already")
        self._directory.mkdir(parents=True, exist_ok=True)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="archgov-sandbox", daemon=True)
        run = self._run = _Run(loop, thread, authority(self._directory), Journal(self.request_log))
        thread.start()
        try:
            self._await(self._open(run))
        except BaseException:
            self.stop()
            raise
        _write_private(self.kubeconfig, self._kubeconfig())

    def stop(self) -> None:
        """Closes every socket; does nothing when it doesn't run."""
        run = self._run
        if run is None:
            return
        self._await(self._close(run))
        run.loop.call_soon_threadsafe(run.loop.stop)
        run.thread.join()
        run.loop.close()
        self._run = None
        self._members.clear()
        self._witnesses.clear()

    async def _open(self, run: _Run) -> None:
        for name, bodies in self._fleet.items():
            agenda = Agenda(self._options.speed)
            cluster = Cluster(name, self._options.seed, agenda, run.journal, self._options.history)
            kubelet = _populate(cluster, self._options)
            _load(cluster, bodies)
            server = ApiServer(cluster, self._users, run.authority.server)
            self._members[name] = _Member(cluster, server, Outages(cluster, kubelet))
            await server.start()
            agenda.start()

    async def _close(self, run: _Run) -> None:
        for member in self._members.values():
            member.cluster.agenda.stop()
        await asyncio.gather(*(member.server.stop() for member in self._members.values()))
        await asyncio.gather(*(witness.stop() for witness in self._witnesses.values()))
        run.journal.flush()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # What was aborted closes its socket one turn of the loop later.
        await asyncio.sleep(0.01)

    # How to reach it

    def url(self, cluster: str) -> str:
        """Where the API of a cluster answers."""
        return f"https://127.0.0.1:{self._member(cluster).server.port}"

    def token(self, user: str) -> str:
        """The bearer token of a user; the same one each time."""
        if user not in self._tokens:
            self._tokens[user] = secrets.token_hex(16)
            self._users[self._tokens[user]] = user_of(user)
        return self._tokens[user]

    def kubeconfig_for(self, cluster: str, user: str = OPERATOR, server: str | None = None) -> str:
        """A kubeconfig for one user of one cluster, as YAML text."""
        return _yaml(self._config([(cluster, server or self.url(cluster))], user))

    def _kubeconfig(self) -> str:
        return _yaml(self._config([(name, self.url(name)) for name in self._members], ADMIN))

    def _config(self, clusters: list[tuple[str, str]], user: str) -> dict[str, Any]:
        ca = base64.b64encode(self._alive().authority.pem).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": clusters[0][0],
            "clusters": [
                {"name": name, "cluster": {"server": url, "certificate-authority-data": ca}} for name, url in clusters
            ],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}} for name, _ in clusters],
        }

    # What can go wrong

    def fail_cluster(self, name: str, mode: Mode = "silent") -> None:
        """Makes the API of a cluster silent; what runs there stays in its store, out of reach."""
        member = self._member(name)

        def fail() -> None:
            member.cluster.agenda.pause()
            member.server.fall_silent(mode)

        self._call(fail)

    def heal_cluster(self, name: str) -> None:
        """Makes the API of a cluster answer again, at the same address."""
        member = self._member(name)
        self._await(member.server.speak())
        self._call(member.cluster.agenda.resume)

    def fail_zone(self, cluster: str, zone: str) -> None:
        """Makes every node of a zone fall silent.

        Raises:
            ValueError: no node of the cluster is in that zone.
        """
        if self._call(lambda: self._member(cluster).outages.fail(zone)) == 0:
            raise ValueError(_no_zone(cluster, zone))

    def heal_zone(self, cluster: str, zone: str) -> None:
        """Brings every node of a zone back.

        Raises:
            ValueError: no node of the cluster is in that zone.
        """
        if self._call(lambda: self._member(cluster).outages.heal(zone)) == 0:
            raise ValueError(_no_zone(cluster, zone))

    def inject(self, cluster: str, fault: Fault) -> None:
        """Plants a fault into the API of a cluster."""
        self._call(lambda: self._member(cluster).server.plant(fault))

    def witness(self, name: str, group: str) -> str:
        """The URL of a probe endpoint on a socket of its own; the same one each time."""
        if name not in self._witnesses:
            self._witnesses[name] = Witness(name, group)
            self._await(self._witnesses[name].start())
        return self._witnesses[name].url

    def silence(self, witness: str) -> None:
        """Makes a witness answer no more, whether it is named by its name or its URL."""
        self._call(self._witness(witness).silence)

    def speak(self, witness: str) -> None:
        """Makes a witness answer again."""
        self._call(self._witness(witness).speak)

    def _witness(self, named: str) -> Witness:
        found = (each for each in self._witnesses.values() if named in (each.name, each.url))
        witness = next(found, None)
        if witness is None:
            raise KeyError(f"there is no witness {named}; known: {', '.join(sorted(self._witnesses)) or 'none'}")
        return witness

    def _member(self, name: str) -> _Member:
        if name not in self._members:
            known = ", ".join(self._members) or "none, the sandbox doesn't run"
            raise KeyError(f"there is no cluster {name}; known: {known}")
        return self._members[name]

    # Its thread

    def _await(self, task: Coroutine[Any, Any, _T]) -> _T:
        if self._run is None:
            task.close()
        return asyncio.run_coroutine_threadsafe(task, self._alive().loop).result(_START_SECONDS)

    def _alive(self) -> _Run:
        if self._run is None:
            raise RuntimeError("the sandbox doesn't run; call start() first")
        return self._run

    def _call(self, work: Callable[[], _T]) -> _T:
        async def there() -> _T:
            return work()

        return self._await(there())


def _populate(cluster: Cluster, options: SandboxOptions) -> Kubelet:
    """Puts the stand-ins of a control plane into a cluster."""
    Quotas(cluster)
    Garbage(cluster)
    Deployments(cluster)
    ReplicaSets(cluster)
    StatefulSets(cluster)
    DaemonSets(cluster)
    Budgets(cluster)
    Scheduler(cluster)
    return Kubelet(cluster, options.start_seconds)


def _load(cluster: Cluster, bodies: Iterable[Mapping[str, Any]]) -> None:
    """Creates what a cluster begins with; a namespace that an object names exists without being asked for."""
    wanted = [dict(body) for body in bodies]
    named = {namespace(body) or "default" for body in wanted if body.get("kind") not in _FIRST}
    given = {str(body["metadata"]["name"]) for body in wanted if body.get("kind") == "Namespace"}
    missing = sorted((named | set(_FIRST_NAMESPACES)) - given)
    wanted += [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}} for each in missing]
    order = {kind: i for i, kind in enumerate(_FIRST)}
    for body in sorted(wanted, key=lambda body: order.get(str(body.get("kind")), len(order))):
        _create(cluster, body)


def _create(cluster: Cluster, body: Object) -> None:
    version, kind = str(body.get("apiVersion")), str(body.get("kind"))
    resource = cluster.registry.by_kind(version, kind)
    if resource is None:
        raise ValueError(
            f"cluster {cluster.name} can't begin with a {version} {kind}: no such kind is served; add its CRD"
        )
    metadata = mapping(body.get("metadata"))
    if resource.namespaced and not metadata.get("namespace"):
        body = {**body, "metadata": {**metadata, "namespace": "default"}}
    cluster.create(_LOAD, resource, body)


def _no_zone(cluster: str, zone: str) -> str:
    return f"cluster {cluster} has no node with the label topology.kubernetes.io/zone={zone}"


def _yaml(body: dict[str, Any]) -> str:
    return yaml.safe_dump(body, sort_keys=False)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
