"""One API server as the demo sees it: plain requests, nothing of the operator."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml

TIMEOUT: Final = 5.0
GROUP: Final = "/apis/archgov.io/v1alpha1"


class ApiRefused(Exception):
    """An API server that doesn't answer, or says no; says which, to what."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Reads and writes one API server with a token."""

    server: str
    token: str
    trust: ssl.SSLContext

    @classmethod
    def of(cls, kubeconfig: Path, context: str) -> Cluster:
        """The cluster that a context of a kubeconfig leads to; certificate and token must be in the file."""
        config = yaml.load(kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        where = _named(config["contexts"], context)["context"]
        cluster = _named(config["clusters"], where["cluster"])["cluster"]
        user = _named(config["users"], where["user"])["user"]
        trust = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
        return cls(cluster["server"], user["token"], trust)

    def items(self, path: str) -> list[Mapping[str, Any]]:
        """All objects of a collection."""
        found = self._ask("GET", path)
        # Items of a list need not carry their kind.
        kind = str(found["kind"]).removesuffix("List")
        return [{"kind": kind, **item} for item in found["items"]]

    def get(self, path: str) -> Mapping[str, Any]:
        return self._ask("GET", path)

    def create(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._ask("POST", f"{path}?fieldValidation=Strict", body)

    def apply(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Server-side apply of an object, as `kubectl apply --server-side` does it."""
        query = "fieldManager=archgov-demo&force=true&fieldValidation=Strict"
        return self._ask("PATCH", f"{path}/{body['metadata']['name']}?{query}", body, "application/apply-patch+yaml")

    def _ask(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, content: str = "application/json"
    ) -> Mapping[str, Any]:
        request = Request(  # noqa: S310 the server comes from our own kubeconfig, which is https
            f"{self.server}{path}",
            method=verb,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content, "Accept": "application/json"},
        )
        try:
            with urlopen(request, timeout=TIMEOUT, context=self.trust) as answer:  # noqa: S310 as above
                found: Mapping[str, Any] = json.load(answer)
                return found
        except HTTPError as error:
            said = error.read().decode(errors="replace")
            raise ApiRefused(f"{verb} {path}: {error.code} {_message(said)}") from error
        except (URLError, TimeoutError, OSError) as error:
            raise ApiRefused(f"{verb} {path}: no answer ({error})") from error


def collection(kind: str, namespace: str = "") -> str:
    """The path of our objects of a plural name, in a namespace where there is one."""
    return f"{GROUP}/namespaces/{namespace}/{kind}" if namespace else f"{GROUP}/{kind}"


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _message(said: str) -> str:
    try:
        return str(json.loads(said).get("message", said))
    except ValueError:
        return said[:200]
