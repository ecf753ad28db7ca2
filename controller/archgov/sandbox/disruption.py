"""Stand-ins for what guards pods against disruption: the budget's status with the eviction that asks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archgov.model.selector import Selector

from .cluster import Cluster, Deletion, Write
from .deployment import resolved_count
from .errors import disruption_refused, internal
from .objects import (
    Key,
    Object,
    conditioned,
    controller_of,
    is_leaving,
    key,
    labels,
    mapping,
    name,
    namespace,
    selector,
    spec,
    with_status,
)
from .pods import is_done, is_ready, node_of
from .store import Change, Event

BUDGETS = "poddisruptionbudgets.policy"
_WRITE = Write(
    user="system:serviceaccount:kube-system:disruption-controller",
    agent="kube-controller-manager",
    verb="update",
    subresource="status",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands at this moment."""

    expected: int
    healthy: int
    desired: int

    @property
    def allowed(self) -> int:
        return max(0, self.healthy - self.desired) if self.expected > 0 else 0


class Budgets:
    """Keeps the status of PodDisruptionBudgets."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._selectors: dict[str, dict[Key, Selector]] = {}  # by namespace
        cluster.store.listen(BUDGETS, self._budget_changed)
        cluster.store.listen("pods", self._pod_changed)

    def _budget_changed(self, event: Event) -> None:
        here = self._selectors.setdefault(namespace(event.now), {})
        chosen = _selector(event.now)
        if event.change is Change.DELETED or chosen is None:
            here.pop(key(event.now), None)
        else:
            here[key(event.now)] = chosen
        self._cluster.agenda.soon(self.reconcile, key(event.now))

    def _pod_changed(self, event: Event) -> None:
        if event.change is Change.MODIFIED and event.before and _counts(event.before) == _counts(event.now):
            return
        for at, chosen in self._selectors.get(namespace(event.now), {}).items():
            if chosen.matches(labels(event.now)):
                self._cluster.agenda.shortly(self.reconcile, at)

    def reconcile(self, at: Key) -> None:
        """Writes how the budget stands."""
        body = self._cluster.peek(BUDGETS, at)
        if body is None:
            return
        now = standing(self._cluster, body)
        after = with_status(
            body,
            observedGeneration=body["metadata"].get("generation"),
            expectedPods=now.expected,
            currentHealthy=now.healthy,
            desiredHealthy=now.desired,
            disruptionsAllowed=now.allowed,
        )
        truth, reason = ("True", "SufficientPods") if now.allowed else ("False", "InsufficientPods")
        self._cluster.replace(_WRITE, BUDGETS, conditioned(after, "DisruptionAllowed", truth, reason))


def standing(cluster: Cluster, budget: Object) -> Standing:
    """How the budget stands, counted from the pods themselves."""
    chosen = _selector(budget)
    here = cluster.store.each("pods", namespace(budget)) if chosen is not None else ()
    pods = [pod for pod in here if not is_done(pod) and chosen is not None and chosen.matches(labels(pod))]
    healthy = sum(is_ready(pod) and not is_leaving(pod) for pod in pods)
    wanted = spec(budget)
    if "maxUnavailable" in wanted:
        expected = _asked(cluster, pods)
        gone = resolved_count(wanted["maxUnavailable"], expected, up=True)
        return Standing(expected, healthy, max(0, expected - gone))
    least: Any = wanted.get("minAvailable", 1)
    expected = _asked(cluster, pods) if str(least).endswith("%") else len(pods)
    return Standing(expected, healthy, resolved_count(least, expected, up=True))


def _asked(cluster: Cluster, pods: list[Object]) -> int:
    """How many pods the controllers of these pods ask for."""
    controllers = {str(owner.get("uid")) for pod in pods if (owner := controller_of(pod))}
    found = [cluster.by_uid(each) for each in sorted(controllers)]
    bare = sum(controller_of(pod) is None for pod in pods)
    return bare + sum(int(spec(each[1]).get("replicas", 1)) for each in found if each)


def _selector(budget: Object) -> Selector | None:
    # In policy/v1 an absent selector selects nothing, an empty one everything.
    chosen = spec(budget).get("selector")
    return None if chosen is None else selector(chosen)


def _counts(pod: Object) -> tuple[bool, bool, bool, dict[str, str]]:
    """What of a pod matters to a budget."""
    return is_ready(pod), is_leaving(pod), is_done(pod), labels(pod)


def evict(cluster: Cluster, write: Write, at: Key, how: Deletion) -> None:
    """Deletes a pod if its budgets allow.

    Raises:
        ApiError: 404; 429 when a budget refuses; 500 when more than one budget covers the pod.
    """
    pods = cluster.registry.by_key("pods")
    pod = cluster.get(pods, at)
    if not is_leaving(pod) and not is_done(pod) and node_of(pod):
        _ask(cluster, pod)
    cluster.delete(write, pods, at, how)


def _ask(cluster: Cluster, pod: Object) -> None:
    here = cluster.store.list(BUDGETS, namespace(pod))
    budgets = [body for body in here if (chosen := _selector(body)) and chosen.matches(labels(pod))]
    if len(budgets) > 1:
        raise internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    for budget in budgets:
        now = standing(cluster, budget)
        policy = mapping(budget.get("spec")).get("unhealthyPodEvictionPolicy", "IfHealthyBudget")
        free = not is_ready(pod) and (policy == "AlwaysAllow" or now.healthy >= now.desired > 0)
        if not free and now.allowed < 1:
            raise disruption_refused(name(pod), name(budget), now.healthy, now.desired)
