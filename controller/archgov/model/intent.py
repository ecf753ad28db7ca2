"""What was asked: intents as parsed values, every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from archgov.model.fleet import Level
from archgov.model.quantity import duration
from archgov.model.ref import ClusterName, IntentRef, WorkloadRef
from archgov.model.selector import Selector


class Mode(StrEnum):
    """How much an intent lets archgov do by itself."""

    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    APPROVE = "Approve"
    ENFORCE = "Enforce"


class Load(StrEnum):
    """What demand does when replicas move."""

    PER_DOMAIN = "PerDomain"
    FOLLOWS_REPLICAS = "FollowsReplicas"


@dataclass(frozen=True, slots=True)
class Target:
    """What an intent governs; workloads of its own namespace unless `namespaces` says more."""

    clusters: Selector = Selector()
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    workloads: Selector = Selector()
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """How many replicas may be removed or moved within a window.

    Attributes:
        limit: replicas, or percent of the target's replicas when `is_percent`.
        window: seconds. schedule: cron expression at which a binding period begins; empty: always binding.
        duration: seconds that such a period lasts. time_zone: IANA name.
    """

    limit: int
    is_percent: bool
    window: int
    schedule: str = ""
    duration: int = 0
    time_zone: str = "UTC"

    def __str__(self) -> str:
        amount = f"{self.limit}%" if self.is_percent else str(self.limit)
        return f"{amount} in {duration(self.window)}" + (
            f" while {self.schedule} ({self.time_zone})" if self.schedule else ""
        )


@dataclass(frozen=True, slots=True)
class Disruption:
    """What moves may cost the users of a workload. min_improvement: percent that a move must earn."""

    budgets: tuple[Budget, ...] = ()
    min_improvement: int = 2


@dataclass(frozen=True, slots=True)
class Common:
    """What all intents share.

    Attributes:
        uid, generation: of the object; the plan hash covers them.
        mode: as it counts now, the fleet's default filled in.
        traceparent: W3C trace context of the commit that changed it, where an annotation carries one.
    """

    ref: IntentRef
    uid: str = ""
    generation: int = 1
    mode: Mode = Mode.RECOMMEND
    suspend: bool = False
    target: Target = Target()
    priority: int = 0
    disruption: Disruption = Disruption()
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """How replicas are spread in normal operation. max_share: percent; min_domains: 0 without."""

    level: Level
    max_share: int = 100
    min_domains: int = 0


@dataclass(frozen=True, slots=True)
class PlacementIntent:
    """Where workloads may and should be. load: None where it doesn't say."""

    common: Common
    load: Load | None = None
    allow: Selector | None = None
    deny: Selector | None = None
    spread: tuple[Spread, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """Demand at one place. domain: "" for the whole workload, a cluster, or cluster/zone. amount: thousandths of a demand unit."""

    place: str
    amount: int


@dataclass(frozen=True, slots=True)
class SeriesRef:
    """A ConfigMap of the intent's namespace that holds a series: CSV of time, place, amount."""

    config_map: str
    key: str


@dataclass(frozen=True, slots=True)
class CapacityIntent:
    """How much must be there.

    Attributes:
        demand: static points, when no series is named.
        per_replica: thousandths of a demand unit that one replica serves.
        quantile, headroom: percent. horizon: seconds ahead that must be covered.
        minimum, maximum: replicas in all; maximum 0 means no bound.
    """

    common: Common
    demand: tuple[Point, ...] = ()
    series: SeriesRef | None = None
    per_replica: int = 1000
    quantile: int = 95
    headroom: int = 0
    horizon: int = 3600
    minimum: int = 0
    maximum: int = 0


@dataclass(frozen=True, slots=True)
class Tolerate:
    """Losses that must be survived: any `failures` scopes of a level at once."""

    level: Level
    failures: int = 1


class Failback(StrEnum):
    """Who decides that replicas return after a failure."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


@dataclass(frozen=True, slots=True)
class FailoverIntent:
    """Which failures must be survived.

    Attributes:
        tier: 0 is the most critical; admission on a loss is in this order, shedding in the opposite one.
        share: percent of demand that the survivors must serve.
        on_loss: what a declared loss lets archgov do, beside `mode`, which governs normal operation.
        rto: seconds; 0 without a target. soak: seconds of health before failback.
        shed: replicas that a lower tier may be cut down to, never below; None: never shed.
    """

    common: Common
    tier: int = 1
    tolerate: tuple[Tolerate, ...] = ()
    share: int = 100
    on_loss: Mode = Mode.RECOMMEND
    rto: int = 0
    failback: Failback = Failback.AUTOMATIC
    soak: int = 300
    shed: int | None = None


Intent = PlacementIntent | CapacityIntent | FailoverIntent


@dataclass(frozen=True, slots=True)
class Stopped:
    """The one switch that stops all acting. until: Unix seconds, 0 for ever."""

    by: str
    reason: str
    until: int = 0


@dataclass(frozen=True, slots=True)
class Reference:
    """A URL outside the fleet: while it answers, a silence is not archgov's own."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Governance:
    """What the Fleet object says about the whole fleet.

    Attributes:
        governing: namespaces whose intents may target others.
        ceilings: (namespace, highest priority allowed there); others have 0 as theirs.
        move_price: micro-USD that moving one replica costs.
        max_nodes: work limit of the optimiser (branch-and-bound nodes).
        references: in the order of their names.
    """

    stopped: Stopped | None = None
    default_mode: Mode = Mode.RECOMMEND
    governing: tuple[str, ...] = ()
    ceilings: tuple[tuple[str, int], ...] = ()
    move_price: int = 1000
    max_nodes: int = 20_000
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Witness:
    """An independent observer of a cluster, of one of its zones, or (cluster "") of the world outside as a reference.

    Attributes:
        group: witnesses that fail together count as one. zone: "" when it speaks for the whole cluster.
        answers: whether the last probe was answered; None before the first.
        since: Unix seconds at which that answer began.
    """

    name: str
    cluster: ClusterName
    group: str
    zone: str = ""
    answers: bool | None = None
    since: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """A declared loss, remembered until failback is over.

    Attributes:
        cluster: what is lost; zone: "" when the whole cluster is.
        since: Unix seconds of the declaration. ended: Unix seconds at which it was seen well again, 0 while it is lost.
    """

    cluster: ClusterName
    zone: str = ""
    since: int = 0
    ended: int = 0

    def __str__(self) -> str:
        return f"{self.cluster}/{self.zone}" if self.zone else self.cluster


@dataclass(frozen=True, slots=True)
class Removal:
    """Replicas taken away at one time, charged to budgets. at: Unix seconds."""

    at: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Record:
    """What must be remembered of a workload and can't be observed.

    Attributes:
        need: replicas that it must have in all. needs: the same by cluster, for load that stays where it arrives.
        former: spec.replicas by cluster before archgov first wrote them. written: the last values archgov wrote.
        pending: what stood there when they were written, until they are observed.
        removals: recent ones, oldest first.
        origin: replicas by cluster before a failover, empty while nothing is failed over.
        reversals: Unix seconds at which somebody took a written value back.
        uids: of the object in each cluster, since one that is made anew is another one.
    """

    workload: WorkloadRef
    need: int
    needs: tuple[tuple[ClusterName, int], ...] = ()
    former: tuple[tuple[ClusterName, int], ...] = ()
    written: tuple[tuple[ClusterName, int], ...] = ()
    pending: tuple[tuple[ClusterName, int], ...] = ()
    removals: tuple[Removal, ...] = ()
    origin: tuple[tuple[ClusterName, int], ...] = ()
    reversals: tuple[int, ...] = ()
    uids: tuple[tuple[ClusterName, str], ...] = ()
