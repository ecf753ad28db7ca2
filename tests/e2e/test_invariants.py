"""The judge is judged: a log that breaks one invariant is reported under its number, a clean one isn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.invariants import ARCHGOV, REPLICA_SETS, Asked, Budget, Entry, Outage, violations

CART = "shop/cart"
USER = "somebody"
KUBELET = "system:node:n1"
START = datetime(2026, 1, 5, tzinfo=UTC)


class Log:
    """A log as the sandbox would write it, one second a line."""

    def __init__(self) -> None:
        self.lines: list[Entry] = []

    def write(self, user: str, group: str, resource: str, name: str, **more: Any) -> Log:
        wall = (START + timedelta(seconds=len(self.lines))).isoformat().replace("+00:00", "Z")
        usual = {"cluster": "eu", "verb": "patch", "namespace": "shop", "subresource": "", "code": 200}
        line = {**usual, "wall": wall, "user": user, "group": group, "resource": resource, "name": name}
        self.lines.append({**line, "before": None, "after": None, **more})
        return self

    def scale(self, cluster: str, replicas: int, user: str = ARCHGOV) -> Log:
        after = {"replicas": replicas}
        return self.write(user, "apps", "deployments", "cart", cluster=cluster, subresource="scale", after=after)

    def pod(self, cluster: str, number: int, *, ready: bool = True, leaving: bool = False, user: str = KUBELET) -> Log:
        after = {"ready": ready, "terminating": leaving, "owner": "shop/Deployment/cart"}
        return self.write(user, "", "pods", f"cart-{number}", cluster=cluster, after=after)

    def decision(self, *actions: tuple[str, int, int], outcome: str = "Applying") -> Log:
        todo = [
            {"workload": {"namespace": "shop", "name": "cart"}, "cluster": cluster, "before": before, "after": after}
            for cluster, before, after in actions
        ]
        body = {"spec": {"actions": todo}, "status": {"outcome": outcome}}
        return self.write(ARCHGOV, "archgov.io", "decisions", "d1", cluster="hub", after=body)

    def lost(self, *, ended: bool = False) -> Log:
        loss = {"since": "2026-01-05T00:00:00Z", **({"ended": "2026-01-05T01:00:00Z"} if ended else {})}
        body = {"status": {"losses": [loss]}}
        return self.write(ARCHGOV, "archgov.io", "memberclusters", "us", cluster="hub", namespace="", after=body)


def before_archgov() -> Log:
    """Two replicas in eu, all Ready; the workload exists in us at 0."""
    log = Log().scale("eu", 2, USER).scale("us", 0, USER)
    return log.pod("eu", 1).pod("eu", 2)


def a_move() -> Log:
    """eu to us as it should be: written down, created, Ready, then removed."""
    log = before_archgov().decision(("us", 0, 2), ("eu", 2, 0)).scale("us", 2)
    log.pod("us", 3, ready=False).pod("us", 4, ready=False).pod("us", 3).pod("us", 4)
    return (
        log.scale("eu", 0).pod("eu", 1, leaving=True, user=REPLICA_SETS).pod("eu", 2, leaving=True, user=REPLICA_SETS)
    )


def broken(log: Log, **asked: Any) -> set[str]:
    return {violation.invariant for violation in violations(log.lines, Asked(**asked))}


def test_a_careful_move_breaks_nothing() -> None:
    asked = {"allowed": {CART: frozenset({"us"})}, "budgets": (Budget(frozenset({CART}), 2, 60),)}
    assert broken(a_move(), **asked) == set()


def removed_too_early() -> tuple[Log, dict[str, Any]]:
    log = before_archgov().decision(("us", 0, 2), ("eu", 2, 0)).scale("us", 2).pod("us", 3, ready=False)
    return log.scale("eu", 0), {}


def below_need() -> tuple[Log, dict[str, Any]]:
    # Three are Ready, one may go; two do.
    log = before_archgov().decision(("eu", 3, 2)).scale("eu", 3, USER).pod("eu", 3).scale("eu", 2)
    for number in (1, 2):
        log.pod("eu", number, leaving=True, user=REPLICA_SETS)
    return log, {"needs": {CART: 2}}


def residency() -> tuple[Log, dict[str, Any]]:
    return a_move(), {"allowed": {CART: frozenset({"eu"})}}


def over_budget() -> tuple[Log, dict[str, Any]]:
    return a_move(), {"budgets": (Budget(frozenset({CART}), 1, 60),)}


def undecided() -> tuple[Log, dict[str, Any]]:
    return before_archgov().scale("us", 1), {}


def decided_otherwise() -> tuple[Log, dict[str, Any]]:
    return before_archgov().decision(("us", 0, 1)).scale("us", 2), {}


def only_proposed() -> tuple[Log, dict[str, Any]]:
    return before_archgov().decision(("us", 0, 2), outcome="Proposed").scale("us", 2), {}


def decided_afterwards() -> tuple[Log, dict[str, Any]]:
    return before_archgov().scale("us", 2).decision(("us", 0, 2)), {}


def shrunk_during_a_loss() -> tuple[Log, dict[str, Any]]:
    log = before_archgov().decision(("eu", 3, 2)).scale("eu", 3, USER).pod("eu", 3).lost()
    return log.scale("eu", 2), {"needs": {CART: 2}}


def floor_given_up() -> tuple[Log, dict[str, Any]]:
    log = before_archgov().decision(("eu", 3, 2)).scale("eu", 3, USER).scale("eu", 2).lost().pod("eu", 3)
    return log.pod("eu", 3, leaving=True, user=REPLICA_SETS), {"floors": {CART: 3}, "needs": {CART: 2}}


def template_written() -> tuple[Log, dict[str, Any]]:
    after = {"replicas": 2}
    return before_archgov().write(ARCHGOV, "apps", "deployments", "cart", after=after), {}


def pod_deleted() -> tuple[Log, dict[str, Any]]:
    return before_archgov().write(ARCHGOV, "", "pods", "cart-1", verb="delete"), {}


@pytest.mark.parametrize(
    ("number", "case"),
    [
        ("iii", removed_too_early),
        ("i", below_need),
        ("ii", residency),
        ("iv", over_budget),
        ("v", undecided),
        ("v", decided_otherwise),
        ("v", only_proposed),
        ("v", decided_afterwards),
        ("vi", shrunk_during_a_loss),
        ("vi", floor_given_up),
        ("vii", template_written),
        ("vii", pod_deleted),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_each_invariant_is_reported_under_its_number(
    number: str, case: Callable[[], tuple[Log, dict[str, Any]]]
) -> None:
    log, asked = case()
    assert broken(log, **asked) == {number}


def test_refused_writes_changed_nothing() -> None:
    log = before_archgov()
    log.write(ARCHGOV, "apps", "deployments", "cart", subresource="scale", code=409, after=None)
    assert broken(log) == set()


def test_what_others_take_away_is_not_archgovs_doing() -> None:
    log = before_archgov().scale("eu", 1, USER).pod("eu", 2, leaving=True, user=REPLICA_SETS)
    log.decision(("us", 0, 1), ("eu", 1, 0)).scale("us", 1).pod("us", 3)
    assert broken(log.scale("eu", 0).pod("eu", 1, leaving=True, user=REPLICA_SETS)) == set()


def test_a_removal_outside_the_window_is_charged_to_another() -> None:
    log = a_move()
    assert broken(log, budgets=(Budget(frozenset({CART}), 2, 60),)) == set()
    log.decision(("us", 2, 3), ("eu", 0, 1)).scale("eu", 1).pod("eu", 5).decision(("us", 2, 1)).scale("us", 1)
    assert broken(log, budgets=(Budget(frozenset({CART}), 2, 3),)) == set()
    assert broken(log, budgets=(Budget(frozenset({CART}), 2, 60),)) == {"iv"}


def test_shedding_down_to_what_an_intent_allows_is_the_one_removal_of_a_loss() -> None:
    log = before_archgov().lost().decision(("eu", 2, 1)).scale("eu", 1)
    log.pod("eu", 2, leaving=True, user=REPLICA_SETS)
    assert broken(log, shed={CART: 1}) == set()
    assert broken(log) >= {"vi"}


def outages() -> Iterator[Outage]:
    yield Outage("us", START.timestamp() + 8)


def test_pods_of_a_silent_cluster_count_for_nobody() -> None:
    log = before_archgov().scale("us", 2, USER).pod("us", 3).pod("us", 4)
    log.decision(("eu", 2, 1)).scale("eu", 1)
    asked = {"needs": {CART: 2}}
    assert broken(log, **asked) == set()
    assert broken(log, **asked, outages=tuple(outages())) == {"iii"}
