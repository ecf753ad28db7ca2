"""What the documentation says can be followed: its links lead somewhere, its YAML is understood, its samples are the files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from archgov.api.kind import API_VERSION
from archgov.api.registry import parse_any

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "crds" / "samples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def blocks(page: Path) -> list[str]:
    return [text for language, text in FENCE.findall(page.read_text()) if language == "yaml"]


def anchors(page: Path) -> set[str]:
    """The names GitHub gives to headings."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_nowhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return not target.exists() or bool(anchor and target.suffix == ".md" and anchor not in anchors(target))


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if not ELSEWHERE.match(link)]
    assert [link for link in links if leads_nowhere(page, link)] == []


@each_page
def test_every_object_of_ours_in_the_docs_is_understood(page: Path) -> None:
    for block in blocks(page):
        for body in yaml.safe_load_all(block):
            if body.get("apiVersion") == API_VERSION:
                parse_any(body)


def test_the_docs_show_objects_and_links() -> None:
    """Otherwise the tests above would hold for pages whose fences or links they can't find."""
    assert sum(text.count(API_VERSION) for page in PAGES for text in blocks(page)) >= 10
    assert sum(len(LINK.findall(prose(page))) for page in PAGES) >= 20


def test_the_kinds_are_shown_by_the_samples_that_are_applied_in_tests() -> None:
    samples = {path.read_text() for path in SAMPLES.glob("*.yaml")}
    shown = blocks(ROOT / "docs" / "kinds.md")
    assert shown
    assert [text for text in shown if text not in samples] == []
