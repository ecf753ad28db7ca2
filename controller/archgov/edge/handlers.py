"""kopf, for archgov's own kinds only: their events say that a round is due, nothing else.

Nodes, pods and workloads never pass through kopf: it costs fifty times the CPU of a raw stream per event, forgets deletions
on a relist, ends the process on some errors of a watch. Here each of these would cost a wake-up at most, for the hub's own
reflector sees the same objects; its end is retried.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import kopf

from archgov.api.kind import API_VERSION
from archgov.api.registry import KINDS
from archgov.edge.kubeconfig import Access

LOG: Final = logging.getLogger("archgov.handlers")
RETRY_SECONDS: Final = 5.0


class Handlers:
    """Runs kopf in a thread of its own: in the main one it would take the signals of the process for itself."""

    def __init__(self, access: Access, mark: Callable[[str], None]) -> None:
        self._access = access
        self._mark = mark
        self._seen: dict[str, object] = {}

    async def run(self) -> None:
        """Handles events until cancelled; when kopf ends it is started anew."""
        # Below errors kopf tells of each retry, and of running beside the main thread, which is meant.
        logging.getLogger("kopf").setLevel(logging.ERROR)
        rounds = asyncio.get_running_loop()
        while True:
            stop, ended = threading.Event(), asyncio.Event()
            thread = threading.Thread(target=self._handle, args=(rounds, stop, ended), name="kopf", daemon=True)
            thread.start()
            try:
                await ended.wait()
            finally:
                stop.set()
            await asyncio.sleep(RETRY_SECONDS)

    def _handle(self, rounds: asyncio.AbstractEventLoop, stop: threading.Event, ended: asyncio.Event) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=self._registry(rounds),
                    settings=_settings(),
                    standalone=True,
                    clusterwide=True,
                    stop_flag=stop,
                )
            )
        except Exception as error:  # noqa: BLE001 kopf ends for many reasons; none of them may end the rounds
            LOG.warning("kopf ended", extra={"why": str(error)})
        if not stop.is_set():
            rounds.call_soon_threadsafe(ended.set)

    def _asks_anew(self, body: kopf.Body, *, is_gone: bool) -> bool:
        """Whether an object asks for something else than before; our own status writes don't."""
        metadata = body.metadata
        asked = (metadata.get("generation"), dict(metadata.labels), dict(metadata.annotations), is_gone)
        former = self._seen.pop(str(metadata.uid), None)
        if not is_gone:
            self._seen[str(metadata.uid)] = asked
        return former != asked

    def _registry(self, rounds: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        group, version = API_VERSION.split("/")

        @kopf.on.login(registry=registry, id="kubeconfig")
        async def login(**_: Any) -> kopf.ConnectionInfo:
            header = asyncio.run_coroutine_threadsafe(self._access.credentials.header(), rounds)
            proof = await asyncio.wrap_future(header)
            return kopf.ConnectionInfo(
                server=self._access.server,
                token=proof.removeprefix("Bearer ") or None,
                ca_data=self._access.authority or None,
                certificate_data=self._access.certificate or None,
                private_key_data=self._access.key or None,
            )

        for kind in KINDS.values():

            @kopf.on.event(group, version, kind.plural, registry=registry, id=f"due-{kind.plural}")
            async def due(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 kopf names it
                if self._asks_anew(body, is_gone=type == "DELETED"):
                    rounds.call_soon_threadsafe(self._mark, str(body.get("kind", "")))

        return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.persistence.finalizer = "archgov.io/kopf"
    settings.process.ultimate_exiting_timeout = 20
    return settings
