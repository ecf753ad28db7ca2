"""What there is to know about a kind of the API besides its fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from archgov.api.part import Part, Rule
from archgov.model.intent import Governance

GROUP: Final = "archgov.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "governance"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; wide ones need `-o wide`."""

    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False


AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
READY: Final = Column("Ready", ".status.ready")
REASON: Final = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', wide=True)
MODE: Final = Column("Mode", ".status.mode")
INTENT_SELECTABLE: Final = (".status.ready", ".spec.mode")
SUMMARY: Final = Column("Summary", ".status.summary")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    Attributes:
        about: what an object of it is for, in a sentence or two.
        selectable: scalar paths that field selectors may use. rules: of the whole object, its name included.
        parse: from a body to the value that the core works with.
    """

    name: str
    plural: str
    short: str
    scope: Literal["Namespaced", "Cluster"]
    about: str
    spec: type[Part]
    status: type[Part]
    columns: tuple[Column, ...]
    parse: Callable[[Mapping[str, Any], Governance], Any]
    selectable: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def singular(self) -> str:
        return self.name.lower()
