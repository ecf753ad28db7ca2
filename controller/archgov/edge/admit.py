"""Admission of our own kinds, where the API server can't do it by a policy: who makes an Approval is written into it."""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson

from archgov.edge.tree import Json

REVIEW: Final = "admission.k8s.io/v1"


class NoReview(ValueError):
    """It isn't an AdmissionReview; says what it lacks."""


def stamped(review: Json) -> Json:
    """The answer to an AdmissionReview of an Approval: allowed, its author overwritten with the user of the request.

    Asked again of the same object it answers the same, so that a reinvocation changes nothing.

    Raises:
        NoReview: it can't be answered.
    """
    request: Any = review.get("request")
    if review.get("apiVersion") != REVIEW or not isinstance(request, dict) or not request.get("uid"):
        raise NoReview(f"an AdmissionReview of {REVIEW} with a request is expected")
    user = (request.get("userInfo") or {}).get("username")
    if not isinstance(user, str) or not user:
        raise NoReview("request.userInfo.username is missing")
    patch = [{"op": "add", "path": "/spec/author", "value": user}]
    response = {
        "uid": request["uid"],
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(orjson.dumps(patch)).decode(),
    }
    return {"apiVersion": REVIEW, "kind": "AdmissionReview", "response": response}
