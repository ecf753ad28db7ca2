"""Which API server a command talks to."""

from __future__ import annotations

import os
from pathlib import Path

from archgov.cli.failure import Failure
from archgov.edge.kubeconfig import Access, AccessError, from_file, from_pod


def access(kubeconfig: Path | None, context: str) -> Access:
    """The API server that somebody named: a file, $KUBECONFIG, the pod's own account, the usual file, in this order.

    Raises:
        Failure: none of them describes one.
    """
    try:
        named = kubeconfig or (Path(os.environ["KUBECONFIG"]) if os.environ.get("KUBECONFIG") else None)
        if named is not None:
            return from_file(named, context)
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            return from_pod()
        return from_file(Path.home() / ".kube" / "config", context)
    except AccessError as error:
        raise Failure(
            str(error).rstrip("."),
            "--kubeconfig FILE names a cluster; commands that only look also take --snapshot FILE",
        ) from None
