"""MemberCluster: a cluster of the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from archgov.api.body import Meta, read, without_nulls
from archgov.api.common import Instant, LabelValue, Money, Name, ObjectName, Place, Sentence, Url
from archgov.api.fault import IntentError, faults_of
from archgov.api.instant import unix
from archgov.api.kind import AGE, READY, REASON, Column, Kind
from archgov.api.part import Part, Rule, Shape, map_by
from archgov.api.status import ObjectStatus
from archgov.model.fleet import Price
from archgov.model.intent import Loss, Witness
from archgov.model.quantity import micro_usd, percent
from archgov.model.ref import ClusterName
from archgov.model.selector import Labels

NAME: Final = "MemberCluster"

Reserve = Annotated[str, Shape("[1-9]?[0-9]%", 'a percentage below 100, such as "10%"', 16)]
Resource = Annotated[
    str, Shape("[a-zA-Z0-9]([-a-zA-Z0-9_./]*[a-zA-Z0-9])?", "the name of a resource such as nvidia.com/gpu", 253)
]
Quantity = Annotated[str, StringConstraints(max_length=32)]


class KubeconfigSecretSpec(Part):
    """A Secret in the namespace of archgov that holds a kubeconfig."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)] = Field(
        default="kubeconfig", description="Key in its data."
    )


class LocationSpec(Part):
    """Where the cluster is; zones come from its nodes."""

    provider: Place | None = Field(default=None, description="Who runs it; clusters of a provider may fail together.")
    region: Place | None = Field(
        default=None, description="Its region. Left out: the label topology.kubernetes.io/region of its nodes."
    )


class ExtendedPriceSpec(Part):
    """Price of a resource beside cpu and memory."""

    resource: Resource = Field(description="Name of the resource, such as nvidia.com/gpu.")
    price: Money = Field(description="US dollars for one unit an hour.")


class NodePriceSpec(Part):
    """What nodes of a pool are billed at."""

    match_labels: dict[str, LabelValue] = Field(
        max_length=32, description="Labels of these nodes; the first entry that matches a node counts."
    )
    price: Money = Field(description="US dollars an hour for each node.")


class PricesSpec(Part):
    """What the cluster's resources cost."""

    cpu: Money = Field(default="0", description="US dollars for one core an hour.")
    memory: Money = Field(default="0", description="US dollars for one GiB an hour.")
    extended: list[ExtendedPriceSpec] = Field(
        default_factory=list, max_length=32, description="Other resources.", json_schema_extra=map_by("resource")
    )
    nodes: list[NodePriceSpec] = Field(
        default_factory=list, max_length=64, description="What nodes themselves are billed at, for reports of the bill."
    )
    assumed: bool = Field(default=False, description="These are estimates; reports say so.")


class WitnessSpec(Part):
    """An independent observer that archgov probes before it believes in a loss."""

    name: Name = Field(description="Name of the witness.")
    url: Url = Field(description="Answers with a status below 500 while the cluster, or the zone, is alive.")
    group: Name = Field(description="Witnesses that would fail together count as one.")
    zone: Place | None = Field(default=None, description="The zone it speaks for. Left out: the whole cluster.")


class MemberClusterSpec(Part):
    """How a cluster is reached and what it costs."""

    RULES: ClassVar = (
        Rule(
            "has(self.kubeconfigSecret) != (has(self.local) && self.local)",
            "exactly one of kubeconfigSecret and local: true is needed (how is this cluster reached?)",
            lambda spec: (spec.kubeconfig_secret is not None) != spec.local,
        ),
    )

    kubeconfig_secret: KubeconfigSecretSpec | None = Field(
        default=None, description="Where the kubeconfig lies with which the cluster is reached."
    )
    local: bool = Field(default=False, description="It is the cluster in which archgov itself runs.")
    location: LocationSpec | None = Field(default=None, description="Where it is.")
    prices: PricesSpec | None = Field(
        default=None, description="What its resources cost. Left out: assumed, and reports say so."
    )
    reserve: Reserve = Field(default="0%", description="How much of its capacity plans leave free.")
    witnesses: list[WitnessSpec] = Field(
        default_factory=list,
        max_length=16,
        description="Observers of the cluster. Without any, a silent cluster is unknown and never declared lost.",
        json_schema_extra=map_by("name"),
    )


Quantities = Annotated[dict[str, Quantity], Field(max_length=32)]


class ZoneStatus(Part):
    """One zone of the cluster."""

    name: Place = Field(description="Name of the zone.")
    nodes: int = Field(ge=0, description="Nodes.")
    capacity: Quantities = Field(description="What its nodes offer, by resource.")
    in_use: Quantities = Field(description="What pods request of it, by resource.")


class LossStatus(Part):
    """A declared loss, kept until failback is over."""

    zone: Place | None = Field(default=None, description="The zone that is lost. Left out: the whole cluster.")
    since: Instant = Field(description="When it was declared.")
    ended: Instant | None = Field(default=None, description="When it was seen well again.")


