"""Small placement problems: few enough replicas for brute force, every rule kind and every zone layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Fit,
    MaxShare,
    MinDomains,
    Problem,
    Quota,
    Rule,
    Survive,
    Total,
)

# The ceiling that every workload gets, so that the oracle's enumeration ends.
CEILING = 5


@st.composite
def problems(
    draw: st.DrawFn, *, workloads: int = 3, clusters: int = 3, zones: int = 3, transient: bool | None = None
) -> Problem:
    """A problem of up to this many workloads, clusters, and zones in each, feasible or not."""
    S, K, P = draw(st.integers(1, workloads)), draw(st.integers(1, clusters)), draw(st.integers(1, 2))
    cluster = np.repeat(np.arange(K), [draw(st.integers(1, zones)) for _ in range(K)])
    standing = _array(draw, (S, len(cluster)), 0, 2)
    stood = np.zeros((S, K), np.int64)
    np.add.at(stood.T, cluster, standing.T)
    now = np.maximum(0, stood + _array(draw, (S, K), -1, 1)) if draw(st.booleans()) else stood
    problem = Problem(
        now=now,
        standing=standing,
        cluster=cluster,
        request=_array(draw, (S, P), 0, 3) * 7,
        room=_array(draw, (K, P), 0, 12) * 7 + _array(draw, (K, P), 0, 1),
        price=_array(draw, (S, K), 0, 6) * draw(st.sampled_from([1, 10, 137])),
        move=_array(draw, (S,), 0, 4) * draw(st.sampled_from([1, 25])),
        free=np.array([draw(st.integers(0, 4)) > 0 for _ in range(S)]),
        zone_skew=np.array([draw(st.sampled_from([0, 0, 1, 2])) for _ in range(S)], np.int64),
        rules=(),
        transient=draw(st.booleans()) if transient is None else transient,
    )
    return replace(problem, rules=_rules(draw, problem))


def _array(
    draw: st.DrawFn, shape: tuple[int, ...], low: int, high: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    size = int(np.prod(shape))
    return np.array(draw(st.lists(st.integers(low, high), min_size=size, max_size=size)), np.int64).reshape(shape)


def _rules(draw: st.DrawFn, problem: Problem) -> tuple[Rule, ...]:
    S, K = problem.now.shape
    J, P = len(problem.cluster), problem.room.shape[1]
    domain = st.sets(st.integers(0, J - 1), min_size=1).map(lambda found: tuple(sorted(found)))
    members = st.sets(st.integers(0, S - 1), min_size=1).map(lambda found: tuple(sorted(found)))
    rules: list[Rule] = [Ceiling(f"ceiling/{s}", s, CEILING) for s in range(S)]
    rules += [Capacity(f"capacity/{k}/{p}", k, p) for k in range(K) for p in range(P) if draw(st.integers(0, 3))]
    for s in range(S):
        rules.append(Total(f"total/{s}", s, draw(st.integers(0, 4))))
        for number, kind in enumerate(draw(st.lists(st.sampled_from("lambdsmfq"), max_size=3))):
            name = f"{kind}{number}/{s}"
            match kind:
                case "l":
                    rules.append(AtLeast(name, s, draw(st.integers(0, K - 1)), draw(st.integers(0, 2))))
                case "a":
                    rules.append(AtMost(name, s, draw(st.integers(0, K - 1)), draw(st.integers(0, 3))))
                case "b":
                    allowed = draw(st.sets(st.integers(0, K - 1)))
                    rules.append(Allowed(name, s, tuple(sorted(allowed))))
                case "d":
                    scopes = tuple(draw(st.lists(domain, min_size=1, max_size=3)))
                    rules.append(MinDomains(name, s, scopes, draw(st.integers(0, 3))))
                case "s":
                    rules.append(Survive(name, s, draw(domain), draw(st.integers(0, 3))))
                case "m":
                    percent, tolerated = draw(st.sampled_from([0, 20, 34, 50, 60, 100])), draw(st.integers(0, 2))
                    rules.append(MaxShare(name, s, draw(domain), percent, tolerated))
                case "f":
                    rules.append(Fit(name, draw(members), draw(st.integers(0, K - 1)), draw(st.integers(0, 3))))
                case _:
                    k, p = draw(st.integers(0, K - 1)), draw(st.integers(0, P - 1))
                    rules.append(Quota(name, draw(members), k, p, draw(st.integers(0, 40))))
    return tuple(rules)


def a_problem(
    *,
    now: npt.ArrayLike,
    price: npt.ArrayLike,
    rules: tuple[Rule, ...] = (),
    standing: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    request: npt.ArrayLike | None = None,
    room: npt.ArrayLike | None = None,
    move: npt.ArrayLike | None = None,
    free: npt.ArrayLike | None = None,
    zone_skew: npt.ArrayLike | None = None,
    transient: bool = False,
) -> Problem:
    """A problem in which every cluster is one zone, every workload is free, and nothing else costs or takes anything."""
    have = np.array(now, np.int64)
    S, K = have.shape
    return Problem(
        now=have,
        standing=have if standing is None else np.array(standing, np.int64),
        cluster=np.arange(K) if cluster is None else np.array(cluster, np.int64),
        request=np.zeros((S, 1), np.int64) if request is None else np.array(request, np.int64),
        room=np.zeros((K, 1), np.int64) if room is None else np.array(room, np.int64),
        price=np.array(price, np.int64),
        move=np.zeros(S, np.int64) if move is None else np.array(move, np.int64),
        free=np.ones(S, bool) if free is None else np.array(free, bool),
        zone_skew=np.zeros(S, np.int64) if zone_skew is None else np.array(zone_skew, np.int64),
        rules=rules,
        transient=transient,
    )
