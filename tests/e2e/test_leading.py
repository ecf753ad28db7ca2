"""Several replicas of archgov: one acts, whatever becomes of it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import LEASE, Refused, Stage, everywhere, stage
from tests.e2e.test_acting import CART, CLUSTERS, ONLY_EU, in_eu

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# One replica moves each second, so that there is time to interfere.
SLOWLY: dict[str, Any] = {"disruption": {"budgets": [{"limit": "1", "window": "1s"}]}}


def epoch(the: Stage) -> int:
    return int(the.hub.get(LEASE)["spec"]["leaseTransitions"])


def effects(the: Stage) -> int:
    return len(the.effects())


def test_of_two_replicas_one_acts_and_the_other_goes_on_when_it_dies(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 3, "us": 3}, CLUSTERS), asked=ONLY_EU) as the:
        the.until("somebody leads", the.leader)
        first, process = the.leader(), the.process
        the.start()
        the.apply(in_eu(**SLOWLY))
        the.until("it acts", lambda: effects(the) >= 2)
        assert the.leader() == first
        assert process is not None
        process.kill()
        the.until("the other leads", lambda: the.leader() not in ("", first))
        the.until("the plan ends as it would have", lambda: the.ready(CART) == {"eu": 6})
        the.until("it is verified", lambda: the.decisions("Verified") and the.settled())
        assert epoch(the) == 2
        assert the.broken() == []


def test_a_leader_that_was_paused_finds_out_and_breaks_nothing(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 4, "us": 4}, CLUSTERS), asked=ONLY_EU) as the:
        the.until("somebody leads", the.leader)
        first, paused = the.leader(), the.process
        assert paused is not None
        the.start()
        the.apply(in_eu(**SLOWLY))
        the.until("it acts", lambda: effects(the) >= 2)
        paused.send_signal(signal.SIGSTOP)
        the.until("the other leads", lambda: the.leader() not in ("", first))
        before = effects(the)
        the.until("the other acts", lambda: effects(the) > before)
        paused.send_signal(signal.SIGCONT)
        assert paused.wait(20) == 1
        the.until("the plan ends as it would have", lambda: the.ready(CART) == {"eu": 8})
        the.until("it is verified", lambda: the.decisions("Verified") and the.settled())
        assert the.broken() == []


def test_a_replica_that_is_stopped_in_order_hands_over_at_once(tmp_path: Path) -> None:
    settings = {"ARCHGOV_LEASE_SECONDS": "120", "ARCHGOV_RENEW_SECONDS": "100"}
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU, start=False) as the:
        the.start(**settings)
        the.until("somebody leads", the.leader)
        first = the.leader()
        the.start(**settings)
        (leader,) = the.others
        leader.send_signal(signal.SIGTERM)
        assert leader.wait(15) == 0
        the.until("the other leads", lambda: the.leader() not in ("", first), patience=30)
        the.apply(in_eu())
        the.until("it acts", lambda: the.ready(CART) == {"eu": 2})
        assert the.broken() == []


def test_a_former_leaders_late_write_is_refused_by_the_api_itself(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu())
        the.until("it has moved", lambda: the.ready(CART) == {"eu": 2} and the.decisions("Verified"))
        [record] = the.hub.items("/apis/archgov.io/v1alpha1/workloadrecords")
        assert record["spec"]["epoch"] == epoch(the)
        path = f"/apis/archgov.io/v1alpha1/namespaces/shop/workloadrecords/{record['metadata']['name']}"
        with pytest.raises(Refused, match="a newer leader of archgov has written this"):
            the.hub.merge(path, {"spec": {"epoch": epoch(the) - 1}})
        with pytest.raises(Refused, match="a newer leader of archgov has written this"):
            the.hub.merge(f"{path}/status", {"status": {"epoch": epoch(the) - 1}})


def wait_for_effects(the: Stage, count: int) -> None:
    the.until("something happens", lambda: effects(the) >= count or the.ready(CART) == {"eu": 8})


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_it_ends_as_it_would_have(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with stage(tmp_path, everywhere(CART, {"ap": 4, "us": 4}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu(**SLOWLY))
        for _ in range(3):
            wait_for_effects(the, effects(the) + dice.randint(0, 3))
            time.sleep(dice.random())
            the.kill()
            the.start()
        the.until("the plan ends as it would have", lambda: the.ready(CART) == {"eu": 8})
        the.until("it is verified", lambda: the.decisions("Verified") and the.settled())
        assert the.broken() == []


def test_a_cluster_that_another_archgov_governs_is_left_alone_until_it_is_given_up(tmp_path: Path) -> None:
    claims = "/api/v1/namespaces/kube-public/configmaps"
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        metadata = {"name": "archgov-governor", "namespace": "kube-public"}
        claim = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"governor": "somebody"}}
        the.servers["eu"].apply(claims, claim)
        the.apply(in_eu())
        the.until("it says so", lambda: the.condition("PlacementIntent", "shop/in-eu", "Degraded")[0] == "True")
        assert "governed by another archgov (somebody)" in the.condition("PlacementIntent", "shop/in-eu", "Degraded")[2]
        assert the.effects() == []
        the.servers["eu"].ask("DELETE", f"{claims}/archgov-governor")
        the.until("it acts", lambda: the.ready(CART) == {"eu": 2})
        assert the.broken() == []
