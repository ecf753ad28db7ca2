"""The reference says something about everything."""

from __future__ import annotations

from archgov.api.meaning import CONDITIONS, REASONS
from archgov.api.reference import pages
from archgov.api.registry import KINDS
from archgov.model.condition import Kind, Reason


def test_every_condition_and_reason_has_a_meaning() -> None:
    assert list(CONDITIONS) == list(Kind)
    assert list(REASONS) == list(Reason)
    assert all(meaning.endswith(".") for meaning in [*CONDITIONS.values(), *REASONS.values()])


def test_every_field_of_a_spec_has_a_row() -> None:
    told = pages(tuple(KINDS.values()), dict.fromkeys(KINDS, "sample: here\n"))
    for kind in KINDS.values():
        page = told[f"{kind.singular}.md"]
        assert "sample: here" in page
        for name, field in kind.spec.model_fields.items():
            assert f"| `spec.{field.alias or name}` |" in page


def test_a_row_shows_type_default_and_description() -> None:
    page = pages(tuple(KINDS.values()), dict.fromkeys(KINDS, ""))["placementintent.md"]
    assert "| `spec.priority` | integer, -1000 to 1000 | `0` | Who wins when intents disagree." in page
    assert "| `spec.target` | object | *required* | What is governed. |" in page
    assert "- `spec.spread[]`: maxShare, minDomains or both are needed" in page
