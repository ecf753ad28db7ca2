"""Six weeks of made-up requests to a search service."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

WEEKS: Final = 6
HOURS: Final = WEEKS * 7 * 24
# Requests a second at noon of a weekday, with the hour of day that noon falls on in UTC.
PLACES: Final = {"eu-west-1": (80.0, 12), "us-east-1": (210.0, 17), "us-east-2": (150.0, 18)}


def search_demand(now: datetime, seed: int) -> dict[str, Any]:
    """A ConfigMap with lines of time,place,amount: hourly, up to the last full hour."""
    dice = random.Random(seed)
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    lines = ["time,place,amount"]
    for back in range(HOURS, 0, -1):
        at = last - timedelta(hours=back)
        for place, (peak, noon) in PLACES.items():
            lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{place},{_requests(at, peak, noon, dice):.0f}")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "search-demand", "namespace": "shop"},
        "data": {"requests.csv": "\n".join(lines) + "\n"},
    }


def _requests(at: datetime, peak: float, noon: int, dice: random.Random) -> float:
    day = 0.55 + 0.45 * math.cos((at.hour - noon) / 24 * 2 * math.pi)
    weekend = 0.7 if at.weekday() >= 5 else 1.0
    return max(0.0, peak * day * weekend * dice.lognormvariate(0, 0.06))
