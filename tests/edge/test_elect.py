"""One leader at a time, whatever clocks, answers and pauses do."""

from __future__ import annotations

import asyncio
import copy
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.edge.client import Api, ApiError, NoAnswer
from archgov.edge.elect import LOST, UNKNOWN, Election, NoLongerLeading, Terms
from archgov.edge.tree import Json

TERMS = Terms(lease=15, renew=10, retry=2)


@dataclass
class Time:
    now: float = 0.0


@dataclass
class Leases:
    """One Lease as an API server keeps it.

    Attributes:
        fault: of the next write, "lost" before it, "unheard" or "late" (7 s) after it.
        before, after: what happens while the next GET is under way, until the server reads the Lease and from then on.
    """

    lease: Json | None = None
    version: int = 0
    fault: str = ""
    time: Time | None = None
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None

    async def get(self, path: str) -> Json:
        assert path.endswith("/namespaces/archgov-system/leases/archgov")
        before, after, self.before, self.after = self.before, self.after, None, None
        if before is not None:
            await before()
        lease = copy.deepcopy(self.lease)
        if after is not None:
            await after()
        if lease is None:
            raise ApiError(404, "NotFound", "no such Lease")
        return lease

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

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
    assert (first.leads(), second.leads(), first.epoch, leases.holder) == (True, False, 1, "a")
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


async def test_a_lease_begins_above_every_epoch_that_was_written() -> None:
    released = Leases({"metadata": {"resourceVersion": "0"}, "spec": {"leaseTransitions": 7}})
    one = candidate(released, Time(), "a", newest=9)
    await attempt(one)
    assert (one.leads(), one.epoch) == (True, 10)


async def test_a_lease_that_is_gone_makes_nobody_lead_before_a_whole_one_has_passed() -> None:
    leases, time = Leases(), Time()
    first, second, third = candidate(leases, time, "a"), candidate(leases, time, "b"), candidate(leases, time, "c")
    await attempt(first)
    await attempt(second)
    time.now, leases.lease = 1.0, None
    await attempt(second)
    assert (first.leads(), second.leads(), leases.holder) == (True, False, UNKNOWN)
    # Deleted again, unseen: what was counted of the first one says nothing of who held another since.
    time.now, leases.lease = 10.0, None
    await attempt(third)
    for time.now in (16.1, 31.0):
        await attempt(second)
        assert not second.leads()
    time.now = 31.2
    await attempt(second)
    assert (second.leads(), second.epoch) == (True, 2), (
        "the epoch that it saw counts, though nothing was written with it"
    )


async def test_a_lease_that_is_gone_before_this_one_saw_it_is_known_from_what_was_written() -> None:
    leases, time = Leases(), Time()
    one = candidate(leases, time, "a", newest=41)
    for time.now in (0.0, 15.0):
        await attempt(one)
        assert not one.leads()
    time.now = 15.1
    await attempt(one)
    assert (one.leads(), one.epoch) == (True, 42)


async def test_a_leader_whose_lease_is_gone_leads_on_while_its_own_clock_lets_it() -> None:
    leases, time = Leases(), Time()
    first, second = candidate(leases, time, "a"), candidate(leases, time, "b")
    await attempt(first)
    await attempt(second)
    for finder in (first, second):
        time.now, leases.lease = time.now + 9, None
        await attempt(finder)
        await first._attempt()
        assert (first.leads(), second.leads(), first.epoch, leases.holder) == (True, False, 1, "a")
    time.now, leases.lease = time.now + 10, None
    with pytest.raises(NoLongerLeading):
        await first._attempt()
    assert leases.holder == UNKNOWN


async def test_a_lease_that_is_put_back_counts_as_long_as_the_one_that_was_seen() -> None:
    leases, time = Leases(), Time()
    first, second = candidate(leases, time, "a"), candidate(leases, time, "b")
    first.terms = Terms(lease=60, renew=50, retry=2)
    await attempt(first)
    await attempt(second)
    leases.lease = None
    for time.now in (1.0, 61.0):
        await attempt(second)
        assert not second.leads()


