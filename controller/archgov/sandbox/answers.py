"""How the API answers each verb but watch."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from . import clock, patch, table
from .call import APPLY, JSON_PATCH, MERGE, PATCHES, STRATEGIC, Call
from .cluster import Cluster, Deletion, Write
from .disruption import evict
from .errors import ApiError, Cause, bad_request, conflict, expired, invalid, not_found, unsupported_media
from .eventkinds import to_core, to_new
from .identity import review
from .objects import Key, Object, key, mapping, name, spec, uid, with_spec
from .ownership import Manager, applied, claims_of
from .resources import Resource
from .scale import scale_of, scaled
from .schema import pruned
from .selectors import predicate

_PAGES_HELD = 64
_PAGE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, a body, warnings for the person who asked."""

    code: int
    body: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pages:
    """The rest of a list that is handed out page by page, as it was at the first page."""

    version: int
    bodies: list[Object]
    since: float


@dataclass(slots=True)
class Answers:
    """The API of one cluster, request by request."""

    cluster: Cluster
    users: dict[str, str]  # by token
    _pages: OrderedDict[str, _Pages] = field(default_factory=OrderedDict)

    def answer(self, call: Call) -> Answer:
        """What the call is answered with.

        Raises:
            ApiError: for whatever is refused.
        """
        match call.verb:
            case "get":
                return self._single(call, self._found(call), 200)
            case "list":
                return self._list(call)
            case "create":
                return self._create(call)
            case "update":
                return self._update(call)
            case "patch":
                return self._patch(call)
            case "delete":
                return self._delete(call)
            case _:
                return self._delete_all(call)

    # Reading

    def _found(self, call: Call) -> Object:
        return self.cluster.get(call.resource, (call.namespace, call.name))

    def _single(self, call: Call, body: Object, code: int, warnings: tuple[str, ...] = ()) -> Answer:
        if call.subresource == "scale":
            return Answer(code, scale_of(body), warnings)
        shown = outward(call.resource, body)
        if call.wants_table:
            include = call.query.get("includeObject", "Metadata")
            version = {"resourceVersion": body["metadata"].get("resourceVersion", "")}
            return Answer(code, table.table(call.resource, [body], version, include), warnings)
        return Answer(code, table.partial(shown) if call.wants_metadata else shown, warnings)

    def _list(self, call: Call) -> Answer:
        bodies, metadata = self._page(call)
        if call.wants_table:
            return Answer(
                200, table.table(call.resource, bodies, metadata, call.query.get("includeObject", "Metadata"))
            )
        if call.wants_metadata:
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            return Answer(200, _list_body(kind, version, metadata, [table.partial(body) for body in bodies]))
        shown = [outward(call.resource, body) for body in bodies]
        return Answer(200, _list_body(f"{call.resource.kind}List", call.resource.api_version, metadata, shown))

    def _page(self, call: Call) -> tuple[list[Object], dict[str, Any]]:
        limit = call.number("limit")
        token = call.query.get("continue", "")
        pages = self._resumed(token) if token else self._selected(call)
        bodies, rest = (pages.bodies[:limit], pages.bodies[limit:]) if limit else (pages.bodies, [])
        metadata: dict[str, Any] = {"resourceVersion": str(pages.version)}
        if rest:
            metadata["continue"] = self._keep(_Pages(pages.version, rest, pages.since))
            # Kubernetes can't count what a selector would leave.
            if not call.query.get("labelSelector") and not call.query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(rest)
        return bodies, metadata

    def _selected(self, call: Call) -> _Pages:
        chosen = predicate(call.resource, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
        bodies = self.cluster.store.list(call.resource.qualified, call.namespace)
        if call.name:
            bodies = [body for body in bodies if name(body) == call.name]
        if chosen is not None:
            shown = bodies if not call.resource.stored_as else [outward(call.resource, body) for body in bodies]
            bodies = [body for body, seen in zip(bodies, shown, strict=True) if chosen(seen)]
        return _Pages(self.cluster.store.version, bodies, clock.monotonic())

    def _keep(self, pages: _Pages) -> str:
        inside = {"v": "meta.k8s.io/v1", "rv": pages.version, "start": "/".join(key(pages.bodies[0]))}
        token = base64.urlsafe_b64encode(orjson.dumps(inside)).decode()
        self._pages[token] = pages
        while len(self._pages) > _PAGES_HELD:
            self._pages.popitem(last=False)
        return token

    def _resumed(self, token: str) -> _Pages:
        try:
            orjson.loads(base64.urlsafe_b64decode(token))
        except (binascii.Error, orjson.JSONDecodeError, ValueError) as error:
            raise bad_request("continue key is not valid: take it from the metadata of the previous page") from error
        pages = self._pages.get(token)
        if pages is None or clock.monotonic() - pages.since > _PAGE_SECONDS:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        return pages

    # Writing

    def _write(self, call: Call) -> Write:
        return Write(
            user=call.user,
            agent=call.agent,
            verb=call.verb,
            manager=call.manager,
            subresource=call.subresource,
            dry_run=call.dry_run,
        )

    def _create(self, call: Call) -> Answer:
        if not call.resource.storable:
            return Answer(201, review(call.resource, mapping(call.content()), call.user, self.users))
        if call.subresource == "eviction":
            return self._evict(call)
        if call.subresource == "binding":
            return self._bind(call)
        body, warnings = decoded(call, call.content())
        given = mapping(body.get("metadata")).get("namespace")
        if given and given != call.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        body = {**body, "metadata": {**mapping(body.get("metadata"))}}
        if call.resource.namespaced:
            body["metadata"]["namespace"] = call.namespace
        return self._single(call, self.cluster.create(self._write(call), call.resource, body), 201, warnings)

    def _evict(self, call: Call) -> Answer:
        options = mapping(mapping(call.content()).get("deleteOptions"))
        evict(self.cluster, self._write(call), (call.namespace, call.name), _deletion(call, options))
        return Answer(201, _success({}))

    def _bind(self, call: Call) -> Answer:
        pod = self._found(call)
        node = mapping(mapping(call.content()).get("target")).get("name")
        if spec(pod).get("nodeName"):
            why = f"pod {call.name} is already assigned to node {spec(pod)['nodeName']!r}"
            raise conflict("pods/binding", "", call.name, why)
        if not node:
            raise invalid("Binding", "", call.name, [Cause("target.name", "FieldValueRequired", "Required value")])
        self.cluster.replace(self._write(call), "pods", with_spec(pod, nodeName=node))
        return Answer(201, _success({}))

    def _update(self, call: Call) -> Answer:
        before = self._found(call)
        content = call.content()
        if call.subresource == "scale":
            return self._stored(call, before, scaled(before, content))
        after, warnings = decoded(call, content)
        self._check_put(call, after)
        return self._stored(call, before, after, warnings)

    def _stored(self, call: Call, before: Object, after: Object, warnings: tuple[str, ...] = ()) -> Answer:
        return self._single(call, self.cluster.update(self._write(call), call.resource, before, after), 200, warnings)

    def _check_put(self, call: Call, body: Object) -> None:
        given = mapping(body.get("metadata")).get("name", "")
        if given != call.name:
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({call.name})")
        if call.resource.custom and not mapping(body.get("metadata")).get("resourceVersion"):
            cause = Cause(
                "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update"
            )
            raise invalid(call.resource.kind, call.resource.group, call.name, [cause])

    def _patch(self, call: Call) -> Answer:
        if call.media not in PATCHES:
            raise unsupported_media(call.media, PATCHES)
        if call.media == STRATEGIC and call.resource.custom:
            raise unsupported_media(call.media, (JSON_PATCH, MERGE, APPLY))
        if call.media == APPLY:
            return self._apply(call)
        before = self._found(call)
        if call.subresource == "scale":
            return self._stored(call, before, scaled(before, _patched(call, scale_of(before))))
        after, warnings = decoded(call, _patched(call, outward(call.resource, before)))
        return self._stored(call, before, after, warnings)

    def _apply(self, call: Call) -> Answer:
        if not call.query.get("fieldManager"):
            cause = Cause("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
            raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
        resource = call.resource
        before = self.cluster.peek(resource.qualified, (call.namespace, call.name))
        if before is None and call.subresource:
            raise not_found(resource.plural, resource.group, call.name)
        config, warnings = self._configuration(call, before)
        manager = Manager(call.manager, "Apply", config["apiVersion"], call.subresource)
        after = applied(resource.schema, before, config, manager, force=call.flag("force"))
        write = replace(self._write(call), verb="apply")
        if before is None:
            return self._single(call, self.cluster.create(write, resource, after), 201, warnings)
        return self._single(call, self.cluster.update(write, resource, before, after), 200, warnings)

    def _configuration(self, call: Call, before: Object | None) -> tuple[Object, tuple[str, ...]]:
        """What an applier declares, cut to what its door lets it say."""
        content = call.content()
        if call.subresource == "scale" and before is not None:
            replicas = scaled(before, content)["spec"]["replicas"]
            config = {field: before[field] for field in ("apiVersion", "kind")}
            return {**config, "metadata": {"name": call.name}, "spec": {"replicas": replicas}}, ()
        config, warnings = decoded(call, content)
        if claims_of(config):
            raise bad_request("metadata.managedFields must be nil")
        metadata = {**mapping(config.get("metadata")), "name": mapping(config.get("metadata")).get("name") or call.name}
        if metadata["name"] != call.name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
            )
        if call.resource.namespaced:
            metadata["namespace"] = call.namespace
        config = {**config, "metadata": metadata}
        if call.subresource == "status":
            config = {k: v for k, v in config.items() if k in ("apiVersion", "kind", "metadata", "status")}
        elif call.resource.has_status:
            config = {k: v for k, v in config.items() if k != "status"}
        return config, warnings

    def _delete(self, call: Call) -> Answer:
        at = (call.namespace, call.name)
        options = _deletion(call, mapping(call.content()))
        body, gone = self.cluster.delete(self._write(call), call.resource, at, options)
        if not gone or call.resource.qualified == "pods":
            return Answer(200, outward(call.resource, body))
        details = {"name": call.name, "group": call.resource.group, "kind": call.resource.plural, "uid": uid(body)}
        return Answer(200, _success(details))

    def _delete_all(self, call: Call) -> Answer:
        pages = self._selected(call)
        options = _deletion(call, mapping(call.content()))
        for body in pages.bodies:
            self._delete_one(call, key(body), options)
        metadata = {"resourceVersion": str(self.cluster.store.version)}
        shown = [outward(call.resource, body) for body in pages.bodies]
        return Answer(200, _list_body(f"{call.resource.kind}List", call.resource.api_version, metadata, shown))

    def _delete_one(self, call: Call, at: Key, options: Deletion) -> None:
        try:
            self.cluster.delete(self._write(call), call.resource, at, options)
        except ApiError as refusal:
            if refusal.code != 404:  # somebody else was faster
                raise


def outward(resource: Resource, body: Object) -> Object:
    """The stored object in the version that was asked for."""
    if resource.stored_as:
        return to_new(body)
    if resource.custom and body["apiVersion"] != resource.api_version:
        return {**body, "apiVersion": resource.api_version}
    return body


def decoded(call: Call, content: Any) -> tuple[Object, tuple[str, ...]]:
    """A body without the fields that its kind doesn't know, then warnings about them.

    Raises:
        ApiError: 400 for what is no object of the kind, or for unknown fields where validation is strict.
    """
    resource = call.resource
    if not isinstance(content, dict):
        raise bad_request("the body must be an object with apiVersion, kind and metadata")
    for part, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        given = content.get(part, wanted)
        if given != wanted:
            raise bad_request(f"the {part} in the data ({given}) does not match the expected {part} ({wanted})")
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **_without_nulls(resource, content)}
    body, unknown = pruned(resource.schema, body)
    mode = call.query.get("fieldValidation", "Warn")
    said = tuple(f'unknown field "{path}"' for path in unknown)
    if said and mode == "Strict":
        text = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: strict decoding error: '
        raise bad_request(text + ", ".join(said))
    return to_core(body) if resource.stored_as else body, () if mode == "Ignore" else said


