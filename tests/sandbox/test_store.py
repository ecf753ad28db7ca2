"""What the API server promises about objects, whatever their kind."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from archgov.sandbox import Sandbox
from tests.sandbox.api import APPLY, DEPLOYMENTS, JSON_PATCH, STRATEGIC, Api, Json, config_map, deployment, eventually

MAPS = "/api/v1/namespaces/shop/configmaps"


def reasons(body: Json) -> list[str]:
    return [cause["field"] for cause in body["details"]["causes"]]


def test_an_unknown_token_is_refused(sandbox: Sandbox, api: Api) -> None:
    stranger = Api(api.url, "nobody", api.trust)
    assert stranger.get("/api/v1/nodes").code == 401


def test_every_known_user_is_told_who_it_is(sandbox: Sandbox) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    known = {"archgov": "system:serviceaccount:archgov-system:archgov", "admin": "kubernetes-admin", "jane": "jane"}
    told = {
        user: Api.of(sandbox, "eu", user).create(path, review).body["status"]["userInfo"]["username"] for user in known
    }
    assert told == known


def test_a_created_object_has_what_only_the_server_gives(api: Api) -> None:
    made = api.create(MAPS, config_map("made", a="1"))
    assert made.code == 201
    assert {"uid", "resourceVersion", "creationTimestamp"} <= set(made.body["metadata"])
    assert api.create(MAPS, config_map("made")).body["reason"] == "AlreadyExists"


def test_nothing_is_created_in_a_namespace_that_is_not_there(api: Api) -> None:
    body = {**config_map("x"), "metadata": {"name": "x"}}
    refused = api.create("/api/v1/namespaces/nowhere/configmaps", body)
    assert (refused.code, refused.body["message"]) == (404, 'namespaces "nowhere" not found')


def test_a_name_that_kubernetes_would_not_take_is_refused(api: Api) -> None:
    refused = api.create(MAPS, config_map("Not_A_Name"))
    assert (refused.code, reasons(refused.body)) == (422, ["metadata.name"])


def test_a_stale_version_is_a_conflict(api: Api) -> None:
    before = api.create(MAPS, config_map("race", a="1")).body
    assert api.ask("PUT", f"{MAPS}/race", {**before, "data": {"a": "2"}}).code == 200
    late = api.ask("PUT", f"{MAPS}/race", {**before, "data": {"a": "3"}})
    assert (late.code, late.body["reason"]) == (409, "Conflict")
    assert api.get(f"{MAPS}/race").body["data"] == {"a": "2"}


def test_a_write_without_a_change_keeps_the_version(api: Api) -> None:
    before = api.create(MAPS, config_map("calm", a="1")).version
    assert api.patch(f"{MAPS}/calm", {"data": {"a": "1"}}).version == before
    assert api.patch(f"{MAPS}/calm", {"data": {"a": "2"}}).version != before


def test_a_merge_patch_removes_what_is_null(api: Api) -> None:
    api.create(MAPS, config_map("merge", a="1", b="2"))
    assert api.patch(f"{MAPS}/merge", {"data": {"a": None, "c": "3"}}).body["data"] == {"b": "2", "c": "3"}


def test_a_json_patch_whose_test_fails_changes_nothing(api: Api) -> None:
    api.create(MAPS, config_map("json", a="1"))
    steps = [{"op": "test", "path": "/data/a", "value": "9"}, {"op": "replace", "path": "/data/a", "value": "2"}]
    assert api.patch(f"{MAPS}/json", steps, JSON_PATCH).code == 422
    steps[0]["value"] = "1"
    assert api.patch(f"{MAPS}/json", steps, JSON_PATCH).body["data"] == {"a": "2"}


def test_a_strategic_patch_merges_lists_by_their_key(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("strategic", 0))
    env = [{"name": "A", "value": "1"}]
    change = {
        "spec": {"template": {"spec": {"containers": [{"name": "main", "env": env}, {"name": "side", "image": "s:1"}]}}}
    }
    after = api.patch(f"{DEPLOYMENTS}/strategic", change, STRATEGIC).body
    main, side = after["spec"]["template"]["spec"]["containers"]
    assert (main["image"], main["env"], side["image"]) == ("strategic:1", env, "s:1")
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    after = api.patch(f"{DEPLOYMENTS}/strategic", gone, STRATEGIC).body
    assert [each["name"] for each in after["spec"]["template"]["spec"]["containers"]] == ["main"]


def test_a_dry_run_answers_as_if_and_stores_nothing(api: Api) -> None:
    assert api.create(f"{MAPS}?dryRun=All", config_map("ghost")).code == 201
    assert api.get(f"{MAPS}/ghost").code == 404


def test_only_a_change_of_the_spec_counts_for_the_generation(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("counted", 0))
    seen = api.patch(f"{DEPLOYMENTS}/counted", {"metadata": {"labels": {"a": "b"}}}).body["metadata"]["generation"]
    assert seen == 1
    assert api.patch(f"{DEPLOYMENTS}/counted", {"spec": {"paused": True}}).body["metadata"]["generation"] == 2


def test_the_scale_subresource_refuses_a_stale_version(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("scaled", 0))
    scale = api.get(f"{DEPLOYMENTS}/scaled/scale").body
    api.patch(f"{DEPLOYMENTS}/scaled", {"metadata": {"labels": {"x": "y"}}})
    late = {"metadata": {"resourceVersion": scale["metadata"]["resourceVersion"]}, "spec": {"replicas": 1}}
    assert api.patch(f"{DEPLOYMENTS}/scaled/scale", late).code == 409
    now = {"metadata": {"resourceVersion": api.get(f"{DEPLOYMENTS}/scaled/scale").version}, "spec": {"replicas": 1}}
    # The controller reports on the Deployment meanwhile, so the version may have moved once more.
    assert eventually(
        lambda: (
            api.patch(
                f"{DEPLOYMENTS}/scaled/scale",
                {**now, "metadata": {"resourceVersion": api.get(f"{DEPLOYMENTS}/scaled/scale").version}},
            ).body.get("spec")
            == {"replicas": 1}
        )
    )


def test_an_unknown_field_is_named_where_validation_is_strict(api: Api) -> None:
    body = deployment("typo", 0)
    body["spec"]["replica"] = 3
    refused = api.create(f"{DEPLOYMENTS}?fieldValidation=Strict", body)
    assert refused.code == 400
    assert 'strict decoding error: unknown field "spec.replica"' in refused.body["message"]
    warned = api.create(DEPLOYMENTS, body)
    assert (warned.code, warned.headers["Warning"]) == (201, '299 - "unknown field \\"spec.replica\\""')
    assert "replica" not in warned.body["spec"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("labelSelector=tier%3Dgold", ["s1"]),
        ("labelSelector=tier!%3Dgold%2Ctier", ["s2"]),
        ("labelSelector=" + quote("tier in (gold,silver),!old"), ["s1"]),
        ("labelSelector=" + quote("tier notin (gold),sel"), ["s2", "s3"]),
        ("labelSelector=sel&fieldSelector=metadata.name%3Ds3", ["s3"]),
    ],
)
def test_selectors_choose_what_kubernetes_would(api: Api, query: str, names: list[str]) -> None:
    labels = {"s1": {"tier": "gold"}, "s2": {"tier": "silver", "old": "y"}, "s3": {}}
    for name, own in labels.items():
        body = config_map(name)
        body["metadata"]["labels"] = {"sel": "", **own}
        api.apply(f"{MAPS}/{name}", body)
    assert [each["metadata"]["name"] for each in api.items(f"{MAPS}?{query}")] == names


def test_a_field_that_cannot_be_selected_by_is_an_error(api: Api) -> None:
    assert api.get(f"{MAPS}?fieldSelector=data.a%3D1").code == 400


def test_pages_show_one_moment_however_much_changes_between_them(api: Api) -> None:
    for i in range(5):
        body = config_map(f"page{i}")
        body["metadata"]["labels"] = {"paged": ""}
        api.create(MAPS, body)
    first = api.get(f"{MAPS}?labelSelector=paged&limit=2")
    api.delete(f"{MAPS}/page3")
    names, page = [each["metadata"]["name"] for each in first.items], first
    while token := page.body["metadata"].get("continue"):
        page = api.get(f"{MAPS}?labelSelector=paged&limit=2&continue={quote(token)}")
        assert page.version == first.version
        names += [each["metadata"]["name"] for each in page.items]
    assert names == [f"page{i}" for i in range(5)]


def test_a_page_that_nobody_keeps_any_more_has_expired(api: Api) -> None:
    refused = api.get(f"{MAPS}?limit=1&continue=eyJ2IjoxfQ%3D%3D")
    assert (refused.code, refused.body["reason"]) == (410, "Expired")


def test_a_delete_holds_to_its_preconditions(api: Api) -> None:
    made = api.create(MAPS, config_map("kept")).body["metadata"]
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        assert api.delete(f"{MAPS}/kept", {"preconditions": wrong}).code == 409
    assert api.delete(f"{MAPS}/kept", {"preconditions": {"uid": made["uid"]}}).body["status"] == "Success"


def test_a_finalizer_holds_an_object_until_it_is_taken_away(api: Api) -> None:
    body = config_map("held")
    body["metadata"]["finalizers"] = ["example.io/hold"]
    api.create(MAPS, body)
    assert "deletionTimestamp" in api.delete(f"{MAPS}/held").body["metadata"]
    assert api.get(f"{MAPS}/held").code == 200
    api.patch(f"{MAPS}/held", {"metadata": {"finalizers": []}})
    assert api.get(f"{MAPS}/held").code == 404


def test_a_collection_can_be_deleted_by_selector(api: Api) -> None:
    for name in ("d1", "d2"):
        body = config_map(name)
        body["metadata"]["labels"] = {"doomed": ""}
        api.create(MAPS, body)
    api.delete(f"{MAPS}?labelSelector=doomed")
    assert api.items(f"{MAPS}?labelSelector=doomed") == []


def test_a_namespace_takes_along_what_it_holds(api: Api) -> None:
    api.create("/api/v1/namespaces", {"metadata": {"name": "brief"}})
    api.create("/api/v1/namespaces/brief/configmaps", {"metadata": {"name": "inside"}})
    api.delete("/api/v1/namespaces/brief")
    eventually(lambda: api.get("/api/v1/namespaces/brief").code == 404)
    assert api.get("/api/v1/namespaces/brief/configmaps/inside").code == 404


def test_events_are_the_same_in_both_of_their_versions(api: Api) -> None:
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "namespace": "shop"}
    event = {
        "metadata": {"name": "told", "namespace": "shop"},
        "regarding": about,
        "reason": "Decided",
        "note": "because",
        "type": "Normal",
        "eventTime": "2026-01-05T00:00:00.000000Z",
        "reportingController": "archgov.io/controller",
        "reportingInstance": "pod",
        "action": "Plan",
    }
    assert api.create("/apis/events.k8s.io/v1/namespaces/shop/events", event).code == 201
    core = api.items("/api/v1/namespaces/shop/events?fieldSelector=involvedObject.name%3Dx")
    assert [(each["message"], each["involvedObject"]["kind"]) for each in core] == [("because", "ConfigMap")]
    new = api.items("/apis/events.k8s.io/v1/namespaces/shop/events?fieldSelector=regarding.name%3Dx")
    assert [each["note"] for each in new] == ["because"]


def test_a_body_that_is_no_json_is_a_bad_request(api: Api) -> None:
    assert api.ask("PATCH", f"{MAPS}/x?fieldManager=t", "text", APPLY).code == 400
    assert api.ask("POST", MAPS, ["list"]).code == 400
    assert api.ask("POST", MAPS, {}, "application/xml").code == 415
