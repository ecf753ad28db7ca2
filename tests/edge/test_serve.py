"""What a replica serves: probes that tell the truth, metrics, admission, and pages for those who may read them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from archgov.cli.pages import OTHERS, LedgerPages, without_others
from archgov.decide.round import Round, conclude
from archgov.edge.admit import NoReview, stamped
from archgov.edge.client import Api
from archgov.edge.ledger import Entry, Ledger
from archgov.edge.serve import TOKEN, Bounds, NotThere, Server, is_private, renewed, serving
from archgov.edge.telemetry import Telemetry
from archgov.edge.tree import Json
from archgov.model.snapshot import Snapshot
from tests.build import MONDAY, a_cluster, a_fleet, a_snapshot, a_workload, placement
from tests.edge.certificates import write_certificates
from tests.edge.test_telemetry import a_round, a_world


@dataclass
class Hub:
    """Knows two tokens: ada may read shop, root everything. Answers while it is open."""

    asked: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def post(self, path: str, body: Json) -> Json:
        spec = body["spec"]
        self.asked.append(path.rpartition("/")[2])
        await self.open.wait()
        if path.endswith("/tokenreviews"):
            known = spec["token"] in ("ada", "root")
            user = {"username": spec["token"], "groups": ["people"]}
            return {"status": {"authenticated": known, **({"user": user} if known else {})}}
        wanted = spec["resourceAttributes"]
        assert (wanted["group"], wanted["resource"], wanted["verb"]) == ("archgov.io", "decisions", "list")
        allowed = spec["user"] == "root" or wanted.get("namespace") == "shop"
        return {"status": {"allowed": allowed}}


HASTE = Bounds(connections=8, read_seconds=0.4, send_seconds=0.4, wait_seconds=0.2, remembered=3)


@dataclass
class Picture:
    is_well: bool = True
    is_ready: bool = True
    newest: tuple[Snapshot, Round] | None = None


@dataclass
class Pages:
    """Explains while it is free to."""

    free: threading.Event = field(default_factory=threading.Event)
    explaining: int = 0

    def __post_init__(self) -> None:
        self.free.set()

    def history(self, namespace: str, decision: str, last: int) -> Any:
        if decision == "none":
            raise NotThere("the ledger knows no none")
        return [namespace, decision, last]

    def replay(self, namespace: str, decision: str) -> Any:
        return {"same": True, "of": f"{namespace}/{decision}"}

    def explain(self, snapshot: Snapshot, asked: Mapping[str, str]) -> Any:
        self.explaining += 1
        self.free.wait(10)
        return {"snapshot": snapshot.digest, **asked}

    def report(self, concluded: Round) -> str:
        return f"<html>{concluded.snapshot}</html>"


@asynccontextmanager
async def asking(
    picture: Picture, tls: Path | None = None, hub: Hub | None = None, pages: Any = None, leader: str | None = ""
) -> AsyncIterator[Any]:
    server = Server(cast("Api", hub or Hub()), picture, pages or Pages(), lambda: leader, HASTE)
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
        ("/api/v1/report", "root", 503),
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


def certified(folder: Path) -> None:
    write_certificates(folder)
    for kind in ("crt", "key"):
        shutil.copy(folder / f"server.{kind}", folder / f"tls.{kind}")


async def test_admission_is_served_by_tls(tmp_path: Path) -> None:
    certified(tmp_path)
    async with asking(Picture(), tls=tmp_path) as ask:
        status, text = await ask("/admission/approval-author", body=review())
        assert (status, json.loads(text)["response"]["allowed"]) == (200, True)
        assert (await ask("/admission/approval-author", body=[]))[0] == 400


async def test_a_question_is_put_to_the_hub_once_in_a_few_seconds() -> None:
    async with asking(Picture(), hub=(hub := Hub())) as ask:
        for _ in range(3):
            assert (await ask("/api/v1/history?namespace=shop", "ada"))[0] == 200
            assert (await ask("/api/v1/history", "ada"))[0] == 403
            assert (await ask("/api/v1/history", "nobody"))[0] == 401
        assert (hub.asked.count("tokenreviews"), hub.asked.count("subjectaccessreviews")) == (3, 2)
        for i in range(HASTE.remembered):
            await ask("/api/v1/history", f"nobody-{i}")
        await ask("/api/v1/history", "nobody")
        assert hub.asked.count("tokenreviews") == 3 + HASTE.remembered + 1, "no more is remembered than that"


async def test_many_unknown_tokens_are_told_to_come_back_while_a_few_are_asked_about() -> None:
    hub = Hub()
    hub.open.clear()
    async with asking(Picture(), hub=hub) as ask:
        asked = [asyncio.create_task(ask("/api/v1/history", f"nobody-{i}")) for i in range(HASTE.reviews + 2)]
        done, waiting = await asyncio.wait(asked, timeout=5 * HASTE.wait_seconds)
        assert [task.result()[0] for task in done] == [429, 429]
        # Those who leave keep their place: the hub is still at it.
        for task in waiting:
            task.cancel()
        assert (await ask("/api/v1/history", "root"))[0] == 429
        assert len(hub.asked) == HASTE.reviews
        hub.open.set()
        assert (await ask("/api/v1/history", "root"))[0] == 200


async def test_two_pages_are_worked_out_at_once_even_if_their_readers_leave() -> None:
    snapshot, pages = a_world().snapshot(), Pages()
    pages.free.clear()
    path = "/api/v1/explain/pi/shop/in-eu"
    async with asking(Picture(newest=(snapshot, conclude(snapshot))), pages=pages) as ask:
        readers = [asyncio.create_task(ask(path, "ada")) for _ in range(4)]
        done, waiting = await asyncio.wait(readers, timeout=5 * HASTE.wait_seconds)
        assert [task.result()[0] for task in done] == [503, 503]
        for task in waiting:
            task.cancel()
        assert ((await ask(path, "ada"))[0], pages.explaining) == (503, 2)
        pages.free.set()
        assert (await ask(path, "ada"))[0] == 200


async def ends(port: int, sent: bytes) -> bool:
    """Whether the server ends a connection on which this was sent and nothing follows."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(5 * HASTE.read_seconds):
            await reader.read()
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    finally:
        writer.transport.abort()
    return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost:",
        b"POST /admission/approval-author HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["empty", "half a header", "half a body", "half a body that nobody reads", "idle"],
)
async def test_a_connection_on_which_nothing_comes_ends(sent: bytes) -> None:
    async with serving(Server(cast("Api", Hub()), Picture(), Pages(), bounds=HASTE), "127.0.0.1", 0, None) as port:
        assert await ends(port, sent)


