"""A fleet in the sandbox, `archgov run` beside it as a process that knows a kubeconfig only."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from archgov.api.crd import definitions
from archgov.sandbox import Sandbox, SandboxOptions
from tests import manifests as k8s
from tests.e2e.invariants import ARCHGOV, Asked, Entry, Outage, Violation, entries, violations
from tests.manifests import Manifest

HUB = "hub"
SYSTEM = "archgov-system"
ROOT = "/apis/archgov.io/v1alpha1"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/archgov"
ZONES = "abc"
PATIENCE = 60.0  # a busy machine takes its time; who is quick waits for nothing
POLL = 0.05
PRICES = {"ap": "0.02", "eu": "0.03", "us": "0.04"}
SETTINGS = {
    "ARCHGOV_QUIET_SECONDS": "0.2",
    "ARCHGOV_LONGEST_SECONDS": "1",
    "ARCHGOV_PENDING_SECONDS": "1",
    # Long enough for a busy machine to renew in time, short enough to wait for after a kill.
    "ARCHGOV_LEASE_SECONDS": "5",
    "ARCHGOV_RENEW_SECONDS": "3.5",
    "ARCHGOV_RETRY_SECONDS": "0.4",
    "OPENBLAS_NUM_THREADS": "1",
}
T = TypeVar("T")


class Refused(Exception):
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Server:
    """One API server, asked as a person with a token would ask it."""

    url: str
    token: str
    trust: ssl.SSLContext

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def items(self, path: str) -> list[Any]:
        found: list[Any] = self.get(path)["items"]
        return found

    def apply(self, path: str, body: Manifest) -> None:
        query = "fieldManager=tests&force=true&fieldValidation=Strict"
        self.ask("PATCH", f"{path}/{body['metadata']['name']}?{query}", body, "application/apply-patch+yaml")

    def merge(self, path: str, body: Manifest) -> None:
        self.ask("PATCH", path, body, "application/merge-patch+json")

    def ask(self, verb: str, path: str, body: Manifest | None = None, content: str = "application/json") -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content, "User-Agent": "tests"}
        try:
            request = Request(self.url + path, data, headers, method=verb)  # noqa: S310 a server of our own
            with urlopen(request, timeout=10, context=self.trust) as answer:  # noqa: S310 as above
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise Refused(error.code, error.read().decode()) from None


@dataclass
class Stage:
    """A scenario under way.

    Attributes:
        asked: what the judge is told; outages are added as they happen.
    """

    sandbox: Sandbox
    directory: Path
    servers: dict[str, Server]
    members: tuple[str, ...]
    asked: Asked = field(default_factory=Asked)
    process: subprocess.Popen[bytes] | None = None
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    marks: int = 0

    # -------------------------------------------------------------------------------------------------- archgov

    def start(self, **settings: str) -> None:
        """Starts archgov; its log lies beside the sandbox's. A second start is another replica; `process` is the newest."""
        if self.process is not None:
            self.others.append(self.process)
        config = self.directory / "operator.kubeconfig"
        config.touch(mode=0o600)
        config.write_text(self.sandbox.kubeconfig_for(HUB))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ARCHGOV_", "OTEL_"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "archgov", "run", "--kubeconfig", str(config)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **environment,
                    **SETTINGS,
                    "ARCHGOV_TRACES_FILE": str(self.traces),
                    "ARCHGOV_LEDGER_FILE": str(self.ledger),
                    **settings,
                },
                cwd=self.directory,
            )

    def stop(self) -> int:
        """Ends archgov as Kubernetes would; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kill(self) -> None:
        """Ends archgov without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> Path:
        return self.directory / "operator.log"

    @property
    def traces(self) -> Path:
        return self.directory / "traces.jsonl"

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger.sqlite"

    # ---------------------------------------------------------------------------------------------------- doing

    @property
    def hub(self) -> Server:
        return self.servers[HUB]

    def apply(self, *bodies: Manifest) -> None:
        """Declares intents, or whatever else belongs into the hub."""
        for body in bodies:
            metadata = body["metadata"]
            if body["kind"] in ("ConfigMap", "Secret"):
                self.hub.apply(f"/api/v1/namespaces/{metadata['namespace']}/{body['kind'].lower()}s", body)
            else:
                self.hub.apply(collection(body["kind"], metadata.get("namespace", "")), body)

    def scale(self, cluster: str, workload: str, replicas: int) -> None:
        """Somebody else sets replicas."""
        self.servers[cluster].merge(f"{deployment_path(workload)}/scale", {"spec": {"replicas": replicas}})

    def recreate(self, cluster: str, workload: str, replicas: int) -> None:
        """Somebody deletes a Deployment, then makes one of the same name."""
        server, path = self.servers[cluster], deployment_path(workload)
        server.ask("DELETE", path)
        self.until("it is gone", lambda: _found(server, path) is None)
        body = _unborn(k8s.deployment(workload, replicas))
        server.ask("POST", path.rpartition("/")[0], body)

    def zone_witness(self, cluster: str, zone: str) -> None:
        """A witness of a zone joins that of its cluster."""
        path = f"{collection('MemberCluster')}/{cluster}"
        told = self.hub.get(path)["spec"]["witnesses"]
        witness = {"name": zone, "url": self.sandbox.witness(zone, "probes"), "group": "probes", "zone": zone}
        self.hub.merge(path, {"spec": {"witnesses": [*told, witness]}})

    def silence(self, *clusters: str, witnesses: bool = False) -> None:
        """API servers fall silent, with their witnesses or without."""
        since = time.time()
        for cluster in clusters:
            self.sandbox.fail_cluster(cluster)
            if witnesses:
                self.sandbox.silence(cluster)
        told = (*self.asked.outages, *(Outage(cluster, since) for cluster in clusters))
        self.asked = Asked(**{**vars(self.asked), "outages": told})

    def leader(self) -> str:
        """Who holds the Lease; empty while nobody does."""
        lease = _found(self.hub, LEASE)
        return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")

    def heal(self, *clusters: str) -> None:
        """API servers with their witnesses answer again."""
        for cluster in clusters:
            self.sandbox.heal_cluster(cluster)
            self.sandbox.speak(cluster)
        until = time.time()
        told = tuple(
            Outage(o.cluster, o.since, until) if o.cluster in clusters and o.until > until else o
            for o in self.asked.outages
        )
        self.asked = Asked(**{**vars(self.asked), "outages": told})

    # --------------------------------------------------------------------------------------------------- seeing

    def replicas(self, workload: str) -> dict[str, int]:
        """spec.replicas by cluster, without zeros; silent clusters are left out."""
        return {name: n for name, n in self._each(workload, lambda body: body["spec"]["replicas"]).items() if n}

    def ready(self, workload: str) -> dict[str, int]:
        """Ready replicas by cluster, without zeros; silent clusters are left out."""
        found = self._each(workload, lambda body: body.get("status", {}).get("readyReplicas", 0))
        return {name: n for name, n in found.items() if n}

    def intent(self, kind: str, name: str) -> Any:
        home, bare = name.split("/")
        return self.hub.get(f"{collection(kind, home)}/{bare}")

    def condition(self, kind: str, name: str, condition: str = "Ready") -> tuple[str, str, str]:
        """(status, reason, message); empty while it isn't there."""
        found = self.intent(kind, name).get("status", {}).get("conditions", [])
        one: Manifest = next((each for each in found if each["type"] == condition), {})
        return one.get("status", ""), one.get("reason", ""), one.get("message", "")

    def is_ready(self, kind: str, name: str) -> bool:
        """The intent's current generation was evaluated, and it is Ready."""
        body = self.intent(kind, name)
        status = body.get("status", {})
        return bool(
            status.get("observedGeneration") == body["metadata"]["generation"] and status.get("ready") == "True"
        )

    def decisions(self, outcome: str = "") -> list[Any]:
        found = self.hub.items(f"{ROOT}/decisions")
        return [body for body in found if not outcome or body.get("status", {}).get("outcome") == outcome]

    def losses(self) -> list[str]:
        """Clusters, or cluster/zone, that are declared lost now."""
        return sorted(
            "/".join(filter(None, (body["metadata"]["name"], loss.get("zone"))))
            for body in self.hub.items(collection("MemberCluster"))
            for loss in body.get("status", {}).get("losses", [])
            if not loss.get("ended")
        )

    def reach(self, cluster: str) -> str:
        body = self.hub.get(f"{collection('MemberCluster')}/{cluster}")
        return str(body.get("status", {}).get("reach", ""))

    def settled(self) -> bool:
        """No decision is under way, and what is asked for is Ready."""
        return not self.decisions("Applying")

    def effects(self) -> list[Entry]:
        """Writes of archgov that changed something in a member cluster."""
        return [
            e
            for e in entries(self.sandbox.request_log)
            if e["user"] == ARCHGOV and e["cluster"] != HUB and e["code"] < 300
        ]

    def decisions_in_log(self) -> set[str]:
        """Names of all Decisions that were ever written."""
        return {
            e["name"] for e in entries(self.sandbox.request_log) if e["resource"] == "decisions" and e["code"] < 300
        }

    def refusals(self, cluster: str) -> set[int]:
        """Codes with which a cluster refused writes of archgov."""
        return {e["code"] for e in self._log() if e["cluster"] == cluster and e["user"] == ARCHGOV and e["code"] >= 300}

    def broken(self) -> list[Violation]:
        """What the judge has to say of everything until now."""
        self.marks += 1
        # Lines reach the log a moment late, in order: once it holds this one, it holds all before it.
        self.apply(_secret(f"mark-{self.marks}", ""))
        self.until("the log has caught up", lambda: any(e["name"] == f"mark-{self.marks}" for e in self._log()))
        return violations(self._log(), self.asked)

    def _log(self) -> list[Entry]:
        return entries(self.sandbox.request_log)

    def until(self, what: str, question: Callable[[], object], patience: float = PATIENCE) -> None:
        """Asks until the answer is true."""
        deadline = time.monotonic() + patience
        answer: object = "not asked yet"
        while time.monotonic() < deadline:
            if self.process is not None and (code := self.process.poll()) is not None:
                raise AssertionError(f"archgov ended with {code}:\n{self._last_words()}")
            try:
                if answer := question():
                    return
            except Refused as error:
                answer = error
            time.sleep(POLL)
        raise AssertionError(f"not within {patience:g} s: {what} (last answer {answer!r})\n{self._last_words()}")

    def holds(self, what: str, question: Callable[[], object], seconds: float) -> None:
        """Asks for some time, and every answer has to be true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert question(), f"no longer: {what}\n{self._last_words()}"
            time.sleep(POLL)

    def _each(self, workload: str, fact: Callable[[Any], int]) -> dict[str, int]:
        silent = {o.cluster for o in self.asked.outages if o.until > time.time()}
        path = deployment_path(workload)
        found = {name: _found(self.servers[name], path) for name in self.members if name not in silent}
        return {name: fact(body) for name, body in found.items() if body is not None}

    def _last_words(self) -> str:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        statuses = [
            f"{kind} {body['metadata']['name']}: {json.dumps(body.get('status', {}).get('conditions', []))[:900]}"
            for kind in ("PlacementIntent", "CapacityIntent", "FailoverIntent", "MemberCluster")
            for body in self.hub.items(collection(kind))
        ]
        return "\n".join([*lines[-25:], *statuses])


@contextmanager
def stage(
    directory: Path,
    workloads: Mapping[str, Sequence[Manifest]],
    *,
    asked: Asked | None = None,
    objects: Sequence[Manifest] = (),
    start: bool = True,
) -> Iterator[Stage]:
    """Clusters (by name, with their Deployments) of three zones, two nodes each; archgov starts once every pod is Ready."""
    fleet = {HUB: [k8s.namespace(SYSTEM), k8s.namespace("shop")], **{n: _cluster(n, w) for n, w in workloads.items()}}
    options = SandboxOptions(seed=1, start_seconds=(0.1, 0.3))
    with Sandbox(fleet, directory, options) as sandbox:
        servers = _servers(sandbox.kubeconfig)
        the = Stage(sandbox, directory, servers, tuple(workloads), asked or Asked())
        _install(the)
        the.apply(*objects)
        the.until("every pod is Ready", lambda: all(_all_ready(servers[name]) for name in workloads))
        if start:
            the.start()
        try:
            yield the
        finally:
            for process in (*the.others, the.process):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()


def collection(kind: str, namespace: str = "") -> str:
    """The path of a kind of archgov's."""
    plural = f"{kind.lower()}s"
    return f"{ROOT}/namespaces/{namespace}/{plural}" if namespace else f"{ROOT}/{plural}"


