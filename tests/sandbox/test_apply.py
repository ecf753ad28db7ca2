"""Server-side apply: who owns which field."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from archgov.sandbox.fields import decode, encode
from tests.sandbox.api import DEPLOYMENTS, WIDGETS, Api, Json, deployment, widget


def owners(body: Json) -> dict[tuple[str, str], Json]:
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in body["metadata"]["managedFields"]}


def test_an_apply_creates_what_is_not_there_and_owns_what_it_said(api: Api) -> None:
    made = api.apply(f"{WIDGETS}/own", widget("own", size=3), "alice")
    assert made.code == 201
    assert owners(made.body) == {("alice", "Apply"): {"f:spec": {"f:size": {}}}}


def test_another_manager_is_told_whose_field_it_wants(api: Api) -> None:
    api.apply(f"{WIDGETS}/fight", widget("fight", size=3), "alice")
    refused = api.apply(f"{WIDGETS}/fight", widget("fight", size=4), "bob")
    assert refused.code == 409
    assert (
        refused.body["message"] == 'Apply failed with 1 conflict: conflict with "alice" using example.io/v1: .spec.size'
    )
    assert refused.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "alice" using example.io/v1',
            "field": ".spec.size",
        }
    ]
    forced = api.apply(f"{WIDGETS}/fight", widget("fight", size=4), "bob", "&force=true").body
    assert forced["spec"]["size"] == 4
    assert list(owners(forced)) == [("bob", "Apply")]


def test_two_managers_share_a_value_they_agree_on(api: Api) -> None:
    api.apply(f"{WIDGETS}/agree", widget("agree", size=3), "alice")
    shared = api.apply(f"{WIDGETS}/agree", widget("agree", size=3), "bob")
    assert shared.code == 200
    assert set(owners(shared.body)) == {("alice", "Apply"), ("bob", "Apply")}


def test_what_an_applier_leaves_out_goes_unless_somebody_else_owns_it(api: Api) -> None:
    path = f"{WIDGETS}/leave"
    api.apply(path, widget("leave", share="10%", labels={"a": "1"}), "alice")
    api.apply(path, widget("leave", share="10%"), "bob")
    after = api.apply(path, widget("leave"), "alice").body
    assert after["spec"]["share"] == "10%"
    assert "labels" not in after["spec"]


def test_keyed_lists_are_shared_by_item(api: Api) -> None:
    path = f"{WIDGETS}/items"
    api.apply(path, widget("items", parts=[{"name": "a", "n": 1}]), "alice")
    both = api.apply(path, widget("items", parts=[{"name": "b", "n": 2}]), "bob").body
    assert both["spec"]["parts"] == [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
    alone = api.apply(path, widget("items"), "alice").body
    assert alone["spec"]["parts"] == [{"name": "b", "n": 2}]


def test_an_unchanged_apply_writes_nothing(api: Api) -> None:
    path = f"{WIDGETS}/still"
    before = api.apply(path, widget("still"), "alice").version
    assert api.apply(path, widget("still"), "alice").version == before


def test_an_ordinary_update_owns_what_it_changed(api: Api) -> None:
    path = f"{WIDGETS}/mixed"
    api.apply(path, widget("mixed", size=1), "alice")
    patched = api.patch(f"{path}?fieldManager=hand", {"spec": {"size": 5}}).body
    assert owners(patched) == {("hand", "Update"): {"f:spec": {"f:size": {}}}}
    assert api.apply(path, widget("mixed", size=1), "alice").code == 409


def test_scaling_takes_the_replicas_from_whoever_applied_them(api: Api) -> None:
    path = f"{DEPLOYMENTS}/taken"
    api.apply(path, deployment("taken", 0), "gitops")
    api.patch(f"{path}/scale?fieldManager=kubectl", {"spec": {"replicas": 1}})
    refused = api.apply(path, deployment("taken", 0), "gitops")
    assert refused.code == 409
    assert 'conflict with "kubectl" with subresource "scale"' in refused.body["message"]
    assert refused.body["message"].endswith(".spec.replicas")


def test_status_is_applied_through_its_own_door(api: Api) -> None:
    path = f"{WIDGETS}/state"
    api.apply(path, widget("state"), "alice")
    body = {**widget("state", size=7), "status": {"ready": "True"}}
    after = api.apply(f"{path}/status", body, "archgov-status").body
    assert (after["spec"]["size"], after["status"]["ready"]) == (1, "True")
    assert owners(after)["archgov-status", "Apply"] == {"f:status": {"f:ready": {}}}


def test_an_apply_without_a_manager_is_refused(api: Api) -> None:
    assert api.ask("PATCH", f"{WIDGETS}/nobody", widget("nobody"), "application/apply-patch+yaml").code == 422


element = st.one_of(
    st.sampled_from(["f:spec", "f:a.b", "f:c"]),
    st.sampled_from(['k:{"name":"x"}', 'v:"y"']),
)


@given(st.frozensets(st.lists(element, min_size=1, max_size=4).map(tuple)))
def test_paths_survive_being_written_as_fields(paths: frozenset[tuple[Any, ...]]) -> None:
    assert decode(encode(paths)) == paths
