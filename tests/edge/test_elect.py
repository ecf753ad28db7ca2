"""One leader at a time, whatever clocks, answers and pauses do."""

from __future__ import annotations

import asyncio
import copy
import random
import threading
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.edge.client import Api, ApiError, NoAnswer
from archgov.edge.elect import LOST, Election, NoLongerLeading, Terms
from archgov.edge.tree import Json

TERMS = Terms(lease=15, renew=10, retry=2)


@dataclass
class Time:
    now: float = 0.0


@dataclass
class Leases:
    """One Lease as an API server keeps it. fault: of the next write, "lost" before it, "unheard" or "late" (7 s) after it."""

    lease: Json | None = None
    version: int = 0
    fault: str = ""
    time: Time | None = None

    async def get(self, path: str) -> Json:
        assert path.endswith("/namespaces/archgov-system/leases/archgov")
        if self.lease is None:
            raise ApiError(404, "NotFound", "no such Lease")
        return copy.deepcopy(self.lease)

    async def post(self, _: str, body: Json) -> Json:
        return self._stored(body, is_new=self.lease is None)

    async def put(self, _: str, body: Json) -> Json:
        known = self.lease["metadata"]["resourceVersion"] if self.lease else ""
        return self._stored(body, is_new=body["metadata"].get("resourceVersion") == known)

    def _stored(self, body: Json, *, is_new: bool) -> Json:
        fault, self.fault = self.fault, ""
        if fault == "lost":
            raise NoAnswer("Timeout", "no answer within 4 s")
        if not is_new:
            raise ApiError(409, "Conflict", "somebody was faster")
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        if fault == "late" and self.time is not None:
            self.time.now += 7
        if fault == "unheard":
            raise NoAnswer("Timeout", "no answer within 4 s")
        return self.lease


def candidate(leases: Leases, time: Time, name: str, skew: float = 0.0, newest: int = 0) -> Election:
    return Election(
        cast("Api", leases),
        "archgov-system",
        TERMS,
        lambda: newest,
        identity=name,
        clock=lambda: time.now + skew,
        dice=random.Random(1),
    )


async def attempt(one: Election) -> None:
    """One try, whatever comes of it."""
    try:
        await one._attempt()
    except (ApiError, NoLongerLeading):
        return


async def test_the_first_leads_and_the_second_follows_once_the_lease_has_run_out() -> None:
    leases, time = Leases(), Time()
    first, second = candidate(leases, time, "a"), candidate(leases, time, "b", skew=-1e6)
    await attempt(first)
    await attempt(second)
    assert (first.leads(), second.leads(), first.epoch, second.holder) == (True, False, 1, "a")
    time.now = 15.0
    await attempt(second)
    assert not second.leads(), "its clock counts from when it saw the Lease, and a lease has to have passed"
    time.now = 15.1
    await attempt(second)
    assert (first.leads(), second.leads(), second.epoch) == (False, True, 2)
    with pytest.raises(NoLongerLeading, match="b holds"):
        await first._attempt()


async def test_a_lease_that_is_renewed_never_runs_out() -> None:
    leases, time = Leases(), Time()
    first, second = candidate(leases, time, "a"), candidate(leases, time, "b")
    for _ in range(30):
        time.now += 4
        await attempt(first)
        await attempt(second)
        assert (first.leads(), second.leads()) == (True, False)
    assert first.epoch == 1


async def test_who_stops_in_order_lets_the_next_one_begin_at_once() -> None:
    leases, time = Leases(), Time()
    first, second = candidate(leases, time, "a"), candidate(leases, time, "b")
    await attempt(first)
    await attempt(second)
    await first.release()
    await attempt(second)
    assert (first.leads(), second.leads(), second.epoch) == (False, True, 2)


async def test_a_deleted_lease_begins_above_every_epoch_that_was_written() -> None:
    leases, time = Leases(), Time()
    one = candidate(leases, time, "a", newest=41)
    await attempt(one)
    assert (one.leads(), one.epoch) == (True, 42)
    taken_back = candidate(
        Leases({"metadata": {"resourceVersion": "0"}, "spec": {"leaseTransitions": 7}}), time, "b", newest=9
    )
    await attempt(taken_back)
    assert taken_back.epoch == 10


