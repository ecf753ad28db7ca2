"""From rows and objects to a Snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from archgov.api.member_cluster import Member
from archgov.edge import rows
from archgov.edge.observe import Seen, observe, understood
from archgov.edge.tree import Json
from archgov.edge.watchset import Health
from archgov.model.fleet import Fixed, Fleet, Price, Reach
from archgov.model.intent import Loss, Mode
from archgov.model.ref import ClusterName, DomainRef, WorkloadRef
from archgov.model.snapshot import Snapshot
from tests import manifests as k8s
from tests.manifests import Manifest, deployment, node, ours, pod, replica_set

WELL = Health(Reach.YES, "", 0.2)
DARK = Health(Reach.UNKNOWN, "API server does not answer: Timeout", 20.0, silent=True)
CART = WorkloadRef("shop", "Deployment", "cart")


def well_formed(read: Any, bodies: Sequence[Json]) -> tuple[Any, ...]:
    found = tuple(read(body) for body in bodies)
    assert not any(isinstance(row, rows.Malformed) for row in found), found
    return found


def seen(
    name: str = "eu",
    *,
    nodes: Sequence[Manifest] = (),
    deployments: Sequence[Manifest] = (),
    pods: Sequence[Manifest] = (),
    stateful_sets: Sequence[Manifest] = (),
    daemon_sets: Sequence[Manifest] = (),
    hpas: Sequence[Manifest] = (),
    pdbs: Sequence[Manifest] = (),
    quotas: Sequence[Manifest] = (),
    namespaces: Sequence[Manifest] = (),
    health: Health = WELL,
    **member: Any,
) -> Seen:
    """A member cluster; every Deployment has its ReplicaSet."""
    return Seen(
        member=Member(ClusterName(name), **member),
        health=health,
        nodes=well_formed(rows.node_row, nodes),
        pods=well_formed(rows.pod_row, pods),
        deployments=well_formed(rows.deployment_row, deployments),
        replica_sets=well_formed(rows.replica_set_row, [replica_set(one) for one in deployments]),
        stateful_sets=well_formed(rows.stateful_set_row, stateful_sets),
        daemon_sets=well_formed(rows.daemon_set_row, daemon_sets),
        hpas=well_formed(rows.hpa_row, hpas),
        pdbs=well_formed(rows.pdb_row, pdbs),
        quotas=well_formed(rows.quota_row, quotas),
        namespaces=well_formed(rows.namespace_row, namespaces),
    )


def snapshot_of(*clusters: Seen, hub: Sequence[Json] = (), config_maps: Sequence[Json] = ()) -> Snapshot:
    return observe(understood(hub, config_maps), clusters, (), now=1_800_000_000_000, seed=1)


def fleet_of(*clusters: Seen) -> Fleet:
    return snapshot_of(*clusters).fleet


def standing(fleet: Fleet, ref: WorkloadRef) -> Mapping[str, int]:
    row = fleet.row(ref)
    assert row is not None
    return {fleet.domains[j].key: count for j, count in fleet.standing_replicas(row).items()}


def fixed(fleet: Fleet, ref: WorkloadRef = CART) -> Fixed:
    row = fleet.row(ref)
    assert row is not None
    return Fixed(int(fleet.workloads.fixed[row]))


def test_a_deployment_at_zero_replicas_exists_where_it_exists() -> None:
    fleet = fleet_of(
        seen("eu", nodes=[node("n1")], deployments=[deployment("shop/cart", 2)]),
        seen("us", nodes=[node("n1")], deployments=[deployment("shop/cart", 0)]),
        seen("ap", nodes=[node("n1")]),
    )
    row = fleet.row(CART)
    assert row is not None
    assert {fleet.clusters[k].name: n for k, n in fleet.spec_replicas(row).items()} == {"eu": 2, "us": 0}


def test_replicas_stand_where_their_nodes_are_and_are_ready_on_ready_nodes_only() -> None:
    cart = deployment("shop/cart", 5)
    rs = replica_set(cart)
    fleet = fleet_of(
        seen(
            nodes=[node("n1", "a"), node("n2", "b", ready="Unknown")],
            deployments=[cart],
            pods=[
                pod("shop/1", "n1", rs),
                pod("shop/2", "n1", rs, ready=False),
                pod("shop/3", "n2", rs),
                pod("shop/4", "n1", rs, leaving=True),
                pod("shop/5", "", rs),
            ],
        )
    )
    assert standing(fleet, CART) == {"eu/a": 2, "eu/b": 1}
    assert dict(fleet.ready_replicas(0)) == {0: 1}


def test_a_pod_takes_room_until_it_leaves_whoever_owns_it() -> None:
    cart = deployment("shop/cart", 1)
    fleet = fleet_of(
        seen(
            nodes=[node("n1")],
            deployments=[cart],
            pods=[
                pod("shop/1", "n1", replica_set(cart), cpu="1"),
                pod("shop/2", "n1", replica_set(cart), cpu="1", leaving=True),
                pod("kube-system/dns", "n1", cpu="250m"),
                pod("shop/done", "n1", cpu="4", phase="Succeeded"),
            ],
        )
    )
    cpu, pods = fleet.resources.index("cpu"), fleet.resources.index("pods")
    assert fleet.nodes.used[0, cpu] == 1250
    assert fleet.nodes.used[0, pods] == 2


def test_workloads_of_system_namespaces_are_load_and_nothing_else() -> None:
    fleet = fleet_of(seen(nodes=[node("n1")], deployments=[deployment("kube-system/dns"), deployment("shop/cart")]))
    assert list(fleet.workloads.key) == [CART.key]


def test_a_cluster_out_of_sight_keeps_what_was_last_seen_of_it() -> None:
    cart = deployment("shop/cart", 1)
    fleet = fleet_of(
        seen(nodes=[node("n1")], deployments=[cart], pods=[pod("shop/1", "n1", replica_set(cart))], health=DARK)
    )
    cluster = fleet.clusters[0]
    assert (cluster.reach, cluster.silent) == (Reach.UNKNOWN, True)
    assert "does not answer" in cluster.evidence
    assert standing(fleet, CART) == {"eu/a": 1}


def test_nodes_without_a_zone_stand_in_one_of_their_own() -> None:
    assert fleet_of(seen(nodes=[node("n1", "")])).domains == (DomainRef(ClusterName("eu"), "default"),)


def test_a_region_comes_from_the_member_then_from_most_nodes_then_from_its_name() -> None:
    nodes = [node("n1", region="eu-west"), node("n2", region="eu-west"), node("n3", region="eu-odd")]
    fleet = fleet_of(seen("a", nodes=nodes, region="declared"), seen("b", nodes=nodes), seen("c", nodes=[node("n1")]))
    assert [cluster.region for cluster in fleet.clusters] == ["declared", "eu-west", "c"]


def test_undeclared_prices_are_assumed_and_said_to_be() -> None:
    found = snapshot_of(seen("a", nodes=[node("n1")], price=Price(cpu=1)), seen("b", nodes=[node("n1")]))
    assert [cluster.price.assumed for cluster in found.fleet.clusters] == [False, True]
    assert found.notes == ("assumed: prices of b",)


def test_a_node_is_billed_by_the_first_pool_that_matches_it() -> None:
    pools = (((("pool", "gpu"),), 500), ((("pool", "general"),), 100))
    fleet = observe(
        understood(()),
        [
            Seen(
                Member(ClusterName("eu"), nodes=pools),
                WELL,
                nodes=well_formed(rows.node_row, [node("n1", labels={"pool": "general"}), node("n2")]),
            )
        ],
        (),
        now=0,
        seed=1,
    ).fleet
    assert fleet.nodes.price.tolist() == [100, 0]


def test_a_cordoned_node_takes_no_more_pods() -> None:
    cart = deployment("shop/cart", 1)
    fleet = fleet_of(seen(nodes=[node("n1"), node("n2", spec={"unschedulable": True})], deployments=[cart]))
    assert fleet.fit.tolist() == [[16]]  # 8 cores of n1 in halves


def test_a_silent_node_takes_no_more_pods_and_is_no_room() -> None:
    fleet = fleet_of(seen(nodes=[node("n1", ready="False")], deployments=[deployment("shop/cart", 1)]))
    assert fleet.fit.tolist() == [[0]]
    assert fleet.nodes.ready.tolist() == [0]


def hpa(name: str) -> Manifest:
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": k8s.uid("hpa", name)},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": name}, "maxReplicas": 9},
    }


CLAIM = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}]}
SCHEDULER = {"schedulerName": "volcano"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (deployment("shop/cart"), Fixed.FREE),
        (deployment("shop/cart", labels={"archgov.io/governed": "false"}), Fixed.OPTED_OUT),
        (deployment("shop/cart", annotations={"archgov.io/governed": "false"}), Fixed.OPTED_OUT),
        (deployment("shop/cart", annotations={"archgov.io/pin": "until we know more"}), Fixed.PINNED),
        (deployment("shop/cart", pod=CLAIM), Fixed.STATEFUL),
        (deployment("shop/cart", pod=SCHEDULER), Fixed.HALF_UNDERSTOOD),
    ],
    ids=["free", "label", "annotation", "pin", "volume", "scheduler"],
)
def test_what_is_never_acted_on_has_its_reason(body: Manifest, why: Fixed) -> None:
    assert fixed(fleet_of(seen(nodes=[node("n1")], deployments=[body]))) is why


def test_an_autoscaler_owns_the_replicas_of_its_target() -> None:
    fleet = fleet_of(
        seen(
            nodes=[node("n1")],
            deployments=[deployment("shop/cart"), deployment("shop/web")],
            hpas=[hpa("cart")],
        )
    )
    assert fixed(fleet) is Fixed.AUTOSCALED
    assert fixed(fleet, WorkloadRef("shop", "Deployment", "web")) is Fixed.FREE


def test_an_autoscaler_in_one_cluster_fixes_the_workload_everywhere() -> None:
    fleet = fleet_of(
        seen("eu", nodes=[node("n1")], deployments=[deployment("shop/cart")]),
        seen("us", nodes=[node("n1")], deployments=[deployment("shop/cart")], hpas=[hpa("cart")]),
    )
    assert fixed(fleet) is Fixed.AUTOSCALED


def test_a_foreign_controller_owns_what_it_made() -> None:
    body = deployment("shop/cart")
    body["metadata"]["ownerReferences"] = [{"kind": "Kafka", "name": "x", "uid": "u", "controller": True}]
    assert fixed(fleet_of(seen(nodes=[node("n1")], deployments=[body]))) is Fixed.CONTROLLED


def test_stateful_sets_and_daemon_sets_are_load_that_stands_where_it_stands() -> None:
    db = deployment("shop/db", 2, kind="StatefulSet")
    agent = {**deployment("shop/agent", kind="DaemonSet"), "status": {"desiredNumberScheduled": 1}}
    fleet = fleet_of(
        seen(
            nodes=[node("n1")],
            stateful_sets=[db],
            daemon_sets=[agent],
            pods=[pod("shop/db-0", "n1", db), pod("shop/agent-x", "n1", agent)],
        )
    )
    assert fixed(fleet, WorkloadRef("shop", "StatefulSet", "db")) is Fixed.STATEFUL
    assert fixed(fleet, WorkloadRef("shop", "DaemonSet", "agent")) is Fixed.DAEMON
    assert standing(fleet, WorkloadRef("shop", "StatefulSet", "db")) == {"eu/a": 1}


def test_a_disruption_budget_guards_the_workload_whose_pods_it_selects() -> None:
    budget = {
        "metadata": {"namespace": "shop", "name": "cart", "uid": "u"},
        "spec": {"selector": {"matchLabels": {"app": "cart"}}, "maxUnavailable": 1},
    }
    fleet = fleet_of(
        seen(nodes=[node("n1")], deployments=[deployment("shop/cart"), deployment("shop/web")], pdbs=[budget])
    )
    assert fleet.workloads.guarded.tolist() == [1, 0]


def test_a_quota_says_what_is_left_and_scoped_ones_bind_some_pods_only() -> None:
    def quota(name: str, **more: Any) -> Manifest:
        return {
            "metadata": {"namespace": "shop", "name": name, "uid": name},
            "spec": {"hard": {"requests.cpu": "4", "pods": "3"}, **more},
            "status": {"used": {"requests.cpu": "1500m", "pods": "5"}},
        }

    fleet = fleet_of(seen(nodes=[node("n1")], quotas=[quota("all"), quota("best", scopes=["BestEffort"])]))
    assert [(q.namespace, q.cluster, dict(q.left)) for q in fleet.quotas] == [("shop", "eu", {"cpu": 2500, "pods": 0})]


def test_the_order_of_observation_leaves_no_trace() -> None:
    def one(order: int) -> Snapshot:
        cart, web = deployment("shop/cart", 2), deployment("shop/web", 1)
        clusters = [
            seen(name, nodes=[node("n2", "b"), node("n1", "a")][::order], deployments=[cart, web][::order])
            for name in ("eu", "us")
        ]
        return snapshot_of(*clusters[::order])

    assert one(1).digest == one(-1).digest


def test_an_empty_fleet_is_a_snapshot_too() -> None:
    found = snapshot_of()
    assert len(found.fleet.workloads.key) == 0
    assert np.asarray(found.fleet.fit).shape == (0, 0)


# ------------------------------------------------------------------------------------------------------------ hub

TARGET: Manifest = {"target": {"workloads": {}}}


def test_a_malformed_intent_is_named_and_the_others_are_governed() -> None:
    good = ours("PlacementIntent", "shop/good", {**TARGET, "spread": [{"topologyKey": k8s.ZONE, "maxShare": "60%"}]})
    bad = ours("PlacementIntent", "shop/bad", {**TARGET, "spread": [{"topologyKey": k8s.ZONE, "maxShare": "0.6"}]})
    hub = understood([good, bad])
    assert [intent.common.ref.name for intent in hub.intents] == ["good"]
    (rejected,) = hub.rejected
    assert rejected.body is bad
    assert "maxShare" in str(rejected.error)


def test_the_defaults_of_the_fleet_complete_the_intents_in_whatever_order_they_come() -> None:
    intent = ours("PlacementIntent", "shop/x", TARGET)
    fleet = ours("Fleet", "fleet", {"defaultMode": "Enforce"})
    for bodies in ([intent, fleet], [fleet, intent]):
        assert understood(bodies).intents[0].common.mode is Mode.ENFORCE


def test_a_fleet_that_cannot_be_understood_stops_all_acting() -> None:
    stop = {"stopped": {"by": "ann", "reason": "incident"}, "defaultMode": "Enforce", "defualtMode": "Observe"}
    hub = understood([ours("Fleet", "fleet", stop), ours("PlacementIntent", "shop/x", TARGET)])
    assert hub.governance.stopped is not None
    assert "Fleet object is invalid: spec.defualtMode is unknown" in hub.governance.stopped.reason
    assert hub.governance.stopped.until == 0
    assert [intent.common.ref.name for intent in hub.intents] == ["x"]


def test_a_member_that_cannot_be_understood_is_named_and_its_losses_stay_remembered() -> None:
    member = ours("MemberCluster", "eu", {"local": True, "reserves": "10%"})
    member["status"] = {"losses": [{"since": "2026-01-05T00:00:00Z"}]}
    hub = understood([member])
    assert hub.members == ()
    assert list(hub.unclear) == ["eu"]
    assert "spec.reserves" in hub.unclear[ClusterName("eu")]
    assert hub.losses == (Loss(ClusterName("eu"), "", 1_767_571_200, 0),)


@pytest.mark.parametrize("spec", [{}, {"workload": {"kind": "Deployment", "name": "cart"}, "need": -1}])
def test_a_workload_whose_record_cannot_be_understood_is_never_acted_on(spec: Manifest) -> None:
    record = ours("WorkloadRecord", "shop/deployment-cart", spec)
    cluster = seen(nodes=[node("n1")], deployments=[deployment("shop/cart"), deployment("shop/web")])
    found = snapshot_of(cluster, hub=[record])
    assert fixed(found.fleet) is not Fixed.FREE
    assert fixed(found.fleet, WorkloadRef("shop", "Deployment", "web")) is Fixed.FREE
    assert found.notes[-1] == f"held: the WorkloadRecord of {CART} can't be understood"


def test_a_series_is_read_from_the_config_map_that_an_intent_names() -> None:
    intent = ours(
        "CapacityIntent",
        "shop/cart",
        {**TARGET, "demand": {"series": {"configMap": "requests", "key": "csv"}}, "perReplica": 10},
    )
    lines = "time,place,amount\n2026-01-05T00:00:00Z,,300\n2026-01-05T01:00:00Z,,400\n"
    config_map = {"metadata": {"namespace": "shop", "name": "requests"}, "data": {"csv": lines}}
    (series,) = understood([intent], [config_map]).series
    assert [sample.amount for sample in series.samples] == [300_000, 400_000]


@pytest.mark.parametrize("text", [None, "nonsense"], ids=["absent", "no csv"])
def test_a_series_that_cannot_be_read_stops_nobody(text: str | None) -> None:
    intent = ours(
        "CapacityIntent",
        "shop/cart",
        {**TARGET, "demand": {"series": {"configMap": "requests", "key": "csv"}}, "perReplica": 10},
    )
    config_map = {"metadata": {"namespace": "shop", "name": "requests"}, "data": {"csv": text} if text else None}
    hub = understood([intent], [config_map])
    assert (len(hub.intents), hub.series) == (1, ())


def test_losses_are_remembered_in_the_members() -> None:
    member = ours("MemberCluster", "eu", {"local": True})
    member["status"] = {
        "losses": [
            {"since": "2026-01-05T00:00:00Z"},
            {"zone": "a", "since": "2026-01-05T00:00:00Z", "ended": "2026-01-05T01:00:00Z"},
        ]
    }
    start = 1_767_571_200
    assert understood([member]).losses == (
        Loss(ClusterName("eu"), "", start, 0),
        Loss(ClusterName("eu"), "a", start, start + 3600),
    )
