"""Whether the API server says who made an Approval: a dry run that claims to be somebody else has to come back corrected.

So it doesn't matter what does it (a MutatingAdmissionPolicy, a webhook, the sandbox), only that it is done.
"""

from __future__ import annotations

from typing import Final

from archgov.api.kind import API_VERSION
from archgov.edge.client import Api, ApiError

FORGED: Final = "archgov:nobody"


async def stamps(hub: Api, namespace: str) -> bool:
    """Whether an author that is made up is overwritten at admission; not, where that can't be found out."""
    body = {
        "apiVersion": API_VERSION,
        "kind": "Approval",
        "metadata": {"generateName": "who-am-i-", "namespace": namespace},
        "spec": {"decision": "none", "planHash": "00000000", "verdict": "Approve", "author": FORGED},
    }
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/approvals"
    try:
        found = await hub.post(path, body, {"dryRun": "All"})
    except ApiError:
        return False
    author = (found.get("spec") or {}).get("author")
    return bool(author) and author != FORGED
