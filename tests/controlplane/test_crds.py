"""The generated CRDs, the samples, and the refused objects, on a real API server.

A file in tests/api/refused/ opens with `# refused: <part of the server's message>`. Its last document is the one that
must be refused; those before it are applied first, for rules that compare an object with its former self.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.plane import Answer, Plane

ROOT = Path(__file__).resolve().parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
SAMPLES = sorted((ROOT / "crds" / "samples").rglob("*.yaml"))
REFUSED = sorted((ROOT / "tests" / "api" / "refused").glob("*.yaml"))
REFUSED_MARK = "# refused: "
ESTABLISHED_SECONDS = 60
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MERGE = "application/merge-patch+json"

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(300)]


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if each]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def ours(sample: Mapping[str, Any]) -> bool:
    """Whether an object is of our own kinds; samples may bring a ConfigMap or a Namespace along."""
    return str(sample["apiVersion"]).startswith("archgov.io/")


OUR_SAMPLES = {
    f"{name_of(path)}#{number}": each for path in SAMPLES for number, each in enumerate(documents(path)) if ours(each)
}
KINDS = {each["kind"]: each for each in OUR_SAMPLES.values()}  # one sample a kind


@pytest.fixture(scope="session")
def plane(control_plane: Plane) -> Plane:
    """The control plane with every CRD established."""
    for path in CRDS:
        for crd in documents(path):
            answer = control_plane.apply(crd)
            assert answer.code in (200, 201), f"{name_of(path)}: {answer.message}"
            assert answer.warnings == (), f"{name_of(path)}: {answer.warnings}"
            wait_until_served(control_plane, crd)
    return control_plane


@pytest.fixture
def world(plane: Plane) -> Iterator[World]:
    """Objects made through this are gone after the test, since samples of one kind may share a name."""
    world = World(plane)
    yield world
    world.clear()


class World:
    """What one test has put into the API server."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self._paths: list[str] = []

    def applied(self, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The path and the stored form of an object that the server must accept."""
        path = self._prepared(body)
        answer = self.plane.apply(body)
        assert answer.code in (200, 201), answer.message
        return path, self.plane.call("GET", path).body

    def write(self, body: Mapping[str, Any]) -> Answer:
        """A strict create, or a strict replacement where the object exists: both say which field is wrong and why."""
        path = self._prepared(body)
        stored = self.plane.call("GET", path)
        if stored.code == 404:
            return self.plane.call("POST", path.rpartition("/")[0], body, fieldValidation="Strict")
        named = body["metadata"] | {"resourceVersion": stored.body["metadata"]["resourceVersion"]}
        return self.plane.call("PUT", path, {**body, "metadata": named}, fieldValidation="Strict")

    def clear(self) -> None:
        for path in reversed(self._paths):
            answer = self.plane.call("DELETE", path)
            assert answer.code in (200, 404), answer.message

    def _prepared(self, body: Mapping[str, Any]) -> str:
        """The path of an object whose namespace exists, and which is deleted after the test."""
        if name := body["metadata"].get("namespace"):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            assert self.plane.apply(namespace).code in (200, 201)
        path = self.plane.path(body)
        self._paths.append(path)
        return path


def conditions(plane: Plane, crd: Mapping[str, Any]) -> dict[str, str]:
    """Type and status of each condition; the server's very first answers carry none."""
    status = plane.call("GET", plane.path(crd)).body.get("status", {})
    return {each["type"]: each["status"] for each in status.get("conditions") or []}


def is_served(plane: Plane, crd: Mapping[str, Any]) -> bool:
    """Whether discovery names the kind and its objects can be listed: both come a moment after Established."""
    root = f"/apis/{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}"
    plural = crd["spec"]["names"]["plural"]
    named = plane.call("GET", root).body.get("resources") or []
    return any(each["name"] == plural for each in named) and plane.call("GET", f"{root}/{plural}").code == 200


def wait_until_served(plane: Plane, crd: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    while conditions(plane, crd).get("Established") != "True" or not is_served(plane, crd):
        assert time.monotonic() < deadline, f"{plane.path(crd)} is not served: {conditions(plane, crd)}"
        time.sleep(0.05)


def missing(given: Any, stored: Any, path: str = "") -> list[str]:
    """Where the stored object lacks or contradicts what was given; defaults may come on top."""
    if isinstance(given, dict) and isinstance(stored, dict):
        return [line for key, value in given.items() for line in missing(value, stored.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(stored, list) and len(given) == len(stored):
        return [line for i, value in enumerate(given) for line in missing(value, stored[i], f"{path}[{i}]")]
    return [] if given == stored else [f"{path}: gave {given!r}, stored {stored!r}"]


def test_there_is_something_to_prove() -> None:
    assert CRDS, "crds/ holds no CRD; `make generate` writes them"
    assert REFUSED, "tests/api/refused/ holds no object"
    defined = {crd["spec"]["names"]["kind"] for path in CRDS for crd in documents(path)}
    assert defined - set(KINDS) == set(), "kinds without a sample in crds/samples/"


@pytest.mark.parametrize("path", CRDS, ids=name_of)
def test_a_crd_is_structural_and_served(plane: Plane, path: Path) -> None:
    for crd in documents(path):
        true = {kind for kind, status in conditions(plane, crd).items() if status == "True"}
        assert true == {"Established", "NamesAccepted"}


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_a_sample_applies_strictly_and_loses_nothing(world: World, path: Path) -> None:
    for sample in documents(path):
        _, stored = world.applied(sample)
        given = {key: value for key, value in sample.items() if key != "status"}
        assert missing(given, stored) == []


@pytest.mark.parametrize("sample", OUR_SAMPLES.values(), ids=OUR_SAMPLES)
def test_a_new_object_says_that_nobody_has_looked_at_it(world: World, sample: dict[str, Any]) -> None:
    _, stored = world.applied(sample)
    assert stored["status"]["observedGeneration"] == -1


@pytest.mark.parametrize("sample", KINDS.values(), ids=KINDS)
def test_status_is_written_only_through_its_subresource(world: World, sample: dict[str, Any]) -> None:
    path, before = world.applied(sample)

    through_the_object = world.plane.call("PATCH", path, {"status": {"observedGeneration": 7}}, content=MERGE)
    assert through_the_object.code == 200
    assert through_the_object.body["status"] == before["status"]

    patch = {"status": {"observedGeneration": 1}, "spec": None}
    through_status = world.plane.call("PATCH", f"{path}/status", patch, content=MERGE)
    assert through_status.code == 200, through_status.message
    assert through_status.body["status"]["observedGeneration"] == 1
    assert through_status.body["spec"] == before["spec"]
    assert through_status.body["metadata"]["generation"] == before["metadata"]["generation"]


@pytest.mark.parametrize("sample", KINDS.values(), ids=KINDS)
def test_an_unknown_field_is_refused_by_name(world: World, sample: dict[str, Any]) -> None:
    misspelt = copy.deepcopy(sample)
    misspelt["spec"]["replicaz"] = 3
    answer = world.write(misspelt)
    assert answer.code == 400
    assert 'unknown field "spec.replicaz"' in answer.message


@pytest.mark.parametrize("sample", KINDS.values(), ids=KINDS)
def test_a_table_opens_with_the_name_and_shows_ready_and_age(world: World, sample: dict[str, Any]) -> None:
    path, _ = world.applied(sample)
    table = world.plane.call("GET", path, accept=TABLE).body
    columns = [each["name"] for each in table["columnDefinitions"]]
    assert columns[0] == "Name"
    assert {"Ready", "Age"} <= set(columns)
    assert table["rows"][0]["cells"][0] == sample["metadata"]["name"]


@pytest.mark.parametrize("path", REFUSED, ids=name_of)
def test_a_bad_object_is_refused_with_its_reason(world: World, path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith(REFUSED_MARK), f"{name_of(path)} must open with `{REFUSED_MARK}<part of the message>`"
    *before, bad = documents(path)
    for each in before:
        world.applied(each)
    answer = world.write(bad)
    assert answer.code in (400, 422), answer
    assert first.removeprefix(REFUSED_MARK).strip() in answer.message


def test_every_write_is_on_record(world: World) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "on-record"}, "data": {"a": "1"}}
    path, _ = world.applied(settings)
    deadline = time.monotonic() + 10
    while path not in world.plane.audit_log.read_text():
        assert time.monotonic() < deadline, f"no line about {path} in {world.plane.audit_log}"
        time.sleep(0.05)
