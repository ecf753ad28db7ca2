"""What archgov added in vain is taken back."""

from __future__ import annotations

from archgov.decide.compose import fitting
from archgov.decide.plan import Plan
from archgov.decide.stage import Stage
from archgov.model.fleet import Int64, Reach


def withdrawn(stage: Stage, planned: Plan) -> tuple[Int64, frozenset[int]]:
    """The plan without replicas that archgov added, no node takes and nothing puts elsewhere; with the rows concerned.

    They would wait for ever, and their decision with them. What others added stays: only they know what it is for.
    """
    if stage.lost:
        return planned.target, frozenset()
    fleet, now = stage.snapshot.fleet, stage.base.problem.now
    records = {record.workload: record for record in stage.snapshot.records}
    acting = {row for one in stage.governed if one.enforced for row in one.rows}
    acting -= stage.granted | stage.contended | stage.home.soaking | stage.unaccounted | planned.asked.held
    less, rows = planned.target.copy(), set()
    for s, row in enumerate(stage.base.rows):
        record = records.get(fleet.ref(row))
        if record is None or row not in acting or (planned.target[s] != now[s]).any():
            continue
        for k, idle in fleet.idle_replicas(row).items():
            cluster = fleet.clusters[k]
            is_ours = dict(record.written).get(cluster.name) == now[s, k]
            may_fit = fitting(fleet, int(fleet.workloads.shape[row]), k) >= idle
            if is_ours and not may_fit and cluster.reach is Reach.YES:
                former = dict(record.former).get(cluster.name, 0)
                less[s, k] = min(int(now[s, k]), max(int(now[s, k]) - idle, former))
        if (less[s] != now[s]).any():
            rows.add(row)
    return less, frozenset(rows)
