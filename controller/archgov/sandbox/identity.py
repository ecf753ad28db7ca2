"""Who asks: users by token, with the reviews that tell a client about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .objects import Object, mapping
from .resources import Resource

ADMIN = "admin"
OPERATOR = "archgov"
_USERS = {ADMIN: "kubernetes-admin", OPERATOR: "system:serviceaccount:archgov-system:archgov"}


def user_of(account: str) -> str:
    """The user that the API sees when an account asks."""
    return _USERS.get(account, account)


def groups_of(user: str) -> list[str]:
    if user == _USERS[ADMIN]:
        return ["system:masters", "system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        home = user.split(":")[2]
        return ["system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"]
    return ["system:authenticated"]


def review(resource: Resource, body: Object, user: str, users: Mapping[str, str]) -> dict[str, Any]:
    """The answer to a review; every known user may do everything."""
    answer = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {},
        "spec": mapping(body.get("spec")),
    }
    match resource.plural:
        case "selfsubjectreviews":
            del answer["spec"]
            answer["status"] = {"userInfo": _info(user)}
        case "tokenreviews":
            found = users.get(str(mapping(body.get("spec")).get("token", "")))
            answer["status"] = {"authenticated": True, "user": _info(found)} if found else {"authenticated": False}
        case _:
            answer["status"] = {"allowed": True, "reason": "the sandbox evaluates no RBAC"}
    return answer


def _info(user: str) -> dict[str, Any]:
    return {"username": user, "groups": groups_of(user)}
