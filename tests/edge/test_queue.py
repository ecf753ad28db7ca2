"""When a round begins."""

from __future__ import annotations

import asyncio
import time

from archgov.edge.queue import Due

NEVER = 30.0


async def test_a_change_is_answered_once_it_is_quiet() -> None:
    due = Due(0.05, NEVER)
    due.mark("Pod")
    begin = time.monotonic()
    await due.wait(NEVER)
    assert 0.05 <= time.monotonic() - begin < NEVER / 2


async def test_a_busy_fleet_is_answered_after_the_longest_time() -> None:
    due = Due(NEVER, 0.2)
    answered = asyncio.create_task(due.wait(NEVER))
    while not answered.done():
        due.mark("Pod")
        await asyncio.sleep(0.01)
    await answered


async def test_an_alarm_waits_for_no_quiet() -> None:
    due = Due(NEVER, NEVER)
    due.mark("Pod")
    answered = asyncio.create_task(due.wait(NEVER))
    await asyncio.sleep(0)
    due.mark("Reach")
    async with asyncio.timeout(NEVER / 2):
        await answered
    assert not due.alarm.is_set()


async def test_without_a_change_it_looks_again_after_the_time_given() -> None:
    due = Due(NEVER, NEVER)
    async with asyncio.timeout(NEVER / 2):
        await due.wait(0.01)


async def test_what_changes_while_a_round_runs_starts_another() -> None:
    due = Due(0.001, 0.01)
    due.mark("Pod")
    await due.wait(NEVER)
    due.mark("Pod")
    async with asyncio.timeout(NEVER / 2):
        await due.wait(NEVER)