async def test_of_two_that_try_together_one_wins() -> None:
    leases, time = Leases(), Time()
    both = [candidate(leases, time, name) for name in "ab"]
    await asyncio.gather(*(attempt(one) for one in both))
    assert [one.leads() for one in both].count(True) == 1


async def test_an_answer_that_was_not_heard_is_found_with_the_next_try() -> None:
    leases, time = Leases(fault="unheard"), Time()
    one = candidate(leases, time, "a")
    await attempt(one)
    assert not one.leads()
    await attempt(one)
    assert (one.leads(), one.epoch) == (True, 1)


async def test_a_leader_that_cannot_renew_gives_up_before_its_lease_runs_out() -> None:
    leases, time = Leases(), Time()
    one = candidate(leases, time, "a")
    one.terms = Terms(lease=0.5, renew=0.3, retry=0.01)

    async def until_silent() -> None:
        await one.elected.wait()
        for _ in range(100):
            leases.fault = "lost"
            time.now += 0.02
            await asyncio.sleep(0.005)

    silence = asyncio.create_task(until_silent())
    with pytest.raises(NoLongerLeading, match="not renewed"):
        await one.run()
    assert time.now < 0.5
    silence.cancel()


def test_a_blocked_loop_ends_with_its_process() -> None:
    time, ended = Time(), threading.Event()
    one = candidate(Leases(), time, "a")
    asyncio.run(attempt(one))
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    one.watch_over(end)
    assert not ended.wait(0.5)
    time.now = TERMS.renew + TERMS.retry
    assert ended.wait(5)
    assert codes == [LOST]


@pytest.mark.parametrize(("lease", "renew", "retry"), [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_terms_that_let_two_lead_are_refused(lease: float, renew: float, retry: float) -> None:
    with pytest.raises(ValueError, match="retry < renew < lease"):
        Terms(lease, renew, retry)


@dataclass
class Race:
    """Candidates with clocks of their own, any of which may pause, lose requests or answers."""

    skews: tuple[float, ...]
    time: Time = field(default_factory=Time)
    leases: Leases = field(default_factory=Leases)

    def __post_init__(self) -> None:
        self.leases.time = self.time
        self.all = [candidate(self.leases, self.time, str(i), skew) for i, skew in enumerate(self.skews)]


steps = st.lists(
    st.tuples(
        st.integers(0, 2), st.floats(0, 9), st.sampled_from(["", "", "late", "lost", "unheard", "deleted", "released"])
    ),
    max_size=60,
)


@given(skews=st.tuples(*[st.floats(-1e7, 1e7)] * 3), steps=steps)
def test_never_do_two_lead_and_epochs_only_rise(skews: tuple[float, ...], steps: list[tuple[int, float, str]]) -> None:
    race, epochs = Race(skews), [0]

    async def run() -> None:
        for who, passes, what in steps:
            race.time.now += passes
            assert sum(one.leads() for one in race.all) <= 1
            if what == "released":
                await race.all[who].release()
            elif what == "deleted" and not any(one.leads() for one in race.all):
                race.leases.lease = None
            else:
                race.leases.fault = what if what in ("late", "lost", "unheard") else ""
                race.all[who].newest = lambda: max(epochs)
                before = race.all[who].leads()
                await attempt(race.all[who])
                race.leases.fault = ""
                if race.all[who].leads() and not before and race.all[who].epoch != epochs[-1]:
                    assert race.all[who].epoch > max(epochs)
                    epochs.append(race.all[who].epoch)
            assert sum(one.leads() for one in race.all) <= 1

    asyncio.run(run())


async def test_success_is_dated_before_the_request_since_others_may_count_from_then() -> None:
    time = Time()
    one = candidate(Leases(fault="late", time=time), time, "a")
    await attempt(one)
    assert (time.now, one.seconds_left) == (7, TERMS.renew - 7)
