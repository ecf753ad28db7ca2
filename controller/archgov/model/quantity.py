"""Exact integer quantities: Kubernetes quantities, percentages, durations, money."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NewType

Milli = NewType("Milli", int)  # thousandths of a base unit: mCPU, thousandths of a GPU
Bytes = NewType("Bytes", int)
MicroUsd = NewType("MicroUsd", int)  # millionths of a US dollar; rates are per hour unless a name says otherwise
Seconds = NewType("Seconds", int)

GIB: Final = 1 << 30
HOURS_A_DAY: Final = 24

_SUFFIX: Final[dict[str, Fraction]] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    **{unit: Fraction(10 ** (3 * power)) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Fraction(1 << (10 * power)) for power, unit in enumerate("KMGTPE", start=1)},
}
_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?\d{1,2}))?",
    re.ASCII,
)
_PERCENT: Final = re.compile(r"(\d{1,3})%", re.ASCII)
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


class BadQuantity(ValueError):
    """A text that is no quantity, percentage or duration; says what it was and what would be right."""


def exact(text: str | int) -> Fraction:
    """The exact value of a Kubernetes quantity such as `500m`, `1.5Gi` or `2e3`.

    Raises:
        BadQuantity: the text is no quantity.
    Source: Kubernetes `apimachinery/pkg/api/resource`.
    """
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise BadQuantity(f"{text!r} is not a quantity; write one such as 500m, 2 or 1.5Gi")
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise BadQuantity(f'"{text}" is not a quantity; write one such as 500m, 2 or 1.5Gi')
    scale = Fraction(10) ** int(match["exponent"]) if match["exponent"] else _SUFFIX[match["suffix"] or ""]
    return Fraction(match["number"]) * scale


def milli(text: str | int) -> int:
    """Thousandths of the base unit, rounded up as Kubernetes does."""
    return _ceil(exact(text) * 1000)


def whole(text: str | int) -> int:
    """Base units, rounded up as Kubernetes does."""
    return _ceil(exact(text))


def micro_usd(text: str | int) -> MicroUsd:
    """A sum of money written in US dollars, in millionths, rounded up."""
    return MicroUsd(_ceil(exact(text) * 1_000_000))


def percent(text: str) -> int:
    """The number before the sign: `"15%"` is 15.

    Raises:
        BadQuantity: no whole percentage between 0% and 999%.
    """
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise BadQuantity(f'"{text}" must be a percentage such as "60%"')
    return int(match[1])


def seconds(text: str) -> Seconds:
    """The length of a duration such as `10m`, `1h30m` or `45s`, in seconds.

    Raises:
        BadQuantity: the text is empty or no duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise BadQuantity(f'"{text}" must be a duration such as 45s, 10m or 1h30m')
    days, hours, minutes, rest = (int(group or 0) for group in match.groups())
    return Seconds(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def duration(length: int) -> str:
    """Seconds as people write them in a spec: 600 is `10m`, 5400 is `1h30m`."""
    parts, left = [], length
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def instant(at: int) -> str:
    """Unix seconds as people read a time: `2026-03-01 09:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def counted(number: int, what: str) -> str:
    """`1 replica`, `3 replicas`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def milli_text(amount: int) -> str:
    """Thousandths as a Kubernetes quantity: 1500 is `1500m`, 2000 is `2`."""
    return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"


def usd_a_day(rate: int) -> str:
    """An hourly rate in micro-USD, as people read it: `12.50 $/day`."""
    return f"{rate * HOURS_A_DAY / 1_000_000:,.2f} $/day"


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
