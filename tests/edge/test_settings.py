"""How the process is told what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgov.edge.settings import SettingError, settings


def test_without_a_word_every_setting_has_its_default() -> None:
    found = settings({"PATH": "/bin", "ARCHGOV_BENCH_DATA": "bench"})
    assert found.namespace == "archgov-system"
    assert found.traces_file is None


def test_each_setting_is_read_by_its_type() -> None:
    found = settings(
        {"ARCHGOV_QUIET_SECONDS": "0.5", "ARCHGOV_SEED": "7", "ARCHGOV_TRACES_FILE": "x", "ARCHGOV_NAMESPACE": "ops"}
    )
    assert (found.quiet_seconds, found.seed, found.traces_file, found.namespace) == (0.5, 7, Path("x"), "ops")


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        SettingError, match=r"ARCHGOV_QUITE_SECONDS: no such setting; known are .*ARCHGOV_QUIET_SECONDS"
    ):
        settings({"ARCHGOV_QUITE_SECONDS": "1"})


@pytest.mark.parametrize("name", ["ARCHGOV_QUIET_SECONDS", "ARCHGOV_SEED"])
def test_a_value_that_is_no_number_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingError, match=f'{name} is "soon"'):
        settings({name: "soon"})
