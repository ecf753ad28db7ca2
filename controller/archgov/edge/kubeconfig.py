"""How to reach one API server, as a kubeconfig or a pod's service account says it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import yaml

from archgov.edge.tree import Json, Misshapen, flag, mapping, needed, objects, text

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet renews projected tokens at 80 % of their life, which is ten minutes at the least.
_TOKEN_FILE_SECONDS: Final = 60.0


class AccessError(Exception):
    """A cluster can't be reached as configured; says what is wrong, where, how to fix it."""


class Credentials(Protocol):
    """What proves who we are."""

    async def header(self) -> str:
        """The Authorization header of the next request; empty when the connection itself is the proof."""

    async def renew(self, rejected: str) -> bool:
        """Another header than the rejected one is to be had, so that asking again makes sense."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A token, or nothing, that stays as it is."""

    value: str = field(default="", repr=False)

    async def header(self) -> str:
        return self.value

    async def renew(self, rejected: str) -> bool:
        return rejected != self.value


@dataclass(slots=True)
class FromFile:
    """A token that somebody else renews in a file."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    _value: str = field(default="", repr=False)
    _read_at: float = field(default=float("-inf"), repr=False)

    async def header(self) -> str:
        if self.clock() - self._read_at > _TOKEN_FILE_SECONDS:
            self._read()
        return self._value

    async def renew(self, rejected: str) -> bool:
        self._read()
        return self._value != rejected

    def _read(self) -> None:
        try:
            self._value = f"Bearer {self.path.read_text().strip()}"
        except OSError as error:
            raise AccessError(
                f"The token file {self.path} can't be read ({error.strerror}); mount or correct it."
            ) from error
        self._read_at = self.clock()


@dataclass(slots=True)
class FromPlugin:
    """A token that an exec plug-in hands out, kept until it expires or is rejected."""

    config: Json = field(repr=False)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _value: str = field(default="", repr=False)
    _expires: datetime | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def header(self) -> str:
        async with self._turn:
            if not self._value or (self._expires is not None and self._expires <= self.now()):
                await self._ask()
            return self._value

    async def renew(self, rejected: str) -> bool:
        # Ten reflectors are rejected at once; the plug-in is asked by the first of them.
        async with self._turn:
            if self._value == rejected:
                await self._ask()
            return self._value != rejected

    async def _ask(self) -> None:
        from kubernetes.aio.config.config_exception import ConfigException  # noqa: PLC0415 - 0.8 s, and few need it
        from kubernetes.aio.config.exec_provider import ExecProvider  # noqa: PLC0415 - as above
        from kubernetes.aio.config.kube_config import ConfigNode  # noqa: PLC0415 - as above

        try:
            status: Json = await ExecProvider(ConfigNode("exec", self.config)).run()  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise AccessError(
                f"The exec plug-in {self.config.get('command')} of the kubeconfig failed: {error}"
            ) from error
        if not status.get("token"):
            raise AccessError(
                f"The exec plug-in {self.config.get('command')} gave no token; client certificates need a file."
            )
        self._value = f"Bearer {status['token']}"
        expires = status.get("expirationTimestamp")
        self._expires = datetime.fromisoformat(expires) if expires else None


@dataclass(frozen=True, slots=True)
class Access:
    """Everything needed to talk to one API server.

    Attributes:
        tls: None for plain http.
        server_name: the name in the server's certificate where it isn't the host of the URL.
        namespace: what the context names as its own.
        authority, certificate, key: PEM, what `tls` was made of; for libraries that make their own.
    """

    server: str
    credentials: Credentials = field(default=Fixed(), repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    server_name: str = ""
    proxy: str = field(default="", repr=False)
    namespace: str = "default"
    authority: bytes = field(default=b"", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)


def from_file(path: Path, context: str = "") -> Access:
    """The access that a kubeconfig file describes under a context, or under its current one.

    Raises:
        AccessError: the file doesn't describe one.
    """
    try:
        body = path.read_text()
    except OSError as error:
        raise AccessError(f"The kubeconfig {path} can't be read ({error.strerror}); name another file.") from error
    return from_text(body, context, folder=path.parent, source=str(path))


def from_text(body: str, context: str = "", *, folder: Path | None = None, source: str = "the kubeconfig") -> Access:
    """The access that a kubeconfig describes.

    Args:
        body: the kubeconfig.
        context: empty for the current one.
        folder: what relative paths start from. Without one, as for a text from a Secret, files and exec plug-ins are
            refused: whoever may write that Secret must not read our files or start programs here.
        source: what errors call it.

    Raises:
        AccessError: it doesn't describe one.
    """
    try:
        config = mapping({"the text": yaml.load(body, Loader=yaml.CSafeLoader)}, "the text")
        chosen = context or needed(config, "current-context")
        place = _named(config, "contexts", "context", chosen)
        cluster = _named(config, "clusters", "cluster", needed(place, "cluster"))
        user = _named(config, "users", "user", text(place, "user")) if text(place, "user") else {}
        return Access(
            server=needed(cluster, "server").rstrip("/"),
            credentials=_credentials(user, folder),
            tls=_tls(cluster, user, folder),
            server_name=text(cluster, "tls-server-name"),
            proxy=text(cluster, "proxy-url"),
            namespace=text(place, "namespace", "default"),
            authority=_content(cluster, "certificate-authority", folder),
            certificate=_content(user, "client-certificate", folder),
            key=_content(user, "client-key", folder),
        )
    except (Misshapen, yaml.YAMLError, ssl.SSLError, OSError, binascii.Error) as error:
        raise AccessError(
            f"No access from {source}: {error}. Correct it; `kubectl config view` shows its shape."
        ) from error


def from_pod(environ: Mapping[str, str] | None = None, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The access that Kubernetes gives every pod.

    Raises:
        AccessError: this process doesn't run in a pod with a service account.
    """
    found = os.environ if environ is None else environ
    host, port = found.get("KUBERNETES_SERVICE_HOST", ""), found.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not all((folder / name).is_file() for name in ("token", "ca.crt")):
        raise AccessError("This process doesn't run in a pod with a service account; name a kubeconfig instead.")
    namespace = folder / "namespace"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        credentials=FromFile(folder / "token"),
        tls=_context((folder / "ca.crt").read_text()),
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        authority=(folder / "ca.crt").read_bytes(),
    )


