"""One cluster: its objects with the rules by which the API server lets them change."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from . import admission, clock
from .agenda import Agenda
from .errors import ApiError, Cause, bad_request, conflict, forbidden, invalid, not_found, stale
from .errors import already_exists as exists_already
from .journal import Journal
from .objects import Key, Object, is_leaving, key, listing, mapping, namespace, uid, with_metadata
from .ownership import Manager, claims_of, updated
from .resources import Registry, Resource, from_definition
from .rules import rule_violations
from .schema import defaulted, violations
from .store import Store
from .summary import summary

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes: nothing that spells a word
_UNCOUNTED = frozenset(
    {
        "namespaces",
        "nodes",
        "configmaps",
        "secrets",
        "events",
        "services",
        "serviceaccounts",
        "resourcequotas",
        "limitranges",
        "leases.coordination.k8s.io",
    }
)
Check = Callable[["Cluster", Resource, Object], Object]


@dataclass(frozen=True, slots=True)
class Write:
    """A write as it was asked for: by whom, with which verb, through which door.

    Without a manager no field ownership is kept, which is how the stand-ins write.
    """

    user: str
    agent: str
    verb: str = "update"
    manager: str = ""
    subresource: str = ""
    dry_run: bool = False
    trusted: bool = False  # keeps the status and uid it brings along


@dataclass(frozen=True, slots=True)
class Deletion:
    """The DeleteOptions that matter here."""

    uid: str = ""
    version: str = ""
    propagation: str = "Background"
    grace: int | None = None


class Cluster:
    """The objects of one cluster; every change goes through here, whoever asks for it."""

    def __init__(self, name: str, seed: int, agenda: Agenda, journal: Journal, history: int) -> None:
        self.name = name
        self.agenda = agenda
        self.journal = journal
        self.registry = Registry()
        self.store = Store(history)
        self.dice = random.Random(f"{seed}/{name}")
        self.admit: list[Check] = []

    # Reading

    def peek(self, resource: str, at: Key) -> Object | None:
        """The object at a key of the store, if it is there."""
        return self.store.get(resource, at)

    def get(self, resource: Resource, at: Key) -> Object:
        """The object at a key.

        Raises:
            ApiError: 404.
        """
        body = self.store.get(resource.qualified, at)
        if body is None:
            raise not_found(resource.plural, resource.group, at[1])
        return body

    def by_uid(self, wanted: str) -> tuple[Resource, Object] | None:
        place = self.store.by_uid(wanted)
        body = self.store.get(*place) if place else None
        return (self.registry.by_key(place[0]), body) if place and body else None

    # Writing

    def create(self, write: Write, resource: Resource, body: Object) -> Object:
        """Stores a new object.

        Raises:
            ApiError: 404 without its namespace, 409 when the name is taken, 422 for what it may not say.
        """
        body = self._born(write, resource, body)
        if self.store.get(resource.qualified, key(body)) is not None:
            raise exists_already(resource.plural, resource.group, key(body)[1])
        for check in self.admit:
            body = check(self, resource, body)
        if write.manager:
            body = self._owned(write, resource, None, body)
        if write.dry_run:
            return body
        body = self.store.put(resource.qualified, body)
        self._note(write, resource, 201, None, body)
        return self._settled(resource, body)

    def update(self, write: Write, resource: Resource, before: Object, after: Object) -> Object:
        """Stores a new state of an object; nothing is written when nothing changed.

        Raises:
            ApiError: 409 for a resourceVersion or uid that isn't the stored one, 422 for what it may not say.
        """
        self._check_identity(resource, before, after)
        after = self._merged(write, resource, before, after)
        if write.manager:
            after = self._owned(write, resource, before, after)
        if after == before or _differ_in_times_only(before, after):
            return before
        if write.dry_run:
            return after
        if is_leaving(after) and not listing(after["metadata"].get("finalizers")) and self._is_over(resource, after):
            return self._removed(write, resource, after)
        after = self.store.put(resource.qualified, after)
        self._note(write, resource, 200, before, after)
        return self._settled(resource, after)

    def replace(self, write: Write, resource: str, after: Object) -> Object:
        """Stores what a stand-in made of the latest state of an object."""
        before = self.store.get(resource, key(after))
        if before is None or after == before:
            return after
        if after.get("spec") != before.get("spec") and "generation" in after["metadata"]:
            after = with_metadata(after, generation=after["metadata"]["generation"] + 1)
        after = self.store.put(resource, after)
        self._note(write, self.registry.by_key(resource), 200, before, after)
        return after

    def delete(self, write: Write, resource: Resource, at: Key, how: Deletion) -> tuple[Object, bool]:
        """The last state of the object, then whether it is gone already.

        Raises:
            ApiError: 404, or 409 when a precondition doesn't hold.
        """
        before = self.get(resource, at)
        _check_preconditions(resource, before, how)
        if resource.qualified == "namespaces" and at[1] in ("default", "kube-system"):
            raise forbidden("namespaces", "", at[1], "this namespace may not be deleted")
        if write.dry_run:
            return before, True
        after = self._leaving(resource, before, how)
        if not listing(after["metadata"].get("finalizers")) and self._is_over(resource, after):
            return self._removed(write, resource, before), True
        if after != before:
            after = self.store.put(resource.qualified, after)
            self._note(write, resource, 200, before, after)
        return after, False

    def remove(self, write: Write, resource: str, at: Key) -> None:
        """Takes an object out of the store for good, if it is still there and nothing holds it."""
        body = self.store.get(resource, at)
        if body is not None and not listing(body["metadata"].get("finalizers")):
            self._removed(write, self.registry.by_key(resource), body)

    def suffix(self) -> str:
        """Five letters for a generated name."""
        return "".join(self.dice.choices(_SUFFIX_LETTERS, k=5))

    def event(self, about: Object, kind: str, reason: str, message: str, source: str) -> None:
        """Records a core/v1 Event about an object."""
        place = namespace(about) or "default"
        now = clock.now()
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{key(about)[1]}.{self.dice.getrandbits(64):016x}", "namespace": place},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "namespace": namespace(about),
                "name": key(about)[1],
                "uid": uid(about),
                "resourceVersion": about["metadata"].get("resourceVersion", ""),
            },
            "reason": reason,
            "message": message,
            "type": kind,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        home = self.store.get("namespaces", ("", place))
        if home is not None and not is_leaving(home):
            self.create(
                Write(user=f"system:{source}", agent=source, verb="create"), self.registry.by_key("events"), body
            )

    # How objects are born

    def _born(self, write: Write, resource: Resource, body: Object) -> Object:
        body = self._named(resource, body)
        self._check_home(resource, body)
        if body["metadata"].get("resourceVersion") and not write.trusted:
            raise bad_request("resourceVersion should not be set on objects to be created")
        if resource.has_status and not write.trusted and resource.qualified != "nodes":  # a kubelet brings its own
            body = {field: value for field, value in body.items() if field != "status"}
        body = self._filled(resource, admission.stamped(resource, body, write.user))
        if write.manager or write.trusted:  # what the stand-ins write needs no proof
            self._check(resource, body, None)
        given = uid(body) if write.trusted else ""
        body = with_metadata(
            body,
            uid=given or str(UUID(int=self.dice.getrandbits(128), version=4)),
            creationTimestamp=clock.now(),
            generation=1 if resource.qualified not in _UNCOUNTED else None,
            deletionTimestamp=None,
            deletionGracePeriodSeconds=None,
            selfLink=None,
            resourceVersion=None,
        )
        return _with_first_status(resource, body)

    def _named(self, resource: Resource, body: Object) -> Object:
        metadata = mapping(body.get("metadata"))
        name = metadata.get("name") or ""
        if not name and metadata.get("generateName"):
            name = f"{metadata['generateName']}{self.suffix()}"
        if not name:
            cause = Cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
            raise invalid(resource.kind, resource.group, "", [cause])
        home = metadata.get("namespace") if resource.namespaced else None
        return with_metadata(
            {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata},
            name=name,
            namespace=home,
        )

    def _check_home(self, resource: Resource, body: Object) -> None:
        if not resource.namespaced:
            return
        home = self.store.get("namespaces", ("", namespace(body)))
        if home is None:
            raise not_found("namespaces", "", namespace(body))
        if is_leaving(home):
            why = f"unable to create new content in namespace {namespace(body)} because it is being terminated"
            refusal = forbidden(resource.plural, resource.group, key(body)[1], why)
            refusal.details["causes"] = [
                {"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}
            ]
            raise refusal

    def _filled(self, resource: Resource, body: Object) -> Object:
        filled: Object = defaulted(resource.schema, body) if resource.custom else admission.filled(resource, body)
        return filled

    def _check(self, resource: Resource, body: Object, former: Object | None) -> None:
        # Kubernetes checks the status of its own kinds in code, not by their published definitions.
        judged = body if resource.custom else {field: value for field, value in body.items() if field != "status"}
        found = admission.mistakes(resource, body) + violations(resource.schema, judged)
        if resource.custom:
            found += rule_violations(resource.schema, body, former, found)
        if found:
            raise invalid(resource.kind, resource.group, key(body)[1], found)

    # How objects change

    def _check_identity(self, resource: Resource, before: Object, after: Object) -> None:
        metadata = mapping(after.get("metadata"))
        version, given = metadata.get("resourceVersion"), metadata.get("uid")
        if given and given != uid(before):
            why = f"Precondition failed: UID in precondition: {given}, UID in object meta: {uid(before)}"
            raise conflict(resource.plural, resource.group, key(before)[1], why)
        if version and version != before["metadata"]["resourceVersion"]:
            raise stale(resource.plural, resource.group, key(before)[1])

    def _merged(self, write: Write, resource: Resource, before: Object, after: Object) -> Object:
        kept = before["metadata"]
        metadata = {
            **mapping(after.get("metadata")),
            **{
                field: kept.get(field)
                for field in [
                    "name",
                    "namespace",
                    "uid",
                    "resourceVersion",
                    "creationTimestamp",
                    "generation",
                    "deletionTimestamp",
                    "deletionGracePeriodSeconds",
                    "generateName",
                ]
            },
        }
        after = {**after, "apiVersion": before["apiVersion"], "kind": before["kind"], "metadata": metadata}
        after = with_metadata(after)
        if write.subresource == "status":
            claims = after["metadata"].get("managedFields")
            after = {**before, "status": after.get("status", {}), "metadata": {**kept}}
            after = with_metadata(after, managedFields=claims)
            if resource.custom:
                after = defaulted(resource.schema, after)
        elif resource.has_status:
            after = {field: value for field, value in after.items() if field != "status"}
            after = self._filled(resource, after | ({"status": before["status"]} if "status" in before else {}))
        else:
            after = self._filled(resource, after)
        if _content(after, resource) != _content(before, resource) and resource.qualified not in _UNCOUNTED:
            after = with_metadata(after, generation=int(kept.get("generation", 1)) + 1)
        self._check(resource, after, before)
        if changes := admission.immutable_changes(resource, before, after):
            raise invalid(resource.kind, resource.group, key(before)[1], changes)
        return after

    def _owned(self, write: Write, resource: Resource, before: Object | None, after: Object) -> Object:
        if write.verb == "apply":  # the claims were worked out with the merge
            return after
        manager = Manager(write.manager, "Update", after["apiVersion"], write.subresource)
        if before is not None and not claims_of(after) and "managedFields" not in after["metadata"]:
            after = with_metadata(after, managedFields=before["metadata"].get("managedFields"))
        return updated(resource.schema, before, after, manager)

    # How objects leave

    def _leaving(self, resource: Resource, before: Object, how: Deletion) -> Object:
        grace = how.grace
        if resource.qualified == "pods" and grace is None:
            grace = int(mapping(before.get("spec")).get("terminationGracePeriodSeconds", 30))
        finalizers = list(listing(before["metadata"].get("finalizers")))
        extra = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(how.propagation)
        if resource.qualified == CRDS:
            extra = CRD_FINALIZER
        if extra and extra not in finalizers and (extra == ORPHAN or not is_leaving(before)):
            finalizers.append(extra)
        after = with_metadata(
            before,
            finalizers=finalizers or None,
            deletionTimestamp=before["metadata"].get("deletionTimestamp") or clock.now(),
            deletionGracePeriodSeconds=min(
                grace or 0, before["metadata"].get("deletionGracePeriodSeconds", grace or 0)
            ),
        )
        if resource.qualified == "namespaces":
            after = {**after, "status": {**mapping(after.get("status")), "phase": "Terminating"}}
        return after

    def _is_over(self, resource: Resource, body: Object) -> bool:
        """Whether nothing but finalizers would keep an object that is being deleted."""
        if resource.qualified == "namespaces":
            return not listing(mapping(body.get("spec")).get("finalizers"))
        if resource.qualified != "pods":
            return True
        runs = mapping(body.get("spec")).get("nodeName") and mapping(body.get("status")).get("phase") not in (
            "Succeeded",
            "Failed",
        )
        return not runs or body["metadata"].get("deletionGracePeriodSeconds") == 0

    def _removed(self, write: Write, resource: Resource, body: Object) -> Object:
        gone = self.store.remove(resource.qualified, key(body))
        self._note(replace(write, verb="delete"), resource, 200, body, None)
        if resource.qualified == CRDS:
            self._withdraw(body)
        return gone

    def _withdraw(self, definition: Object) -> None:
        wanted = mapping(definition.get("spec"))
        self.registry.withdraw(str(wanted.get("group")), str(mapping(wanted.get("names")).get("plural")))

    def _settled(self, resource: Resource, body: Object) -> Object:
        if resource.qualified == CRDS and not is_leaving(body):
            self._withdraw(body)
            self.registry.define(from_definition(body))
        return body

    # The request log

    def refuse(self, write: Write, resource: Resource, at: Key, refusal: ApiError) -> None:
        """Notes a write that was refused before it reached the store."""
        self.journal.write(self._line(write, resource, at, refusal.code, None, None))

    def _note(self, write: Write, resource: Resource, code: int, before: Object | None, after: Object | None) -> None:
        body = after or before
        if body is not None:
            self.journal.write(self._line(write, resource, key(body), code, before, after))

    def _line(
        self, write: Write, resource: Resource, at: Key, code: int, before: Object | None, after: Object | None
    ) -> dict[str, Any]:
        return {
            "cluster": self.name,
            "user": write.user,
            "agent": write.agent,
            "verb": "patch" if write.verb == "apply" else write.verb,
            "group": resource.group,
            "resource": resource.plural,
            "namespace": at[0],
            "name": at[1],
            "subresource": write.subresource,
            "code": code,
            "before": summary(self.store, resource, before),
            "after": summary(self.store, resource, after),
        }


def _check_preconditions(resource: Resource, body: Object, how: Deletion) -> None:
    version = body["metadata"]["resourceVersion"]
    if how.uid and how.uid != uid(body):
        why = f"Precondition failed: UID in precondition: {how.uid}, UID in object meta: {uid(body)}"
        raise conflict(resource.plural, resource.group, key(body)[1], why)
    if how.version and how.version != version:
        why = f"Precondition failed: ResourceVersion in precondition: {how.version}, ResourceVersion in object meta: {version}"
        raise conflict(resource.plural, resource.group, key(body)[1], why)


def _content(body: Object, resource: Resource) -> Object:
    """What counts for the generation."""
    aside = ("metadata", "status") if resource.has_status else ("metadata",)
    return {field: value for field, value in body.items() if field not in aside}


def _differ_in_times_only(before: Object, after: Object) -> bool:
    def plain(body: Object) -> Object:
        claims = [{k: v for k, v in claim.items() if k != "time"} for claim in claims_of(body)]
        return with_metadata(body, managedFields=claims)

    return plain(before) == plain(after)


def _with_first_status(resource: Resource, body: Object) -> Object:
    if resource.qualified == CRDS:
        return {**body, "status": _established(body)}
    if resource.custom or not resource.has_status:
        return body
    return {**body, "status": admission.first_status(resource, body)}


def _established(body: Object) -> Object:
    wanted = mapping(body.get("spec"))
    names = mapping(wanted.get("names"))
    kind, plural = str(names.get("kind", "")), names.get("plural")
    accepted = {"listKind": f"{kind}List", "singular": kind.lower(), **names, "plural": plural}
    now = clock.now()
    return {
        "acceptedNames": accepted,
        "conditions": [
            {"type": kind, "status": "True", "reason": reason, "message": text, "lastTransitionTime": now}
            for kind, reason, text in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ],
        "storedVersions": [
            version.get("name") for version in map(mapping, listing(wanted.get("versions"))) if version.get("storage")
        ],
    }
