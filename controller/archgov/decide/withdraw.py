"""What archgov added in vain is taken back."""

from __future__ import annotations

from archgov.decide.compose import fitting
from archgov.decide.stage import Stage
from archgov.model.fleet import Int64, Reach


def withdrawn(stage: Stage, target: Int64) -> tuple[Int64, frozenset[int]]:
    """The plan without replicas that archgov added, no node takes and nothing puts elsewhere; with the rows concerned.

    They would wait for ever, and their decision with them. What others added stays: only they know what it is for.
    """
    if stage.lost:
        return target, frozenset()
    fleet, now = stage.snapshot.fleet, stage.base.problem.now
    records = {record.workload: record for record in stage.snapshot.records}
    acting = {row for one in stage.governed if one.enforced for row in one.rows} - stage.contended
    less, rows = target.copy(), set()
    for s, row in enumerate(stage.base.rows):
        record = records.get(fleet.ref(row))
        if record is None or row not in acting or (target[s] != now[s]).any():
            continue
        for k, refused in fleet.refused_replicas(row).items():
            cluster = fleet.clusters[k]
            is_ours = dict(record.written).get(cluster.name) == now[s, k]
            waits = fitting(fleet, int(fleet.workloads.shape[row]), k) >= refused
            if is_ours and not waits and cluster.reach is Reach.YES:
                less[s, k] = max(int(now[s, k]) - refused, dict(record.former).get(cluster.name, 0))
        if (less[s] != now[s]).any():
            rows.add(row)
    return less, frozenset(rows)
