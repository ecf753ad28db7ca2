"""Fleet: what holds for all that is governed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from archgov.api.body import read
from archgov.api.common import AnyMode, Instant, Money, Name, Url, Word
from archgov.api.fault import IntentError
from archgov.api.instant import unix
from archgov.api.kind import AGE, READY, REASON, SUMMARY, Column, Kind
from archgov.api.part import Part, Rule, map_by, set_of_texts
from archgov.api.status import ObjectStatus
from archgov.model.intent import Governance, Mode, Reference, Stopped
from archgov.model.quantity import micro_usd

NAME: Final = "Fleet"
ONLY: Final = "fleet"

Words = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class StoppedSpec(Part):
    """The one switch that stops all acting; observing and reporting go on."""

    until: Instant | None = Field(
        default=None, description="When it ends by itself. Left out: when somebody removes it."
    )
    by: Words = Field(description="Who stopped it.")
    reason: Words = Field(description="Why.")


class CeilingSpec(Part):
    """The highest priority that intents of a namespace may have."""

    namespace: Name = Field(description="The namespace.")
    ceiling: int = Field(ge=-1000, le=1000, description="Higher priorities count as this one.")


class FleetPricesSpec(Part):
    """What things cost that have no place."""

    move: Money = Field(default="0.001", description="US dollars that moving one replica costs.")


class OptimizerSpec(Part):
    """Limits of the optimiser, as work instead of time, so that a replay gives the same plan."""

    max_nodes: int = Field(default=20_000, ge=1, le=10_000_000, description="Branch-and-bound nodes for each problem.")


class ReferenceSpec(Part):
    """A URL outside the fleet: while it answers, a silence is not archgov's own."""

    name: Name = Field(description="Name of the reference.")
    url: Url = Field(description="Answers with a status below 500 while the network that archgov runs in works.")


class FleetSpec(Part):
    """What holds for all that is governed."""

    stopped: StoppedSpec | None = Field(default=None, description="Stops all acting while it is there.")
    default_mode: AnyMode = Field(default=Mode.RECOMMEND, description="Mode of intents that name none.")
    governing_namespaces: list[Name] = Field(
        default_factory=list,
        max_length=100,
        description="Namespaces whose intents may govern workloads of other namespaces.",
        json_schema_extra=set_of_texts(),
    )
    priority_ceilings: list[CeilingSpec] = Field(
        default_factory=list,
        max_length=1000,
        description="Highest priorities by namespace; 0 where none is given.",
        json_schema_extra=map_by("namespace"),
    )
    prices: FleetPricesSpec | None = Field(default=None, description="What moves cost. Left out: its defaults.")
    optimizer: OptimizerSpec | None = Field(
        default=None, description="Limits of the optimiser. Left out: its defaults."
    )
    references: list[ReferenceSpec] = Field(
        default_factory=list,
        max_length=8,
        description="With fewer than three members one of these has to answer before a silent cluster is declared lost.",
        json_schema_extra=map_by("name"),
    )


class FragileStatus(Part):
    """Workloads that a single loss would leave with nothing."""

    scope: Literal["zone", "cluster", "region", "provider"] = Field(description="What is lost.")
    workloads: int = Field(ge=0, description="Workloads with no Ready replica outside some scope of this level.")


class LedgerStatus(Part):
    """How far the ledger of the leader was written, for `archgov verify-ledger --head`."""

    rows: int = Field(ge=0, description="Rows that it has.")
    head: Annotated[str, Field(max_length=64)] = Field(description="Hash of the last of them.")


class FleetStatus(ObjectStatus):
    """The whole fleet in a few numbers."""

    workloads: int | None = Field(default=None, ge=0, description="Workloads that are observed.")
    replicas: int | None = Field(default=None, ge=0, description="Replicas that they ask for.")
    nodes: int | None = Field(default=None, ge=0, description="Nodes that exist.")
    allocated: Word | None = Field(
        default=None,
        description="What all replicas cost at the prices of their clusters; nothing is saved until nodes go.",
    )
    bill: Word | None = Field(default=None, description="What the nodes that exist are billed at.")
    more_autonomy: Word | None = Field(
        default=None, description="What could be saved if every intent were enforced, on top of what is."
    )
    fragile: list[FragileStatus] = Field(
        default_factory=list,
        max_length=4,
        description="Workloads that would not survive a loss, by what is lost.",
        json_schema_extra=map_by("scope"),
    )
    ledger: LedgerStatus | None = Field(
        default=None, description="The newest row of the ledger: with it rows that are cut off there show."
    )
    snapshot: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Digest of the last observation."
    )


def parse(body: Mapping[str, Any]) -> Governance:
    """What the Fleet object says about the whole fleet.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, FleetSpec, namespaced=False)
    if meta.name != ONLY:
        raise IntentError("metadata.name", f'is "{meta.name}"', _SINGLETON.message)
    prices, optimizer = spec.prices or FleetPricesSpec(), spec.optimizer or OptimizerSpec()
    return Governance(
        stopped=_stopped(spec.stopped) if spec.stopped else None,
        default_mode=spec.default_mode,
        governing=tuple(spec.governing_namespaces),
        ceilings=tuple((entry.namespace, entry.ceiling) for entry in spec.priority_ceilings),
        move_price=micro_usd(prices.move),
        max_nodes=optimizer.max_nodes,
        references=tuple(sorted((Reference(one.name, one.url) for one in spec.references), key=lambda one: one.name)),
    )


def _stopped(spec: StoppedSpec) -> Stopped:
    return Stopped(by=spec.by, reason=spec.reason, until=unix(spec.until) if spec.until else 0)


_SINGLETON: Final = Rule(f"self.metadata.name == '{ONLY}'", f"there is one Fleet, and its name is {ONLY}")

KIND: Final = Kind(
    name=NAME,
    plural="fleets",
    short="flt",
    scope="Cluster",
    about="What holds for all that is governed: the stop switch, defaults, ceilings, prices, limits.",
    spec=FleetSpec,
    status=FleetStatus,
    columns=(
        Column("Default-Mode", ".spec.defaultMode"),
        READY,
        Column("Workloads", ".status.workloads", "integer"),
        Column("Allocated", ".status.allocated"),
        Column("Bill", ".status.bill"),
        Column("Stopped-By", ".spec.stopped.by"),
        SUMMARY,
        REASON,
        AGE,
    ),
    parse=lambda body, _: parse(body),
    selectable=(".status.ready",),
    rules=(_SINGLETON,),
)
