"""`archgov plan`, as its reader sees it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from archgov.cli.output import WIDEST
from archgov.model.intent import Load, Mode
from tests.build import a_cluster, a_fleet, a_snapshot, a_workload, failover, placement, spread
from tests.cli.conftest import JURISDICTION, Run, saved

GOLDEN = Path(__file__).parent / "plan.golden.md"

EU_ONLY = """\
apiVersion: archgov.io/v1alpha1
kind: PlacementIntent
metadata: {name: eu, namespace: pay}
spec: {mode: Enforce, target: {workloads: {}}, load: FollowsReplicas, allow: {matchLabels: {archgov.io/jurisdiction: eu}}}
"""
HERE = (
    "apiVersion: archgov.io/v1alpha1\nkind: PlacementIntent\nmetadata: {name: here}\nspec: {target: {workloads: {}}}\n"
)
THREE = EU_ONLY.replace("allow:", "spread: [{topologyKey: topology.kubernetes.io/region, minDomains: 2}], allow:")
Fleet = Callable[..., Path]
Intents = Callable[..., Path]


def test_nothing_to_do_is_0(run: Run, fleet: Fleet, intents: Intents) -> None:
    found = run("plan", "-f", intents(HERE), "-n", "shop", "--snapshot", fleet())
    assert (found.exit_code, found.stderr) == (0, "")
    assert "nothing to do for 4 services" in found.stdout


@pytest.mark.parametrize("mode", ["Enforce", "Recommend", "Observe"])
def test_a_change_is_2_however_far_archgov_may_go(run: Run, fleet: Fleet, intents: Intents, mode: str) -> None:
    found = run("plan", "-f", intents(EU_ONLY.replace("Enforce", mode)), "--snapshot", fleet(), "--json")
    assert found.exit_code == 2
    [change] = json.loads(found.stdout)["changes"]
    assert (change["service"], change["mode"], change["now"], change["then"]) == (
        "pay/ledger",
        mode,
        {"us-1": 2},
        {"eu-1": 2},
    )
    assert change["why"] == [f"spec.allow ({JURISDICTION}=eu)"]
    assert change["risk"] == "2 leave after 2 are Ready; no PodDisruptionBudget"


def test_infeasible_is_3_and_wins_over_changes(run: Run, fleet: Fleet, intents: Intents) -> None:
    intents(EU_ONLY.replace("name: eu,", "name: other,").replace("pay", "media"), "media.yaml")
    found = run("plan", "-f", intents(THREE), "--snapshot", fleet(), "--json")
    assert found.exit_code == 3
    document = json.loads(found.stdout)
    assert document["result"] == "Refused"
    [refused] = document["refused"]
    assert refused["about"] == ["PlacementIntent pay/eu"]
    assert "spec.spread[0].minDomains=2" in refused["message"]
    assert refused["remedies"]


def test_the_document_has_these_names(run: Run, fleet: Fleet, intents: Intents) -> None:
    document = json.loads(run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet(), "-o", "json").stdout)
    assert list(document) == [
        "result",
        "services",
        "cost",
        "gap",
        "lost",
        "changes",
        "refused",
        "notDone",
        "findings",
        "intents",
        "snapshot",
    ]
    assert document["services"] == {"all": 4, "changing": 1}
    assert document["gap"] == 0
    assert document["intents"][0] == {
        "intent": "PlacementIntent pay/eu",
        "mode": "Enforce",
        "ready": "False",
        "reason": "Applying",
        "summary": document["intents"][0]["summary"],
        "workloads": 1,
        "survivable": None,
    }


def test_yaml_says_what_json_says(run: Run, fleet: Fleet, intents: Intents) -> None:
    folder, file = intents(EU_ONLY), fleet()
    texts = [run("plan", "-f", folder, "--snapshot", file, "-o", form).stdout for form in ("yaml", "json")]
    assert yaml.safe_load(texts[0]) == json.loads(texts[1])


def test_markdown_is_as_it_was(run: Run, fleet: Fleet, intents: Intents) -> None:
    """REWRITE_GOLDEN=1 writes the file anew; then it is read before it is committed."""
    asked = [
        failover("shop/crit", tolerate={"cluster": 1}, share=60),
        placement("media/cheap"),
        placement("media/wide", spread=[spread("region", min_domains=3)]),
        placement("shop/here", load=Load.PER_DOMAIN),
    ]
    found = run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet(asked), "-o", "markdown")
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(found.stdout, encoding="utf-8")
    assert found.stdout == GOLDEN.read_text(encoding="utf-8")
    assert found.exit_code == 3


def test_the_same_question_gets_the_same_answer(run: Run, fleet: Fleet, intents: Intents) -> None:
    file, folder = fleet([placement("media/cheap")]), intents(EU_ONLY)
    first, second = (run("plan", "-f", folder, "--snapshot", file, "-o", "json").stdout for _ in range(2))
    assert first == second


def test_a_pipe_gets_plain_text(run: Run, fleet: Fleet, intents: Intents) -> None:
    found = run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet()).stdout
    assert "\x1b" not in found
    assert "│" not in found
    assert found.splitlines()[1].split() == ["SERVICE", "NOW", "THEN", "WHY", "RISK", "BY"]


def test_files_are_laid_over_what_is_there(run: Run, fleet: Fleet, intents: Intents) -> None:
    there = [placement("pay/eu", mode=Mode.ENFORCE), placement("media/cheap")]
    over = json.loads(run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet(there), "--json").stdout)
    assert [intent["intent"] for intent in over["intents"]] == ["PlacementIntent media/cheap", "PlacementIntent pay/eu"]
    assert over["changes"][0]["then"] == {"eu-1": 2}, "the file's pay/eu counts"
    pruned = json.loads(run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet(there), "--json", "--prune").stdout)
    assert [intent["intent"] for intent in pruned["intents"]] == ["PlacementIntent pay/eu"]


def test_an_unchanged_file_is_the_intent_that_is_there(run: Run, fleet: Fleet, intents: Intents) -> None:
    file = fleet()
    with_it = run("plan", "-f", intents(EU_ONLY), "--snapshot", file, "--json")
    assert with_it.exit_code == 2
    assert run("plan", "--snapshot", file).exit_code == 0


def test_a_cluster_is_planned_with_at_the_prices_of_the_file(run: Run, fleet: Fleet, intents: Intents) -> None:
    dear = (
        "apiVersion: archgov.io/v1alpha1\nkind: MemberCluster\nmetadata: {name: us-1}\n"
        'spec: {local: true, location: {provider: acme, region: us}, prices: {cpu: "9"}}\n'
    )
    file = fleet([placement("media/cheap")])
    assert run("plan", "--snapshot", file).exit_code == 2
    found = run("plan", "-f", intents(dear), "--snapshot", file)
    assert found.exit_code == 0, found.output
    stranger = run("plan", "-f", intents(dear.replace("us-1", "us-9")), "--snapshot", file)
    assert "warning: MemberCluster us-9 is not observed yet" in stranger.stderr


def test_a_stale_cluster_is_refused_with_two_ways_on(run: Run, fleet: Fleet) -> None:
    file = fleet([placement("media/cheap")], unseen="us-1", age=240)
    found = run("plan", "--snapshot", file)
    assert found.exit_code == 1
    assert found.stderr == (
        'error: cannot reach cluster "us-1": connection refused\n'
        "  its last observation is 4 min old; plan anyway with --stale-after 5m, or leave it out with --without us-1\n"
    )
    assert found.stdout == ""
    assert run("plan", "--snapshot", file, "--stale-after", "5m").exit_code in (0, 2)
    assert run("plan", "--snapshot", file, "--without", "us-1").exit_code in (0, 2)
    assert run("plan", "--snapshot", fleet(unseen="us-1", age=30)).exit_code == 0


def test_a_result_can_go_to_a_file(run: Run, fleet: Fleet, intents: Intents, tmp_path: Path) -> None:
    found = run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet(), "--json", "--out", tmp_path / "plan.json")
    assert (found.exit_code, found.stdout) == (2, "")
    assert json.loads((tmp_path / "plan.json").read_text())["result"] == "Changes"
    nowhere = run("plan", "--snapshot", fleet(), "--out", tmp_path / "no" / "plan.txt")
    assert (nowhere.exit_code, nowhere.stderr.startswith("error: can't write ")) == (1, True)


def test_what_collides_is_told_of_the_intent_in_the_files(run: Run, fleet: Fleet, intents: Intents) -> None:
    # By name the older one comes first; only the other is asked about.
    older = placement("pay/abroad", deny={JURISDICTION: "eu"}, mode=Mode.ENFORCE)
    document = json.loads(run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet([older]), "--json").stdout)
    assert document["refused"]
    assert all(finding["about"][0] == "PlacementIntent pay/eu" for finding in document["refused"])


def test_what_is_refused_is_not_called_optimal(run: Run, fleet: Fleet, intents: Intents) -> None:
    three = THREE.replace("minDomains: 2", "minDomains: 3").replace("allow:", "deny: {matchLabels: {a: b}}, allow:")
    head = run("plan", "-f", intents(three), "--snapshot", fleet()).stdout.splitlines()[0]
    assert "1 refused" in head
    assert "optimal" not in head


def test_one_of_a_thing_is_one(run: Run, fleet: Fleet, intents: Intents, tmp_path: Path) -> None:
    head = run("plan", "-f", intents(EU_ONLY), "--snapshot", fleet()).stdout.splitlines()[0]
    assert "1 of 4 services changes" in head
    one = a_fleet([a_cluster("eu")], [a_workload("shop/cart", {"eu/a": 1})])
    told = run("plan", "--snapshot", saved(a_snapshot(one), tmp_path, "one.snapshot")).stdout
    assert "nothing to do for 1 service" in told.splitlines()[0]
    assert "1 services" not in told


def test_tables_fit_a_terminal_and_say_the_same(run: Run, fleet: Fleet) -> None:
    asked = [failover("shop/very-critical", tolerate={"cluster": 1}, share=60), placement("media/cheap-not-far")]
    told = run("plan", "--snapshot", fleet(asked)).stdout.splitlines()
    table = told[1 : next(n for n, line in enumerate(told) if line.startswith("Not done"))]
    assert max(map(len, table)) <= WIDEST
    words = " ".join(table).split()
    assert all(word in words for word in ("media/cheap-not-far", "Ready", "(Recommend)"))
    assert any("eu-1 4 ·" in line for line in table), "a place stays beside its count"
