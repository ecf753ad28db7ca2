"""Objects from YAML files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from archgov.api import series as series_of
from archgov.api.body import DEEPEST
from archgov.api.fault import IntentError
from archgov.api.fleet import NAME as FLEET
from archgov.api.kind import GROUP
from archgov.api.member_cluster import Member
from archgov.api.registry import KINDS, UNDECLARED, kind_of, parse_any
from archgov.model.approval import Approval
from archgov.model.decision import OpenDecision
from archgov.model.intent import CapacityIntent, FailoverIntent, Governance, Intent, PlacementIntent, Record
from archgov.model.snapshot import Series

SUFFIXES: Final = (".yaml", ".yml", ".json")
LIST: Final = "List"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class LoadError(ValueError):
    """Files that can't be taken as they are; `problems` has one line each, opening with where it is."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Document:
    """One object with the place it was read from, such as `intents/shop.yaml:12`."""

    body: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class Declared:
    """What files declare, in the order of kind, namespace, name. governance: None without a Fleet object among them."""

    governance: Governance | None = None
    intents: tuple[Intent, ...] = ()
    members: tuple[Member, ...] = ()
    series: tuple[Series, ...] = ()
    records: tuple[Record, ...] = ()
    decisions: tuple[OpenDecision, ...] = ()
    approvals: tuple[Approval, ...] = ()


class _Loader(yaml.CSafeLoader):
    """Reads what the API server would: a time is a text there."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in resolvers if entry[0] != _TIMESTAMP]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(*paths: Path) -> tuple[Document, ...]:
    """Every object of files, or of the YAML files below directories, in order of file names.

    Raises:
        LoadError: a file is missing, is no YAML, has a key twice, or no objects; or an object is there twice.
    """
    files = [file for path in paths for file in _files(path)]
    problems: list[str] = []
    found: list[Document] = []
    for file in files:
        try:
            found.extend(_documents(file))
        except LoadError as error:
            problems.extend(error.problems)
    problems += _repeated(found)
    if problems:
        raise LoadError(problems)
    return tuple(found)


def declared(
    documents: Iterable[Document], governance: Governance = UNDECLARED, namespace: str = "default"
) -> Declared:
    """What objects of ours among documents declare, with the series that their intents name where those are there too.

    Args:
        governance: what holds for intents when no Fleet is among them.
        namespace: for objects that name none, as kubectl does it.

    Raises:
        LoadError: with a line for every object that can't be taken.
    """
    placed = [_in_namespace(document, namespace) for document in documents]
    ours = [document for document in placed if _is_ours(document.body)]
    problems: list[str] = []
    fleets = _values([each for each in ours if each.body.get("kind") == FLEET], governance, problems)
    own = next((value for value in fleets if isinstance(value, Governance)), None)
    others = [each for each in ours if each.body.get("kind") != FLEET]
    values = _values(sorted(others, key=_identity), own or governance, problems)
    intents = tuple(value for value in values if isinstance(value, PlacementIntent | CapacityIntent | FailoverIntent))
    series = tuple(_series(intents, placed, problems))
    if problems:
        raise LoadError(problems)
    return Declared(
        governance=own,
        intents=intents,
        members=tuple(value for value in values if isinstance(value, Member)),
        series=series,
        records=tuple(value for value in values if isinstance(value, Record)),
        decisions=tuple(value for value in values if isinstance(value, OpenDecision)),
        approvals=tuple(value for value in values if isinstance(value, Approval)),
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise LoadError([f"{path}: no YAML files here; name another directory"])
    return found


def _documents(file: Path) -> list[Document]:
    try:
        text = file.read_text(encoding="utf-8")
        return list(_parsed(text, str(file)))
    except OSError as error:
        raise LoadError([f"{file}: can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise LoadError([f"{file}: is no UTF-8 text"]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LoadError([f"{file}:{line}: is no YAML: {error.problem}"]) from None
    except yaml.YAMLError as error:
        raise LoadError([f"{file}: is no YAML: {str(error).splitlines()[0]}"]) from None


def _parsed(text: str, file: str) -> Iterator[Document]:
    _check_events(text, file)
    loader = _Loader(text)
    try:
        while loader.check_node() and (node := loader.get_node()):
            where = f"{file}:{node.start_mark.line + 1}"
            _check_keys(node, file)
            try:
                body = loader.construct_document(node)
            except (ValueError, OverflowError) as error:
                raise LoadError([f"{where}: has a value that makes no sense: {error}"]) from None
            if body is not None:
                yield from _objects(body, where)
    finally:
        loader.dispose()


def _check_events(text: str, file: str) -> None:
    """Refuses what would be dangerous to read: references, which may multiply or go in circles, and endless nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = f"{file}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent):
            raise LoadError([f"{where}: anchors and aliases are not read; write the value out"])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise LoadError([f"{where}: is nested too deeply; no object needs {DEEPEST} levels"])


