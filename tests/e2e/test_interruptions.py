"""What goes wrong around archgov: its own death, faults of API servers, objects that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgov.sandbox import Fault
from tests.e2e.stage import everywhere, stage
from tests.e2e.test_acting import CART, CLUSTERS, ONLY_EU, in_eu, only
from tests.manifests import ours

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.mark.parametrize("effects", [1, 2])
def test_killed_between_effects_it_goes_on_where_it_was(tmp_path: Path, effects: int) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 2, "us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu(disruption={"budgets": [{"limit": "1", "window": "1s"}]}))
        the.until("some effects took place", lambda: len(the.effects()) >= effects)
        the.kill()
        the.start()
        the.until("the plan ends as it would have", lambda: the.ready(CART) == {"eu": 4})
        the.until("it is verified", lambda: the.decisions("Verified") and the.settled())
        the.until("the intent is Ready", lambda: the.is_ready("PlacementIntent", "shop/in-eu"))
        assert the.broken() == []


def test_a_change_while_archgov_is_away_is_found_on_its_return(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu())
        the.until("it has moved", lambda: the.ready(CART) == {"eu": 2} and the.decisions("Verified"))
        assert the.stop() == 0
        the.scale("us", CART, 1)
        the.start()
        the.until("the newcomer has moved too", lambda: the.ready(CART) == {"eu": 3})
        assert the.broken() == []


FAULTS = {
    "eu": (
        Fault("409", "patch/deployments/scale", 2),
        Fault("500", "patch/deployments/scale", 1),
        Fault("429", "patch/deployments/scale", 1),
        Fault("410", "watch/pods", 2),
        Fault("half_line", "watch/deployments", 2),
    ),
    "hub": (
        Fault("409", "create/decisions", 1),
        Fault("500", "create/decisions", 1),
        Fault("500", "patch/workloadrecords", 2),
        Fault("429", "patch/decisions/status", 1),
        Fault("410", "watch/placementintents", 2),
    ),
}


@pytest.mark.parametrize("where", list(FAULTS))
def test_faults_of_an_api_server_delay_a_plan_and_spoil_nothing(tmp_path: Path, where: str) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 2, "eu": 1}, CLUSTERS), asked=ONLY_EU) as the:
        the.until("everything is seen", lambda: all(the.reach(name) == "yes" for name in CLUSTERS))
        for fault in FAULTS[where]:
            the.sandbox.inject(where, fault)
        the.apply(in_eu())
        the.until("all have moved", lambda: the.ready(CART) == {"eu": 3})
        the.until("it is verified", lambda: the.decisions("Verified") and the.settled())
        assert the.broken() == []
        assert the.refusals(where) >= {int(f.kind) for f in FAULTS[where] if not f.match.startswith("watch")}


def test_an_intent_that_makes_no_sense_says_so_and_stops_nobody(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        # What no schema can tell: it looks like a time zone, and nobody knows it.
        freeze = {"limit": "0", "schedule": "0 9 * * *", "duration": "1h", "timeZone": "Europe/Atlantis"}
        odd = {"target": only(), "disruption": {"budgets": [freeze]}}
        the.apply(ours("PlacementIntent", "shop/odd", odd), in_eu())
        the.until("the other is carried out", lambda: the.ready(CART) == {"eu": 2})
        the.until("it says so", lambda: the.condition("PlacementIntent", "shop/odd")[1] == "Invalid")
        assert "Europe/Atlantis" in the.condition("PlacementIntent", "shop/odd")[2]
        assert the.condition("PlacementIntent", "shop/odd", "Stalled")[0] == "True"
        assert the.broken() == []


def test_a_member_that_cannot_be_reached_is_unknown_with_the_reason(tmp_path: Path) -> None:
    nowhere = ours("MemberCluster", "zz", {"kubeconfigSecret": {"name": "not-there"}})
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), objects=[nowhere]) as the:
        the.until("it is unknown", lambda: the.reach("zz") == "unknown")
        body = the.hub.get("/apis/archgov.io/v1alpha1/memberclusters/zz")
        assert "not-there" in body["status"]["evidence"]


def test_a_deployment_that_is_made_anew_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu())
        the.until("it has moved", lambda: the.ready(CART) == {"eu": 2} and the.decisions("Verified"))
        the.recreate("ap", CART, 1)
        the.until("the newcomer has moved too", lambda: the.ready(CART) == {"eu": 3})
        assert the.broken() == []