async def test_a_tls_handshake_that_never_comes_ends_too(tmp_path: Path) -> None:
    certified(tmp_path)
    async with serving(Server(cast("Api", Hub()), Picture(), Pages(), bounds=HASTE), "127.0.0.1", 0, tmp_path) as port:
        assert await ends(port, b"")


async def test_a_reader_who_does_not_read_is_hung_up_on() -> None:
    class Long(Pages):
        def report(self, concluded: Round) -> str:  # noqa: ARG002 any round's page is long
            return "x" * (64 << 20)

    snapshot = a_world().snapshot()
    picture = Picture(newest=(snapshot, conclude(snapshot)))
    async with serving(Server(cast("Api", Hub()), picture, Long(), bounds=HASTE), "127.0.0.1", 0, None) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        writer.write(f"GET /api/v1/report HTTP/1.1\r\nHost: x\r\n{TOKEN}: root\r\n\r\n".encode())
        await asyncio.sleep(0.5 + 3 * HASTE.send_seconds)
        got = 0
        with suppress(ConnectionError):
            while chunk := await reader.read(1 << 20):
                got += len(chunk)
        writer.transport.abort()
    assert got < 64 << 20


@pytest.mark.parametrize("is_tls", [False, True])
async def test_beyond_so_many_connections_the_next_is_closed_at_once(tmp_path: Path, is_tls: bool) -> None:
    certified(tmp_path)
    bounds = replace(HASTE, read_seconds=30.0)
    server = Server(cast("Api", Hub()), Picture(), Pages(), bounds=bounds)
    async with serving(server, "127.0.0.1", 0, tmp_path if is_tls else None) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(bounds.connections)]
        begin = time.monotonic()
        assert await ends(port, b"")
        assert time.monotonic() - begin < 1
        _, gone = held.pop()
        gone.transport.abort()
        await asyncio.sleep(0.1)
        one_more = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await one_more[0].read()
        for _, writer in (*held, one_more):
            writer.transport.abort()


class Wire(asyncio.BaseTransport):
    """A connection as far as it tells where it ends and whether it is encrypted."""


@pytest.mark.parametrize(
    ("here", "context", "private"),
    [
        (("127.0.0.1", 8080), None, True),
        (("::1", 8080, 0, 0), None, True),
        (("10.0.0.7", 8080), None, False),
        (("fd00::7", 8080, 0, 0), None, False),
        (("10.0.0.7", 8080), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), True),
    ],
)
def test_a_token_travels_encrypted_or_within_the_machine(here: object, context: object, private: bool) -> None:
    assert is_private(Wire({"sockname": here, "sslcontext": context})) == private


