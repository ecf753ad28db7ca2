"""A real kube-apiserver on an etcd of its own, on loopback for as long as a `with` block lasts."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

READY_SECONDS = 120
STOP_SECONDS = 20

# user, groups; the token of each is its name, for this server lives on loopback and only as long as a test run
USERS = {"admin": "system:masters", "operator": "archgov:operators", "tenant": "archgov:tenants"}

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: RequestResponse
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said: status code, decoded body, and the texts of its Warning headers."""

    code: int
    body: Any
    warnings: tuple[str, ...]

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body)


@dataclass(frozen=True, slots=True)
class Plane:
    """A running API server, spoken to as one of USERS."""

    server: str
    folder: Path
    user: str = "admin"

    @property
    def authority(self) -> Path:
        return self.folder / "certs" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        """One JSON line for every write, request and response included."""
        return self.folder / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
        **parameters: str,
    ) -> Answer:
        """One request; refusals are answers too, only an unreachable server raises."""
        request = urllib.request.Request(  # noqa: S310 - the server's address is https, made below
            f"{self.server}{path}?{urllib.parse.urlencode(parameters)}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.user}", "Content-Type": content, "Accept": accept},
            method=method,
        )
        trust = ssl.create_default_context(cafile=self.authority)
        try:
            with urllib.request.urlopen(request, timeout=30, context=trust) as answer:  # noqa: S310 - as above
                return _answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as refused:
            with refused:
                return _answer(refused.code, refused.read(), refused.headers)

    def apply(self, body: Mapping[str, Any], **parameters: str) -> Answer:
        """Server-side apply with strict field validation: `kubectl apply --server-side --validate=strict`."""
        strict = {"fieldManager": "test", "fieldValidation": "Strict"} | parameters
        return self.call("PATCH", self.path(body), body, content="application/apply-patch+yaml", **strict)

    def path(self, body: Mapping[str, Any]) -> str:
        """Where an object lives, by the server's own discovery."""
        version, kind, metadata = body["apiVersion"], body["kind"], body["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        served = self.call("GET", root).body.get("resources") or []
        found = [each for each in served if each["kind"] == kind and "/" not in each["name"]]
        if not found:
            raise LookupError(f"the server has no kind {kind} in {version}; it has {[each['kind'] for each in served]}")
        scope = f"/namespaces/{metadata.get('namespace', 'default')}" if found[0]["namespaced"] else ""
        return f"{root}{scope}/{found[0]['name']}/{metadata['name']}"


@contextlib.contextmanager
def started(binaries: Path, folder: Path) -> Iterator[Plane]:
    """A ready API server with RBAC, strict loopback addresses and an audit log; stopped when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    etcd_client, etcd_peer, secure = _free_ports(3)
    plane = Plane(f"https://127.0.0.1:{secure}", folder)
    _write_inputs(plane)
    with (
        _child(_etcd(binaries, folder, etcd_client, etcd_peer), folder / "etcd.log"),
        _child(_apiserver(binaries, plane, etcd_client, secure), folder / "kube-apiserver.log") as server,
    ):
        _wait_until_ready(plane, server)
        yield plane


def _answer(code: int, raw: bytes, headers: Any) -> Answer:
    text = raw.decode()
    body = json.loads(text) if "json" in headers.get("Content-Type", "") else text
    return Answer(code, body, tuple(headers.get_all("Warning") or ()))


def _write_inputs(plane: Plane) -> None:
    tokens = [f'{user},{user},{user},"{groups}"' for user, groups in USERS.items()]
    (plane.folder / "tokens.csv").write_text("\n".join(tokens) + "\n")
    (plane.folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (plane.folder / "service-account.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _etcd(binaries: Path, folder: Path, client: int, peer: int) -> list[str]:
    here = f"http://127.0.0.1:{client}"
    there = f"http://127.0.0.1:{peer}"
    return [
        str(binaries / "etcd"),
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",  # a test's data need not survive a power cut
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={there}",
        f"--initial-advertise-peer-urls={there}",
        f"--initial-cluster=default={there}",
        "--log-level=warn",
    ]


def _apiserver(binaries: Path, plane: Plane, etcd: int, secure: int) -> list[str]:
    folder = plane.folder
    return [
        str(binaries / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={secure}",
        f"--cert-dir={folder / 'certs'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-account.key'}",
        f"--service-account-signing-key-file={folder / 'service-account.key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount",  # no controller makes the service accounts pods would need
        f"--audit-policy-file={folder / 'audit-policy.yaml'}",
        f"--audit-log-path={plane.audit_log}",
    ]


@contextlib.contextmanager
def _child(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_ready(plane: Plane, server: subprocess.Popen[bytes]) -> None:
    """Returns once /readyz is 200 and a kubeconfig is written; raises with the server's last words otherwise."""
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if plane.call("GET", "/readyz").code == 200:
                _write_kubeconfig(plane)
                return
        time.sleep(0.2)
    ended = "did not become ready" if server.poll() is None else f"ended with exit code {server.returncode}"
    words = "\n".join((plane.folder / "kube-apiserver.log").read_text().splitlines()[-15:])
    raise RuntimeError(f"kube-apiserver {ended} (logs in {plane.folder}); it last said:\n{words}")


def _write_kubeconfig(plane: Plane) -> None:
    """A kubeconfig with one context a user, the administrator's current."""
    authority = base64.b64encode(plane.authority.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "plane", "cluster": {"server": plane.server, "certificate-authority-data": authority}},
        ],
        "users": [{"name": user, "user": {"token": user}} for user in USERS],
        "contexts": [{"name": user, "context": {"cluster": "plane", "user": user}} for user in USERS],
        "current-context": "admin",
    }
    plane.kubeconfig.write_text(json.dumps(config))  # JSON is YAML


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; held together while choosing, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
