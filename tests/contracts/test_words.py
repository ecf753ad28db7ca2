"""What must not stand in a tracked file: somebody's machine, or somebody's package mirror."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Spelt in pieces, so that this file does not hold what it looks for.
HOME = re.compile(r"(?<![\w.$}])/" + r"(?:home|root|Users|work)/[\w.-]+")
MIRROR = re.compile(
    r"(?i)(?:index[-_]url|default[-_]index|find[-_]links|goproxy|registry)\s*[=:]+\s*[\"']?https?" + "://"
)
PUBLIC_LOCK = ("requirements.lock", "requirements-dev.lock", "go.sum")


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # Files that are not committed yet count too, unless they are ignored.
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    found = []
    for path in files:
        text = path.read_bytes().decode(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in pattern.finditer(text)]
    return found


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert lines_with(HOME, tracked()) == []


def test_no_file_names_a_package_mirror() -> None:
    assert lines_with(MIRROR, tracked()) == []


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    locks = [path for path in tracked() if path.name in PUBLIC_LOCK]
    assert len(locks) == len(PUBLIC_LOCK)
    assert lines_with(re.compile("https?" + "://"), locks) == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_a_hash(name: str) -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / name).read_text())
    packages = [pin for pin in pins if not pin.startswith("#")]
    assert packages
    assert [pin.splitlines()[0] for pin in packages if "--hash=sha256:" not in pin] == []


def test_the_development_lock_holds_the_runtime_lock() -> None:
    """Otherwise tests would prove another set of libraries than the one that runs."""
    runtime, development = (
        {line.rstrip(" \\") for line in (ROOT / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime - development == set()