class MemberClusterStatus(ObjectStatus):
    """What archgov sees of a cluster."""

    reach: Literal["yes", "unknown"] | None = Field(default=None, description="Whether the cluster is seen.")
    evidence: Sentence | None = Field(default=None, description="What that is concluded from.")
    governor: Sentence | None = Field(
        default=None,
        description="Which archgov may act there, once one acted: ConfigMap kube-public/archgov-governor names it.",
    )
    lag: int | None = Field(default=None, ge=0, description="Seconds since the cluster was last heard of.")
    nodes: int | None = Field(default=None, ge=0, description="Nodes.")
    capacity: Quantities | None = Field(default=None, description="What its nodes offer, by resource.")
    in_use: Quantities | None = Field(default=None, description="What pods request of it, by resource.")
    zones: list[ZoneStatus] = Field(
        default_factory=list, max_length=64, description="The same by zone.", json_schema_extra=map_by("name")
    )
    losses: list[LossStatus] = Field(
        default_factory=list, max_length=65, description="Losses that are declared or not failed back from."
    )


class _Remembered(Part):
    """What can't be observed again; an archgov that knew more fields may have written the rest."""

    model_config = ConfigDict(extra="ignore")

    losses: list[LossStatus] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KubeconfigSecret:
    """Where a kubeconfig lies."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A witness with the URL it is asked at."""

    witness: Witness
    url: str


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster as declared.

    Attributes:
        secret: where its kubeconfig lies; None for the cluster in which archgov runs.
        provider, region: empty where they are not declared.
        price: None where nothing is declared.
        nodes: (labels, micro-USD per hour); the first that matches a node counts.
        reserve: percent of capacity that plans leave free.
    """

    name: ClusterName
    uid: str = ""
    generation: int = 1
    labels: Labels = ()
    secret: KubeconfigSecret | None = None
    provider: str = ""
    region: str = ""
    price: Price | None = None
    nodes: tuple[tuple[Labels, int], ...] = ()
    reserve: int = 0
    probes: tuple[Probe, ...] = ()


def parse(body: Mapping[str, Any]) -> Member:
    """The cluster that a body declares.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, MemberClusterSpec, namespaced=False)
    name = _cluster_name(meta)
    secret, location, prices = spec.kubeconfig_secret, spec.location or LocationSpec(), spec.prices
    return Member(
        name=name,
        uid=meta.uid,
        generation=meta.generation,
        labels=meta.labels,
        secret=KubeconfigSecret(secret.name, secret.key) if secret else None,
        provider=location.provider or "",
        region=location.region or "",
        price=_price(prices) if prices else None,
        nodes=tuple(_node_price(entry) for entry in prices.nodes) if prices else (),
        reserve=percent(spec.reserve),
        probes=tuple(_probe(witness, name) for witness in spec.witnesses),
    )


def losses(body: Mapping[str, Any]) -> tuple[Loss, ...]:
    """Declared losses that the status of a cluster remembers.

    Raises:
        IntentError: the status says something that archgov never wrote.
    """
    meta, _ = read(body, NAME, MemberClusterSpec, namespaced=False)
    try:
        status = _Remembered.model_validate(without_nulls(body).get("status", {}))
    except ValidationError as error:
        raise IntentError.of(faults_of(error, _Remembered, "status")) from None
    return tuple(
        Loss(_cluster_name(meta), loss.zone or "", unix(loss.since), unix(loss.ended) if loss.ended else 0)
        for loss in status.losses
    )


def _cluster_name(meta: Meta) -> ClusterName:
    """Names of clusters stand in keys and in labels, so they are labels themselves."""
    if not _NAME.fits(meta.name):
        raise IntentError("metadata.name", f'is "{meta.name}"', _LABEL_NAME.message)
    return ClusterName(meta.name)


def _price(spec: PricesSpec) -> Price:
    return Price(
        cpu=micro_usd(spec.cpu),
        memory=micro_usd(spec.memory),
        extended=tuple((entry.resource, int(micro_usd(entry.price))) for entry in spec.extended),
        assumed=spec.assumed,
    )


def _node_price(spec: NodePriceSpec) -> tuple[Labels, int]:
    return tuple(sorted(spec.match_labels.items())), micro_usd(spec.price)


def _probe(spec: WitnessSpec, cluster: ClusterName) -> Probe:
    return Probe(Witness(name=spec.name, cluster=cluster, group=spec.group, zone=spec.zone or ""), spec.url)


_NAME: Final = Shape("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "a name of lower-case letters, digits or dashes", 63)
_LABEL_NAME: Final = Rule(
    f"self.metadata.name.matches('^{_NAME.pattern}$')",
    "the name of a cluster must be lower-case letters, digits or dashes, at most 63",
)

KIND: Final = Kind(
    name=NAME,
    plural="memberclusters",
    short="mc",
    scope="Cluster",
    about="A cluster of the fleet: how it is reached, where it is, what it costs. Its labels are those of its domains.",
    spec=MemberClusterSpec,
    status=MemberClusterStatus,
    columns=(
        READY,
        Column("Reach", ".status.reach"),
        Column("Provider", ".spec.location.provider"),
        Column("Region", ".spec.location.region"),
        Column("Nodes", ".status.nodes", "integer"),
        Column("CPU", ".status.capacity.cpu"),
        Column("In-Use", ".status.inUse.cpu"),
        Column("Lag", ".status.lag", "integer", wide=True),
        Column("Evidence", ".status.evidence", wide=True),
        Column("Governor", ".status.governor", wide=True),
        REASON,
        AGE,
    ),
    parse=lambda body, _: parse(body),
    selectable=(".status.ready", ".status.reach"),
    rules=(_LABEL_NAME,),
)
