"""CEL rules of custom resources: the sandbox refuses what a real API server refuses, in the same words.

`make test-crds` proves the marks of tests/api/refused/ on a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from archgov.api.crd import definitions
from archgov.api.registry import KINDS
from archgov.sandbox import Sandbox, SandboxOptions
from archgov.sandbox.errors import Cause
from archgov.sandbox.rules import rule_violations
from tests.sandbox.api import Answer, Api, Json

REFUSED = sorted((Path(__file__).resolve().parents[1] / "api" / "refused").glob("*.yaml"))
MARK = "# refused: "


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    with Sandbox({"hub": [shop, *definitions()]}, tmp_path_factory.mktemp("rules"), SandboxOptions()) as sandbox:
        yield Api.of(sandbox, "hub")


def collection(body: Json) -> str:
    home = body["metadata"].get("namespace")
    return f"/apis/{body['apiVersion']}/{f'namespaces/{home}/' if home else ''}{KINDS[body['kind']].plural}"


def replaced(hub: Api, body: Json) -> Answer:
    path = f"{collection(body)}/{body['metadata']['name']}"
    stored = {"resourceVersion": hub.get(path).version}
    return hub.ask("PUT", path, {**body, "metadata": {**body["metadata"], **stored}})


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_a_bad_object_is_refused_in_the_words_of_a_real_server(hub: Api, path: Path) -> None:
    *before, bad = [each for each in yaml.safe_load_all(path.read_text()) if each]
    for each in before:
        assert hub.apply(f"{collection(each)}/{each['metadata']['name']}", each).code in (200, 201)
    answer = replaced(hub, bad) if before else hub.create(collection(bad), bad)
    assert answer.code == 422, answer
    assert path.read_text().splitlines()[0].removeprefix(MARK).strip() in answer.body["message"]


def rules(*of: str, **more: Any) -> Json:
    return {"x-kubernetes-validations": [{"rule": rule, "message": f"not {rule}"} for rule in of], **more}


EPOCH = rules("!has(oldSelf.epoch) || self.epoch >= oldSelf.epoch", type="object")


@pytest.mark.parametrize(
    ("schema", "former", "value", "wrong"),
    [
        (EPOCH, None, {"epoch": 1}, []),
        (EPOCH, {}, {"epoch": 1}, []),
        (EPOCH, {"epoch": 1}, {"epoch": 2}, []),
        (EPOCH, {"epoch": 2}, {"epoch": 1}, ["<nil>"]),
        (EPOCH, {"epoch": 2}, {}, ["<nil>"]),  # a rule that can't be evaluated is not kept
        (rules("self.size() > 1", type="string"), None, "a", ["<nil>"]),
        (rules("self.size() > 1", type="string"), "a", "a", []),  # what doesn't change is not judged again
        (rules("quantity(self) > 1", type="string"), None, "a", []),
    ],
)
def test_rules_compare_with_what_was_there(schema: Json, former: Any, value: Any, wrong: list[str]) -> None:
    assert [cause.field for cause in rule_violations(schema, value, former, [])] == wrong


def test_items_of_a_map_are_compared_by_their_keys() -> None:
    item = EPOCH | {"properties": {"name": {"type": "string"}, "epoch": {"type": "integer"}}}
    keyed = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    former, value = (
        [{"name": "a", "epoch": 5}, {"name": "b", "epoch": 1}],
        [{"name": "b", "epoch": 2}, {"name": "a", "epoch": 4}],
    )
    assert [cause.field for cause in rule_violations(keyed, value, former, [])] == ["[1]"]


def test_after_a_wrong_type_no_rule_is_evaluated() -> None:
    found = [Cause("spec", "FieldValueTypeInvalid", "…")]
    assert "some validation rules were not checked" in rule_violations(EPOCH, {}, None, found)[0].message
    assert rule_violations({"type": "object"}, {}, None, found) == []
