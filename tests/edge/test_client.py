"""The API client: retries, deadlines, sockets, errors."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import ssl
import stat
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import yaml

from archgov import __version__
from archgov.edge import kubeconfig
from archgov.edge.client import MERGE_PATCH, ApiError, Bucket, Client, Limits, NoAnswer
from archgov.edge.kubeconfig import Access, AccessError, Fixed, FromFile
from archgov.edge.tree import Json
from tests.edge.certificates import write_certificates
from tests.edge.fake_api import CUT, PODS, FakeApi, Fault, eventually, saying

SCALE = "/apis/apps/v1/namespaces/shop/deployments/cart/scale"


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serving() as serving:
        yield serving


async def test_writes_name_their_manager_and_ask_for_strict_validation(api: FakeApi) -> None:
    async with Client(Access(api.url)) as client:
        await client.patch(SCALE, {"spec": {"replicas": 3}}, MERGE_PATCH)
        await client.put(SCALE, {"a": 1}, {"fieldManager": "archgov-status"})
        await client.post(SCALE, {"b": 1}, {"dryRun": "All"})
        await client.delete(SCALE, {"preconditions": {"uid": "u"}})
    patch, put, post, delete = api.requests
    assert patch.query == {"fieldManager": "archgov", "fieldValidation": "Strict"}
    assert patch.headers["Content-Type"] == "application/merge-patch+json"
    assert orjson.loads(patch.body) == {"spec": {"replicas": 3}}
    assert put.query == {"fieldManager": "archgov-status", "fieldValidation": "Strict"}
    assert post.query == {"fieldManager": "archgov", "fieldValidation": "Strict", "dryRun": "All"}
    assert (delete.query, orjson.loads(delete.body)) == ({}, {"preconditions": {"uid": "u"}})
    assert {r.headers["User-Agent"] for r in api.requests} == {f"archgov/{__version__}"}


async def test_a_refusal_carries_what_the_server_said(api: FakeApi) -> None:
    api.faults["write"].append(Fault(409, "Conflict", {"Retry-After": "3"}))
    async with Client(Access(api.url)) as client:
        with pytest.raises(ApiError) as caught:
            await client.put(SCALE, {})
    error = caught.value
    assert (error.status, error.reason, error.message) == (409, "Conflict", "Conflict on purpose")
    assert (error.retry_after, error.details) == (3.0, {"kind": "pods"})


async def test_a_redirect_is_a_refusal_so_that_the_token_stays_here(api: FakeApi) -> None:
    api.faults["get"].append(Fault(302, "Found", {"Location": "http://127.0.0.1:1/"}))
    async with Client(Access(api.url, Fixed("Bearer secret"))) as client:
        with pytest.raises(ApiError, match="302 Found"):
            await client.get("/api/v1/nodes/n1")


async def test_a_refused_connection_is_no_answer() -> None:
    async with FakeApi().serving() as gone:
        url = gone.url
    async with Client(Access(url)) as client:
        with pytest.raises(NoAnswer) as caught:
            await client.get("/version")
    assert (caught.value.status, caught.value.reason) == (0, "Refused")


async def test_a_server_that_says_nothing_is_no_answer_in_time(api: FakeApi) -> None:
    api.answering.clear()
    async with Client(Access(api.url), Limits(request_seconds=0.1)) as client:
        with pytest.raises(NoAnswer, match=r"Timeout: no answer within 0\.1 s"):
            await client.get("/api/v1/nodes/n1")


async def test_what_is_no_json_is_no_answer() -> None:
    async with saying("<html>proxy</html>") as url, Client(Access(url)) as client:
        with pytest.raises(NoAnswer, match="BadAnswer"):
            await client.get("/version")


async def test_at_most_so_many_requests_are_in_flight(api: FakeApi) -> None:
    api.answering.clear()
    async with Client(Access(api.url), Limits(in_flight=3)) as client:
        asked = [asyncio.create_task(client.get(f"/api/v1/nodes/n{i}")) for i in range(8)]
        await eventually(lambda: len(api.requests) == 3)
        with pytest.raises(NoAnswer):  # the probe doesn't queue behind them
            await client.probe(0.1)
        assert len(api.requests) == 4
        api.answering.set()
        await asyncio.gather(*asked)
    assert len(api.requests) == 9


def test_a_bucket_gives_a_burst_then_its_rate() -> None:
    now = [0.0]
    bucket = Bucket(rate=20, burst=30, clock=lambda: now[0])
    assert [bucket.wait() for _ in range(30)] == [0.0] * 30
    assert [round(bucket.wait(), 6) for _ in range(3)] == [0.05, 0.1, 0.15]
    now[0] += 60
    assert [bucket.wait() for _ in range(31)] == [0.0] * 30 + [pytest.approx(0.05)]


async def test_writes_beyond_the_burst_wait(api: FakeApi) -> None:
    async with Client(Access(api.url), Limits(writes_a_second=20, write_burst=2)) as client:
        began = time.monotonic()
        await asyncio.gather(*(client.put(SCALE, {}) for _ in range(6)))
        assert time.monotonic() - began >= 0.19


async def test_a_renewed_token_is_tried_once_more(api: FakeApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    api.token = "old"
    async with Client(Access(api.url, FromFile(token))) as client:
        await client.get("/api/v1/nodes/n1")
        api.token = "new"
        token.write_text("new\n")
        await client.get("/api/v1/nodes/n1")
        assert len(api.requests) == 3
        api.token = "another"
        with pytest.raises(ApiError, match="401 Unauthorized"):
            await client.get("/api/v1/nodes/n1")
        assert len(api.requests) == 4


class EverNew:
    """Credentials that always have another token to offer."""

    def __init__(self) -> None:
        self.tokens = 0

    async def header(self) -> str:
        return f"Bearer {self.tokens}"

    async def renew(self, rejected: str) -> bool:
        self.tokens += 1
        return rejected != f"Bearer {self.tokens}"


async def test_credentials_that_are_never_good_enough_are_tried_twice(api: FakeApi) -> None:
    api.token = "none of them"
    async with Client(Access(api.url, EverNew())) as client:
        with pytest.raises(ApiError, match="401 Unauthorized"):
            await client.get("/api/v1/nodes/n1")
    assert [r.headers["Authorization"] for r in api.requests] == ["Bearer 0", "Bearer 1"]


async def test_a_token_file_that_is_gone_is_said() -> None:
    async with Client(Access("http://127.0.0.1:1", FromFile(Path("/nowhere/token")))) as client:
        with pytest.raises(NoAnswer, match="The token file /nowhere/token can't be read"):
            await client.get("/version")


def test_neither_access_nor_errors_show_a_secret() -> None:
    access = kubeconfig.from_text(
        config({"token": "s3cret"}, {"server": "https://h", "proxy-url": "http://u:s3cret@p"})
    )
    assert "s3cret" not in repr(access)
    assert "s3cret" not in repr(access.credentials)


def config(user: Json, cluster: Json | None = None) -> str:
    return yaml.safe_dump(
        {
            "current-context": "here",
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                {"name": "there", "context": {"cluster": "c"}},
            ],
            "clusters": [{"name": "c", "cluster": cluster or {"server": "https://host:6443/"}}],
            "users": [{"name": "u", "user": user}],
        }
    )


async def test_a_kubeconfig_names_server_namespace_and_token() -> None:
    access = kubeconfig.from_text(config({"token": "t"}))
    assert (access.server, access.namespace) == ("https://host:6443", "shop")
    assert await access.credentials.header() == "Bearer t"
    there = kubeconfig.from_text(config({"token": "t"}), "there")
    assert (there.namespace, await there.credentials.header()) == ("default", "")


async def test_a_password_is_sent_as_basic() -> None:
    access = kubeconfig.from_text(config({"username": "u", "password": "p"}))
    assert await access.credentials.header() == "Basic " + base64.b64encode(b"u:p").decode()


def test_a_server_is_verified_unless_the_kubeconfig_says_otherwise() -> None:
    strict = kubeconfig.from_text(config({})).tls
    assert strict is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    lax = kubeconfig.from_text(config({}, {"server": "https://h", "insecure-skip-tls-verify": True})).tls
    assert lax is not None
    assert lax.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("body", "context", "says"),
    [
        ("[]", "", "must be an object"),
        ("a: [", "", "while parsing"),
        ("a: b", "", "current-context is missing"),
        (config({}), "elsewhere", 'context "elsewhere" is not there (known: here, there)'),
        (config({}, {"server": 5}), "", "server is '5', must be a text"),
        (config({}, {"server": "https://h", "certificate-authority-data": "?"}), "", "No access"),
        (config({"exec": {"command": "aws", "apiVersion": "v1"}}), "", "exec plug-ins are refused here"),
        (config({"tokenFile": "/etc/shadow"}), "", "tokenFile names a file, which is refused here"),
        (config({}, {"server": "https://h", "certificate-authority": "/ca"}), "", "refused here; use certificate"),
    ],
)
def test_a_kubeconfig_that_gives_no_access_says_why(body: str, context: str, says: str) -> None:
    with pytest.raises(AccessError) as caught:
        kubeconfig.from_text(body, context)
    assert says in str(caught.value)


def test_a_missing_kubeconfig_is_named() -> None:
    with pytest.raises(AccessError, match="/nowhere can't be read"):
        kubeconfig.from_file(Path("/nowhere"))


async def test_a_plugin_is_asked_once_until_its_token_is_rejected(api: FakeApi, tmp_path: Path) -> None:
    count = tmp_path / "count"
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',"
        " 'status': {'token': f't{n}', 'expirationTimestamp': '2999-01-01T00:00:00Z'}}))\n"
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    exec_config = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    path = tmp_path / "config"
    path.write_text(config({"exec": exec_config}, {"server": api.url}))
    api.token = "t1"
    async with Client(kubeconfig.from_file(path)) as client:
        await asyncio.gather(*(client.get(f"/api/v1/nodes/n{i}") for i in range(3)))
        assert count.read_text() == "1"
        api.token = "t2"
        await asyncio.gather(*(client.get(f"/api/v1/nodes/n{i}") for i in range(3)))
        assert count.read_text() == "2"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    write_certificates(tmp_path)
    return tmp_path


async def test_a_client_certificate_and_a_private_authority_open_the_door(certificates: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    server.load_verify_locations(certificates / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    data = {
        name: base64.b64encode((certificates / name).read_bytes()).decode()
        for name in ("ca.crt", "client.crt", "client.key")
    }
    async with FakeApi().serving(tls=server) as api:
        cluster = {"server": api.url, "certificate-authority-data": data["ca.crt"], "tls-server-name": "api.test"}
        user = {"client-certificate-data": data["client.crt"], "client-key-data": data["client.key"]}
        async with Client(kubeconfig.from_text(config(user, cluster))) as client:
            await client.probe(5)
        (certificates / "config").write_text(
            config(
                {"client-certificate": "client.crt", "client-key": "client.key"},
                {"server": api.url, "certificate-authority": "ca.crt", "tls-server-name": "api.test"},
            )
        )
        async with Client(kubeconfig.from_file(certificates / "config")) as client:
            await client.probe(5)
        async with Client(kubeconfig.from_text(config({}, {"server": api.url}))) as client:
            with pytest.raises(NoAnswer, match=r"(?i)certificate"):
                await client.probe(5)


async def test_a_pod_finds_its_service_account(tmp_path: Path, certificates: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("archgov-system")
    access = kubeconfig.from_pod({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (access.server, access.namespace) == ("https://[fd00::1]:443", "archgov-system")
    assert await access.credentials.header() == "Bearer t"
    with pytest.raises(AccessError, match="doesn't run in a pod"):
        kubeconfig.from_pod({}, tmp_path)


async def test_a_broken_stream_is_told_from_one_that_ended(api: FakeApi) -> None:
    query = {"watch": "true", "resourceVersion": "100"}
    async with Client(Access(api.url)) as client:
        async with client.stream(PODS, query, 5.0) as lines:
            await eventually(lambda: api.watchers(PODS) == 1)
            api.say(PODS, b'{"a": 1}\n{"b"')
            api.say(PODS, None)
            assert [line async for line in lines] == [b'{"a": 1}']
        with pytest.raises(NoAnswer, match="Broken"):  # noqa: PT012 - the stream has to be open to break
            async with client.stream(PODS, query, 5.0) as lines:
                await eventually(lambda: api.watchers(PODS) == 1)
                api.say(PODS, CUT)
                assert [line async for line in lines] == []
        with pytest.raises(NoAnswer, match="Silence"):
            async with client.stream(PODS, query, 0.1) as lines:
                assert [line async for line in lines] == []


def test_a_request_given_up_leaves_no_socket_behind_though_the_server_says_no_goodbye(certificates: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    held: list[ssl.SSLSocket] = []

    async def give_up(port: int) -> None:
        cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        async with Client(kubeconfig.from_text(config({}, cluster))) as client:
            asked = asyncio.create_task(client.get("/version"))
            await eventually(lambda: held)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Shakes hands, then neither reads nor answers.
        accepting = threading.Thread(
            target=lambda: held.append(tls.wrap_socket(listening.accept()[0], server_side=True))
        )
        accepting.start()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            asyncio.run(give_up(listening.getsockname()[1]))
            gc.collect()
        accepting.join()
        held.pop().close()
    assert [str(warning.message) for warning in told if warning.category is ResourceWarning] == []
