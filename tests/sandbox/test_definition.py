"""Custom resources: served from their schema."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.api import STRATEGIC, WIDGETS, Api, eventually, widget, widget_definition


def test_defaults_of_the_schema_are_filled_in_however_deep(api: Api) -> None:
    body = api.create(WIDGETS, widget("defaults")).body
    assert body["spec"] == {"size": 1, "mode": "Off", "window": {"length": "10m"}}
    assert body["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"size": 0}, "spec.size", "Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": "two"}, "spec.size", 'spec.size in body must be of type integer: "string"'),
        ({"mode": "Maybe"}, "spec.mode", 'Unsupported value: "Maybe": supported values: "On", "Off"'),
        ({"share": "0.6"}, "spec.share", "Invalid value: \"0.6\": spec.share in body should match '^[0-9]{1,3}%$'"),
        ({"parts": [{"n": 1}]}, "spec.parts[0].name", "Required value"),
        ({"parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]", 'Duplicate value: {"name":"a"}'),
        ({"parts": [{"name": c} for c in "abcd"]}, "spec.parts", "Too many: 4: must have at most 3 items"),
        ({"tags": ["x", "x"]}, "spec.tags[1]", 'Duplicate value: "x"'),
        ({"labels": {"a": 1}}, "spec.labels.a", "must be of type string"),
        ({"port": True}, "spec.port", "must be of type integer,string"),
    ],
)
def test_what_the_schema_refuses_is_named(api: Api, spec: dict[str, Any], field: str, message: str) -> None:
    refused = api.create(WIDGETS, widget("bad", **spec))
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert refused.body["message"].startswith('Widget.example.io "bad" is invalid: ')
    (cause,) = refused.body["details"]["causes"]
    assert cause["field"] == field
    assert message in cause["message"]


def test_a_missing_required_field_is_named(api: Api) -> None:
    body = widget("bare")
    del body["spec"]["size"]
    assert api.create(WIDGETS, body).body["details"]["causes"][0]["field"] == "spec.size"


def test_unknown_fields_are_pruned_or_refused_by_name(api: Api) -> None:
    body = widget("pruned", foo=1, parts=[{"name": "a", "bar": 2}])
    refused = api.create(f"{WIDGETS}?fieldValidation=Strict", body)
    assert refused.code == 400
    assert (
        'strict decoding error: unknown field "spec.foo", unknown field "spec.parts[0].bar"' in refused.body["message"]
    )
    stored = api.create(f"{WIDGETS}?fieldValidation=Ignore", body).body
    assert "foo" not in stored["spec"]
    assert stored["spec"]["parts"] == [{"name": "a"}]


def test_status_and_spec_are_written_through_doors_of_their_own(api: Api) -> None:
    api.create(WIDGETS, {**widget("doors"), "status": {"ready": "True"}})
    main = api.patch(f"{WIDGETS}/doors", {"spec": {"size": 2}, "status": {"ready": "True"}}).body
    assert (main["spec"]["size"], main["metadata"]["generation"], main["status"].get("ready")) == (2, 2, None)
    status = api.patch(f"{WIDGETS}/doors/status", {"spec": {"size": 9}, "status": {"ready": "True"}}).body
    assert (status["spec"]["size"], status["metadata"]["generation"], status["status"]["ready"]) == (2, 2, "True")
    assert [w["metadata"]["name"] for w in api.items(f"{WIDGETS}?fieldSelector=status.ready%3DTrue")] == ["doors"]


def test_a_put_without_a_version_is_refused(api: Api) -> None:
    api.create(WIDGETS, widget("blind"))
    assert api.ask("PUT", f"{WIDGETS}/blind", widget("blind", size=2)).code == 422


def test_a_strategic_patch_is_not_for_custom_resources(api: Api) -> None:
    api.create(WIDGETS, widget("plain"))
    assert api.patch(f"{WIDGETS}/plain", {"spec": {"size": 2}}, STRATEGIC).code == 415


def test_printer_columns_fill_the_table(api: Api) -> None:
    api.create(WIDGETS, widget("shown", size=4))
    api.patch(f"{WIDGETS}/shown/status", {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    table = api.get(f"{WIDGETS}/shown", Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [(c["name"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", 0),
        ("Ready", 0),
        ("Size", 0),
        ("Mode", 1),
        ("Age", 0),
    ]
    assert table["rows"][0]["cells"][:4] == ["shown", "Unknown", 4, "Off"]


def test_a_definition_that_goes_takes_its_objects_along(api: Api) -> None:
    body = widget_definition()
    body["metadata"]["name"] = "gears.example.io"
    body["spec"]["names"] = {"plural": "gears", "kind": "Gear"}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = api.create(path, body).body
    assert {c["type"]: c["status"] for c in made["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    gears = "/apis/example.io/v1/namespaces/shop/gears"
    assert api.create(gears, {"metadata": {"name": "g"}, "spec": {"size": 1}}).code == 201
    api.delete(f"{path}/gears.example.io")
    eventually(lambda: api.get(gears).code == 404)
    assert api.get(f"{path}/gears.example.io").code == 404


def test_a_definition_whose_name_does_not_fit_is_refused(api: Api) -> None:
    body = widget_definition()
    body["metadata"]["name"] = "other.example.io"
    refused = api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    assert (refused.code, refused.body["details"]["causes"][0]["field"]) == (422, "metadata.name")
