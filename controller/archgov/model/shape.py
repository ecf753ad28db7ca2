"""What a pod asks of a node: requests, labels, tolerations, spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archgov.model.selector import Labels, Selector


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A node's refusal of pods that don't tolerate it."""

    key: str
    value: str
    effect: str  # NoSchedule | NoExecute; PreferNoSchedule never forbids


@dataclass(frozen=True, slots=True, order=True)
class Toleration:
    """A pod's permission to ignore a taint; an empty key tolerates every one."""

    key: str = ""
    operator: str = "Equal"  # Equal | Exists
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        return (
            self.effect in ("", taint.effect)
            and (self.key == taint.key or (not self.key and self.operator == "Exists"))
            and (self.operator == "Exists" or self.value == taint.value)
        )


@dataclass(frozen=True, slots=True)
class NodeClass:
    """What nodes of one pool have in common: the labels and taints that scheduling looks at."""

    labels: Labels
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True)
class PodShape:
    """Everything in a pod template that decides where it fits.

    Attributes:
        requests: (P,) in the units of the fleet's resources.
        node: alternatives of required node labels; a pod fits where any one matches, none means everywhere.
        zone_skew: maxSkew of a hard (DoNotSchedule) spread over zones; 0 without one.
        one_a_node: replicas of the workload refuse each other on a node (required anti-affinity by host name).
    """

    requests: tuple[int, ...]
    node: tuple[Selector, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    zone_skew: int = 0
    one_a_node: bool = False

    def may_run_on(self, node: NodeClass) -> bool:
        labels: Mapping[str, str] = dict(node.labels)
        return (not self.node or any(term.matches(labels) for term in self.node)) and all(
            any(toleration.tolerates(taint) for toleration in self.tolerations) for taint in node.taints
        )
