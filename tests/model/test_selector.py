"""Label selectors, as Kubernetes matches them."""

from __future__ import annotations

import pytest
from hypothesis import given

from archgov.model.selector import Expression, Operator, Selector
from archgov.model.shape import NodeClass, PodShape, Taint, Toleration
from tests.strategies import label_maps, selectors, taints, tolerations

LABELS = {"app": "cart", "tier": "web"}


# The table of Kubernetes' documentation, "Labels and Selectors": NotIn also holds where the label is missing.
@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        (Expression("app", Operator.IN, ("cart", "shop")), True),
        (Expression("app", Operator.IN, ("shop",)), False),
        (Expression("zone", Operator.IN, ("a",)), False),
        (Expression("zone", Operator.IN), False),
        (Expression("app", Operator.NOT_IN, ("cart",)), False),
        (Expression("app", Operator.NOT_IN, ("shop",)), True),
        (Expression("zone", Operator.NOT_IN, ("a",)), True),
        (Expression("app", Operator.EXISTS), True),
        (Expression("zone", Operator.EXISTS), False),
        (Expression("app", Operator.DOES_NOT_EXIST), False),
        (Expression("zone", Operator.DOES_NOT_EXIST), True),
    ],
)
def test_an_expression_holds_as_in_kubernetes(expression: Expression, holds: bool) -> None:
    assert expression.holds(LABELS) is holds


@given(label_maps)
def test_a_selector_without_requirements_selects_everything(labels: dict[str, str]) -> None:
    assert Selector().matches(labels)


@given(selectors, label_maps)
def test_all_requirements_must_hold(selector: Selector, labels: dict[str, str]) -> None:
    each = [Selector(labels=(pair,)) for pair in selector.labels]
    each += [Selector(expressions=(expression,)) for expression in selector.expressions]
    assert selector.matches(labels) == all(one.matches(labels) for one in each)


def test_a_selector_reads_like_one_of_kubectl() -> None:
    selector = Selector(
        (("app", "cart"),),
        (
            Expression("tier", Operator.NOT_IN, ("batch", "test")),
            Expression("zone", Operator.EXISTS),
            Expression("old", Operator.DOES_NOT_EXIST),
        ),
    )
    assert str(selector) == "app=cart, tier notin (batch, test), zone, !old"
    assert str(Selector()) == "all"


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        (Toleration("gpu", "Equal", "yes", "NoSchedule"), True),
        (Toleration("gpu", "Equal", "yes"), True),
        (Toleration("gpu", "Exists"), True),
        (Toleration("", "Exists"), True),
        (Toleration("", "Exists", effect="NoExecute"), False),
        (Toleration("gpu", "Equal", "no"), False),
        (Toleration("gpu", "Exists", effect="NoExecute"), False),
        (Toleration("other", "Exists"), False),
        (Toleration(), False),
    ],
)
def test_a_taint_is_tolerated_as_in_kubernetes(toleration: Toleration, tolerates: bool) -> None:
    assert toleration.tolerates(Taint("gpu", "yes", "NoSchedule")) is tolerates


@given(taints, tolerations)
def test_a_pod_runs_on_a_tainted_node_only_if_it_tolerates_the_taint(taint: Taint, toleration: Toleration) -> None:
    node = NodeClass((), (taint,))
    assert PodShape((), tolerations=(toleration,)).may_run_on(node) == toleration.tolerates(taint)
    assert not PodShape(()).may_run_on(node)


@given(label_maps, selectors, selectors)
def test_one_matching_term_of_node_labels_is_enough(labels: dict[str, str], one: Selector, other: Selector) -> None:
    node = NodeClass(tuple(sorted(labels.items())))
    assert PodShape((), node=(one, other)).may_run_on(node) == (one.matches(labels) or other.matches(labels))
