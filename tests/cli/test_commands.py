"""What every command has in common: help, exit codes, errors that say how to go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from archgov import __version__
from archgov.cli.main import COMMANDS
from archgov.model.intent import Mode
from tests.build import a_cluster, a_fleet, a_snapshot, capacity, failover, placement
from tests.cli.conftest import JURISDICTION, Run, saved

Fleet = Callable[..., Path]
SURVIVOR = failover("shop/crit", tolerate={"cluster": 1}, share=60, on_loss=Mode.ENFORCE, rto="60s")


def by_service(found: list[Any]) -> dict[str, Any]:
    return {entry["service"]: entry for entry in found}


# ------------------------------------------------------------------------------------------------------ the program


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_helps_with_examples(run: Run, command: str) -> None:
    found = run(command, "--help")
    assert found.exit_code == 0, found.output
    assert "Example" in found.stdout
    assert f"archgov {command}" in found.stdout


def test_help_lists_every_command_without_loading_any() -> None:
    heavy = "'numpy','highspy','aiohttp','pydantic','kopf','kubernetes','jinja2'"
    program = (
        "import sys; from archgov.cli.main import app\n"
        "try: app(['--help'])\n"
        f"except SystemExit: print('LOADED', [name for name in ({heavy}) if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "LOADED []" in found
    assert all(f"  {command} " in found for command in COMMANDS)


def test_kubectl_runs_the_same_program() -> None:
    folder = Path(sys.executable).parent
    for name in ("archgov", "kubectl-archgov"):
        found = subprocess.run([folder / name, "version"], capture_output=True, text=True, check=True)
        assert found.stdout == f"{__version__}\n"
    wrong = subprocess.run([folder / "kubectl-archgov", "wat"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "error: no such command 'wat'\n  see: kubectl archgov --help\n",
    )


def test_shells_complete_names_of_commands_quickly() -> None:
    environment = {**os.environ, "_ARCHGOV_COMPLETE": "complete_bash", "COMP_WORDS": "archgov s", "COMP_CWORD": "1"}
    program = Path(sys.executable).parent / "archgov"
    found = subprocess.run([program], capture_output=True, text=True, check=False, env=environment).stdout
    assert found.split() == ["simulate", "suggest", "snapshot", "stop"]


def test_ctrl_c_is_130() -> None:
    program = (
        "import sys, archgov.cli.version as v\nfrom archgov.cli.main import app\n"
        "def version() -> int:\n    '''x'''\n    raise KeyboardInterrupt\nv.version = version\napp(['version'])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "interrupted\n")


def test_a_command_that_ends_its_own_work_tells_of_ctrl_c_alone() -> None:
    program = (
        "import archgov.cli.version as v\nfrom archgov.cli.failure import Exit\nfrom archgov.cli.main import app\n"
        "def version() -> int:\n    'x'\n    print('interrupted; all is stopped')\n    return Exit.INTERRUPTED\n"
        "v.version = version\napp(['version'])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (130, "interrupted; all is stopped\n", "")


def test_a_bug_of_ours_is_one_line_that_asks_for_a_report() -> None:
    program = (
        "import sys, archgov.cli.version as v\nfrom archgov.cli.main import app\n"
        "def version() -> int:\n    '''x'''\n    return {}['gone']\nv.version = version\napp(sys.argv[1:])"
    )
    for args, traced in ((["version"], False), (["--traceback", "version"], True)):
        found = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=False)
        assert found.returncode == 1
        assert "error: archgov itself failed: KeyError: 'gone'" in found.stderr
        assert ("Traceback" in found.stderr) is traced


def test_a_reader_that_leaves_early_is_no_error(fleet: Fleet) -> None:
    program = Path(sys.executable).parent / "archgov"
    command = f"{program} plan --snapshot {fleet([placement('media/cheap')])} | true; exit ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert found.stderr == ""


# --------------------------------------------------------------------------------------------------------- simulate


def test_a_lost_cluster_shows_the_answer_and_what_stays_short(run: Run, fleet: Fleet) -> None:
    found = run("simulate", "--fail", "eu-1", "--snapshot", fleet([SURVIVOR]), "--json")
    assert found.exit_code == 2, found.output
    document = json.loads(found.stdout)
    assert document["answer"] == "FastPath"
    impacts = by_service(document["impacts"])
    assert impacts["shop/cart"] == {
        "service": "shop/cart",
        "need": 5,
        "left": 1,
        "after": 3,
        "floor": 3,
        "short": 0,
        "rtoSeconds": 60,
    }
    assert (impacts["media/transcode"]["short"], impacts["media/transcode"]["floor"]) == (5, None)
    assert "no witness speaks for it" in document["doubts"][0]
    told = run("simulate", "--fail", "eu-1", "--snapshot", fleet([SURVIVOR])).stdout
    assert "unknown, 1m allowed" in told
    assert "This is the fast path" in told


def test_demand_that_grows_is_planned_for(run: Run, fleet: Fleet) -> None:
    asked = [capacity("shop/load", demand=50, per_replica=10, names=["cart"], mode=Mode.ENFORCE), placement("pay/x")]
    found = run("simulate", "--demand", "+30%", "--snapshot", fleet(asked), "--json")
    document = json.loads(found.stdout)
    [change] = [entry for entry in document["plan"]["changes"] if entry["service"] == "shop/cart"]
    assert sum(change["then"].values()) == 7, "5 replicas served 50, and 65 are asked for"
    assert document["undeclaredDemand"] == 1


def test_a_floor_that_can_not_be_held_is_3(run: Run, fleet: Fleet) -> None:
    everything = failover("shop/crit", tolerate={"region": 1}, on_loss=Mode.ENFORCE, names=["cart"])
    only = placement("shop/eu", allow={JURISDICTION: "eu"}, mode=Mode.ENFORCE, names=["cart"])
    found = run("simulate", "--fail", "region/eu", "--snapshot", fleet([everything, only]))
    assert found.exit_code == 3


# ---------------------------------------------------------------------------------------------------------- explain


def test_an_intent_explains_its_workloads(run: Run, fleet: Fleet) -> None:
    file = fleet([placement("media/cheap"), SURVIVOR])
    document = json.loads(run("explain", "pi/cheap", "-n", "media", "--snapshot", file, "--json").stdout)
    [workload] = document["workloads"]
    assert (workload["service"], workload["need"]) == ("media/transcode", 5)
    assert workload["at"] == {"eu-1": 5, "eu-2": 0, "us-1": 0}
    assert workload["price"] == {"eu-1": "0.015", "eu-2": "0.0155", "us-1": "0.01"}
    assert document["changes"][0]["why"] == ["saves 0.60 $/day"]
    assert document["decided"]["gap"] == 0


def test_nothing_to_do_is_explained_first(run: Run, fleet: Fleet) -> None:
    asked = ("explain", "placementintent/x", "-n", "pay", "--snapshot", fleet([placement("pay/x")]))
    found = run(*asked)
    assert found.exit_code == 0
    assert "nothing to do:" in found.stdout
    [workload] = json.loads(run(*asked, "--json").stdout)["workloads"]
    assert workload["why"] == ["nothing to do: every requirement holds, nothing better pays"]


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("eu-1", ["eu-1 was not chosen for media/transcode.", "+0.12 $/day in eu-1", "It would be chosen if"]),
        ("region/eu", ["region eu was not chosen", "in eu-1", "chosen us-1 0.01"]),
        ("eu-2/a", ["eu-2/a was not chosen", "0.0155 $/replica-hour"]),
        ("us-1", ["us-1 holds 5 of media/transcode; this is about one more.", "1 replica more in all"]),
    ],
)
def test_why_not_there(run: Run, fleet: Fleet, where: str, parts: list[str]) -> None:
    asked = ("explain", "pi/cheap", "-n", "media", "--why-not", where, "--snapshot", fleet([placement("media/cheap")]))
    told = run(*asked).stdout
    assert all(part in told for part in parts), told


def test_why_not_names_what_forbids_it(run: Run, fleet: Fleet) -> None:
    file = fleet([placement("pay/eu", allow={JURISDICTION: "eu"}, mode=Mode.ENFORCE), SURVIVOR])
    forbidden = run("explain", "pi/eu", "-n", "pay", "--why-not", "us-1", "--snapshot", file, "--json")
    [answer] = json.loads(forbidden.stdout)["whyNot"]
    assert answer["extra"] is None
    assert answer["conflict"] == [f"spec.allow ({JURISDICTION}=eu) (PlacementIntent pay/eu)"]
    fixed = run("explain", "fi/crit", "-n", "shop", "--workload", "db", "--why-not", "us-1", "--snapshot", file)
    assert "it is stateful" in fixed.stdout


# ---------------------------------------------------------------------------------------------------------- suggest


def test_suggestions_are_yaml_that_plans_as_promised(run: Run, fleet: Fleet, tmp_path: Path) -> None:
    file = fleet()
    assert run("suggest", "--snapshot", file, "--out", tmp_path / "all.yaml").exit_code == 0
    bodies = list(yaml.safe_load_all((tmp_path / "all.yaml").read_text()))
    marks = {body["metadata"]["annotations"]["archgov.io/suggest"] for body in bodies}
    assert marks == {"describe", "mend"}
    for mark, code in (("describe", 0), ("mend", 2)):
        some = [body for body in bodies if body["metadata"]["annotations"]["archgov.io/suggest"] == mark]
        (tmp_path / f"{mark}.yaml").write_text(yaml.safe_dump_all(some))
        found = run("plan", "-f", tmp_path / f"{mark}.yaml", "--snapshot", file)
        assert found.exit_code == code, found.output
    assert run("plan", "-f", tmp_path / "all.yaml", "--snapshot", file).exit_code == 2


def test_a_named_loss_is_survived_once_its_mend_is_followed(run: Run, fleet: Fleet, tmp_path: Path) -> None:
    bodies = json.loads(run("suggest", "--snapshot", fleet(), "--json").stdout)["items"]
    for body in bodies:
        loss = body["metadata"]["annotations"].get("archgov.io/mends")
        if loss is None:
            continue
        body["spec"]["mode"] = "Enforce"
        (tmp_path / "mend.yaml").write_text(yaml.safe_dump(body))
        planned = json.loads(run("plan", "-f", tmp_path / "mend.yaml", "--snapshot", fleet(), "--json").stdout)
        [intent] = planned["intents"]
        survived, tolerated = intent["survivable"]
        assert survived == tolerated > 0, f"{loss} among all of its level"


# ----------------------------------------------------------------------------------------------------------- report


def test_the_report_needs_nothing_from_elsewhere(run: Run, fleet: Fleet, tmp_path: Path) -> None:
    page = tmp_path / "fleet.html"
    asked = [placement("media/cheap"), placement("pay/eu", allow={JURISDICTION: "eu"}, mode=Mode.ENFORCE), SURVIVOR]
    found = run("report", "--snapshot", fleet(asked), "--out", page)
    assert found.exit_code == 0, found.output
    html = page.read_text()
    assert not any(word in html for word in ("<script", "http://", "https://", "@import", "url("))
    assert all(word in html for word in ("media/transcode", "prefers-color-scheme: dark", "@media print", "<svg"))
    assert "assumed: prices of us-1" in html
    assert run("report", "--snapshot", fleet(asked), "--out", page).exit_code == 0
    assert page.read_text() == html, "the same snapshot gives the same page"


def test_names_can_not_break_out_of_the_report(run: Run, fleet: Fleet, tmp_path: Path) -> None:
    asked = placement("shop/x", allow={"a": "<script>alert(1)</script>"}, mode=Mode.ENFORCE)
    run("report", "--snapshot", fleet([asked]), "--out", tmp_path / "fleet.html")
    assert "<script" not in (tmp_path / "fleet.html").read_text()


def test_an_empty_fleet_has_a_report_and_a_plan(run: Run, tmp_path: Path) -> None:
    file = saved(a_snapshot(a_fleet([a_cluster("eu")], [], {"eu/a": 1})), tmp_path)
    assert run("plan", "--snapshot", file).exit_code == 0
    assert run("suggest", "--snapshot", file).stdout.startswith("# nothing to suggest")
    assert run("report", "--snapshot", file, "--out", tmp_path / "fleet.html").exit_code == 0
    assert run("simulate", "--fail", "eu", "--snapshot", file).exit_code == 0
