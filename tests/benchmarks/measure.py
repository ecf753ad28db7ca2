"""Wall time, CPU time and peak memory of the steps of one process."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Meter:
    """Measures one step after the other. peak: MiB, the greatest resident memory of any step so far."""

    peak: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Prints what the step took."""
        _forget_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = _peak_mib()
        self.peak = max(self.peak, peak)
        print(f"  {name:<14} {wall:8.2f} s wall {cpu:8.2f} s CPU {peak:8.0f} MiB peak", flush=True)


def _peak_mib() -> float:
    """Peak resident memory since it was last forgotten; without /proc since the process began, which Linux counts in KiB."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
    except OSError:
        found = None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def _forget_peak() -> None:
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return
