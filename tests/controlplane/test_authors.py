"""Who made an Approval, on a real API server: nobody knows without the policy; with it a forged author is overwritten."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from archgov.cli.pages import LedgerPages
from archgov.edge.author import stamps
from archgov.edge.client import Api, ApiError, Client
from archgov.edge.kubeconfig import from_file
from archgov.edge.serve import Picture, Server, serving
from tests.controlplane.plane import Plane
from tests.controlplane.test_crds import documents, plane
from tests.controlplane.test_writes import SYSTEM
from tests.edge.certificates import write_certificates

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(300)]
__all__ = ["plane"]

POLICY = Path(__file__).resolve().parents[2] / "admission" / "approval-author.yaml"
WEBHOOK = POLICY.with_name("approval-author-webhook.yaml")
APPROVALS = "/apis/archgov.io/v1alpha1/namespaces/shop/approvals"


def approval(name: str, **spec: Any) -> dict[str, Any]:
    said = {"decision": "d", "planHash": "7f3a91d2", "verdict": "Approve", "author": "the-boss", **spec}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "archgov.io/v1alpha1", "kind": "Approval", "metadata": metadata, "spec": said}


def stamped(plane: Plane) -> bool:
    async def asked() -> bool:
        async with Client(from_file(plane.kubeconfig)) as client:
            try:
                return await stamps(client, "archgov-system")
            except ApiError:  # a new policy knows our kinds a moment later
                return False

    return asyncio.run(asked())


@pytest.fixture
def tenant(plane: Plane) -> Iterator[Plane]:
    """Somebody who may make Approvals in shop, and nothing else."""
    made: list[dict[str, Any]] = [
        SYSTEM,
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "approvers", "namespace": "shop"},
            "rules": [{"apiGroups": ["archgov.io"], "resources": ["approvals"], "verbs": ["create", "update", "get"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "approvers", "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "approvers"},
            "subjects": [{"kind": "User", "name": "tenant", "apiGroup": "rbac.authorization.k8s.io"}],
        },
    ]
    for body in made:
        assert plane.apply(body).code in (200, 201)
    yield replace(plane, user="tenant")
    for name in ("plain", "forged"):
        plane.call("DELETE", f"{APPROVALS}/{name}")
    # What was deleted counts a moment longer, and the next test is about something else.
    deadline = time.monotonic() + 60
    while (
        plane.call("POST", APPROVALS, approval("probe"), dryRun="All").body.get("spec", {}).get("author") != "the-boss"
    ):
        assert time.monotonic() < deadline, "the policy never went out of force"
        time.sleep(0.2)


def test_without_the_policy_an_author_is_only_a_claim_and_archgov_knows(tenant: Plane, plane: Plane) -> None:
    made = tenant.call("POST", APPROVALS, approval("plain"))
    assert (made.code, made.body["spec"]["author"]) == (201, "the-boss")
    assert not stamped(plane)


def test_with_the_policy_a_forged_author_is_overwritten_and_never_changed(tenant: Plane, plane: Plane) -> None:
    policy = documents(POLICY)
    for body in policy:
        assert plane.apply(body).code in (200, 201)
    try:
        deadline = time.monotonic() + 60
        while not stamped(plane):
            assert time.monotonic() < deadline, "the policy never came into force"
            time.sleep(0.2)
        made = tenant.call("POST", APPROVALS, approval("forged"))
        assert (made.code, made.body["spec"]["author"]) == (201, "tenant")
        # Others may label it, as GitOps tools do; what is said, by whom, stays.
        labelled = {**made.body, "metadata": {**made.body["metadata"], "labels": {"team": "shop"}}}
        assert plane.call("PUT", f"{APPROVALS}/forged", labelled).code == 200
        now = plane.call("GET", f"{APPROVALS}/forged").body
        changed = plane.call("PUT", f"{APPROVALS}/forged", {**now, "spec": {**now["spec"], "author": "the-boss"}})
        assert changed.code == 422
        assert "an Approval is never changed" in changed.message
    finally:
        for body in policy:
            plane.call("DELETE", plane.path(body))


async def test_the_webhook_does_the_same_where_there_is_no_policy(tenant: Plane, plane: Plane, tmp_path: Path) -> None:
    write_certificates(tmp_path)
    for kind in ("crt", "key"):
        (tmp_path / f"tls.{kind}").write_bytes((tmp_path / f"server.{kind}").read_bytes())
    (body,) = documents(WEBHOOK)
    server = Server(cast("Api", None), cast("Picture", None), LedgerPages(None))
    async with serving(server, "127.0.0.1", 0, tmp_path) as port:
        (webhook,) = body["webhooks"]
        authority = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": authority}
        assert plane.apply(body).code in (200, 201)
        try:
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(stamped, plane):  # noqa: ASYNC110 nothing tells when it is in force
                    await asyncio.sleep(0.2)
            made = await asyncio.to_thread(tenant.call, "POST", APPROVALS, approval("forged"))
            assert (made.code, made.body["spec"]["author"]) == (201, "tenant")
        finally:
            await asyncio.to_thread(plane.call, "DELETE", plane.path(body))
