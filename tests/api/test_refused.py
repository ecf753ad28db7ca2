"""What API servers refuse is refused here as well, in words that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from archgov.api.fault import IntentError
from archgov.api.registry import KINDS, parse_any

REFUSED = Path(__file__).parent / "refused"
FILES = sorted(REFUSED.glob("*.yaml"))
SAYS = "# says: "
# Only who knows the former object can refuse it.
BY_SERVER_ALONE = {"approval-changed", "decision-changed"}


def message(path: Path) -> str:
    """What `parse` must say, from the second line."""
    line = path.read_text().splitlines()[1]
    assert line.startswith(SAYS), path
    return line.removeprefix(SAYS)


def test_every_kind_has_a_refused_object() -> None:
    assert {yaml.safe_load(path.read_text().split("---")[0])["kind"] for path in FILES} == set(KINDS)


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem not in BY_SERVER_ALONE], ids=lambda path: path.stem
)
def test_a_bad_object_is_refused_in_words_that_help(path: Path) -> None:
    with pytest.raises(IntentError) as refused:
        parse_any(yaml.safe_load(path.read_text()))
    assert str(refused.value) == message(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_refused_object_says_what_the_server_says(path: Path) -> None:
    assert path.read_text().startswith("# refused: ")
