"""How this process runs: read once, unknown names refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

PREFIX: Final = "ARCHGOV_"
# Names that other parts of archgov read.
ELSEWHERE: Final = frozenset({"ARCHGOV_BENCH_DATA", "ARCHGOV_RAY_ADDRESS"})


NONE: Final = "none"


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
        seed: of every round. traces_file: JSON lines of spans; None for none.
        ledger_file: where every decision stays; None for nowhere. ledger_snapshot_mb: how much of the snapshots is kept beside.
        serve_port: of the HTTP server (probes, metrics, admission, the read-only API), 0 for none. serve_address: where it listens.
        tls_directory: with tls.crt and tls.key, read anew when they change; without one it speaks plain HTTP.
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
    ledger_file: Path | None = None
    ledger_snapshot_mb: int = 1024
    serve_port: int = 0
    serve_address: str = "127.0.0.1"
    tls_directory: Path | None = None


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
    if "ledger_file" not in given:
        given["ledger_file"] = default_ledger(environ)
    elif str(given["ledger_file"]) == NONE:
        del given["ledger_file"]
    found = Settings(**given)  # type: ignore[arg-type]  # each value was read by its field's type
    if not 0 < 1.2 * found.retry_seconds < found.renew_seconds < found.lease_seconds:
        raise SettingError(
            f"lease {found.lease_seconds:g} s, renewal {found.renew_seconds:g} s, retry {found.retry_seconds:g} s: "
            "a leader must have given up before its Lease runs out; keep 1.2 · retry < renew < lease"
        )
    return found


def default_ledger(environ: Mapping[str, str]) -> Path:
    """Where the ledger is when nobody says: among a user's state (XDG base directories), else in the working directory."""
    home = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if environ.get("HOME") else "")
    return Path(home or ".archgov") / "archgov" / "ledger.sqlite"


def _value(name: str, field: str, text: str) -> str | int | float | Path:
    try:
        match field:
            case "namespace" | "serve_address":
                return text
            case "traces_file" | "ledger_file" | "tls_directory":
                return Path(text)
            case "seed" | "ledger_snapshot_mb" | "serve_port":
                return int(text)
            case _:
                return float(text)
    except ValueError:
        raise SettingError(f'{name} is "{text}"; it must be a number') from None
