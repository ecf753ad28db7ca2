"""What is installed from a wheel has what it needs beside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_wheel_carries_the_demo_and_the_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    samples = {path.name for path in (ROOT / "crds" / "samples" / "demo").iterdir()}
    assert samples
    assert {f"archgov/cli/demo/samples/{name}" for name in samples} <= held
    assert {"archgov/cli/report.html.j2", "archgov/sandbox/builtin.json"} <= held
