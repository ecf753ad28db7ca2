"""Members come and go with their MemberClusters; one that can't be reached says why."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from archgov.api.member_cluster import KubeconfigSecret, Member
from archgov.edge import members
from archgov.edge.client import Client
from archgov.edge.kubeconfig import Access
from archgov.edge.members import Members
from archgov.model.fleet import Reach
from archgov.model.ref import ClusterName
from tests.edge.fake_api import FakeApi, eventually
from tests.manifests import node

EU = ClusterName("eu")
NULL = object()  # a Secret whose data is null
SECRETS = "/api/v1/namespaces/archgov-system/secrets"


class HubApi(FakeApi):
    """A hub that serves Secrets."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(SECRETS):
            found = self.collections[SECRETS].get(f"archgov-system/{request.path.rpartition('/')[2]}")
            return web.json_response(found or {"kind": "Status", "reason": "NotFound"}, status=200 if found else 404)
        return await super()._answer(request)

    def keep(self, data: object) -> None:
        self.put(SECRETS, {"metadata": {"namespace": "archgov-system", "name": "eu"}, "data": data})


@asynccontextmanager
async def following(hub: HubApi) -> AsyncIterator[Members]:
    async with hub.serving(), Client(Access(hub.url)) as client:
        found = Members(client, Access(hub.url), "archgov-system", lambda _: None)
        try:
            yield found
        finally:
            await found.close()


def a_member(uid: str = "u1") -> Member:
    return Member(EU, uid=uid, secret=KubeconfigSecret("eu", "kubeconfig"))


def a_kubeconfig(url: str) -> dict[str, str]:
    text = (
        f"current-context: c\nclusters: [{{name: k, cluster: {{server: '{url}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: k}}]\n"
    )
    return {"kubeconfig": base64.b64encode(text.encode()).decode()}


def reach(found: Members) -> Reach:
    return found.seen()[0].health.reach


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(members, "RENEW_SECONDS", 0.05)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "404"),
        ({"other": "x"}, "has no key kubeconfig"),
        (NULL, "has no key kubeconfig"),
        (["kubeconfig"], "archgov failed"),
        ({"kubeconfig": "!"}, ""),
        ({"kubeconfig": "gIGC"}, ""),
        ({"kubeconfig": base64.b64encode(b"clusters: [").decode()}, "No access from Secret archgov-system/eu"),
    ],
    ids=["missing", "no key", "null", "a list", "no base64", "no text", "no yaml"],
)
async def test_a_member_without_access_is_unknown_with_the_reason_until_its_secret_is_mended(
    data: object, why: str
) -> None:
    hub = HubApi()
    if data is not None:
        hub.keep(None if data is NULL else data)
    async with FakeApi().serving() as eu, following(hub) as found:
        eu.put("/api/v1/nodes", node("n1"))
        await found.follow([a_member()])
        assert found.undecided() == [EU]
        await eventually(lambda: found.undecided() == [])
        health = found.seen()[0].health
        assert (health.reach, why in health.evidence, found.api(EU)) == (Reach.UNKNOWN, True, None)
        assert found.never_seen() == [EU]
        hub.keep(a_kubeconfig(eu.url))
        await eventually(lambda: reach(found) is Reach.YES)
        assert [row.name for row in found.seen()[0].nodes] == ["n1"]
        assert found.never_seen() == []


async def test_a_member_that_leaves_is_no_longer_watched() -> None:
    hub = HubApi()
    async with FakeApi().serving() as eu, following(hub) as found:
        hub.keep(a_kubeconfig(eu.url))
        await found.follow([a_member()])
        await eventually(lambda: reach(found) is Reach.YES)
        await found.follow([])
        assert found.seen() == []
        assert found.api(EU) is None
        await eventually(lambda: not eu.watchers("/api/v1/nodes"))


async def test_another_cluster_of_the_same_name_inherits_no_picture() -> None:
    hub = HubApi()
    async with FakeApi().serving() as eu, following(hub) as found:
        eu.put("/api/v1/nodes", node("n1"))
        hub.keep(a_kubeconfig(eu.url))
        await found.follow([a_member()])
        await eventually(lambda: reach(found) is Reach.YES)
        await found.follow([a_member("u2")])
        assert (reach(found), found.seen()[0].nodes) == (Reach.UNKNOWN, ())


async def test_a_renewed_kubeconfig_is_taken_once_the_old_one_leads_nowhere() -> None:
    hub = HubApi()
    async with FakeApi().serving() as new, following(hub) as found:
        new.put("/api/v1/nodes", node("n2"))
        async with FakeApi().serving() as old:
            old.put("/api/v1/nodes", node("n1"))
            hub.keep(a_kubeconfig(old.url))
            await found.follow([a_member()])
            await eventually(lambda: reach(found) is Reach.YES)
        await eventually(lambda: reach(found) is Reach.UNKNOWN)
        assert [row.name for row in found.seen()[0].nodes] == ["n1"]
        assert found.never_seen() == []
        hub.keep(a_kubeconfig(new.url))
        await eventually(lambda: [row.name for row in found.seen()[0].nodes] == ["n2"])
        await eventually(lambda: reach(found) is Reach.YES)


async def test_a_member_whose_object_becomes_invalid_is_held_as_it_was_until_it_is_mended() -> None:
    hub = HubApi()
    async with FakeApi().serving() as eu, following(hub) as found:
        eu.put("/api/v1/nodes", node("n1"))
        hub.keep(a_kubeconfig(eu.url))
        await found.follow([a_member()])
        await eventually(lambda: reach(found) is Reach.YES)
        await found.follow([], {EU: "spec.reserves is unknown"})
        (held,) = found.seen()
        assert (held.member, [row.name for row in held.nodes]) == (a_member(), ["n1"])
        assert (held.health.reach, held.health.silent) == (Reach.UNKNOWN, False)
        assert "invalid: spec.reserves" in held.health.evidence
        assert (found.api(EU), found.undecided()) == (None, [])
        await found.follow([a_member()])
        assert reach(found) is Reach.YES
        await found.follow([], {EU: "spec.reserves is unknown"})
        await found.follow([])
        assert found.seen() == []


async def test_a_member_whose_object_was_never_valid_is_one_that_was_never_seen() -> None:
    hub = HubApi()
    async with FakeApi().serving() as eu, following(hub) as found:
        await found.follow([], {EU: "spec.reserves is unknown"})
        assert (reach(found), found.never_seen(), found.undecided()) == (Reach.UNKNOWN, [EU], [])
        hub.keep(a_kubeconfig(eu.url))
        await found.follow([a_member()])
        await eventually(lambda: reach(found) is Reach.YES)
        assert found.never_seen() == []


async def test_the_cluster_of_archgov_itself_is_connected_once_its_object_is_mended() -> None:
    hub = HubApi()
    async with following(hub) as found:
        await found.follow([], {EU: "spec.reserves is unknown"})
        await found.follow([Member(EU)])
        await eventually(lambda: reach(found) is Reach.YES)
