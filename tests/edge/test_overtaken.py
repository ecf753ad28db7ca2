"""What people change while a round is thought about holds what it was about to do, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from archgov.decide.round import Round, conclude
from archgov.edge.observe import Hub
from archgov.edge.overtaken import overtaken
from archgov.model.approval import Approval, Ruling
from archgov.model.intent import Governance, Intent, Load, Mode, Stopped
from tests.build import placement
from tests.decide.test_round import a_world, worker
from tests.world import World


def intent(mode: Mode = Mode.APPROVE) -> Intent:
    return placement("media/cheap", mode=mode, load=Load.FOLLOWS_REPLICAS, names=["encode"])


def a_round() -> tuple[World, Round, Hub]:
    """A round that is about to carry out an approved plan, and what it was concluded from."""
    world = a_world(worker("media/encode", {"us/a": 3}), intents=[intent()])
    world.step()
    world.say(Ruling.APPROVE, world.decisions[0].decision)
    snapshot = world.snapshot()
    hub = Hub(
        governance=snapshot.governance,
        intents=snapshot.intents,
        decisions=snapshot.decisions,
        approvals=snapshot.approvals,
    )
    return world, conclude(snapshot), hub


def said(hub: Hub, ruling: Ruling) -> Approval:
    return replace(hub.approvals[0], name="another", ruling=ruling, author="eve")


CHANGES: dict[str, Callable[[Hub], Hub]] = {
    "it is rejected": lambda hub: replace(hub, approvals=(*hub.approvals, said(hub, Ruling.REJECT))),
    "the approval is taken back": lambda hub: replace(hub, approvals=()),
    "it is made anew, for one wave": lambda hub: replace(hub, approvals=(replace(hub.approvals[0], waves=1),)),
    "the intent is changed": lambda hub: replace(hub, intents=(intent(Mode.OBSERVE),)),
    "the intent is deleted": lambda hub: replace(hub, intents=()),
    "all acting is stopped": lambda hub: replace(hub, governance=Governance(stopped=Stopped("ada", "freeze"))),
    "another intent comes to the namespace": lambda hub: replace(hub, intents=(*hub.intents, placement("media/new"))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_effects_wait_for_the_next_round_when(change: Callable[[Hub], Hub]) -> None:
    world, found, before = a_round()
    assert found.effects
    assert overtaken(found, before, change(before)) == {world.workloads[0].ref}


OTHERS: dict[str, Callable[[Hub], Hub]] = {
    "nothing changed": lambda hub: hub,
    "what archgov itself says of the approval": lambda hub: replace(
        hub, approvals=(replace(hub.approvals[0], accepted=True, about=None),)
    ),
    "an approval of something else": lambda hub: replace(
        hub, approvals=(*hub.approvals, replace(said(hub, Ruling.REJECT), decision="other", about=None))
    ),
    "an intent elsewhere": lambda hub: replace(hub, intents=(*hub.intents, placement("shop/new"))),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_effects_go_on_after(change: Callable[[Hub], Hub]) -> None:
    _, found, before = a_round()
    assert overtaken(found, before, change(before)) == set()
