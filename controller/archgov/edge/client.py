"""A small client of one API server: dicts in, dicts out, lines of a watch as bytes.

The typed clients cost a millisecond an object, drop the fields they don't know, keep no rate; here are the calls that
archgov makes, with one timeout, one budget of writes, one way to fail.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self
from weakref import WeakSet

import aiohttp
import orjson
from yarl import URL

from archgov import __version__
from archgov.edge.kubeconfig import Access, AccessError
from archgov.edge.tree import Json

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
NOT_FOUND: Final = 404
CONFLICT: Final = 409

FIELD_MANAGER: Final = "archgov"
_OURS: Final = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
# etcd takes no object beyond 1.5 MiB, so a longer line never ends.
_LINE_LIMIT: Final = 16 << 20
_ERROR_LIMIT: Final = 64 << 10


class ApiError(Exception):
    """The API server refused, or (`NoAnswer`) wasn't heard.

    ApiError        it answered with a status of 300 or more
    └── NoAnswer    status 0: refused connection, timeout, broken stream, nonsense; a write may have happened or not

    Attributes:
        status, reason, message, details: as in the Status object that it sent.
        retry_after: seconds it asks us to wait, if it does.
    """

    def __init__(
        self, status: int, reason: str, message: str, *, retry_after: float | None = None, details: Json | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.details = details or {}

    @classmethod
    def of(cls, found: Json, status: int = 0, retry_after: float | None = None) -> ApiError:
        """The error that a Status object tells of."""
        details = found.get("details")
        details = details if isinstance(details, dict) else {}
        code = found.get("code")
        wait = details.get("retryAfterSeconds")
        return cls(
            status or (code if isinstance(code, int) else 0) or 500,
            str(found.get("reason") or "Unknown"),
            str(found.get("message") or "no message"),
            retry_after=float(wait) if retry_after is None and isinstance(wait, int) and wait > 0 else retry_after,
            details=details,
        )


class NoAnswer(ApiError):
    """Nothing usable came back; the reason is Refused, Timeout, Silence, Broken, BadAnswer or NoCredentials."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(0, reason, message)


