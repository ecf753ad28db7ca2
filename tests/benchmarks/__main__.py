"""`make bench`: every benchmark in a process of its own, so that memory is measured by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS = sorted(path.stem.removesuffix("_bench") for path in HERE.glob("*_bench.py"))


def main(wanted: list[str]) -> int:
    """Runs the named benchmarks, or all; the exit code is 1 as soon as one misses its target."""
    if unknown := sorted({*wanted} - {*BENCHMARKS}):
        print(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 1
    missed = [name for name in wanted or BENCHMARKS if not _met(name)]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _met(name: str) -> bool:
    print(f"{name}:", flush=True)
    ended = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}_bench"], check=False).returncode
    if ended < 0:
        print(f"  ended by signal {-ended}", flush=True)
    return ended == 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
