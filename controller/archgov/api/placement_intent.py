"""PlacementIntent: where workloads may and should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from archgov.api.body import read
from archgov.api.common import LEVEL_OF, IntentSpec, LabelSelector, Share, common, selector
from archgov.api.kind import AGE, INTENT_SELECTABLE, MODE, READY, REASON, SUMMARY, Column, Kind
from archgov.api.part import Part, Rule, map_by
from archgov.api.status import IntentStatus
from archgov.model.intent import Governance, Load, PlacementIntent, Spread
from archgov.model.quantity import percent

NAME: Final = "PlacementIntent"


class SpreadSpec(Part):
    """How replicas are spread over one sort of scope in normal operation."""

    RULES: ClassVar = (
        Rule(
            "has(self.maxShare) || has(self.minDomains)",
            "maxShare, minDomains or both are needed (what must the spread achieve?)",
            lambda spread: spread.max_share is not None or spread.min_domains is not None,
        ),
    )

    topology_key: Literal[
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "archgov.io/cluster", "archgov.io/provider"
    ] = Field(description="Sort of scopes to spread over.")
    max_share: Share | None = Field(
        default=None, description="The largest part of the replicas in any one of them; one replica is always allowed."
    )
    min_domains: int | None = Field(default=None, ge=1, le=100, description="The smallest number of them in use.")


class PlacementIntentSpec(IntentSpec):
    """Where workloads may and should be."""

    load: Annotated[Load, Field(strict=False)] | None = Field(
        default=None,
        description="What demand does when replicas move. PerDomain: it stays where it arrives, so replicas stay in "
        "their cluster. FollowsReplicas: only the total matters (queue workers, batch, behind a global balancer). "
        "Left out: as another intent for the same workload says, else PerDomain.",
    )
    allow: LabelSelector | None = Field(
        default=None,
        description="Only domains with such labels may hold replicas. Domains carry the labels of their MemberCluster, "
        "topology.kubernetes.io/zone, topology.kubernetes.io/region, archgov.io/cluster and archgov.io/provider.",
    )
    deny: LabelSelector | None = Field(default=None, description="Domains with such labels may hold no replicas.")
    spread: list[SpreadSpec] = Field(
        default_factory=list,
        max_length=4,
        description="How replicas are spread. A failure may bend it; that is reported.",
        json_schema_extra=map_by("topologyKey"),
    )


def parse(body: Mapping[str, Any], governance: Governance) -> PlacementIntent:
    """The intent that a body declares.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, PlacementIntentSpec, namespaced=True)
    return PlacementIntent(
        common=common(NAME, meta, spec, governance),
        load=spec.load,
        allow=selector(spec.allow) if spec.allow else None,
        deny=selector(spec.deny) if spec.deny else None,
        spread=tuple(_spread(spread) for spread in spec.spread),
    )


def _spread(spec: SpreadSpec) -> Spread:
    return Spread(
        level=LEVEL_OF[spec.topology_key],
        max_share=percent(spec.max_share) if spec.max_share else 100,
        min_domains=spec.min_domains or 0,
    )


KIND: Final = Kind(
    name=NAME,
    plural="placementintents",
    short="pi",
    scope="Namespaced",
    about="Where workloads may be and how their replicas are spread.",
    spec=PlacementIntentSpec,
    status=IntentStatus,
    columns=(
        MODE,
        READY,
        Column("Workloads", ".status.workloads", "integer"),
        Column("Moves", ".status.moves", "integer"),
        Column("Gap", ".status.lastDecision.gap"),
        Column("Cost", ".status.cost"),
        SUMMARY,
        REASON,
        AGE,
    ),
    parse=parse,
    selectable=INTENT_SELECTABLE,
)
