"""People in the loop: archgov waits for a word, trusts its author only where the API server says who that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from archgov.cli.main import app
from tests.e2e.stage import HUB, ROOT, Stage, collection, everywhere, stage
from tests.e2e.test_acting import CART, CLUSTERS, in_eu, only
from tests.manifests import Manifest, ours

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPROVALS = f"{ROOT}/namespaces/shop/approvals"


def run(the: Stage, *args: str, code: int = 0) -> Result:
    config = the.directory / "person.kubeconfig"
    config.touch(mode=0o600)
    config.write_text(the.sandbox.kubeconfig_for(HUB, "admin"))
    found = CliRunner().invoke(app, [*args, "-n", "shop", "--kubeconfig", str(config)])
    assert found.exit_code == code, found.output
    return found


def proposed(the: Stage) -> str:
    the.until("a plan is proposed", lambda: the.decisions("Proposed"))
    name: str = the.decisions("Proposed")[0]["metadata"]["name"]
    return name


def accepted(the: Stage, name: str) -> tuple[str, str]:
    found = the.hub.get(f"{APPROVALS}/{name}").get("status", {}).get("conditions", [])
    one: dict[str, Any] = next((each for each in found if each["type"] == "Accepted"), {})
    return one.get("status", ""), one.get("reason", "")


def wait_for_refusal(the: Stage, name: str) -> None:
    the.until("it is refused", lambda: accepted(the, name)[0] == "False")


def cheap() -> Manifest:
    return ours("PlacementIntent", "shop/cheap", {"mode": "Approve", "target": only(), "load": "FollowsReplicas"})


def test_a_plan_waits_for_a_person_is_carried_out_and_taken_back(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 3}, CLUSTERS)) as the:
        the.apply(cheap())
        decision = proposed(the)
        the.until(
            "it waits", lambda: the.condition("PlacementIntent", "shop/cheap", "Approved")[1] == "WaitingForApproval"
        )
        assert the.is_ready("PlacementIntent", "shop/cheap")
        assert the.effects() == []
        said = json.loads(run(the, "approve", decision, "--reason", "cheaper", "--json").stdout)
        assert said["author"] == "kubernetes-admin"
        the.until("it is carried out", lambda: the.ready(CART) == {"ap": 3} and the.decisions("Verified"))
        (verified,) = the.decisions("Verified")
        assert (verified["metadata"]["name"], verified["status"]["approvedBy"]) == (decision, "kubernetes-admin")
        the.until("the word is told to be followed", lambda: accepted(the, said["approval"]) == ("True", "Verified"))
        assert "it is carried out" in str(run(the, "approve", decision, code=1).output)
        run(the, "rollback", f"dec/{decision}", "--until", "1h")
        the.until("it is taken back", lambda: the.ready(CART) == {"us": 3} and len(the.decisions("Verified")) == 2)
        the.holds("it stays so", lambda: the.replicas(CART) == {"us": 3} and not the.decisions("Proposed"), 2.0)
        assert the.broken() == []


def test_a_plan_that_comes_again_waits_for_another_word(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS)) as the:
        the.apply(cheap())
        decision = proposed(the)
        uid = the.decisions("Proposed")[0]["metadata"]["uid"]
        run(the, "approve", decision)
        the.until("it is carried out", lambda: the.ready(CART) == {"ap": 2} and the.decisions("Verified"))
        run(the, "rollback", decision, "--until", "8s")
        the.until("it is taken back", lambda: the.ready(CART) == {"us": 2} and len(the.decisions("Verified")) == 2)
        the.until("it is proposed again", lambda: the.decisions("Proposed"))
        (again,) = the.decisions("Proposed")
        assert again["metadata"]["name"] == decision
        assert again["metadata"]["uid"] != uid
        the.holds("nobody acts", lambda: the.replicas(CART) == {"us": 2} and bool(the.decisions("Proposed")), 3.0)
        run(the, "approve", decision)
        the.until("it is carried out again", lambda: the.ready(CART) == {"ap": 2})
        assert the.broken() == []


def test_a_forged_author_is_overwritten_and_a_stale_word_followed_by_nobody(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS)) as the:
        the.apply(in_eu(mode="Approve"))
        decision = proposed(the)
        hash_ = the.decisions("Proposed")[0]["spec"]["planHash"]
        spec = {"decision": decision, "planHash": hash_, "verdict": "Approve", "author": "the-boss"}
        stale = {**spec, "planHash": "0" * 64}
        late = {**spec, "until": "2020-01-01T00:00:00Z"}
        for name, one in (("stale", stale), ("late", late)):
            the.hub.ask("POST", APPROVALS, ours("Approval", f"shop/{name}", one))
            wait_for_refusal(the, name)
        assert [accepted(the, name)[1] for name in ("stale", "late")] == ["OtherPlan", "Expired"]
        assert the.effects() == []
        made = the.hub.ask("POST", APPROVALS, ours("Approval", "shop/forged", spec))
        assert made["spec"]["author"] == "kubernetes-admin"
        the.until("it is carried out", lambda: the.ready(CART) == {"eu": 2})
        assert the.broken() == []


def test_a_rejected_plan_is_told_by_whom(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS)) as the:
        the.apply(in_eu(mode="Approve"))
        decision = proposed(the)
        assert "nothing of it is done" in str(run(the, "rollback", decision, code=1).output)
        run(the, "reject", decision, "--reason", "after the sale", "--until", "2h")
        the.until("it is over", lambda: the.decisions("Rejected"))
        the.until(
            "the intent says so", lambda: the.condition("PlacementIntent", "shop/in-eu", "Approved")[1] == "Rejected"
        )
        assert "by kubernetes-admin until" in the.condition("PlacementIntent", "shop/in-eu", "Approved")[2]
        the.holds("it is not proposed again", lambda: not the.decisions("Proposed"), 2.0)
        assert the.hub.items(collection("Approval", "shop"))[0]["status"]["ready"] == "True"
        assert the.broken() == []
