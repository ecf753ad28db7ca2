"""The report's parts that take a history: what was decided, what is expected, what changed, why not elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from archgov.cli.outlook import HEIGHT, WIDTH, outlook
from archgov.cli.timeline import timeline
from archgov.decide.round import conclude
from archgov.edge.ledger import Entry, Ledger
from archgov.model.intent import Mode
from tests.build import MONDAY, a_cluster, a_fleet, a_series, a_snapshot, a_workload, capacity, placement
from tests.cli.conftest import Run

Fleet = Callable[..., Path]


def entry(at: int, event: str, **body: object) -> Entry:
    return Entry(at, event, "shop", "cart-1234", body)


SPEC = {"summary": "+3 replicas <b>", "intents": [{"kind": "PlacementIntent", "namespace": "shop", "name": "cart"}]}
STORY = (
    entry(MONDAY, "Opened", outcome="Proposed", approvedBy="", spec=SPEC),
    entry(MONDAY + 60, "Approved", outcome="Applying", approvedBy="ada", spec=SPEC),
    entry(MONDAY + 90, "Acted", workload="shop/Deployment/cart", cluster="eu", before=0, after=3, result="done"),
    entry(MONDAY + 120, "Closed", outcome="Verified", reason="observed as approved by ada"),
)


def a_ledger(file: Path) -> Path:
    ledger = Ledger(file, 1)
    ledger.add(STORY)
    ledger.close(10)
    return file


def rows() -> list[dict[str, object]]:
    return [
        {
            "row": i,
            "time": f"2026-01-05T00:0{i}:00Z",
            "event": e.event,
            "namespace": e.namespace,
            "decision": e.name,
            **e.body,
        }
        for i, e in enumerate(STORY)
    ]


def test_a_decision_is_told_from_its_first_row_to_its_last() -> None:
    (told,) = timeline(rows())
    assert (told.name, told.intent, told.outcome, told.by) == (
        "shop/cart-1234",
        "PlacementIntent shop/cart",
        "Verified",
        "ada",
    )
    assert (told.begin, told.end) == (0.0, WIDTH)
    assert len(told.steps) == 3
    assert timeline([]) == ()
    assert timeline(rows()[2:]) == (), "a decision whose beginning isn't known is left out"


def test_the_page_tells_what_was_decided_what_changed_and_why_not(run: Run, fleet: Fleet, tmp_path: Path) -> None:
    asked = [placement("media/cheap"), placement("pay/eu", allow={"archgov.io/jurisdiction": "eu"}, mode=Mode.ENFORCE)]
    before, ledger, page = fleet((), "before.snapshot"), a_ledger(tmp_path / "ledger.sqlite"), tmp_path / "fleet.html"
    found = run("report", "--snapshot", fleet(asked), "--since", before, "--ledger", ledger, "--out", page)
    assert found.exit_code == 0, found.output
    html = page.read_text()
    assert "What changed since the last one" in html
    assert "PlacementIntent media/cheap" in html
    assert "by ada" in html
    assert "+3 replicas &lt;b&gt;" in html
    assert "Why not elsewhere" in html
    assert not re.search(r"<script|https?://|url\(", html)
    assert set(re.findall(r'aria-labelledby="([^"]+)"', html)) <= set(re.findall(r'<h2 id="([^"]+)"', html))
    assert all(re.search(r"aria-label|aria-labelledby", svg) for svg in re.findall(r"<svg[^>]*>", html))


def test_a_forecast_is_drawn_inside_its_picture_with_what_is_planned_to_serve_it() -> None:
    series = a_series("shop/history", [10 + (i % 24) for i in range(24 * 20)])
    intent = replace(capacity("shop/demand", series="history", per_replica="5", mode=Mode.ENFORCE))
    fleet = a_fleet([a_cluster("eu")], [a_workload("shop/web", {"eu/a": 3})])
    snapshot = a_snapshot(fleet, [intent], series=[series], now=MONDAY + 20 * 86_400)
    (look,) = outlook(conclude(snapshot))
    points = [tuple(map(float, pair.split(","))) for pair in f"{look.history} {look.ahead}".split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    _, ahead = (float(pair.split(",")[1]) for pair in look.ahead.split())
    assert look.served is not None
    assert look.served <= ahead  # y grows downward: the plan serves what comes next
    assert "stayed within it" in look.told