def _objects(body: Any, where: str) -> Iterator[Document]:
    """The objects of a document: itself, or the items of a List."""
    if isinstance(body, Mapping) and body.get("kind") == LIST and isinstance(body.get("items"), list):
        for item in body["items"]:
            yield from _objects(item, where)
        return
    if not isinstance(body, Mapping) or not all(isinstance(body.get(key), str) for key in ("apiVersion", "kind")):
        raise LoadError([f"{where}: is no Kubernetes object; give it apiVersion, kind, metadata"])
    if _is_ours(body):
        try:
            kind_of(body)
        except IntentError as error:
            raise LoadError([f"{where}: {error}"]) from None
    yield Document(body, where)


def _check_keys(document: yaml.Node, file: str) -> None:
    """Refuses keys that are there twice, of which YAML would drop one."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            _check_mapping(node, file)
            waiting.extend(value for _, value in node.value)


def _check_mapping(node: yaml.MappingNode, file: str) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise LoadError([f"{file}:{line}: a key must be text"])
        if key.value in seen:
            raise LoadError([f'{file}:{line}: "{key.value}" is here twice; remove one'])
        seen.add(key.value)


def _repeated(documents: Iterable[Document]) -> Iterator[str]:
    first: dict[tuple[str, ...], str] = {}
    for document in documents:
        identity = _identity(document)
        if identity in first:
            _, kind, namespace, name = identity
            what = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
            yield f"{document.where}: {what} is already in {first[identity]}; remove one"
        else:
            first[identity] = document.where


def _identity(document: Document) -> tuple[str, str, str, str]:
    metadata = document.body.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else {}
    group = str(document.body["apiVersion"]).rpartition("/")[0]
    return group, str(document.body["kind"]), str(named.get("namespace", "")), str(named.get("name", ""))


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether archgov is meant; a group that is nearly ours is a mistake, not somebody else's."""
    group = str(body.get("apiVersion")).partition("/")[0]
    return group == GROUP or GROUP.partition(".")[0] in group.split(".")


def _in_namespace(document: Document, namespace: str) -> Document:
    metadata, kind = document.body.get("metadata"), KINDS.get(str(document.body.get("kind")))
    if not isinstance(metadata, Mapping) or "namespace" in metadata or (kind and kind.scope == "Cluster"):
        return document
    return Document({**document.body, "metadata": {**metadata, "namespace": namespace}}, document.where)


def _values(documents: Iterable[Document], governance: Governance, problems: list[str]) -> list[Any]:
    """The values that documents declare; what can't be taken is added to the problems."""
    found = []
    for document in documents:
        try:
            found.append(parse_any(document.body, governance))
        except IntentError as error:
            problems.append(f"{document.where}: {_identity(document)[1]} {error}")
    return found


def _series(intents: Iterable[Intent], documents: Iterable[Document], problems: list[str]) -> Iterator[Series]:
    """Series that intents name, of ConfigMaps that are there; others may be in the cluster."""
    maps = {_identity(document)[2:]: document for document in documents if _identity(document)[:2] == ("", "ConfigMap")}
    wanted = {
        (intent.common.ref.namespace, intent.series.config_map, intent.series.key): intent.series
        for intent in intents
        if isinstance(intent, CapacityIntent) and intent.series
    }
    for (namespace, name, _), ref in sorted(wanted.items()):
        document = maps.get((namespace, name))
        if document is None:
            continue
        try:
            yield series_of.parse(document.body, ref)
        except IntentError as error:
            problems.append(f"{document.where}: {error}")
