"""The one place where the sandbox reads real time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def monotonic() -> float:
    """Seconds that never go back."""
    return time.monotonic()


def moment() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def now() -> str:
    """The wall clock as metav1.Time writes it, to the second."""
    return moment().strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """The wall clock as metav1.MicroTime writes it."""
    return moment().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(text: str | None) -> float | None:
    """Age of a metav1.Time or MicroTime; None when there is none or it can't be read."""
    if not text:
        return None
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return (moment() - then).total_seconds()
