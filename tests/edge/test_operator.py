"""Where the operator must not act it says so and ends."""

from __future__ import annotations

import json
import logging

import pytest

from archgov.edge.kubeconfig import Access
from archgov.edge.operator import operate
from archgov.edge.settings import Settings
from archgov.edge.tree import Json
from tests.edge.fake_api import FakeApi
from tests.manifests import ours

TARGET: Json = {"target": {"workloads": {}}}
KINDS = ("fleets", "memberclusters", "placementintents", "capacityintents", "failoverintents", "decisions")


@pytest.mark.parametrize(
    "body",
    [
        ours("PlacementIntent", "shop/eu", {**TARGET, "mode": "Enforce"}),
        ours("FailoverIntent", "shop/n-1", {**TARGET, "tolerate": [{"scope": "zone"}], "onLoss": "Enforce"}),
    ],
    ids=["mode", "onLoss"],
)
async def test_outside_the_sandbox_it_refuses_to_act_and_says_why(body: Json, caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi()
    body["metadata"]["uid"] = "u1"
    api.put(f"/apis/archgov.io/v1alpha1/{body['kind'].lower()}s", body)
    with caplog.at_level(logging.ERROR, "archgov.operator"):
        async with api.serving():
            assert await operate(Access(api.url), Settings()) == 1
    (said,) = [record for record in caplog.records if record.name == "archgov.operator"]
    assert body["metadata"]["name"] in vars(said)["why"]
    assert "Recommend" in vars(said)["why"]
    assert [request.path for request in api.requests if request.method != "GET"] == []


async def test_an_api_server_that_is_not_there_ends_it_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi()
    async with api.serving():
        url = api.url
    with caplog.at_level(logging.ERROR, "archgov.operator"):
        assert await operate(Access(url), Settings()) == 1
    assert "can't be reached" in caplog.text
    assert json.dumps(url)[1:-1] in json.dumps([vars(record).get("server") for record in caplog.records])
