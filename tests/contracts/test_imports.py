"""Who may import whom, as pyproject.toml says it, and what really gets loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ["archgov.model", "archgov.forecast", "archgov.policy", "archgov.optimize", "archgov.decide"]


def loaded_by(*statements: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after these statements."""
    program = "; ".join([*statements, "import sys", "print(*sorted({name.split('.')[0] for name in sys.modules}))"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def modules_of(package: str) -> list[str]:
    folder = ROOT / "controller" / Path(*package.split("."))
    paths = [path.relative_to(ROOT / "controller").with_suffix("") for path in sorted(folder.rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def test_imports_point_down_and_judges_never_meet_their_solvers() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("judge", [name for name in modules_of("archgov.optimize") if name.endswith(".judge")])
def test_loading_a_judge_loads_no_solver(judge: str) -> None:
    assert "highspy" not in loaded_by(f"import {judge}")


def test_loading_the_core_loads_no_cluster_client_and_no_telemetry() -> None:
    loaded = loaded_by(*(f"import {name}" for package in CORE for name in modules_of(package)))
    assert loaded & {"aiohttp", "kopf", "kubernetes", "opentelemetry", "pydantic", "rich", "typer"} == set()


@pytest.mark.parametrize("order", [("numpy", "highspy"), ("highspy", "numpy")], ids=" then ".join)
def test_the_solver_works_in_either_import_order(order: tuple[str, str]) -> None:
    solve = [
        "h = highspy.Highs()",
        "h.setOptionValue('output_flag', False)",
        "x = h.addVariable(lb=0, ub=numpy.inf, obj=1)",
        "h.addConstr(x >= 3)",
        "h.run()",
        "assert h.getObjectiveValue() == 3",
    ]
    assert "highspy" in loaded_by(*(f"import {name}" for name in order), *solve)
