"""Which of several replicas acts: the one that holds the Lease.

Times in a Lease are compared for change only, never with our clock: a candidate counts the lease's duration on its own clock
from the answer that showed it a new version, so skewed clocks do no harm. Success is dated before the request was sent. A
leader that could not renew in time ends its process at once, and a thread of its own sees to that where the loop is blocked.

A Lease that is gone says nothing of who led by it. So whoever finds it gone puts it back in nobody's name, and all wait for that
one to run out: creating a Lease makes no leader. Only who leads until then may take it over at once.

A Lease doesn't fence: a leader that was paused may wake up after another took over. So `leaseTransitions` is the epoch
of every write: our own kinds refuse an older one by a CEL rule, effects look at `leads` before they are sent, carry a
precondition, and are given up before the next leader may begin.

Source: Kubernetes' leaderelection package; its Lease API (coordination.k8s.io/v1).
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from archgov.edge.client import CONFLICT, NOT_FOUND, Api, ApiError
from archgov.edge.tree import Json

LOG: Final = logging.getLogger("archgov.elect")
NAME: Final = "archgov"
UNKNOWN: Final = "unknown"  # holds a Lease that was put back; no candidate is called so
JITTER: Final = 1.2
WATCHDOG_SECONDS: Final = 0.2
LOST: Final = 1  # exit code of a leader that is none any more


class NoLongerLeading(Exception):
    """Another replica may act by now; this process has to end."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds: a lease counts for `lease` after its renewal, a leader gives up after `renew` without one, tries come each `retry`.

    Effects in flight are over within lease − renew. As in Kubernetes, renew < lease and 1.2 · retry < renew.
    """

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < JITTER * self.retry < self.renew < self.lease:
            raise ValueError(f"{self}: needs 1.2 · retry < renew < lease")

    @property
    def effect(self) -> float:
        """How long an effect may be under way."""
        return self.lease - self.renew


def boottime() -> float:
    """Seconds that go on while a machine is suspended, other than those of the monotonic clock on Linux."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def identity() -> str:
    """The name of this candidate: a restarted container is another one."""
    return f"{socket.gethostname()}_{uuid4().hex[:8]}"