def own_address() -> str:
    """An address of this machine that isn't the loopback's; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
    return "" if found.startswith("127.") else found


async def test_off_loopback_without_tls_only_probes_and_metrics_are_served() -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but the loopback's")
    server = Server(cast("Api", hub := Hub()), Picture(), Pages(), bounds=HASTE)
    async with serving(server, address, 0, None) as port, aiohttp.ClientSession() as session:
        for path, status in (("/healthz", 200), ("/metrics", 200), ("/api/v1/history", 403)):
            async with session.get(f"http://{address}:{port}{path}", headers={TOKEN: "root"}) as answer:
                assert answer.status == status
                assert (status == 403) == ("ARCHGOV_TLS_DIRECTORY" in await answer.text())
    assert hub.asked == []


@pytest.mark.parametrize(
    ("leader", "told"),
    [("pod-b_1", "ask pod-b_1, which leads"), ("", "knows of no leader"), (None, "concluded no round yet")],
)
async def test_a_replica_without_a_round_says_who_has_one(leader: str | None, told: str) -> None:
    async with asking(Picture(), leader=leader) as ask:
        status, text = await ask("/api/v1/explain/pi/shop/x", "ada")
    assert status == 503
    assert told in text


async def test_a_certificate_that_is_missing_for_a_while_is_still_renewed(tmp_path: Path) -> None:
    certified(tmp_path)
    taken: list[Path] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            super().load_cert_chain(certfile, keyfile, password)
            taken.append(certfile)

    (tmp_path / "tls.crt").rename(tmp_path / "away.crt")
    task = asyncio.create_task(renewed(Context(ssl.PROTOCOL_TLS_SERVER), tmp_path, 0.01))
    await asyncio.sleep(0.05)
    (tmp_path / "away.crt").rename(tmp_path / "tls.crt")
    await asyncio.sleep(0.1)
    first = len(taken)
    os.utime(tmp_path / "tls.crt", ns=(1, 1))
    await asyncio.sleep(0.1)
    assert (first, len(taken), task.done()) == (1, 2, False)
    task.cancel()


def two_tenants() -> Snapshot:
    clusters = [a_cluster("ap"), a_cluster("eu", labels={"archgov.io/jurisdiction": "eu"})]
    workloads = [a_workload("shop/cart", {"eu/a": 2}), a_workload("media/transcode", {"eu/a": 2})]
    intents = (placement("shop/in-eu"), placement("media/cheap"))
    return a_snapshot(a_fleet(clusters=clusters, workloads=workloads), intents=intents)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("pi/shop/x", "there is no PlacementIntent shop/x"),
        ("pi/shop/cheap", "there is no PlacementIntent shop/cheap"),
        ("pi/shop/in-eu?workload=transcode", 'there is no workload "transcode"'),
    ],
)
async def test_what_is_not_there_is_told_without_what_others_have(path: str, told: str) -> None:
    snapshot = two_tenants()
    async with asking(Picture(newest=(snapshot, conclude(snapshot))), pages=LedgerPages(None)) as ask:
        status, text = await ask(f"/api/v1/explain/{path}", "ada")
    assert (status, json.loads(text)) == (404, {"error": told})


def test_an_explanation_names_nothing_of_other_namespaces() -> None:
    document = {
        "workloads": [{"service": "shop/cart", "why": ["by PlacementIntent media/cheap (Enforce)"]}],
        "whyNot": [{"displaced": ["media/transcode", "shop/cart"], "conflict": ["media/Deployment/transcode."]}],
        "findings": ["PlacementIntent/media/cheap and shop/in-eu collide in eu/a"],
        "gap": None,
    }
    assert without_others(document, two_tenants(), "shop") == {
        "workloads": [{"service": "shop/cart", "why": [f"by PlacementIntent {OTHERS} (Enforce)"]}],
        "whyNot": [{"displaced": [OTHERS, "shop/cart"], "conflict": [f"{OTHERS}."]}],
        "findings": [f"{OTHERS} and shop/in-eu collide in eu/a"],
        "gap": None,
    }


async def test_the_report_has_the_timeline_of_the_ledger(tmp_path: Path) -> None:
    spec = {"summary": "+3 replicas", "intents": [{"kind": "PlacementIntent", "namespace": "shop", "name": "cart"}]}
    ledger = Ledger(tmp_path / "ledger.sqlite", 1)
    ledger.add([Entry(MONDAY, "Opened", "shop", "cart-1234", {"outcome": "Proposed", "approvedBy": "", "spec": spec})])
    ledger.close(10)
    snapshot = a_world().snapshot()
    picture = Picture(newest=(snapshot, conclude(snapshot)))
    for file, has_timeline in ((tmp_path / "ledger.sqlite", True), (tmp_path / "none.sqlite", False), (None, False)):
        async with asking(picture, pages=LedgerPages(file)) as ask:
            status, text = await ask("/api/v1/report", "root")
        assert (status, "shop/cart-1234" in text) == (200, has_timeline)
