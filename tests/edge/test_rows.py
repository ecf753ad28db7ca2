"""From objects of any shape to rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.edge import rows
from archgov.edge.rows import HpaRow, Malformed, NodeRow, Owner, PdbRow, PodRow, QuotaRow
from archgov.edge.template import Amounts, PodTerm, Spread
from archgov.edge.tree import Json
from archgov.model.selector import Expression, Operator, Selector
from archgov.model.shape import Taint, Toleration

GIB = 1 << 30
READERS: dict[str, Callable[[Json], Any]] = {
    "Node": rows.node_row,
    "Pod": rows.pod_row,
    "Deployment": rows.deployment_row,
    "ReplicaSet": rows.replica_set_row,
    "StatefulSet": rows.stateful_set_row,
    "DaemonSet": rows.daemon_set_row,
    "PodDisruptionBudget": rows.pdb_row,
    "HorizontalPodAutoscaler": rows.hpa_row,
    "ResourceQuota": rows.quota_row,
    "Namespace": rows.namespace_row,
}


def meta(name: str, **more: Any) -> Json:
    return {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": "7", **more}


def asks(cpu: str = "", memory: str = "", **more: str) -> Json:
    return {"requests": {key: value for key, value in {"cpu": cpu, "memory": memory, **more}.items() if value}}


def deployment(spec: Json, **metadata: Any) -> rows.DeploymentRow:
    found = rows.deployment_row(
        {"metadata": meta("cart", **metadata), "spec": {"replicas": 3, "template": {"spec": spec}}}
    )
    assert isinstance(found, rows.DeploymentRow), found
    return found


def test_a_node_as_a_cloud_shows_it() -> None:
    found = rows.node_row(
        {
            "metadata": {
                "name": "n1",
                "uid": "u1",
                "labels": {"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "eu", "pool": "gpu"},
            },
            "spec": {
                "unschedulable": True,
                "taints": [
                    {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
                    {"key": "soft", "effect": "PreferNoSchedule"},
                ],
            },
            "status": {
                "allocatable": {
                    "cpu": "3920m",
                    "memory": "15Gi",
                    "pods": "110",
                    "nvidia.com/gpu": "2",
                    "hugepages-2Mi": "0",
                },
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
            },
        }
    )
    assert found == NodeRow(
        name="n1",
        uid="u1",
        zone="a",
        region="eu",
        labels=(("pool", "gpu"), ("topology.kubernetes.io/region", "eu"), ("topology.kubernetes.io/zone", "a")),
        taints=(Taint("gpu", "yes", "NoSchedule"),),
        unschedulable=True,
        ready=True,
        terminating=False,
        allocatable=Amounts(3920, 15 * GIB, 110, (("nvidia.com/gpu", 2000),)),
    )


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", None), (None, None)])
def test_a_silent_kubelet_makes_a_node_neither_ready_nor_unready(status: str | None, ready: bool | None) -> None:
    conditions = [{"type": "Ready", "status": status}] if status else []
    found = rows.node_row({"metadata": {"name": "n", "uid": "u"}, "status": {"conditions": conditions}})
    assert isinstance(found, NodeRow)
    assert found.ready is ready


def test_an_old_node_tells_its_zone_by_the_old_labels() -> None:
    labels = {"failure-domain.beta.kubernetes.io/zone": "z", "failure-domain.beta.kubernetes.io/region": "r"}
    found = rows.node_row({"metadata": {"name": "n", "uid": "u", "labels": labels}})
    assert isinstance(found, NodeRow)
    assert (found.zone, found.region) == ("z", "r")


def test_a_running_pod() -> None:
    found = rows.pod_row(
        {
            "metadata": meta(
                "cart-1",
                labels={"app": "cart"},
                deletionTimestamp="2026-01-01T00:00:00Z",
                ownerReferences=[
                    {"kind": "Audit", "name": "x", "uid": "ux"},
                    {"kind": "ReplicaSet", "name": "cart-rs", "uid": "u-rs", "controller": True},
                ],
            ),
            "spec": {
                "nodeName": "n1",
                "priority": 1000,
                "containers": [{"name": "c", "resources": asks("250m", "1Gi")}],
            },
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
    )
    assert found == PodRow(
        namespace="shop",
        name="cart-1",
        uid="uid-cart-1",
        node="n1",
        phase="Running",
        ready=True,
        terminating=True,
        owner=Owner("ReplicaSet", "cart-rs", "u-rs"),
        labels=(("app", "cart"),),
        requests=Amounts(250, GIB, 1),
        unschedulable="",
        priority=1000,
    )
    assert isinstance(found, PodRow)
    assert found.scheduled
    assert found.is_load


def test_a_pending_pod_says_why_in_the_schedulers_words() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no cpu."}
    found = rows.pod_row({"metadata": meta("p"), "status": {"phase": "Pending", "conditions": [condition]}})
    assert isinstance(found, PodRow)
    assert (found.unschedulable, found.scheduled) == ("Unschedulable: 0/3 nodes: no cpu.", False)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_is_no_load(phase: str) -> None:
    found = rows.pod_row({"metadata": meta("p"), "status": {"phase": phase}})
    assert isinstance(found, PodRow)
    assert not found.is_load


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {"containers": [{"resources": asks("1")}, {"resources": asks("500m")}]}, Amounts(1500, 0, 1), id="sum"
        ),
        pytest.param(
            {
                "containers": [{"resources": asks("1")}],
                "initContainers": [{"resources": asks("3")}, {"resources": asks("2")}],
            },
            Amounts(3000, 0, 1),
            id="the largest initialisation beats the sum",
        ),
        pytest.param(
            {
                "containers": [{"resources": asks("1", "1Gi")}],
                "initContainers": [
                    {"resources": asks("2")},
                    {"resources": asks("1"), "restartPolicy": "Always"},
                    {"resources": asks("2500m")},
                ],
            },
            Amounts(3500, GIB, 1),
            id="a sidecar runs beside what is initialised after it",
        ),
        pytest.param(
            {
                "containers": [{"resources": asks("1")}],
                "initContainers": [{"resources": asks("2"), "restartPolicy": "Always"}],
            },
            Amounts(3000, 0, 1),
            id="a sidecar stays",
        ),
        pytest.param(
            {"containers": [{"resources": asks("1")}], "overhead": {"cpu": "250m", "memory": "120Mi"}},
            Amounts(1250, 120 << 20, 1),
            id="overhead comes on top",
        ),
        pytest.param(
            {"containers": [{"resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}]},
            Amounts(1000, GIB, 1),
            id="a limit stands in for an absent request",
        ),
        pytest.param(
            {"containers": [{"resources": asks("1", "1Gi")}], "resources": asks("5", example="9")},
            Amounts(5000, GIB, 1),
            id="a request of the whole pod replaces the sum",
        ),
        pytest.param(
            {"containers": [{"resources": asks("1n", "1500m", **{"nvidia.com/gpu": "1"})}]},
            Amounts(1, 2, 1, (("nvidia.com/gpu", 1000),)),
            id="fractions round up",
        ),
    ],
)
def test_requests_are_what_the_scheduler_reserves(spec: Json, expected: Amounts) -> None:
    assert deployment(spec).template.requests == expected


def test_while_a_pod_is_resized_the_larger_of_asked_and_allocated_counts() -> None:
    found = rows.pod_row(
        {
            "metadata": meta("p"),
            "spec": {"containers": [{"name": "c", "resources": asks("1", "1Gi")}]},
            "status": {
                "containerStatuses": [
                    {"name": "c", "resources": asks("2"), "allocatedResources": {"cpu": "2", "memory": "512Mi"}}
                ]
            },
        }
    )
    assert isinstance(found, PodRow)
    assert found.requests == Amounts(2000, GIB, 1)


def test_a_deployment_with_every_hard_rule() -> None:
    cart = {"matchLabels": {"app": "cart"}}
    found = rows.deployment_row(
        {
            "metadata": meta(
                "cart",
                generation=4,
                labels={"tier": "critical"},
                annotations={"archgov.io/pin": "true", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                ownerReferences=[{"kind": "Shop", "name": "shop", "uid": "us", "controller": True}],
                managedFields=[
                    {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:template": {}}}},
                    {"manager": "hpa", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                ],
            ),
            "spec": {
                "replicas": 5,
                "selector": cart,
                "template": {
                    "metadata": {"labels": {"app": "cart"}},
                    "spec": {
                        "nodeSelector": {"pool": "web"},
                        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
                        "topologySpreadConstraints": [
                            {
                                "topologyKey": "zone",
                                "maxSkew": 2,
                                "minDomains": 3,
                                "whenUnsatisfiable": "DoNotSchedule",
                                "labelSelector": cart,
                            },
                            {"topologyKey": "host", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"},
                        ],
                        "affinity": {
                            "nodeAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": {
                                    "nodeSelectorTerms": [
                                        {
                                            "matchExpressions": [
                                                {"key": "zone", "operator": "In", "values": ["b", "a"]},
                                                {"key": "arch", "operator": "NotIn", "values": ["arm64"]},
                                            ]
                                        },
                                        {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]},
                                        {},
                                    ]
                                }
                            },
                            "podAntiAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": [
                                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": cart}
                                ],
                                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}],
                            },
                            "podAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": [
                                    {
                                        "topologyKey": "zone",
                                        "namespaces": ["b", "a"],
                                        "namespaceSelector": {},
                                        "labelSelector": {"matchExpressions": [{"key": "db", "operator": "Exists"}]},
                                    }
                                ]
                            },
                        },
                        "volumes": [{"name": "tmp", "emptyDir": {}}],
                    },
                },
            },
            "status": {"readyReplicas": 4, "updatedReplicas": 5, "observedGeneration": 3},
        }
    )
    assert isinstance(found, rows.DeploymentRow)
    assert (found.replicas, found.ready, found.updated, found.observed, found.resource_version) == (5, 4, 5, False, "7")
    assert found.annotations == (("archgov.io/pin", "true"),)
    assert found.owner == Owner("Shop", "shop", "us")
    assert found.replica_managers == ("hpa",)
    app = Selector((("app", "cart"),))
    assert found.selector == app
    template = found.template
    assert template.labels == (("app", "cart"),)
    pool = (("pool", "web"),)
    assert set(template.node) == {
        Selector(
            pool,
            (Expression("arch", Operator.NOT_IN, ("arm64",)), Expression("zone", Operator.IN, ("a", "b"))),
        ),
        Selector(pool, (Expression("spot", Operator.DOES_NOT_EXIST),)),
    }
    assert template.tolerations == (Toleration("gpu", "Exists", "", "NoSchedule"),)
    assert template.spread == (Spread("zone", 2, 3, app),)
    assert template.apart == (PodTerm("kubernetes.io/hostname", app, (), None),)
    assert template.together == (
        PodTerm("zone", Selector(expressions=(Expression("db", Operator.EXISTS),)), ("a", "b"), Selector()),
    )
    assert (template.volumes, template.unmodelled) == (False, ())


def test_a_node_selector_alone_is_the_only_alternative() -> None:
    assert deployment({"nodeSelector": {"pool": "web"}}).template.node == (Selector((("pool", "web"),)),)


def test_no_rule_means_everywhere() -> None:
    assert deployment({}).template.node == ()


def test_terms_without_requirements_match_no_node() -> None:
    affinity: Json = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}}
    (nowhere,) = deployment({"affinity": affinity}).template.node
    assert not nowhere.matches({"kubernetes.io/hostname": "n1"})


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"resourceClaims": [{"name": "gpu"}]}, "device claims"),
        ({"nodeName": "n1"}, "node by name"),
        ({"schedulerName": "volcano"}, "scheduler volcano"),
        ({"containers": [{"ports": [{"containerPort": 80, "hostPort": 80}]}]}, "host ports"),
        ({"hostNetwork": True, "containers": [{"ports": [{"containerPort": 80}]}]}, "host ports"),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "n", "operator": "Gt", "values": ["1"]}]}
                            ]
                        }
                    }
                }
            },
            "node affinity with operator Gt",
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
                            ]
                        }
                    }
                }
            },
            "node affinity by field",
        ),
    ],
)
def test_a_hard_rule_that_is_not_modelled_is_named(spec: Json, named: str) -> None:
    assert deployment(spec).template.unmodelled == (named,)


@pytest.mark.parametrize(
    ("volume", "claimed"),
    [({"persistentVolumeClaim": {"claimName": "data"}}, True), ({"ephemeral": {}}, True), ({"configMap": {}}, False)],
)
def test_claimed_volumes_are_seen(volume: Json, claimed: bool) -> None:
    assert deployment({"volumes": [{"name": "v", **volume}]}).template.volumes is claimed


def test_replicas_left_out_are_one() -> None:
    found = rows.deployment_row({"metadata": meta("cart"), "spec": {}})
    assert isinstance(found, rows.DeploymentRow)
    assert found.replicas == 1


def test_a_stateful_set_with_claim_templates_has_volumes() -> None:
    found = rows.stateful_set_row({"metadata": meta("db"), "spec": {"volumeClaimTemplates": [{"metadata": {}}]}})
    assert isinstance(found, rows.StatefulSetRow)
    assert found.template.volumes


def test_a_disruption_budget_counts_or_takes_a_share() -> None:
    found = rows.pdb_row(
        {
            "metadata": meta("cart"),
            "spec": {"selector": {}, "minAvailable": 2, "maxUnavailable": "25%"},
            "status": {"disruptionsAllowed": 1},
        }
    )
    assert found == PdbRow("shop", "cart", "uid-cart", Selector(), "2", "25%", 1)


def test_an_absent_selector_selects_nothing_not_everything() -> None:
    found = rows.pdb_row({"metadata": meta("cart"), "spec": {}})
    assert isinstance(found, PdbRow)
    assert found.selector is None


def test_an_autoscaler_that_its_maximum_holds_back() -> None:
    found = rows.hpa_row(
        {
            "metadata": meta("cart"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "cart"}, "maxReplicas": 9},
            "status": {
                "desiredReplicas": 9,
                "conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}],
            },
        }
    )
    assert found == HpaRow("shop", "cart", "uid-cart", "Deployment", "cart", 1, 9, 9, True, None, "7")


def test_a_quota_speaks_of_resources_as_nodes_do() -> None:
    found = rows.quota_row(
        {
            "metadata": meta("q"),
            "spec": {
                "hard": {
                    "requests.cpu": "10",
                    "limits.memory": "1Gi",
                    "count/pods": "5",
                    "requests.nvidia.com/gpu": "1",
                },
                "scopes": ["BestEffort"],
            },
            "status": {"used": {"requests.cpu": "2500m"}},
        }
    )
    assert found == QuotaRow(
        "shop",
        "q",
        "uid-q",
        hard=(("cpu", 10_000), ("limits.memory", GIB), ("nvidia.com/gpu", 1000), ("pods", 5)),
        used=(("cpu", 2500),),
        scoped=True,
    )


def test_equal_templates_are_one_object() -> None:
    spec = {"containers": [{"resources": asks("100m", "1Gi")}]}
    assert deployment(spec).template is deployment(spec).template


@pytest.mark.parametrize(
    ("kind", "found", "why"),
    [
        ("Pod", {"metadata": {"name": "p"}}, "uid is missing"),
        ("Pod", {"metadata": meta("p"), "spec": []}, "spec is '[]', must be an object"),
        (
            "Pod",
            {"metadata": meta("p"), "spec": {"containers": [{"resources": asks("a lot")}]}},
            '"a lot" is not a quantity',
        ),
        ("Pod", {"metadata": meta("p", labels={"a": 1})}, "labels has the value '1', must be texts"),
        ("Node", {"metadata": meta("n"), "status": {"allocatable": {"cpu": 1.5}}}, "cpu is '1.5', must be a quantity"),
        ("Deployment", {"metadata": meta("d"), "spec": {"replicas": "3"}}, "replicas is '3', must be an integer"),
        (
            "Deployment",
            {"metadata": meta("d"), "spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}},
            'operator is "Near", must be one of In, NotIn, Exists, DoesNotExist',
        ),
        ("HorizontalPodAutoscaler", {"metadata": meta("h"), "spec": {}}, "kind is missing"),
        ("PodDisruptionBudget", {"metadata": meta("b"), "spec": {"minAvailable": 1.5}}, "minAvailable is '1.5'"),
    ],
)
def test_a_malformed_object_says_what_is_wrong(kind: str, found: Json, why: str) -> None:
    row = READERS[kind](found)
    assert isinstance(row, Malformed)
    assert row[:3] == (kind, found["metadata"].get("namespace", ""), found["metadata"]["name"])
    assert why in row.why


# As many of the words that the readers look for as it takes to lead a random object deep into them.
FIELDS = st.sampled_from(
    """
    metadata spec status name uid namespace labels annotations ownerReferences managedFields controller kind template
    containers initContainers resources requests limits cpu memory conditions type affinity nodeAffinity tolerations
    requiredDuringSchedulingIgnoredDuringExecution nodeSelectorTerms matchExpressions matchLabels key operator values
    taints effect allocatable selector scaleTargetRef hard used volumes deletionTimestamp replicas Ready In Always
    topologySpreadConstraints topologyKey podAntiAffinity labelSelector restartPolicy overhead priority fieldsV1
    """.split()  # noqa: SIM905 - a word list
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | FIELDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=40,
)


@given(metadata=JUNK, spec=JUNK, status=JUNK)
def test_no_object_whatever_it_holds_raises(metadata: Any, spec: Any, status: Any) -> None:
    named = {"name": "n", "uid": "u", **metadata} if isinstance(metadata, dict) else metadata
    for read in READERS.values():
        hash(read({"metadata": named, "spec": spec, "status": status}))
