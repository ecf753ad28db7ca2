"""One consistent observation, with a digest of its content."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from io import BytesIO
from sys import intern
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from archgov.model.approval import Approval
from archgov.model.decision import OpenDecision
from archgov.model.fleet import (
    Cluster,
    DeployedTable,
    Fleet,
    NodeTable,
    Quota,
    StandingTable,
    WorkloadTable,
    freeze,
)
from archgov.model.intent import Governance, Intent, Loss, Record, Witness
from archgov.model.names import Names
from archgov.model.plain import from_plain, to_plain
from archgov.model.ref import DomainRef
from archgov.model.selector import Labels
from archgov.model.shape import NodeClass, PodShape
from archgov.model.sound import first_flaw

FORMAT = 4


class BadSnapshot(ValueError):
    """A file that holds no snapshot, or one of another format; says which."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Observed demand: thousandths of a demand unit that arrived at a place from a time on. at: Unix seconds."""

    at: int
    place: str
    amount: int


@dataclass(frozen=True, slots=True)
class Series:
    """History that a CapacityIntent names. step: seconds between samples of a place."""

    namespace: str
    config_map: str
    key: str
    step: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything a round may look at. `now` (Unix milliseconds), `seed` and `lag` (cluster, milliseconds) are beside the content.

    Attributes:
        intents, series, records, witnesses, losses, decisions, approvals: in the order of their names, however they were given.
        notes: facts worth showing beside every result, such as prices that were assumed.
    """

    fleet: Fleet
    intents: tuple[Intent, ...] = ()
    governance: Governance = Governance()
    series: tuple[Series, ...] = ()
    records: tuple[Record, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    losses: tuple[Loss, ...] = ()
    decisions: tuple[OpenDecision, ...] = ()
    approvals: tuple[Approval, ...] = ()
    notes: tuple[str, ...] = ()
    now: int = 0
    seed: int = 1
    lag: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        """Puts everything in order: what was observed in another order is the same, and must be decided the same."""
        for name, key in _ORDER.items():
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=key)))

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits over the content: the same for the same content, whenever it was observed."""
        sha = hashlib.sha256(_dump(self._content()))
        for name, array in _arrays(self.fleet):
            sha.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    @property
    def seconds(self) -> int:
        """`now` in Unix seconds."""
        return self.now // 1000

    def _content(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in _CONTENT}
        small = {name: getattr(self.fleet, name) for name in _SMALL}
        # Pairs of texts are plain as they are, and there may be a million sets of them.
        return {name: to_plain(value) for name, value in {**parts, **small}.items()} | {
            "label_sets": self.fleet.label_sets,
        }


_CONTENT: dict[str, Any] = {
    "intents": tuple[Intent, ...],
    "governance": Governance,
    "series": tuple[Series, ...],
    "records": tuple[Record, ...],
    "witnesses": tuple[Witness, ...],
    "losses": tuple[Loss, ...],
    "decisions": tuple[OpenDecision, ...],
    "approvals": tuple[Approval, ...],
    "notes": tuple[str, ...],
}
_ORDER: dict[str, Callable[[Any], Any]] = {
    "intents": lambda intent: intent.common.ref,
    "series": lambda series: (series.namespace, series.config_map, series.key),
    "records": lambda record: record.workload,
    "witnesses": lambda witness: (witness.cluster, witness.zone, witness.name),
    "losses": lambda loss: loss,
    "decisions": lambda kept: (kept.namespace, kept.decision.name),
    "approvals": lambda one: (one.namespace, one.name),
    "lag": lambda entry: entry,
}
_BESIDE: dict[str, Any] = {"now": int, "seed": int, "lag": tuple[tuple[str, int], ...]}
_SMALL: dict[str, Any] = {
    "resources": tuple[str, ...],
    "clusters": tuple[Cluster, ...],
    "domains": tuple[DomainRef, ...],
    "node_classes": tuple[NodeClass, ...],
    "shapes": tuple[PodShape, ...],
    "quotas": tuple[Quota, ...],
}
_TABLES: dict[str, type] = {
    "nodes": NodeTable,
    "workloads": WorkloadTable,
    "deployed": DeployedTable,
    "standing": StandingTable,
}


def save(snapshot: Snapshot, file: IO[bytes]) -> None:
    """Writes one file, whose bytes depend on the snapshot alone: a zip of arrays in numpy's format, with small values as JSON."""
    with zipfile.ZipFile(file, "w") as archive:
        beside = {name: to_plain(getattr(snapshot, name)) for name in _BESIDE}
        _write(archive, "content.json", _dump({"format": FORMAT, **snapshot._content(), **beside}))  # noqa: SLF001 same module
        for name, array in _arrays(snapshot.fleet):
            column = BytesIO()
            np.lib.format.write_array(column, np.ascontiguousarray(array), allow_pickle=False)
            _write(archive, f"{name}.npy", column.getbuffer())


def _write(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    # A ZipInfo made from the name alone carries a fixed date; zipfile would ask the clock for one.
    archive.writestr(zipfile.ZipInfo(name), bytes(content), zipfile.ZIP_DEFLATED, compresslevel=1)


def load(file: IO[bytes]) -> Snapshot:
    """The snapshot that `save` wrote.

    Raises:
        BadSnapshot: the file is none, is damaged, or has another format.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _load(archive)
    except _DAMAGE as error:
        raise BadSnapshot(f"this file holds no snapshot of format {FORMAT}: {error}") from error


# Everything that reading values of the wrong type, length or spelling raises.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    SyntaxError,
)


def _load(archive: zipfile.ZipFile) -> Snapshot:
    content = json.loads(archive.read("content.json"))
    if content.get("format") != FORMAT:
        raise BadSnapshot(f"its format is {content.get('format')}; save it again with this version of archgov")
    tables = {name: _table(archive, name, kind) for name, kind in _TABLES.items()}
    small = {name: from_plain(kind, content[name]) for name, kind in _SMALL.items()}
    fit = _array(archive, "fit")
    fit.setflags(write=False)
    fleet = Fleet(label_sets=_label_sets(content["label_sets"]), fit=fit, **small, **tables)
    if (flaw := first_flaw(fleet)) is not None:
        raise BadSnapshot(f"its tables disagree: {flaw}")
    parts = {name: from_plain(kind, content[name]) for name, kind in (_CONTENT | _BESIDE).items()}
    return Snapshot(fleet=fleet, **parts)


def _label_sets(plain: Any) -> tuple[Labels, ...]:
    """As from_plain would read them, with each text kept once: there may be a million sets, and most say the same."""
    return tuple(tuple((intern(key), intern(value)) for key, value in labels) for labels in plain)


def _table(archive: zipfile.ZipFile, name: str, kind: type) -> Any:
    columns: dict[str, Any] = {}
    for field in fields(kind):
        if field.type == "Names":
            part = f"{name}.{field.name}"
            columns[field.name] = Names(_array(archive, f"{part}.text"), _array(archive, f"{part}.start"))
        else:
            columns[field.name] = _array(archive, f"{name}.{field.name}")
    table = kind(**columns)
    freeze(table)
    return table


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    # Read whole, so that its checksum is compared before anything is made of it.
    member = BytesIO(archive.read(f"{name}.npy"))
    array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _arrays(fleet: Fleet) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name, kind in _TABLES.items():
        table = getattr(fleet, name)
        for field in fields(kind):
            value = getattr(table, field.name)
            if isinstance(value, Names):
                yield f"{name}.{field.name}.text", value.text
                yield f"{name}.{field.name}.start", value.start
            else:
                yield f"{name}.{field.name}", value
    yield "fit", fleet.fit


def _dump(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
