"""The one place where the sandbox reads real time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def monotonic() -> float:
    """Seconds that never go back."""
    return time.monotonic()


def moment() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def now() -> str:
    """The wall clock as metav1.Time writes it, to the second."""
    return _text(int(time.time()))


@lru_cache(maxsize=1)
def _text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """The wall clock as metav1.MicroTime writes it."""
    second, micro = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_text(second)[:-1]}.{micro:06d}Z"


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
