"""Times as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def unix(text: str) -> int:
    """Unix seconds of an RFC 3339 date-time such as `2026-03-01T09:00:00Z`, fractions dropped.

    Raises:
        ValueError: the text is no date-time, or has no time zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f'"{text}" has no time zone; end it with Z')
    return int(at.timestamp())


def timestamp(seconds: int) -> str:
    """The RFC 3339 date-time in UTC of Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
