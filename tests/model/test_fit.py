"""How many pods of a shape nodes admit, against counting one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archgov.model.fit import ENDLESS, per_node
from archgov.model.selector import Selector
from archgov.model.shape import PodShape, Taint, Toleration
from tests.build import Node, a_fleet, a_node, a_workload
from tests.strategies import label_maps, selectors, taints, tolerations


def placed_one_by_one(node: Node, requests: dict[str, int], one_a_node: bool) -> int:
    """Pods that a node takes when they come one after the other."""
    free = {name: amount - node.used.get(name, 0) for name, amount in node.allocatable.items()}
    count = 0
    while all(free.get(name, 0) >= asked for name, asked in requests.items()) and not (one_a_node and count):
        free = {name: amount - requests.get(name, 0) for name, amount in free.items()}
        count += 1
    return count


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    return a_node(
        f"eu-1/{draw(st.sampled_from('ab'))}",
        cpu=f"{draw(st.integers(0, 4000))}m",
        memory=f"{draw(st.integers(0, 4096))}Mi",
        pods=draw(st.integers(0, 10)),
        extended={"example.com/gpu": draw(st.integers(0, 4))},
        used={"cpu": f"{draw(st.integers(0, 3000))}m", "memory": f"{draw(st.integers(0, 2048))}Mi"},
        labels=draw(label_maps),
        taints=draw(st.lists(taints, max_size=1)),
        ready=draw(st.booleans()),
    )


@given(
    st.lists(nodes(), max_size=5),
    st.integers(0, 2000),
    st.integers(0, 2048),
    st.integers(0, 2),
    st.booleans(),
    st.lists(selectors, max_size=2),
    st.lists(tolerations, max_size=2),
)
def test_as_many_pods_fit_as_can_be_placed_one_by_one(
    given_nodes: list[Node],
    cpu: int,
    memory: int,
    gpu: int,
    one_a_node: bool,
    node: list[Selector],
    tolerated: list[Toleration],
) -> None:
    asked = a_workload(
        "shop/cart",
        cpu=f"{cpu}m",
        memory=f"{memory}Mi",
        extended={"example.com/gpu": gpu},
        one_a_node=one_a_node,
        node=node,
        tolerations=tolerated,
    )
    fleet = a_fleet(["eu-1"], [asked], given_nodes)
    want = dict.fromkeys(fleet.domains, 0)
    for domain, kind, ready, row in zip(
        fleet.nodes.domain, fleet.nodes.kind, fleet.nodes.ready, range(len(fleet.nodes.name)), strict=True
    ):
        at = given_nodes[int(fleet.nodes.name[row].removeprefix("node-"))]
        if ready and asked.shape.may_run_on(fleet.node_classes[kind]):
            want[fleet.domains[domain]] += placed_one_by_one(at, dict(asked.requests), one_a_node)
    assert fleet.fit.tolist() == [list(want.values())]


def test_pieces_that_are_too_small_hold_nothing_however_many_they_are() -> None:
    fleet = a_fleet(["eu-1"], [a_workload("shop/cart", cpu="1")], [a_node("eu-1/a", cpu="900m") for _ in range(10)])
    assert fleet.fit.tolist() == [[0]]


def test_what_stands_there_takes_its_room() -> None:
    cart = a_workload("shop/cart", {"eu-1/a": 3}, cpu="1")
    fleet = a_fleet(["eu-1"], [cart], [a_node("eu-1/a", cpu="4"), a_node("eu-1/b", cpu="4")])
    assert fleet.fit.tolist() == [[1, 4]]


def test_an_overfull_node_holds_nothing_more() -> None:
    fleet = a_fleet(["eu-1"], [a_workload("shop/cart")], [a_node("eu-1/a", cpu="4", used={"cpu": "6"})])
    assert fleet.fit.tolist() == [[0]]


def test_shapes_with_other_needs_of_nodes_are_counted_apart() -> None:
    taint = Taint("gpu", "", "NoSchedule")
    everywhere = a_workload("shop/any", cpu="1", tolerations=[Toleration("gpu", "Exists")])
    plain = a_workload("shop/plain", cpu="1")
    fast = a_workload("shop/fast", cpu="1", node=[{"disk": "ssd"}])
    nodes_ = [
        a_node("eu-1/a", cpu="1"),
        a_node("eu-1/a", cpu="2", taints=[taint]),
        a_node("eu-1/a", cpu="3", labels={"disk": "ssd"}),
    ]
    fleet = a_fleet(["eu-1"], [everywhere, plain, fast], nodes_)
    fits = {fleet.ref(row).name: int(fleet.fit[fleet.workloads.shape[row], 0]) for row in range(3)}
    assert fits == {"any": 6, "plain": 4, "fast": 3}


def test_a_shape_that_asks_for_nothing_fits_without_end() -> None:
    fleet = a_fleet(["eu-1"], [a_workload("shop/free", cpu=0, memory=0)], [a_node("eu-1/a", pods=110)])
    free = PodShape((0,) * len(fleet.resources))
    assert fleet.fit.tolist() == [[110]]
    assert per_node(fleet.nodes.allocatable.T, free).tolist() == [ENDLESS]