class Api(Protocol):
    """What archgov asks of an API server. Paths begin with a slash; every call may raise ApiError."""

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """The object at a path."""

    async def list_page(self, path: str, params: Mapping[str, str]) -> Json:
        """One page of a collection; it may take longer than an object."""

    def stream(
        self, path: str, params: Mapping[str, str], silence_seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The lines of a watch, open once the context is entered; NoAnswer("Silence") when nothing comes."""

    async def post(self, path: str, body: Json, params: Mapping[str, str] | None = None) -> Json:
        """What was created."""

    async def put(self, path: str, body: Json, params: Mapping[str, str] | None = None) -> Json:
        """What it was replaced by."""

    async def patch(
        self, path: str, body: Json | list[Json], content_type: str, params: Mapping[str, str] | None = None
    ) -> Json:
        """What the patch made of it."""

    async def delete(self, path: str, body: Json | None = None) -> Json:
        """The deleted object or a Status; the body is deleteOptions, where the preconditions are."""

    async def probe(self, timeout_seconds: float) -> None:
        """Returns when the server answers at all; doesn't queue behind other requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is asked of one API server, and for how long."""

    request_seconds: float = 30.0
    list_seconds: float = 60.0
    connect_seconds: float = 10.0
    in_flight: int = 10
    writes_a_second: float = 20.0
    write_burst: int = 30


class Bucket:
    """A token bucket: `burst` at once, `rate` a second for ever."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def wait(self) -> float:
        """Takes a token; returns how many seconds to wait until it is really there."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)


class _Connector(aiohttp.TCPConnector):
    """Leaves no socket behind when it is closed.

    A request that is cancelled hands its connection to TLS to say goodbye, and the connector forgets it; a server that is
    slow or silent then keeps the socket open beyond the loop.
    """

    def __init__(self, *, limit: int, ssl: ssl.SSLContext | bool) -> None:
        super().__init__(limit=limit, ssl=ssl)
        self._opened: WeakSet[asyncio.Transport] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp names it
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        if connection.transport is not None:
            self._opened.add(connection.transport)
        return connection

    async def close(self, *, abort_ssl: bool = False) -> None:
        await super().close(abort_ssl=abort_ssl)
        for transport in self._opened:
            transport.abort()
        # What was aborted closes its socket in the next turn of the loop.
        await asyncio.sleep(0)


class Client:
    """An `Api` over aiohttp. Make it inside a running loop, close it with `async with` or `close`."""

    def __init__(
        self, access: Access, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._access = access
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(self._limits.in_flight)
        self._writes = Bucket(self._limits.writes_a_second, self._limits.write_burst, clock)
        self._session = aiohttp.ClientSession(
            # Each watch holds a connection, so the connector itself sets no limit.
            connector=_Connector(limit=0, ssl=access.tls if access.tls is not None else True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"archgov/{__version__}", "Accept": JSON},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every connection."""
        await self._session.close()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        return await self._read(path, params or {}, self._limits.request_seconds)

    async def list_page(self, path: str, params: Mapping[str, str]) -> Json:
        return await self._read(path, params, self._limits.list_seconds)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], silence_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        opening = self._limits.request_seconds
        async with self._open("GET", path, params, seconds=opening, silence_seconds=silence_seconds) as response:
            try:
                yield _lines(response.content)
            finally:
                _hang_up(response)

    async def post(self, path: str, body: Json, params: Mapping[str, str] | None = None) -> Json:
        return await self._write("POST", path, {**_OURS, **(params or {})}, body)

    async def put(self, path: str, body: Json, params: Mapping[str, str] | None = None) -> Json:
        return await self._write("PUT", path, {**_OURS, **(params or {})}, body)

    async def patch(
        self, path: str, body: Json | list[Json], content_type: str, params: Mapping[str, str] | None = None
    ) -> Json:
        return await self._write("PATCH", path, {**_OURS, **(params or {})}, body, content_type)

    async def delete(self, path: str, body: Json | None = None) -> Json:
        return await self._write("DELETE", path, {}, body)

    async def probe(self, timeout_seconds: float) -> None:
        async with self._open("GET", "/version", {}, seconds=timeout_seconds) as response:
            # Read to its end, so that the connection is used again.
            async with asyncio.timeout(timeout_seconds):
                await response.read()

    async def _read(self, path: str, params: Mapping[str, str], seconds: float) -> Json:
        async with self._slots, self._open("GET", path, params, seconds=seconds) as response:
            return await self._object(response, seconds)

    async def _write(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Json | list[Json] | None,
        content_type: str = JSON,
    ) -> Json:
        await asyncio.sleep(self._writes.wait())
        data = None if body is None else orjson.dumps(body)
        seconds = self._limits.request_seconds
        async with (
            self._slots,
            self._open(method, path, params, seconds=seconds, data=data, content_type=content_type) as response,
        ):
            return await self._object(response, seconds)

    async def _object(self, response: aiohttp.ClientResponse, seconds: float) -> Json:
        async with asyncio.timeout(seconds):
            found = orjson.loads(await response.read())
        if not isinstance(found, dict):
            raise NoAnswer("BadAnswer", f"{response.url.path} answered with JSON that is no object")
        return found

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        *,
        seconds: float,
        silence_seconds: float | None = None,
        data: bytes | None = None,
        content_type: str = JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request, its status below 300; asked once more when renewed credentials may help."""
        patience = aiohttp.ClientTimeout(
            total=None, sock_connect=self._limits.connect_seconds, sock_read=silence_seconds
        )
        try:
            async with asyncio.timeout(seconds):
                response = await self._ask(method, path, params, data, content_type, patience)
            async with response:
                yield response
        except AccessError as error:
            raise NoAnswer("NoCredentials", str(error)) from error
        except aiohttp.SocketTimeoutError as error:
            raise NoAnswer("Silence", f"nothing came for {silence_seconds:g} s") from error
        except TimeoutError as error:
            raise NoAnswer("Timeout", f"no answer within {seconds:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise NoAnswer("Refused", _in_words(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer("Broken", _in_words(error)) from error
        except orjson.JSONDecodeError as error:
            raise NoAnswer("BadAnswer", f"{path} answered with what is no JSON") from error

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        data: bytes | None,
        content_type: str,
        patience: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        renewed = False
        while True:
            proof = await self._access.credentials.header()
            response = await self._session.request(
                method,
                URL(self._access.server + path),
                params=params,
                data=data,
                headers=_headers(proof, content_type if data is not None else ""),
                timeout=patience,
                proxy=self._access.proxy or None,
                server_hostname=self._access.server_name or None,
                allow_redirects=False,  # our token is meant for this server only
            )
            if response.status < 300:
                return response
            refusal = await _refusal(response)
            if response.status != 401 or renewed or not await self._access.credentials.renew(proof):
                raise refusal
            renewed = True


def _headers(proof: str, content_type: str) -> dict[str, str]:
    return {key: value for key, value in (("Authorization", proof), ("Content-Type", content_type)) if value}


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    """The error that an answer tells of, whatever stands in front of the API server wrote it."""
    async with response:
        body = await response.content.read(_ERROR_LIMIT)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    wait = response.headers.get("Retry-After", "")
    told = found if isinstance(found, dict) else {"reason": response.reason, "message": "no Status object came with it"}
    return ApiError.of(told, response.status, float(wait) if wait.isdecimal() else None)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Every whole line; half a one at the end was cut off, so it comes again on the next watch."""
    # readline() would refuse lines beyond 64 KiB, which a pod may exceed.
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > _LINE_LIMIT:
            raise NoAnswer("BadAnswer", f"a line of the watch is longer than {_LINE_LIMIT >> 20} MiB")


def _hang_up(response: aiohttp.ClientResponse) -> None:
    # A watch is left in the middle of its body, and a server that fell silent lets a TLS goodbye wait for 30 s.
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


def _in_words(error: BaseException) -> str:
    return str(error) or type(error).__name__
