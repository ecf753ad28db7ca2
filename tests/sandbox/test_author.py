"""Who made an Approval: said at its creation, whoever writes it later, as admission/approval-author.yaml does."""

from __future__ import annotations

from pathlib import Path

from archgov.api.crd import definitions
from archgov.sandbox import Sandbox, SandboxOptions
from tests.sandbox.api import Api, Json

APPROVALS = "/apis/archgov.io/v1alpha1/namespaces/shop/approvals"


def test_a_forged_author_is_overwritten_and_others_may_label_but_not_change_it(tmp_path: Path) -> None:
    shop: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    said = {"decision": "d", "planHash": "7f3a91d2", "verdict": "Approve", "author": "the-boss"}
    body = {"apiVersion": "archgov.io/v1alpha1", "kind": "Approval", "metadata": {"name": "a"}, "spec": said}
    with Sandbox({"hub": [shop, *definitions()]}, tmp_path, SandboxOptions()) as sandbox:
        jane, joe = Api.of(sandbox, "hub", "jane"), Api.of(sandbox, "hub", "joe")
        made = jane.create(APPROVALS, body)
        assert (made.code, made.body["spec"]["author"]) == (201, "jane")
        labelled = joe.patch(f"{APPROVALS}/a", {"metadata": {"labels": {"team": "shop"}}})
        assert (labelled.code, labelled.body["spec"]["author"]) == (200, "jane")
        changed = joe.patch(f"{APPROVALS}/a", {"spec": {"author": "joe"}})
        assert (changed.code, "an Approval is never changed" in changed.body["message"]) == (422, True)
