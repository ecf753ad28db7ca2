"""Whole rounds, from what users write to what archgov concludes and how it tells why.

Each folder beside this file is a scenario. `given/` is what there is, `decision.yaml` what follows, `why.txt` what archgov
answers to the questions of `given/questions.yaml`. `pytest tests/scenarios --rewrite-goldens` writes the answers; read them then.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archgov.cli.main import app
from archgov.decide.round import Round, conclude
from archgov.model.snapshot import Snapshot, save
from tests.scenarios import given
from tests.scenarios.told import decision_yaml

SCENARIOS = sorted(folder.parent for folder in Path(__file__).parent.glob("*/given"))


@pytest.fixture(params=SCENARIOS, ids=[folder.name for folder in SCENARIOS])
def scenario(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def test_a_scenario_ends_as_written_and_is_explained_so(
    scenario: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = given.read(scenario / "given")
    snapshot = given.snapshot(there)
    found = {
        scenario / "decision.yaml": decision_yaml(conclude(snapshot)),
        scenario / "why.txt": "\n".join(_told(snapshot, there.questions)),
    }
    if request.config.getoption("--rewrite-goldens"):
        for file, text in found.items():
            file.write_text(text)
    for file, text in found.items():
        assert text == file.read_text(), f"{file.name} tells otherwise; --rewrite-goldens writes it anew"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_in_which_things_are_seen_changes_nothing(scenario: Path, seed: int) -> None:
    found = given.read(scenario / "given")
    one, other = (given.snapshot(found, shuffled) for shuffled in (None, random.Random(seed)))
    assert one.digest == other.digest
    assert _values(conclude(one)) == _values(conclude(other))


def _values(concluded: Round) -> tuple[object, ...]:
    names = ("decisions", "closed", "records", "effects", "losses", "verdicts", "findings", "overview")
    return tuple(getattr(concluded, name) for name in names)


def _told(snapshot: Snapshot, questions: Iterable[str]) -> Iterator[str]:
    """What a user reads in a terminal; archgov looks at the saved fleet, however long ago its clusters were seen."""
    file = Path("fleet.snapshot")
    with file.open("wb") as content:
        save(snapshot, content)
    for question in questions:
        result = CliRunner().invoke(app, [*question.split(), "--snapshot", str(file), "--stale-after", "1h"])
        assert not result.stderr, result.stderr
        ended = f"   # exits with {result.exit_code}" if result.exit_code else ""
        yield f"$ archgov {question}{ended}"
        # The digest of all that is given would say nothing to a reader.
        yield re.sub(r"snapshot [0-9a-f]{12}", "snapshot …", result.stdout)
