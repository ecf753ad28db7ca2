"""How this process runs: read once, unknown names refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

PREFIX: Final = "ARCHGOV_"
# Names that other parts of archgov read.
ELSEWHERE: Final = frozenset({"ARCHGOV_BENCH_DATA", "ARCHGOV_RAY_ADDRESS"})


class SettingError(ValueError):
    """A setting that makes no sense; says which, what it was, what it may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the operator; each is an environment variable with the prefix ARCHGOV_, in capitals.

    Attributes:
        namespace: where archgov lives, and with it the Secrets of member clusters.
        quiet_seconds: a round starts when nothing has changed for so long. longest_seconds: or after so long at the latest.
        pending_seconds: between rounds while something waits. resync_seconds: between rounds when nothing happens.
        lease_seconds: a Lease counts for so long after its renewal. renew_seconds: a leader that can't renew it gives up after
        so long. retry_seconds: between tries.
        seed: of every round. traces_file: JSON lines of spans and decisions; empty for none.
    """

    namespace: str = "archgov-system"
    quiet_seconds: float = 0.4
    longest_seconds: float = 3.0
    pending_seconds: float = 2.0
    resync_seconds: float = 600.0
    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0
    seed: int = 1
    traces_file: Path | None = None


def settings(environ: Mapping[str, str]) -> Settings:
    """The settings that an environment describes.

    Raises:
        SettingError: a name that isn't one, or a value that can't be read.
    """
    known = {f"{PREFIX}{field.name.upper()}": field.name for field in fields(Settings)}
    unknown = [name for name in environ if name.startswith(PREFIX) and name not in known and name not in ELSEWHERE]
    if unknown:
        raise SettingError(f"{', '.join(sorted(unknown))}: no such setting; known are {', '.join(sorted(known))}")
    given = {field: _value(name, field, environ[name]) for name, field in known.items() if environ.get(name)}
    found = Settings(**given)  # type: ignore[arg-type]  # each value was read by its field's type
    if not 0 < 1.2 * found.retry_seconds < found.renew_seconds < found.lease_seconds:
        raise SettingError(
            f"lease {found.lease_seconds:g} s, renewal {found.renew_seconds:g} s, retry {found.retry_seconds:g} s: "
            "a leader must have given up before its Lease runs out; keep 1.2 · retry < renew < lease"
        )
    return found


def _value(name: str, field: str, text: str) -> str | int | float | Path:
    try:
        match field:
            case "namespace":
                return text
            case "traces_file":
                return Path(text)
            case "seed":
                return int(text)
            case _:
                return float(text)
    except ValueError:
        raise SettingError(f'{name} is "{text}"; it must be a number') from None
