"""Settings that hold for every test."""

from __future__ import annotations

import os

# Before numpy is imported: two test workers that each start a thread per core would fight for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, Phase, settings

# The gate tries the same examples on every machine and however busy that is; a person explores by
# HYPOTHESIS_PROFILE=explore. Without `explain`, a failing property is reported within the time a test has.
settings.register_profile(
    "gate",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=100,
    phases=[Phase.explicit, Phase.generate, Phase.target, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-goldens", action="store_true", help="write what scenarios end with, to be read after")
