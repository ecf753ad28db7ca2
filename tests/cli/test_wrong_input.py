"""Wrong input of every sort: exit 1, one line of what, one of how, nothing on standard output, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.build import placement
from tests.cli.conftest import Run

Fleet = Callable[..., Path]
Intents = Callable[..., Path]

HEAD = "apiVersion: archgov.io/v1alpha1\n"
GOOD = HEAD + "kind: PlacementIntent\nmetadata: {name: x, namespace: shop}\nspec: {target: {workloads: {}}}\n"


def refused(found: Result, *parts: str) -> None:
    assert found.exit_code == 1, found.output
    assert found.stdout == ""
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr
    for part in parts:
        assert part in found.stderr


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (GOOD + "a: b: c\n", ["shop.yaml:5: is no YAML"]),
        (GOOD.replace("PlacementIntent", "PlacmentIntent"), ["shop.yaml:1", '"PlacmentIntent"', "PlacementIntent"]),
        (GOOD.replace("workloads: {}}", "workloads: {}}, foo: 1"), ["shop.yaml:1", "spec.foo is unknown"]),
        (GOOD.replace("workloads: {}}", 'workloads: {}}, priority: "1"'), ["spec.priority"]),
        (GOOD + "---\n" + GOOD, ["shop.yaml:6", "is already in"]),
        (GOOD + "metadata: {name: y}\n", ['"metadata" is here twice']),
        ("just text\n", ["shop.yaml:1: is no Kubernetes object"]),
        ("a: &b [*b]\n", ["anchors and aliases are not read"]),
        ("\x00", ["shop.yaml"]),
        (GOOD.replace("archgov.io/", "archgov/"), ["shop.yaml:1", 'apiVersion is "archgov/v1alpha1"; must be']),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
            ["no object of archgov's is in", "apiVersion: archgov.io/"],
        ),
        ("# nothing\n", ["no object of archgov's is in"]),
        (GOOD.replace("name: x", "name: My_Intent"), ['metadata.name is "My_Intent"; must be lower-case']),
    ],
)
def test_bad_yaml_is_told_with_its_line(run: Run, fleet: Fleet, intents: Intents, text: str, parts: list[str]) -> None:
    refused(run("plan", "-f", intents(text), "--snapshot", fleet()), *parts)


def test_everything_wrong_is_told_at_once(run: Run, fleet: Fleet, intents: Intents) -> None:
    folder = intents(GOOD.replace("workloads", "worklods"))
    intents(GOOD.replace("name: x", "name: y").replace("spec", "spek"), "second.yaml")
    refused(run("plan", "-f", folder, "--snapshot", fleet()), "shop.yaml:1", "second.yaml:1", "worklods", "spek")


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["plan", "-f", "nowhere", "--snapshot", "FLEET"], ["there is no nowhere"]),
        (["plan", "-f", ".", "--snapshot", "EMPTY"], ["holds no snapshot"]),
        (["plan", "--snapshot", "missing.snapshot"], ["can't read missing.snapshot: No such file or directory"]),
        (["plan", "--snapshot", "."], ["can't read .: Is a directory"]),
        (["plan", "--snapshot", "FLEET", "--kubeconfig", "x"], ["name two fleets"]),
        (["plan"], ["--kubeconfig FILE names a cluster", ".kube/config"]),
        (["plan", "--kubeconfig", "missing.yaml"], ["missing.yaml"]),
        (["plan", "--snapshot", "FLEET", "--without", "mars"], ['no cluster "mars" to leave out', "eu-1, eu-2, us-1"]),
        (["plan", "--snapshot", "FLEET", "--stale-after", "soon"], ["--stale-after", '"soon"']),
        (["plan", "--snapshot", "FLEET", "-o", "xml"], ["xml", "see: "]),
        (["plan", "--snapshot"], ["requires an argument", "plan --help"]),
        (["plan", "--wat"], ["no such option: --wat", "plan --help"]),
        (["wat"], ["no such command 'wat'"]),
        (["simulate", "--snapshot", "FLEET"], ["nothing is supposed to happen"]),
        (["simulate", "--snapshot", "FLEET", "--fail", "mars"], ['"mars" is no place of this fleet', "eu-1"]),
        (["simulate", "--snapshot", "FLEET", "--demand", "lots"], ['--demand is "lots"', "+30%"]),
        (["simulate", "--snapshot", "FLEET", "--demand", "-101%"], ['--demand is "-101%"']),
        (["explain", "--snapshot", "FLEET"], ["missing argument"]),
        (["explain", "pi", "--snapshot", "FLEET"], ['"pi" names no intent']),
        (["explain", "pod/x", "--snapshot", "FLEET"], ['"pod/x" names no intent', "pi"]),
        (["explain", "pi/none", "-n", "shop", "--snapshot", "FLEET"], ["there is no PlacementIntent shop/none"]),
        (["explain", "pi/x", "-n", "shop", "--snapshot", "FLEET", "--workload", "y"], ['no workload "y"', "cart"]),
        (["explain", "pi/x", "-n", "shop", "--snapshot", "FLEET", "--why-not", "y"], ['"y" is no place']),
        (["snapshot"], ["missing option", "--out"]),
        (["snapshot", "--out", "x"], ["--kubeconfig FILE names a cluster"]),
        (["stop"], ["missing option", "--reason"]),
        (["stop", "--reason", " "], ["--reason is empty"]),
        (["stop", "--reason", "x", "--until", "soon"], ['--until is "soon"']),
        (["stop", "--reason", "x", "--until", "2020-01-01T00:00:00Z"], ["is over"]),
        (["stop", "--reason", "x", "--until", "2090-01-01T00:00:00"], ["has no time zone"]),
        (["resume", "--kubeconfig", "missing.yaml"], ["missing.yaml"]),
        (["suggest", "--snapshot", "EMPTY"], ["holds no snapshot"]),
        (["report", "--snapshot", "FLEET"], ["missing option", "--out"]),
        (["report", "--snapshot", "FLEET", "--out", "no/where.html"], ["can't write no/where.html"]),
    ],
)
def test_wrong_usage_is_1_with_a_way_on(run: Run, fleet: Fleet, args: list[str], parts: list[str]) -> None:
    file = fleet([placement("shop/x")])
    empty = file.with_name("empty.snapshot")
    empty.write_bytes(b"")
    refused(run(*({"FLEET": str(file), "EMPTY": str(empty)}.get(arg, arg) for arg in args)), *parts)


@pytest.mark.parametrize("where", [0, 100, -30])
def test_a_damaged_snapshot_is_refused(run: Run, fleet: Fleet, where: int) -> None:
    file = fleet([placement("shop/x")])
    content = bytearray(file.read_bytes())
    content[where] ^= 0xFF
    file.write_bytes(bytes(content[: len(content) // 2]) if where == 100 else bytes(content))
    found = run("plan", "--snapshot", file)
    refused(found, "fleet.snapshot")


def test_a_file_that_is_no_kubeconfig_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kube.yaml").write_text("just: text\n")
    refused(run("plan", "--kubeconfig", "kube.yaml"), "kube.yaml")