def deployment_path(workload: str) -> str:
    namespace, name = workload.split("/")
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def everywhere(workload: str, at: Mapping[str, int], clusters: Sequence[str], **more: Any) -> dict[str, list[Manifest]]:
    """One Deployment that exists in all of these clusters, at 0 where nothing is said."""
    return {name: [k8s.deployment(workload, at.get(name, 0), cluster=name, **more)] for name in clusters}


def together(*some: Mapping[str, Sequence[Manifest]]) -> dict[str, list[Manifest]]:
    """Several workloads in the same clusters."""
    return {
        name: [body for one in some for body in one.get(name, ())] for name in dict.fromkeys(k for o in some for k in o)
    }


def _cluster(name: str, workloads: Sequence[Manifest]) -> list[Manifest]:
    nodes = [
        k8s.node(f"{name}-{zone}{number}", f"{name}-{zone}", region=f"{name}-west")
        for zone in ZONES
        for number in (1, 2)
    ]
    namespaces = dict.fromkeys(body["metadata"]["namespace"] for body in workloads)
    return [_unborn(body) for body in (*(k8s.namespace(each) for each in namespaces), *nodes, *workloads)]


def _found(server: Server, path: str) -> Manifest | None:
    try:
        body: Manifest = server.get(path)
    except Refused as error:
        if error.status == 404:
            return None
        raise
    return body