def _named(config: Json, section: str, part: str, name: str) -> Json:
    entries = objects(config, section)
    found = next((entry for entry in entries if entry.get("name") == name), None)
    if found is None:
        known = ", ".join(sorted(str(entry.get("name")) for entry in entries)) or "none"
        raise Misshapen(f'{part} "{name}" is not there (known: {known})')
    return mapping(found, part)


def _credentials(user: Json, folder: Path | None) -> Credentials:
    if token := text(user, "token"):
        return Fixed(f"Bearer {token}")
    if path := text(user, "tokenFile"):
        return FromFile(_path(path, "tokenFile", folder))
    if name := text(user, "username"):
        return Fixed("Basic " + base64.b64encode(f"{name}:{text(user, 'password')}".encode()).decode())
    if plugin := mapping(user, "exec"):
        if folder is None:
            raise Misshapen("exec plug-ins are refused here; use a token or a client certificate")
        return FromPlugin({**plugin, "apiVersion": needed(plugin, "apiVersion"), "command": needed(plugin, "command")})
    return Fixed()


def _tls(cluster: Json, user: Json, folder: Path | None) -> ssl.SSLContext | None:
    if not needed(cluster, "server").startswith("https://"):
        return None
    authority = _content(cluster, "certificate-authority", folder)
    context = _context(authority.decode() if authority else None)
    if flag(cluster, "insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _content(user, "client-certificate", folder), _content(user, "client-key", folder)
    if certificate and key:
        _prove(context, certificate, key)
    return context


def _context(authority: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority)
    # Python 3.13 made this the default, and the CAs of many clusters lack the extensions it asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _prove(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # Python's ssl takes a client certificate from files only. mkdtemp makes the folder readable by us alone.
    with tempfile.TemporaryDirectory(prefix="archgov-") as folder:
        certificate_file, key_file = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate_file.write_bytes(certificate)
        key_file.write_bytes(key)
        context.load_cert_chain(certificate_file, key_file)


def _content(parent: Json, key: str, folder: Path | None) -> bytes:
    if inline := text(parent, f"{key}-data"):
        return base64.b64decode(inline, validate=True)
    path = text(parent, key)
    return _path(path, key, folder).read_bytes() if path else b""


def _path(path: str, key: str, folder: Path | None) -> Path:
    if folder is None:
        raise Misshapen(f"{key} names a file, which is refused here; use {key}-data or a token")
    return folder / path
