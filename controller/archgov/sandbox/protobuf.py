"""Kubernetes' protobuf, as far as `kubectl create` speaks it: read only.

A message's fields have the names of the JSON ones; `protobuf.json` holds their numbers, cut from the `generated.proto`
files of Kubernetes 1.36.3 (Apache-2.0), and the definitions hold their types. A nested table in it is a message that JSON shows
inline. To make it anew: `python -m archgov.sandbox.protobuf protobuf.json FOLDER...` with the folders of the modules
k8s.io/api as well as k8s.io/apimachinery.
"""

from __future__ import annotations

import base64
import re
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from .definitions import META, PREFIX, definitions
from .errors import ApiError, bad_request

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_TIMES = {f"{META}.Time": "%Y-%m-%dT%H:%M:%SZ", f"{META}.MicroTime": "%Y-%m-%dT%H:%M:%S.%fZ"}
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_FIELDS = f"{META}.FieldsV1"


@cache
def _numbers() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = orjson.loads((Path(__file__).parent / "protobuf.json").read_bytes())
    return loaded


def decoded(body: bytes) -> dict[str, Any]:
    """The object in a protobuf body, as JSON has it.

    Raises:
        ApiError: 400 for what can't be read, or for a kind whose numbers aren't known.
    """
    try:
        return _object(body)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise bad_request(f"error decoding protobuf: {error!r}; send JSON instead") from error


def _object(body: bytes) -> dict[str, Any]:
    if not body.startswith(_MAGIC):
        raise bad_request("the body is no Kubernetes protobuf; send JSON instead")
    parts = dict(_fields(body[len(_MAGIC) :]))
    about = dict(_fields(parts[1]))
    api_version, kind = about[1].decode(), about[2].decode()
    name = _definition(api_version, kind)
    return {**_message(name, parts.get(2, b"")), "apiVersion": api_version, "kind": kind}


def _definition(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    tail = f".{group.split('.')[0] or 'core'}.{version}.{kind}"
    found = next((name for name in _numbers() if name.endswith(tail)), None) or f"{META}.{kind}"
    if found not in _numbers():
        raise ApiError(
            415, "UnsupportedMediaType", f"{api_version} {kind} isn't read as protobuf here; send JSON instead"
        )
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers with raw values: bytes for what has a length, integers for the rest."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire}")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _message(name: str, data: bytes) -> dict[str, Any]:
    properties = definitions()[name].get("properties", {}) if name in definitions() else {}
    return _shaped(_numbers()[name], properties, data)


def _shaped(numbers: dict[str, Any], properties: dict[str, Any], data: bytes) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for number, raw in _fields(data):
        field = numbers.get(str(number))
        if isinstance(field, dict):
            out |= _shaped(field, properties, raw)
        elif field in properties:
            _put(out, field, properties[field], raw)
    return out


def _put(out: dict[str, Any], field: str, schema: dict[str, Any], raw: Any) -> None:
    kind = schema.get("type")
    if kind == "array":
        out.setdefault(field, []).append(_value(schema["items"], raw))
    elif kind == "object" and "additionalProperties" in schema:
        entry = dict(_fields(raw))
        inner = schema["additionalProperties"]
        out.setdefault(field, {})[entry.get(1, b"").decode()] = _value(inner, entry.get(2, b""))
    else:
        value = _value(schema, raw)
        # Go writes what is empty too, where it isn't a pointer; JSON would leave it out.
        if value not in (None, ""):
            out[field] = value


def _value(schema: dict[str, Any], raw: Any) -> Any:
    target = schema.get("$ref")
    if isinstance(target, str):
        return _referred(target.removeprefix(PREFIX), raw)
    match schema.get("type"):
        case "boolean":
            return bool(raw)
        case "integer":
            return raw - (1 << 64) if raw >= 1 << 63 else raw
        case "number":
            return struct.unpack("<d", raw)[0]
        case "array":
            return [_value(schema["items"], each) for _, each in _fields(raw)]
        case _:
            return base64.b64encode(raw).decode() if schema.get("format") == "byte" else raw.decode()


def _referred(name: str, raw: bytes) -> Any:
    parts = dict(_fields(raw)) if name in (*_TIMES, _QUANTITY, _INT_OR_STRING, _FIELDS) else {}
    if name in _TIMES:
        moment = datetime.fromtimestamp(parts.get(1, 0), UTC).replace(microsecond=parts.get(2, 0) // 1000)
        return moment.strftime(_TIMES[name]) if parts else None
    if name == _QUANTITY:
        return parts.get(1, b"0").decode()
    if name == _INT_OR_STRING:
        return parts.get(3, b"").decode() if parts.get(1) else parts.get(2, 0)
    if name == _FIELDS:
        return orjson.loads(parts.get(1, b"{}"))
    return _message(name, raw)


def _cut(target: Path, folders: list[Path]) -> None:
    messages = {
        name: body
        for folder in folders
        for path in sorted(folder.rglob("generated.proto"))
        for name, body in _messages(path.read_text())
    }
    wanted = {
        name: _table(name, messages, definitions()[name].get("properties", {}))
        for name in definitions()
        if name in messages
    }
    lines = [f"{orjson.dumps(name).decode()}:{orjson.dumps(body).decode()}" for name, body in sorted(wanted.items())]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _messages(text: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    package = re.search(r"^package k8s\.io\.(\S+);", text, re.MULTILINE)
    home = f"io.k8s.{package[1]}" if package else ""
    for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        found = re.findall(
            r"^  (?:optional|repeated) (\S+) (\w+) = (\d+);|^  (map<[^>]*>) (\w+) = (\d+);", body, re.MULTILINE
        )
        rows = [(kind or pairs, field or keyed, number or last) for kind, field, number, pairs, keyed, last in found]
        yield f"{home}.{name}", [(_full(kind, home), field, number) for kind, field, number in rows]


def _full(kind: str, home: str) -> str:
    return kind.replace(".k8s.io.", "io.k8s.") if kind.startswith(".k8s.io.") else f"{home}.{kind}"


def _table(name: str, messages: dict[str, list[tuple[str, str, str]]], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        number: field if field in properties or kind not in messages else _table(kind, messages, properties)
        for kind, field, number in messages[name]
    }


if __name__ == "__main__":
    _cut(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