def _unborn(body: Manifest) -> Manifest:
    """Without what the API server gives at birth; nodes report themselves."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "uid"}
    status = {key: value for key, value in body.get("status", {}).items() if key != "conditions"}
    return {**body, "metadata": metadata, **({"status": status} if status else {})}


def _install(the: Stage) -> None:
    """What an installation brings: kinds, a Secret and a MemberCluster for each cluster."""
    for definition in definitions():
        the.hub.apply("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    for name in the.members:
        witness = {"name": name, "url": the.sandbox.witness(name, "probes"), "group": "probes"}
        spec = {
            "kubeconfigSecret": {"name": name},
            "location": {"provider": "acme", "region": f"{name}-west"},
            "prices": {"cpu": PRICES.get(name, "0.05"), "memory": "0"},
            "witnesses": [witness],
        }
        labels = {"archgov.io/jurisdiction": name}
        secret = _secret(name, the.sandbox.kubeconfig_for(name))
        the.apply(secret, k8s.ours("MemberCluster", name, spec, labels=labels))


def _secret(name: str, kubeconfig: str) -> Manifest:
    metadata = {"name": name, "namespace": SYSTEM}
    data = {"kubeconfig": b64encode(kubeconfig.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def _servers(kubeconfig: Path) -> dict[str, Server]:
    config = yaml.safe_load(kubeconfig.read_text())
    token = config["users"][0]["user"]["token"]
    return {
        entry["name"]: Server(
            entry["cluster"]["server"],
            token,
            ssl.create_default_context(cadata=b64decode(entry["cluster"]["certificate-authority-data"]).decode()),
        )
        for entry in config["clusters"]
    }


def _all_ready(server: Server) -> bool:
    return all(
        body["spec"]["replicas"] == body.get("status", {}).get("readyReplicas", 0)
        for body in server.items("/apis/apps/v1/deployments")
    )