async def test_a_lease_says_no_less_than_it_counts() -> None:
    leases = Leases()
    one = candidate(leases, Time(), "a")
    one.terms = Terms(lease=2.4, renew=2, retry=0.5)
    await attempt(one)
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseDurationSeconds"] == 3


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


async def test_a_leader_that_hears_nothing_ends_with_words_before_its_watchdog_ends_it() -> None:
    leases, codes = Leases(), list[int]()
    one = Election(cast("Api", leases), "archgov-system", Terms(lease=1.5, renew=1, retry=0.6))
    one.watch_over(codes.append)

    async def silence() -> None:
        await asyncio.Event().wait()

    leading = asyncio.create_task(one.run())
    await one.elected.wait()
    leases.before = silence
    with pytest.raises(NoLongerLeading, match="not renewed"):
        await leading
    assert not one.leads()
    assert codes == []


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
    """Candidates with clocks of their own, any of which may pause, lose requests or answers, find the Lease gone.

    Attributes:
        epochs: who led, by epoch; over: when the last effect that each may have begun is over.
    """

    skews: tuple[float, ...]
    time: Time = field(default_factory=Time)
    leases: Leases = field(default_factory=Leases)
    epochs: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leases.time = self.time
        self.all = [candidate(self.leases, self.time, str(i), skew) for i, skew in enumerate(self.skews)]
        self.over = [0.0] * len(self.all)
        for one in self.all:
            one.newest = lambda: max(self.epochs, default=0)

    async def step(self, who: int, what: str) -> None:
        if what == "released":
            await self.all[who].release()
            if not self.all[who].elected.is_set():
                self.over[who] = 0.0
        elif what == "deleted":
            self.leases.lease = None
        elif what in ("read late", "answered late"):

            async def others() -> None:
                self.time.now += 7
                for other in range(len(self.all)):
                    if other != who:
                        await self.step(other, "")

            setattr(self.leases, "before" if what == "read late" else "after", others)
            await self._attempt(who)
        else:
            self.leases.fault = what
            await self._attempt(who)
            self.leases.fault = ""
        self.judge()

    async def _attempt(self, who: int) -> None:
        one = self.all[who]
        led = one.leads()
        await attempt(one)
        if not one.leads():
            return
        if not led:
            assert all(over <= self.time.now + 1e-6 for i, over in enumerate(self.over) if i != who)
            assert one.epoch >= max(self.epochs, default=0)
        assert self.epochs.setdefault(one.epoch, who) == who
        self.over[who] = self.time.now + one.seconds_left + TERMS.effect

    def judge(self) -> None:
        assert sum(one.leads() for one in self.all) <= 1


FAULTS = ["", "", "late", "lost", "unheard", "read late", "answered late", "deleted", "released"]
steps = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 9), st.sampled_from(FAULTS)), max_size=60)


@given(skews=st.tuples(*[st.floats(-1e7, 1e7)] * 3), steps=steps)
def test_never_do_two_lead_and_epochs_only_rise(skews: tuple[float, ...], steps: list[tuple[int, float, str]]) -> None:
    race = Race(skews)

    async def run() -> None:
        for who, passes, what in steps:
            race.time.now += passes
            race.judge()
            await race.step(who, what)

    asyncio.run(run())


async def test_what_is_seen_is_dated_after_the_answer_since_it_may_be_that_new() -> None:
    leases, time = Leases(), Time()
    first, second = candidate(leases, time, "a"), candidate(leases, time, "b")
    await attempt(first)

    async def renewed() -> None:
        time.now = 3.9
        await attempt(first)

    leases.before = renewed
    await attempt(second)
    for time.now in (15.1, 18.9):
        await attempt(second)
        assert not second.leads(), "an effect that the first one began at 13.9 s may be under way until 18.9 s"
    time.now = 19.0
    await attempt(second)
    assert second.leads()


async def test_success_is_dated_before_the_request_since_others_may_count_from_then() -> None:
    time = Time()
    one = candidate(Leases(fault="late", time=time), time, "a")
    await attempt(one)
    assert (time.now, one.seconds_left) == (7, TERMS.renew - 7)
