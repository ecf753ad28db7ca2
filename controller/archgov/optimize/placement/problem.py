"""The placement problem: how many replicas of each workload should stand in each cluster.

Sets    s in S workloads, k in K clusters, j in J domains (zones of clusters), p in P resources,
        d a scope: a set of domains
Data    now[s,k]        spec.replicas today
        standing[s,j]   replicas that stand in a domain today
        request[s,p]    of one replica
        room[k,p]       what these workloads may use of a cluster
        price[s,k]      micro-USD per replica-hour
        move[s]         micro-USD per hour charged for a replica taken away
        free[s]         may be moved; the others stay
        cluster[j]      the cluster of a domain
        zone_skew[s]    maxSkew of a hard spread over zones, 0 without one
Var     n[s,k] >= 0, integer; N[s] = sum over k of n[s,k]
Min     sum price[s,k] n[s,k]  +  sum move[s] (now[s,k] - n[s,k])^+
S.t.    n[s] = now[s] where not free, and every rule below. A rule carries its name, so that a conflict can be told in
        the words of the people who declared it.

Totals per cluster are what archgov sets; which zone a pod goes to is the scheduler's choice. So a rule about a scope
that cuts through a cluster counts what *may* stand there (`at_most`) or what *must* (`at_least`): an added replica may
stand in any zone unless the template's hard spread forbids it; a removed one leaves from where it hurts most.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Total:
    """At least this many replicas in all: N[s] >= floor."""

    name: str
    s: int
    floor: int


@dataclass(frozen=True, slots=True)
class Ceiling:
    """At most this many replicas in all: N[s] <= cap."""

    name: str
    s: int
    cap: int


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Replicas that a cluster needs for the demand that arrives there: n[s,k] >= floor."""

    name: str
    s: int
    k: int
    floor: int


@dataclass(frozen=True, slots=True)
class AtMost:
    """What fits of one workload on the real nodes of a cluster: n[s,k] <= cap."""

    name: str
    s: int
    k: int
    cap: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """Residency: n[s,k] = 0 outside these clusters."""

    name: str
    s: int
    clusters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MaxShare:
    """at_most(s, d) <= max(1, floor(percent N[s] / 100), tolerated).

    Attributes:
        tolerated: what stands there today, where today may not be mended.
    """

    name: str
    s: int
    domains: tuple[int, ...]
    percent: int
    tolerated: int = 0


@dataclass(frozen=True, slots=True)
class MinDomains:
    """Replicas in at least this many of the scopes, while there are any: #{d: at_least(s, d) >= 1} >= floor."""

    name: str
    s: int
    scopes: tuple[tuple[int, ...], ...]
    floor: int


@dataclass(frozen=True, slots=True)
class Survive:
    """Replicas that are left when these domains are lost: N[s] - at_most(s, lost) >= floor."""

    name: str
    s: int
    lost: tuple[int, ...]
    floor: int


@dataclass(frozen=True, slots=True)
class Fit:
    """What real nodes still take of a pod shape in a cluster: sum over members of (n[s,k] - stood[s,k])^+ <= limit."""

    name: str
    members: tuple[int, ...]
    k: int
    limit: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What a namespace may still request: sum over members of request[s,p] (n[s,k] - now[s,k])^+ <= limit."""

    name: str
    members: tuple[int, ...]
    k: int
    p: int
    limit: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """sum over s of request[s,p] n[s,k] <= room[k,p]; with `transient`, of request[s,p] max(n[s,k], now[s,k])."""

    name: str
    k: int
    p: int


Rule = Total | Ceiling | AtLeast | AtMost | Allowed | MaxShare | MinDomains | Survive | Fit | Quota | Capacity


def concerns(rule: Rule) -> tuple[int, ...]:
    """Workloads that a rule names; a cluster's capacity names none."""
    match rule:
        case Capacity():
            return ()
        case Fit(members=members) | Quota(members=members):
            return members
        case _:
            return (rule.s,)


@dataclass(frozen=True, eq=False)
class Problem:
    """Letters as in the module's docstring.

    Attributes:
        transient: old and new replicas have to fit at once, so that a plan may create first.
    """

    now: Int64  # (S, K)
    standing: Int64  # (S, J)
    cluster: Int64  # (J,)
    request: Int64  # (S, P)
    room: Int64  # (K, P)
    price: Int64  # (S, K)
    move: Int64  # (S,)
    free: Bool  # (S,)
    zone_skew: Int64  # (S,)
    rules: tuple[Rule, ...]
    transient: bool = False

    @cached_property
    def stood(self) -> Int64:
        """(S, K) replicas that stand in each cluster today."""
        stood = np.zeros_like(self.now)
        np.add.at(stood.T, self.cluster, self.standing.T)
        stood.setflags(write=False)
        return stood


class Status(StrEnum):
    """What is known about an answer."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


class Voucher(StrEnum):
    """Who vouches for a bound: prices that anybody can check, or the tree of an exact solver."""

    PRICES = "Prices"
    SEARCH = "Search"


@dataclass(frozen=True, slots=True)
class Limits:
    """Work first, so that a replay gives the same plan; seconds are only an outer guard."""

    nodes: int = 20_000
    seconds: float = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """An answer with its proof.

    Attributes:
        n: (S, K) int64; today's placement when there is no plan.
        objective: micro-USD per hour. bound: no plan costs less; None where nothing was proved.
        prices: (K, P) float64, micro-USD per unit of a resource and hour; `bound.proven` says what they prove.
        stopped_by: "proof", "gap" (close enough for a large problem), "nodes" or "seconds".
    """

    status: Status
    n: Int64
    objective: int
    bound: int | None
    voucher: Voucher
    prices: npt.NDArray[np.float64]
    engine: str
    seed: int
    stopped_by: str
