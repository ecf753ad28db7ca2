"""What can be made to fail: clusters, zones, witnesses, single requests."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from archgov.sandbox import Fault, Sandbox, SandboxOptions
from tests.sandbox.api import DEPLOYMENTS, PODS, Api, config_map, deployment, eventually, node, pods, ready, zone_of

MAPS = "/api/v1/namespaces/shop/configmaps"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    nodes = [node(f"n{i}", "abc"[i % 3]) for i in range(6)]
    fleet = {"eu": [*nodes, deployment("cart", 6), deployment("agent", kind="DaemonSet"), config_map("x")], "us": []}
    # A tolerated 300 s pass in a second.
    with Sandbox(fleet, tmp_path, SandboxOptions(speed=300)) as running:
        yield running


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    found = Api.of(sandbox, "eu")
    eventually(lambda: ready(found, "cart") == 6)
    return found


@contextmanager
def connection(api: Api, seconds: float) -> Iterator[http.client.HTTPSConnection]:
    where = urlsplit(api.url)
    with closing(
        http.client.HTTPSConnection(where.hostname or "", where.port, timeout=seconds, context=api.trust)
    ) as it:
        yield it


def ask(on: http.client.HTTPSConnection, api: Api) -> int:
    on.request("GET", "/version", headers={"Authorization": f"Bearer {api.token}"})
    answer = on.getresponse()
    answer.read()
    return answer.status


def test_a_silent_cluster_lets_old_and_new_connections_hang(sandbox: Sandbox, api: Api) -> None:
    with connection(api, 0.3) as old, connection(api, 0.3) as new:
        assert ask(old, api) == 200
        sandbox.fail_cluster("eu")
        for each in (old, new):
            with pytest.raises(TimeoutError):
                ask(each, api)
    assert Api.of(sandbox, "us").get("/version").code == 200
    sandbox.heal_cluster("eu")
    assert api.get("/version").code == 200


def test_a_refusing_cluster_refuses_new_connections(sandbox: Sandbox, api: Api) -> None:
    sandbox.fail_cluster("eu", mode="refuse")
    with connection(api, 0.3) as new, pytest.raises(ConnectionRefusedError):
        ask(new, api)
    sandbox.heal_cluster("eu")
    assert api.get("/version").code == 200


def test_a_watch_on_a_silent_cluster_goes_quiet_and_then_on(sandbox: Sandbox, api: Api) -> None:
    events = api.watch(MAPS, "timeoutSeconds=10&fieldSelector=metadata.name%3Dx")
    assert next(events)["type"] == "ADDED"
    sandbox.fail_cluster("eu")
    sandbox.heal_cluster("eu")
    api.patch(f"{MAPS}/x", {"data": {"a": "1"}})
    assert next(events)["object"]["data"] == {"a": "1"}


def test_a_request_that_nobody_waits_for_any_more_changes_nothing(sandbox: Sandbox, api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/merge-patch+json"}
    with connection(api, 0.2) as line:
        assert ask(line, api) == 200
        sandbox.fail_cluster("eu")
        line.request("PATCH", f"{MAPS}/x", json.dumps({"data": {"late": "yes"}}), headers)
        with pytest.raises(TimeoutError):
            line.getresponse()
    sandbox.heal_cluster("eu")
    assert "late" not in api.get(f"{MAPS}/x").body.get("data", {})


def test_pods_of_a_silent_cluster_stay_as_they_are(sandbox: Sandbox, api: Api) -> None:
    before = {pod["metadata"]["uid"] for pod in pods(api, "cart")}
    sandbox.fail_cluster("eu")
    sandbox.heal_cluster("eu")
    assert {pod["metadata"]["uid"] for pod in pods(api, "cart")} == before


def test_a_failed_zone_loses_its_pods_which_come_back_elsewhere(sandbox: Sandbox, api: Api) -> None:
    lost = {pod["metadata"]["name"] for pod in pods(api, "cart") if zone_of(api, pod) == "a"}
    assert len(lost) == 2
    sandbox.fail_zone("eu", "a")
    for name in ("n0", "n3"):
        body = api.get(f"/api/v1/nodes/{name}").body
        assert next(c["status"] for c in body["status"]["conditions"] if c["type"] == "Ready") == "Unknown"
        assert {taint["effect"] for taint in body["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
    eventually(lambda: ready(api, "cart") <= 4 or lost.isdisjoint(p["metadata"]["name"] for p in pods(api, "cart")))
    eventually(lambda: ready(api, "cart") == 6)
    assert {zone_of(api, pod) for pod in pods(api, "cart")} == {"b", "c"}
    # Nobody there confirms that the old ones have stopped.
    names = {pod["metadata"]["name"] for pod in api.items(f"{PODS}?labelSelector=app%3Dcart")}
    assert lost <= names
    sandbox.heal_zone("eu", "a")
    eventually(lambda: len(api.items(f"{PODS}?labelSelector=app%3Dcart")) == 6)
    eventually(lambda: ready(api, "agent") == 6)


def test_pods_that_tolerate_silence_stay_and_recover(sandbox: Sandbox, api: Api) -> None:
    eventually(lambda: ready(api, "agent") == 6)
    before = {pod["metadata"]["uid"] for pod in pods(api, "agent")}
    sandbox.fail_zone("eu", "b")
    eventually(lambda: ready(api, "agent") == 4)
    sandbox.heal_zone("eu", "b")
    eventually(lambda: ready(api, "agent") == 6)
    assert {pod["metadata"]["uid"] for pod in pods(api, "agent")} == before


def test_a_zone_that_is_not_there_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no node with the label topology"):
        sandbox.fail_zone("eu", "z")
    with pytest.raises(KeyError, match="known: eu, us"):
        sandbox.fail_cluster("mars")


def test_a_witness_answers_until_it_is_silenced(sandbox: Sandbox) -> None:
    url = sandbox.witness("ingress", "edge")
    assert sandbox.witness("ingress", "edge") == url

    def answer() -> Any:
        with urlopen(url, timeout=0.3) as found:  # noqa: S310 - a server of our own
            return found.status

    assert answer() == 200
    sandbox.silence("ingress")
    with pytest.raises((TimeoutError, URLError, socket.timeout)):
        answer()
    sandbox.speak(url)
    assert answer() == 200


@pytest.mark.parametrize(("kind", "code"), [("409", 409), ("410", 410), ("429", 429), ("500", 500)])
def test_a_planted_fault_hits_the_matching_requests_only(
    sandbox: Sandbox, api: Api, kind: Literal["409", "410", "429", "500"], code: int
) -> None:
    sandbox.inject("eu", Fault(kind, match="patch/deployments/scale", count=2, retry_after=7))
    path = f"{DEPLOYMENTS}/cart/scale"
    assert api.get(path).code == 200
    refused = [api.patch(path, {"spec": {"replicas": 6}}) for _ in range(3)]
    assert [answer.code for answer in refused] == [code, code, 200]
    assert refused[0].headers.get("Retry-After") == ("7" if kind == "429" else None)


def test_a_planted_expiry_ends_a_watch_in_the_stream(sandbox: Sandbox, api: Api) -> None:
    since = api.get(MAPS).version
    sandbox.inject("eu", Fault("410", match="watch/secrets"))
    sandbox.inject("eu", Fault("410", match="watch/configmaps"))
    assert api.get(f"{MAPS}?watch=true&resourceVersion={since}").code == 410
    events = api.watch(MAPS, f"resourceVersion={since}&timeoutSeconds=10")
    api.patch(f"{MAPS}/x", {"data": {"b": "1"}})
    assert next(events)["object"]["data"]["b"] == "1"
    sandbox.inject("eu", Fault("500", match="watch/configmaps"))
    api.patch(f"{MAPS}/x", {"data": {"b": "2"}})
    assert [(event["type"], event["object"]["code"]) for event in events] == [("ERROR", 500)]


def test_half_a_line_is_the_last_that_a_watch_tells(sandbox: Sandbox, api: Api) -> None:
    since = api.get(MAPS).version
    sandbox.inject("eu", Fault("half_line", match="watch/configmaps"))
    api.patch(f"{MAPS}/x", {"data": {"c": "1"}})
    with pytest.raises((json.JSONDecodeError, http.client.IncompleteRead, ConnectionError)):
        list(api.watch(MAPS, f"resourceVersion={since}&timeoutSeconds=5"))


def test_a_silenced_request_gets_no_answer(sandbox: Sandbox, api: Api) -> None:
    sandbox.inject("eu", Fault("silence", match="get/nodes"))
    with connection(api, 0.3) as line:
        line.request("GET", "/api/v1/nodes/n0", headers={"Authorization": f"Bearer {api.token}"})
        with pytest.raises(TimeoutError):
            line.getresponse()
    assert api.get("/api/v1/nodes/n0").code == 200
