"""Places as people write them: a cluster, a zone of a cluster, or a scope."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from archgov.model.fleet import Fleet, Level, Scope
from archgov.model.ref import DomainRef


class UnknownPlace(ValueError):
    """A text that names no place of the fleet; says which ones there are."""


@dataclass(frozen=True, slots=True)
class Place:
    """A set of domains under one name. domains: their rows, rising."""

    name: str
    domains: tuple[int, ...]

    def clusters(self, fleet: Fleet) -> tuple[int, ...]:
        """Rows of the clusters that have a domain in it, rising."""
        return tuple(sorted({int(fleet.domain_cluster[j]) for j in self.domains}))


def place(fleet: Fleet, text: str) -> Place:
    """The domains that `eu-west-1`, `eu-west-1/a`, `region/eu-west` or `zone/eu-west/a` means.

    Raises:
        UnknownPlace: nothing of that name is in the fleet.
    """
    level, _, rest = text.partition("/")
    if level in set(Level) and (found := fleet.scopes(Level(level)).get(Scope(Level(level), rest))) is not None:
        return Place(f"{level} {rest}", found)
    if text in fleet.cluster_row:
        k = fleet.cluster_row[text]
        return Place(text, tuple(j for j, owner in enumerate(fleet.domain_cluster.tolist()) if owner == k))
    if "/" in text and (domain := DomainRef.parse(text)) in fleet.domains:
        return Place(text, (fleet.domains.index(domain),))
    raise UnknownPlace(f'"{text}" is no place of this fleet; {_known(fleet, text)}')


def names(fleet: Fleet) -> tuple[str, ...]:
    """Everything that `place` understands: clusters, their zones, scopes."""
    scopes = (f"{level}/{scope.name}" for level in Level if level is not Level.CLUSTER for scope in fleet.scopes(level))
    return (*(cluster.name for cluster in fleet.clusters), *(domain.key for domain in fleet.domains), *scopes)


def _known(fleet: Fleet, text: str) -> str:
    known = names(fleet)
    close = difflib.get_close_matches(text, known, n=3)
    return f"is {_few(close)} meant?" if close else f"known are {_few(known)}"


def _few(texts: Iterable[str], most: int = 12) -> str:
    told = list(texts)
    return ", ".join(told[:most]) + (f" and {len(told) - most} more" if len(told) > most else "")
