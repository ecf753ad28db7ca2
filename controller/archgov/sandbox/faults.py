"""Faults that a test plants into a cluster's API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import ApiError, expired, too_many_requests

Kind = Literal["409", "410", "429", "500", "half_line", "silence"]
_STREAM_ONLY = "half_line"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, for which requests, how often.

    `match` is looked for in `verb/resource[/subresource] path?query`, such as
    `watch/pods /api/v1/pods?watch=1` or `patch/deployments/scale /apis/apps/v1/...`; empty matches every request.
    """

    kind: Kind
    match: str = ""
    count: int = 1
    retry_after: int = 1


class Faults:
    """The faults still to come, in the order they were planted."""

    def __init__(self) -> None:
        self._planted: list[tuple[Fault, list[int]]] = []

    def plant(self, fault: Fault) -> None:
        self._planted.append((fault, [fault.count]))

    def take(self, request: str, *, streaming: bool) -> Fault | None:
        """The next fault for this request, used up by being asked for."""
        for fault, left in self._matching(request):
            if streaming or fault.kind != _STREAM_ONLY:
                left[0] -= 1
                self._planted = [each for each in self._planted if each[1][0] > 0]
                return fault
        return None

    def _matching(self, request: str) -> Iterator[tuple[Fault, list[int]]]:
        return ((fault, left) for fault, left in self._planted if fault.match in request)


def refusal(fault: Fault) -> ApiError:
    """What a client is told by a fault that speaks."""
    match fault.kind:
        case "409":
            return ApiError(409, "Conflict", "Operation cannot be fulfilled: planted fault; please try again")
        case "410":
            return expired("too old resource version: planted fault")
        case "429":
            return too_many_requests("too many requests, please try again later: planted fault", fault.retry_after)
        case _:
            return ApiError(500, "InternalError", "Internal error occurred: planted fault")
