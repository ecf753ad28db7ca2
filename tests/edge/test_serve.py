"""What a replica serves: probes that tell the truth, metrics, admission, and pages for those who may read them."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from archgov.decide.round import Round, conclude
from archgov.edge.admit import NoReview, stamped
from archgov.edge.client import Api
from archgov.edge.serve import TOKEN, NotThere, Server, serving
from archgov.edge.telemetry import Telemetry
from archgov.edge.tree import Json
from archgov.model.snapshot import Snapshot
from tests.edge.certificates import write_certificates
from tests.edge.test_telemetry import a_round, a_world


class Hub:
    """Knows two tokens: ada may read shop, root everything."""

    async def post(self, path: str, body: Json) -> Json:
        spec = body["spec"]
        if path.endswith("/tokenreviews"):
            known = spec["token"] in ("ada", "root")
            user = {"username": spec["token"], "groups": ["people"]}
            return {"status": {"authenticated": known, **({"user": user} if known else {})}}
        wanted = spec["resourceAttributes"]
        assert (wanted["group"], wanted["resource"], wanted["verb"]) == ("archgov.io", "decisions", "list")
        allowed = spec["user"] == "root" or wanted.get("namespace") == "shop"
        return {"status": {"allowed": allowed}}


@dataclass
class Picture:
    is_well: bool = True
    is_ready: bool = True
    newest: tuple[Snapshot, Round] | None = None


class Pages:
    def history(self, namespace: str, decision: str, last: int) -> Any:
        if decision == "none":
            raise NotThere("the ledger knows no none")
        return [namespace, decision, last]

    def replay(self, namespace: str, decision: str) -> Any:
        return {"same": True, "of": f"{namespace}/{decision}"}

    def explain(self, snapshot: Snapshot, asked: Mapping[str, str]) -> Any:
        return {"snapshot": snapshot.digest, **asked}

    def report(self, concluded: Round) -> str:
        return f"<html>{concluded.snapshot}</html>"


@asynccontextmanager
async def asking(picture: Picture, tls: Path | None = None) -> AsyncIterator[Any]:
    server = Server(cast("Api", Hub()), picture, Pages())
    trust = ssl.create_default_context(cafile=tls / "ca.crt") if tls else None
    if trust:
        trust.check_hostname = False
    async with serving(server, "127.0.0.1", 0, tls) as port, aiohttp.ClientSession() as session:

        async def ask(path: str, token: str = "", body: Any = None) -> tuple[int, str]:
            url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"
            headers = {TOKEN: f"Bearer {token}"} if token else {}
            method = "GET" if body is None else "POST"
            async with session.request(method, url, headers=headers, json=body, ssl=trust or True) as answer:
                return answer.status, await answer.text()

        yield ask


async def test_probes_tell_the_truth() -> None:
    picture = Picture()
    async with asking(picture) as ask:
        assert [(await ask(path))[0] for path in ("/healthz", "/readyz")] == [200, 200]
        picture.is_well = picture.is_ready = False
        assert [(await ask(path))[0] for path in ("/healthz", "/readyz")] == [503, 503]


async def test_metrics_are_scraped_under_their_prometheus_names() -> None:
    telemetry = Telemetry(None, scraped=True)
    a_round(telemetry)
    async with asking(Picture()) as ask:
        _, text = await ask("/metrics")
    telemetry.close()
    names = (
        "archgov_rounds_total",
        "archgov_actions_total",
        "archgov_round_duration_seconds_bucket",
        "archgov_leader_epoch",
    )
    assert [name for name in names if f"\n{name}" not in text] == []
    assert "shop" not in text, "names of users' things are no labels"


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/v1/history", "", 401),
        ("/api/v1/history", "nobody", 401),
        ("/api/v1/history", "ada", 403),
        ("/api/v1/history?namespace=pay", "ada", 403),
        ("/api/v1/history?namespace=shop", "ada", 200),
        ("/api/v1/history", "root", 200),
        ("/api/v1/history?last=0", "root", 400),
        ("/api/v1/history?last=x", "root", 400),
        ("/api/v1/history?namespace=shop&decision=none", "ada", 404),
        ("/api/v1/replay/pay/d1", "ada", 403),
        ("/api/v1/replay/shop/d1", "ada", 200),
        ("/api/v1/explain/pi/pay/x", "ada", 403),
        ("/api/v1/report", "ada", 403),
        ("/api/v1/report", "root", 404),
        ("/api/v1/secrets", "root", 404),
    ],
)
async def test_pages_are_for_those_who_may_read_decisions_there(path: str, token: str, status: int) -> None:
    async with asking(Picture()) as ask:
        assert (await ask(path, token))[0] == status


async def test_what_is_served_is_about_the_newest_round() -> None:
    snapshot = a_world().snapshot()
    async with asking(Picture(newest=(snapshot, conclude(snapshot)))) as ask:
        status, text = await ask("/api/v1/explain/pi/shop/in-eu?whyNot=us", "ada")
        assert (status, json.loads(text)) == (
            200,
            {"snapshot": snapshot.digest, "kind": "pi", "namespace": "shop", "name": "in-eu", "whyNot": "us"},
        )
        assert await ask("/api/v1/report", "root") == (200, f"<html>{snapshot.digest}</html>")


def review(user: str = "ada") -> Json:
    request = {"uid": "u1", "userInfo": {"username": user}, "object": {"spec": {"author": "the-boss"}}}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def test_an_author_is_overwritten_with_who_asks() -> None:
    response = stamped(review())["response"]
    patch = json.loads(base64.b64decode(response["patch"]))
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u1", True, "JSONPatch")
    assert patch == [{"op": "add", "path": "/spec/author", "value": "ada"}]


@pytest.mark.parametrize("wrong", [{}, {"apiVersion": "admission.k8s.io/v1"}, review(""), {"request": 3}])
def test_what_is_no_review_is_refused(wrong: Json) -> None:
    with pytest.raises(NoReview):
        stamped(wrong)


async def test_admission_is_served_by_tls(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    for kind in ("crt", "key"):
        (tmp_path / f"tls.{kind}").write_bytes((tmp_path / f"server.{kind}").read_bytes())
    async with asking(Picture(), tls=tmp_path) as ask:
        status, text = await ask("/admission/approval-author", body=review())
        assert (status, json.loads(text)["response"]["allowed"]) == (200, True)
        assert (await ask("/admission/approval-author", body=[]))[0] == 400
