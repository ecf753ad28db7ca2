"""The operator as a process: signals, the HTTP server, exit codes."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from archgov.edge.client import ApiError, Client
from archgov.edge.elect import Election, NoLongerLeading, Terms
from archgov.edge.kubeconfig import Access
from archgov.edge.operator import Operator
from archgov.edge.serve import REVIEWING, Pages, Server, serving
from archgov.edge.settings import Settings
from archgov.edge.telemetry import Telemetry

LOG: Final = logging.getLogger("archgov.operator")


async def operate(own: Access, settings: Settings, pages: Pages) -> int:
    """Runs the operator until it is told to stop. Returns the exit code: 0 when stopped, 1 when it can't go on."""
    telemetry = Telemetry(settings.traces_file, scraped=settings.serve_port > 0)
    # The Lease has a client of its own: its renewal must not wait behind anything else.
    async with Client(own) as hub, Client(own) as leases:
        try:
            await hub.get("/version")
        except ApiError as error:
            LOG.error("the API server can't be reached", extra={"server": own.server, "why": str(error)})  # noqa: TRY400 the reason says it all
            return 1
        terms = Terms(settings.lease_seconds, settings.renew_seconds, settings.retry_seconds)
        operator = Operator(hub, own, settings, telemetry, Election(leases, settings.namespace, terms))
        task = asyncio.get_running_loop().create_task(operator.run())
        stops: set[asyncio.Task[None]] = set()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(
                name, lambda: stops.add(asyncio.ensure_future(_stopped(operator, task)))
            )
        try:
            async with _served(operator, pages):
                return await _ended(task)
        except OSError as error:
            told = {"port": settings.serve_port, "tls": str(settings.tls_directory or "none"), "why": str(error)}
            LOG.error("the HTTP server can't start", extra=told)  # noqa: TRY400 the reason says it all
            return 1
        finally:
            task.cancel()
            await operator.close()


@asynccontextmanager
async def _served(operator: Operator, pages: Pages) -> AsyncIterator[None]:
    """The operator's HTTP server, where a port is set."""
    settings = operator.settings
    if not settings.serve_port:
        yield
        return
    election = operator.election
    async with Client(operator.own, REVIEWING) as hub:
        server = Server(hub, operator, pages, leader=lambda: None if election.leads() else election.holder)
        async with serving(server, settings.serve_address, settings.serve_port, settings.tls_directory) as port:
            LOG.info("serving", extra={"address": settings.serve_address, "port": port})
            yield


async def _stopped(operator: Operator, task: asyncio.Task[None]) -> None:
    await operator.stop()
    task.cancel()


async def _ended(task: asyncio.Task[None]) -> int:
    try:
        await task
    except asyncio.CancelledError:
        LOG.info("stopped")
        return 0
    except ExceptionGroup as group:
        lost, others = group.split(NoLongerLeading)
        if others:
            raise
        for why in lost.exceptions if lost else ():
            LOG.error("it leads no longer, so it ends", extra={"why": str(why)})  # noqa: TRY400 the reason says it all
    return 1
