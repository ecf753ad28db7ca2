"""Which clusters and zones are lost: declared on independent evidence, never on silence alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from archgov.model.fleet import Cluster, Fleet, Reach
from archgov.model.intent import Loss, Witness
from archgov.model.ref import ClusterName
from archgov.model.snapshot import Snapshot

# Witnesses that say they fail together with the API server are no second witness.
SAME_WITNESS = "apiserver"
# With fewer members than this a majority says nothing, so a reference outside has to answer.
FEW_MEMBERS = 3


def losses(snapshot: Snapshot) -> tuple[Loss, ...]:
    """Remembered losses with the new ones added, and those that are over marked with the time they were seen well again.

    A cluster is lost when its API server *and* one of its witnesses are silent, while fewer than half of the members are; a zone
    when all its nodes are NotReady and one of its witnesses is silent. Anything less is unknown, and unknown only holds.
    """
    known: dict[tuple[str, str], Loss] = {(loss.cluster, loss.zone): loss for loss in snapshot.losses}
    now_lost: set[tuple[str, str]] = {
        (cluster.name, "") for cluster in snapshot.fleet.clusters if _cluster_lost(snapshot, cluster)
    }
    now_lost |= {place for place in _dark_zones(snapshot.fleet) if _silent(snapshot.witnesses, *place)}
    fresh = {
        place: Loss(ClusterName(place[0]), place[1], snapshot.seconds)
        for place in now_lost
        if place not in known or known[place].ended
    }
    kept = {place: _as_seen(snapshot, loss, place in now_lost) for place, loss in known.items()}
    return tuple(sorted({**kept, **fresh}.values()))


def lost_now(all_losses: tuple[Loss, ...]) -> tuple[Loss, ...]:
    """Those that are not over."""
    return tuple(loss for loss in all_losses if not loss.ended)


def lost_domains(fleet: Fleet, all_losses: tuple[Loss, ...]) -> frozenset[int]:
    """Rows of the domains that are lost now."""
    places = {(loss.cluster, loss.zone) for loss in lost_now(all_losses)}
    return frozenset(
        row
        for row, domain in enumerate(fleet.domains)
        if (domain.cluster, "") in places or (domain.cluster, domain.zone) in places
    )


def _cluster_lost(snapshot: Snapshot, cluster: Cluster) -> bool:
    if cluster.reach is Reach.YES or not cluster.silent:
        return False
    members = len(snapshot.fleet.clusters)
    silent = sum(1 for other in snapshot.fleet.clusters if other.silent)
    if members < FEW_MEMBERS:
        judged = any(witness.answers for witness in snapshot.witnesses if not witness.cluster)
    else:
        judged = 2 * silent < members
    return judged and _silent(snapshot.witnesses, cluster.name, "")


def _silent(witnesses: tuple[Witness, ...], cluster: str, zone: str) -> bool:
    """A witness that has been probed and didn't answer; one that was never probed says nothing."""
    return any(
        witness.answers is False and witness.group != SAME_WITNESS
        for witness in witnesses
        if (witness.cluster, witness.zone) == (cluster, zone)
    )


def _dark_zones(fleet: Fleet) -> set[tuple[str, str]]:
    """(cluster, zone) of which every node is NotReady; a zone without nodes is not dark, an empty set is never evidence."""
    nodes = np.bincount(fleet.nodes.domain, minlength=len(fleet.domains))
    ready = np.bincount(fleet.nodes.domain, weights=fleet.nodes.ready, minlength=len(fleet.domains))
    return {
        (domain.cluster, domain.zone)
        for row, domain in enumerate(fleet.domains)
        if nodes[row] and not ready[row] and _seen(fleet, domain.cluster)
    }


def _seen(fleet: Fleet, cluster: str) -> bool:
    return fleet.clusters[fleet.cluster_row[cluster]].reach is Reach.YES


def _as_seen(snapshot: Snapshot, loss: Loss, is_lost: bool) -> Loss:
    """A loss stays until it is well again (the cluster seen, a node of the zone Ready); mere doubt doesn't end it."""
    if loss.cluster not in snapshot.fleet.cluster_row:
        return loss if loss.ended else replace(loss, ended=snapshot.seconds)
    well = _seen(snapshot.fleet, loss.cluster) and (loss.cluster, loss.zone) not in _dark_zones(snapshot.fleet)
    if is_lost or not well:
        return loss if not loss.ended else replace(loss, ended=0) if is_lost else loss
    return loss if loss.ended else replace(loss, ended=snapshot.seconds)
