"""Objects from files: found, placed, refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgov.api.load import LoadError, declared, read
from archgov.model.intent import Mode, PlacementIntent

INTENT = """
apiVersion: archgov.io/v1alpha1
kind: PlacementIntent
metadata: {name: %s}
spec: {target: {workloads: {}}}
"""
FLEET = """
apiVersion: archgov.io/v1alpha1
kind: Fleet
metadata: {name: fleet}
spec: {defaultMode: Enforce, stopped: {by: ada, reason: test, until: 2026-12-01T06:00:00Z}}
"""


def file(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problems(*paths: Path) -> tuple[str, ...]:
    with pytest.raises(LoadError) as refused:
        declared(read(*paths))
    return refused.value.problems


def test_directories_are_read_in_order_of_names(tmp_path: Path) -> None:
    file(tmp_path, INTENT % "b" + "---" + INTENT % "c", "z.yml")
    file(tmp_path, INTENT % "a", "deep/er/b.yaml")
    file(tmp_path, '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}', "y.json")
    file(tmp_path, "not: read", "notes.txt")
    found = read(tmp_path)
    assert [document.body["metadata"]["name"] for document in found] == ["a", "x", "b", "c"]
    assert [document.where.removeprefix(str(tmp_path)) for document in found] == [
        "/deep/er/b.yaml:2",
        "/y.json:1",
        "/z.yml:2",
        "/z.yml:7",
    ]


def test_items_of_a_list_are_objects(tmp_path: Path) -> None:
    item = "- {apiVersion: archgov.io/v1alpha1, kind: MemberCluster, metadata: {name: %s}, spec: {local: true}}\n"
    path = file(tmp_path, "apiVersion: v1\nkind: List\nitems:\n" + item % "a" + item % "b")
    assert [member.name for member in declared(read(path)).members] == ["a", "b"]


def test_a_fleet_among_the_files_counts_for_all_of_them(tmp_path: Path) -> None:
    found = declared(read(file(tmp_path, INTENT % "a" + "---" + FLEET)), namespace="shop")
    (intent,) = found.intents
    assert isinstance(intent, PlacementIntent)
    assert (intent.common.mode, intent.common.ref.namespace) == (Mode.ENFORCE, "shop")
    assert found.governance is not None
    assert found.governance.stopped is not None
    assert found.governance.stopped.until == 1_796_104_800, "a time without quotes is a text, as for the API server"


def test_an_object_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    first, second = file(tmp_path, INTENT % "a", "1.yaml"), file(tmp_path, INTENT % "a", "2.yaml")
    assert problems(tmp_path) == (f"{second}:2: PlacementIntent a is already in {first}:2; remove one",)


def test_every_bad_object_of_every_file_has_its_line(tmp_path: Path) -> None:
    bad = INTENT.replace("{}}", "{}}, mode: Auto") % "b"
    first, second = file(tmp_path, INTENT % "a" + "---" + bad, "1.yaml"), file(tmp_path, bad % (), "2.yaml")
    second.write_text(bad.replace("name: b", "name: c"))
    says = 'PlacementIntent spec.mode is "Auto"; must be one of Observe, Recommend, Approve, Enforce'
    assert problems(tmp_path) == (f"{first}:7: {says}", f"{second}:2: {says}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", ":2: is no YAML: did not find expected"),
        ("a:\n\t- b\n", ":2: is no YAML: found character that cannot start any token"),
        ("kind: A\nmetadata:\n  name: a\n  name: b\n", ':4: "name" is here twice; remove one'),
        ("a: &x [1]\nb: *x\n", ":2: anchors and aliases are not read; write the value out"),
        ("a: &x [*x]\n", ":1: anchors and aliases are not read; write the value out"),
        ("a: " + "[" * 100_000, ":1: is nested too deeply; no object needs 64 levels"),
        ("? [a]\n: b\n", ":1: a key must be text"),
        ("a: !!python/object:os.system x\n", ":1: is no YAML: could not determine a constructor"),
        ("a: " + "9" * 5000, ":1: has a value that makes no sense: "),
        ("a: \x01", ": is no YAML: unacceptable character"),
        ("- 1\n", ":1: is no Kubernetes object; give it apiVersion, kind, metadata"),
        ("kind: A\n", ":1: is no Kubernetes object; give it apiVersion, kind, metadata"),
        ("apiVersion: archgov.io/v1alpha1\nkind: DataSet\n", ':1: kind is "DataSet"; archgov.io/v1alpha1 has Fleet,'),
        ("apiVersion: archgov.io/v9\nkind: Fleet\n", ':1: apiVersion is "archgov.io/v9"; must be'),
    ],
)
def test_what_is_no_object_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = file(tmp_path, text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}{message}")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert problems(path) == (f"{path}: is no UTF-8 text",)


def test_a_file_that_is_not_there_and_an_empty_directory_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path / "x.yaml") == (f"{tmp_path / 'x.yaml'}: can't be read: No such file or directory",)
    assert problems(tmp_path) == (f"{tmp_path}: no YAML files here; name another directory",)


def test_a_bad_series_is_refused_where_its_config_map_is(tmp_path: Path) -> None:
    series = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\ndata: {a.csv: nonsense}\n"
    spec = "{target: {workloads: {}}, perReplica: 1, demand: {series: {configMap: d, key: a.csv}}}"
    intent = f"apiVersion: archgov.io/v1alpha1\nkind: CapacityIntent\nmetadata: {{name: a}}\nspec: {spec}\n"
    path = file(tmp_path, f"{series}---\n{intent}")
    assert problems(path) == (
        f'{path}:1: ConfigMap default/d data.a.csv line 1 is "nonsense"; must be "time,place,amount"',
    )


def test_a_series_that_is_not_among_the_files_is_left_to_the_cluster(tmp_path: Path) -> None:
    spec = "{target: {workloads: {}}, perReplica: 1, demand: {series: {configMap: d, key: a.csv}}}"
    path = file(
        tmp_path, f"apiVersion: archgov.io/v1alpha1\nkind: CapacityIntent\nmetadata: {{name: a}}\nspec: {spec}\n"
    )
    assert declared(read(path)).series == ()