@dataclass(slots=True)
class Election:
    """One candidate.

    Attributes:
        newest: the highest epoch that is seen in anything of ours; a Lease that somebody deleted begins above it.
        epoch: of the leadership, 0 before the first. elected: set once this candidate leads.
    """

    hub: Api
    namespace: str
    terms: Terms = field(default_factory=Terms)
    newest: Callable[[], int] = lambda: 0
    identity: str = field(default_factory=identity)
    clock: Callable[[], float] = boottime
    dice: random.Random = field(default_factory=random.Random)
    epoch: int = 0
    elected: asyncio.Event = field(default_factory=asyncio.Event)
    _renewed_at: float = float("-inf")
    _seen: Json = field(default_factory=dict)
    _seen_at: float = float("-inf")
    _said: str = ""
    _behind: str = ""

    def leads(self) -> bool:
        """Whether this candidate may act."""
        return self.elected.is_set() and self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """Until a leader has to give up."""
        return self._renewed_at + self.terms.renew - self.clock()

    @property
    def holder(self) -> str:
        """Who leads, as far as this candidate knows; empty where it doesn't."""
        found = str(_spec(self._seen).get("holderIdentity") or "")
        return "" if found == UNKNOWN else found

    async def run(self) -> None:
        """Tries to lead, then to go on leading.

        Raises:
            NoLongerLeading: it led, and doesn't any more.
        """
        while not self._is_over():
            try:
                async with asyncio.timeout(self._at_most(2 * self.terms.retry)):
                    await self._attempt()
                self._say("")
            except (ApiError, TimeoutError, OSError, ValueError) as error:
                if not (isinstance(error, ApiError) and error.status == CONFLICT):  # somebody else was faster
                    self._say(str(error) or "no answer in time")
            await asyncio.sleep(self._at_most(self.terms.retry * self.dice.uniform(1, JITTER)))
        raise NoLongerLeading(f"the Lease was not renewed for {self.terms.renew:g} s")

    def watch_over(self, end: Callable[[int], object] = os._exit) -> None:
        """Ends the process, should a blocked loop keep a leader from noticing that it is none any more."""

        def watch() -> None:
            while True:
                time.sleep(WATCHDOG_SECONDS)
                # Half a retry later than the loop itself, which ends with words and writes out what it knows.
                if self._is_over(self.terms.retry / 2):
                    # Past every lock that the blocked loop may hold.
                    os.write(2, b"archgov: it leads no longer and could not end in order (it was paused, or blocked)\n")
                    end(LOST)
                    return

        threading.Thread(target=watch, name="watchdog", daemon=True).start()

    async def release(self) -> None:
        """Lets the next one take over at once; nothing may be under way any more."""
        if not self.leads():
            return
        self.elected.clear()
        try:
            async with asyncio.timeout(2 * self.terms.retry):
                lease = await self.hub.get(self._path)
                if _spec(lease).get("holderIdentity") == self.identity:
                    await self.hub.put(self._path, self._body(lease, "", self.epoch, 1))
        except (ApiError, TimeoutError, OSError) as error:
            LOG.warning("the Lease was not released", extra={"why": str(error)})

    def _is_over(self, since: float = 0.0) -> bool:
        """Whether it led, and for so many seconds may not any more."""
        return self.elected.is_set() and self.seconds_left <= -since

    def _at_most(self, seconds: float) -> float:
        """So many seconds, but for a leader none that it doesn't lead: a silent server must not keep it beyond."""
        return min(seconds, self.seconds_left) if self.elected.is_set() else seconds

    async def _attempt(self) -> None:
        sent = self.clock()
        lease = await self._found()
        spec = _spec(lease)
        holder, transitions = str(spec.get("holderIdentity") or ""), int(spec.get("leaseTransitions") or 0)
        if holder == self.identity:
            epoch = transitions
        elif holder == UNKNOWN and self.leads():  # so nobody else has led since its own Lease was deleted
            epoch = self.epoch
        elif self.elected.is_set():
            raise NoLongerLeading(f"{holder or 'nobody'} holds the Lease now")
        elif not holder or self.clock() - self._seen_at > self._lasts(spec):
            epoch = max(transitions, self.newest()) + 1
        else:
            self._stands_by(holder)
            return
        await self.hub.put(self._path, self._body(lease, self.identity, epoch))
        self._lead(sent, epoch)

    async def _found(self) -> Json:
        """The Lease, put back if it was gone; a version that is new to this candidate is dated after the answer."""
        try:
            lease = await self.hub.get(self._path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            lease = await self.hub.post(self._collection, self._put_back())
        if _version(lease) != _version(self._seen):
            self._seen, self._seen_at = lease, self.clock()
        return lease

    def _put_back(self) -> Json:
        """A Lease that counts as long as the last one may; free at once where nobody can have led yet."""
        spec, newest = _spec(self._seen), self.newest()
        if not (self._seen or newest):
            return self._body({}, "", 0)
        LOG.warning("the Lease is gone; it is put back", extra={"lease": f"{self.namespace}/{NAME}"})
        return self._body({}, UNKNOWN, max(int(spec.get("leaseTransitions") or 0), newest), self._lasts(spec))

    def _lasts(self, spec: Json) -> float:
        """Seconds that a Lease counts: as long as it says, and no less than our own does."""
        return max(float(spec.get("leaseDurationSeconds") or 0), self.terms.lease)

    def _lead(self, sent: float, epoch: int) -> None:
        self._renewed_at, self.epoch = sent, epoch
        if not self.elected.is_set() and self.seconds_left > 0:
            LOG.info("elected", extra={"identity": self.identity, "epoch": epoch})
            self.elected.set()

    def _stands_by(self, holder: str) -> None:
        if holder != self._behind:
            LOG.info("it stands by", extra={"identity": self.identity, "leader": holder})
        self._behind = holder

    def _say(self, why: str) -> None:
        """Tells of trouble once, not with every try."""
        if why and why != self._said:
            LOG.warning("the Lease can't be had", extra={"lease": f"{self.namespace}/{NAME}", "why": why})
        self._said = why

    def _body(self, former: Json, holder: str, epoch: int, lasts: float = 0.0) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = _spec(former)
        taken = spec.get("acquireTime") if spec.get("holderIdentity") == holder else now
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": former.get("metadata") or {"name": NAME, "namespace": self.namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": math.ceil(lasts or self.terms.lease),  # whole seconds only
                "leaseTransitions": epoch,
                "acquireTime": taken or now,
                "renewTime": now,
            },
        }

    @property
    def _collection(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    @property
    def _path(self) -> str:
        return f"{self._collection}/{NAME}"


def _spec(lease: Json) -> Json:
    found = lease.get("spec")
    return found if isinstance(found, dict) else {}


def _version(lease: Json) -> object:
    return lease.get("metadata", {}).get("resourceVersion")
