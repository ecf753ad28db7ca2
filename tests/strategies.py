"""Hypothesis: small fleets, names, selectors, any value of a model type."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union

from hypothesis import strategies as st

from archgov.model.fleet import Fixed, Fleet, Reach
from archgov.model.intent import Intent
from archgov.model.selector import Expression, Operator, Selector
from archgov.model.shape import Taint, Toleration
from tests.build import (
    Workload,
    a_cluster,
    a_node,
    a_workload,
    capacity,
    failover,
    placement,
    raw_fleet,
    spread,
)

KEYS = ("app", "team", "tier")
VALUES = ("a", "b", "c")
CLUSTERS = ("ap-1", "eu-1", "eu-10", "us-1")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
dns_names = st.from_regex(r"[a-z]([a-z0-9.-]{0,6}[a-z0-9])?", fullmatch=True)
label_maps = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
expressions = st.builds(
    Expression, st.sampled_from(KEYS), st.sampled_from(Operator), st.lists(st.sampled_from(VALUES)).map(tuple)
)
selectors = st.builds(
    Selector, label_maps.map(lambda labels: tuple(sorted(labels.items()))), st.lists(expressions, max_size=2).map(tuple)
)
taints = st.builds(Taint, st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from(("NoSchedule", "NoExecute")))
tolerations = st.builds(
    Toleration,
    st.sampled_from(("", *KEYS)),
    st.sampled_from(("Equal", "Exists")),
    st.sampled_from(("", *VALUES)),
    st.sampled_from(("", "NoSchedule", "NoExecute")),
)


@st.composite
def workloads(draw: st.DrawFn, clusters: tuple[str, ...] = CLUSTERS) -> Workload:
    """A workload that stands in up to three places of some clusters."""
    places = st.sampled_from([f"{cluster}/{zone}" for cluster in clusters for zone in "ab"])
    at = draw(st.dictionaries(places, st.integers(0, 3), max_size=3))
    ready = {place: draw(st.integers(0, replicas)) for place, replicas in at.items()}
    return a_workload(
        f"{draw(st.sampled_from(VALUES))}/{draw(dns_names)}",
        at,
        ready=ready,
        spec=draw(st.dictionaries(st.sampled_from(clusters), st.integers(0, 4), max_size=2)),
        cpu=draw(st.sampled_from(("100m", "250m", "1"))),
        memory=draw(st.sampled_from(("64Mi", "1Gi"))),
        labels=draw(label_maps),
        fixed=draw(st.sampled_from(Fixed)),
        guarded=draw(st.booleans()),
        zone_skew=draw(st.integers(0, 2)),
    )


@st.composite
def raw_fleets(draw: st.DrawFn) -> Fleet:
    """A small fleet whose rows are in the order in which they were drawn."""
    names = tuple(draw(st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=3, unique=True)))
    members = [
        a_cluster(name, region=name[:2], labels=draw(label_maps), reach=draw(st.sampled_from(Reach))) for name in names
    ]
    asked = draw(st.lists(workloads(names), max_size=4, unique_by=lambda workload: workload.ref))
    nodes = [
        a_node(f"{name}/{zone}", f"{name}-{zone}-{nth}", labels=draw(label_maps), pods=20 + nth)
        for name in names
        for zone in "ab"
        for nth in range(2)
    ]
    return raw_fleet(members, asked, draw(st.permutations(nodes)))


intents: st.SearchStrategy[Intent] = st.one_of(
    st.builds(
        placement,
        dns_names.map(lambda name: f"shop/{name}"),
        allow=st.none() | selectors,
        deny=st.none() | selectors,
        spread=st.lists(
            st.builds(spread, st.sampled_from(("zone", "region")), max_share=st.integers(1, 100)), max_size=2
        ),
    ),
    st.builds(
        capacity,
        dns_names.map(lambda name: f"shop/{name}"),
        demand=st.integers(0, 500),
        per_replica=st.integers(1, 50),
        headroom=st.integers(0, 50),
    ),
    st.builds(
        failover,
        dns_names.map(lambda name: f"shop/{name}"),
        tolerate=st.dictionaries(st.sampled_from(("zone", "cluster")), st.integers(1, 2)),
        tier=st.integers(0, 3),
        shed=st.none() | st.integers(0, 5),
    ),
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that the model is made of: a record, an enumeration, a tuple, a union, a text, a number."""
    kind = getattr(kind, "__supertype__", kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin in {Union, types.UnionType}:
        return st.one_of(*map(values_of, arguments))
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        int: st.integers(-(2**40), 2**40),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return plain[kind]