def _without_nulls(resource: Resource, content: Object) -> Object:
    """In built-in kinds null means absent; in custom ones only the metadata is Kubernetes' own."""
    if resource.custom:
        return {k: _dropped(v) if k == "metadata" else v for k, v in content.items()}
    cleaned: Object = _dropped(content)
    return cleaned


def _dropped(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _dropped(v) for k, v in value.items() if v is not None}
    return [_dropped(each) for each in value] if isinstance(value, list) else value


def _patched(call: Call, body: Object) -> Any:
    content = call.content()
    match call.media:
        case "application/json-patch+json":
            return patch.json_patch(body, content)
        case "application/strategic-merge-patch+json":
            return patch.strategic(call.resource.schema, body, content)
        case _:
            if not isinstance(content, dict):
                raise bad_request("a merge patch is an object")
            return patch.merge(body, content)


def _deletion(call: Call, options: Object) -> Deletion:
    conditions = mapping(options.get("preconditions"))
    grace = options.get("gracePeriodSeconds")
    if grace is None and call.query.get("gracePeriodSeconds"):
        grace = call.number("gracePeriodSeconds")
    if options.get("orphanDependents") is True:
        propagation = "Orphan"
    else:
        propagation = str(options.get("propagationPolicy") or call.query.get("propagationPolicy") or "Background")
    return Deletion(
        uid=str(conditions.get("uid") or ""),
        version=str(conditions.get("resourceVersion") or ""),
        propagation=propagation,
        grace=grace if isinstance(grace, int) else None,
    )


def _list_body(kind: str, version: str, metadata: dict[str, Any], bodies: list[Object]) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": version, "metadata": metadata, "items": bodies}


def _success(details: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return body | ({"details": details} if details else {"code": 201})
