"""A made-up trace of a few nodes: what becomes of it, what is said when it can't be read."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from archgov.cli.importer.openb import GPU, MODEL_LABEL, openb
from archgov.cli.importer.requests import BadTrace
from archgov.model.selector import Operator

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn1,8000,16384,2,T4\nn2,8000,16384,0,\nn3,8000,16384,1,P100\n"
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
    "a,1000,1024,1,500,T4,LS,Running,1,2,1\n"
    "b,1000,1024,1,500,T4,LS,Pending,1,2,\n"
    "c,1000,1024,1,500,T4,LS,Failed,1,2,1\n"
    "d,2000,1024,0,0,,BE,Running,1,2,1\n"
    "e,1000,1024,8,1000,,LS,Running,1,2,1\n"
)
NOW = 1_767_571_200_000


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    folder = tmp_path / "openb"
    folder.mkdir()
    (folder / "openb_node_list_all_node.csv").write_text(NODES)
    (folder / "openb_pod_list_tiny.csv").write_text(PODS)
    beside = tmp_path / "web-requests"
    beside.mkdir()
    lines = ["minute,count"] + [
        f"1995-07-{1 + hour // 24:02d} {hour % 24:02d}:00:00,{50 + hour % 24}" for hour in range(31 * 24)
    ]
    content = "\n".join(lines).encode()
    with tarfile.open(beside / "requests.tar.xz", "w:xz") as archive:
        member = tarfile.TarInfo("nasa.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return folder


def test_only_running_and_pending_pods_count_by_shape(trace: Path) -> None:
    fleet = openb(trace, "tiny", seed=1, now=NOW).fleet
    replicas = {
        fleet.workloads.key[row]: sum(fleet.spec_replicas(row).values()) for row in range(len(fleet.workloads.key))
    }
    assert replicas == {
        "ls/Deployment/c1000-m1024-g500-t4": 2,
        "be/Deployment/c2000-m1024": 1,
        "ls/Deployment/c1000-m1024-g8000": 1,
    }


def test_a_list_of_models_is_a_required_affinity_and_gpu_is_summed_in_thousandths(trace: Path) -> None:
    fleet = openb(trace, "tiny", seed=1, now=NOW).fleet
    gpu = fleet.resources.index(GPU)
    row = fleet.workloads.key.find("ls/Deployment/c1000-m1024-g500-t4")
    assert row is not None
    shape = fleet.shapes[int(fleet.workloads.shape[row])]
    assert shape.requests[gpu] == 500 * 1000
    assert [(e.key, e.operator, e.values) for e in shape.node[0].expressions] == [(MODEL_LABEL, Operator.IN, ("T4",))]
    assert sorted(fleet.nodes.allocatable[:, gpu].tolist()) == [0, 1_000_000, 2_000_000]


def test_a_pod_that_no_node_holds_is_asked_for_and_stands_nowhere(trace: Path) -> None:
    fleet = openb(trace, "tiny", seed=1, now=NOW).fleet
    row = fleet.workloads.key.find("ls/Deployment/c1000-m1024-g8000")
    assert row is not None
    assert (sum(fleet.spec_replicas(row).values()), fleet.standing_replicas(row)) == (1, {})


def test_what_is_assumed_is_said(trace: Path) -> None:
    snapshot = openb(trace, "tiny", seed=1, now=NOW)
    assert any("assumed: regions, zones, prices" in note for note in snapshot.notes)
    assert all(cluster.price.assumed for cluster in snapshot.fleet.clusters)


def test_the_same_seed_gives_the_same_snapshot(trace: Path) -> None:
    assert openb(trace, "tiny", seed=3, now=NOW).digest == openb(trace, "tiny", seed=3, now=NOW).digest


def test_a_missing_list_is_named(trace: Path) -> None:
    with pytest.raises(BadTrace, match="openb_pod_list_huge"):
        openb(trace, "huge", seed=1, now=NOW)
