"""Witnesses that answer, fall silent, speak again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from archgov.api.member_cluster import Probe
from archgov.edge.witness import Witnesses
from archgov.model.intent import Witness
from archgov.model.ref import ClusterName
from tests.edge.fake_api import eventually

QUICK = 0.05


class Endpoint:
    """Answers with `status`, or first with what stands in `once`; hangs while it is 0."""

    def __init__(self) -> None:
        self.status = 200
        self.once: list[int] = []
        self.asked = 0
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        status = self.once.pop() if self.once else self.status
        if not status:
            await asyncio.Event().wait()
        return web.Response(status=status)


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    one = Endpoint()
    app = web.Application()
    app.router.add_get("/", one.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[tuple[Witnesses, list[str]]]:
    told: list[str] = []
    witnesses = Witnesses(told.append, QUICK)
    witnesses.watch([Probe(Witness("w", ClusterName("eu"), "probes"), url)])
    try:
        yield witnesses, told
    finally:
        await witnesses.close()


def answers(witnesses: Witnesses) -> bool | None:
    (witness,) = witnesses.current
    return witness.answers


async def test_before_the_first_probe_a_witness_has_said_nothing() -> None:
    async with endpoint() as one, asking(one.url) as (witnesses, told):
        assert answers(witnesses) is None
        await eventually(lambda: answers(witnesses) is True)
        assert told == ["Witness"]


@pytest.mark.parametrize("status", [0, 503])
async def test_silence_and_errors_of_a_server_are_no_answer_until_it_speaks_again(status: int) -> None:
    async with endpoint() as one, asking(one.url) as (witnesses, told):
        await eventually(lambda: answers(witnesses) is True)
        one.status = status
        await eventually(lambda: answers(witnesses) is False)
        one.status = 404  # somebody is there to say so
        await eventually(lambda: answers(witnesses) is True)
        assert told == ["Witness"] * 3


async def test_one_lost_probe_is_no_silence() -> None:
    async with endpoint() as one, asking(one.url) as (witnesses, told):
        await eventually(lambda: answers(witnesses) is True)
        one.once.append(500)
        before = one.asked
        await eventually(lambda: one.asked > before + 2)
        assert not one.once
        assert told == ["Witness"]


async def test_whoever_is_not_there_is_silent() -> None:
    async with endpoint() as gone:
        url = gone.url
    async with asking(url) as (witnesses, _):
        await eventually(lambda: answers(witnesses) is False)


async def test_a_witness_that_is_no_longer_declared_is_forgotten() -> None:
    async with endpoint() as one, asking(one.url) as (witnesses, _):
        await eventually(lambda: answers(witnesses) is True)
        witnesses.watch([])
        assert witnesses.current == ()
