"""Runs a sandbox until it is told to stop: `python -m archgov.sandbox --fleet FILE.yaml --directory DIR`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from .objects import annotations_of, mapping
from .sandbox import Sandbox, SandboxOptions

CLUSTER = "sandbox.archgov.io/cluster"


def fleet_from(text: str) -> dict[str, list[dict[str, Any]]]:
    """The objects of a multi-document YAML by the cluster that each names in an annotation.

    Raises:
        ValueError: a document is no object, or names no cluster.
    """
    fleet: dict[str, list[dict[str, Any]]] = {}
    for i, body in enumerate(each for each in yaml.safe_load_all(text) if each is not None):
        cluster = annotations_of(body).get(CLUSTER) if isinstance(body, dict) else None
        if not cluster:
            raise ValueError(f"document {i} of the fleet names no cluster; add metadata.annotations[{CLUSTER!r}]")
        fleet.setdefault(str(cluster), []).append({**body, "metadata": mapping(body.get("metadata"))})
    return fleet


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m archgov.sandbox", description=__doc__)
    parser.add_argument("--fleet", type=Path, required=True, help=f"YAML; each object has the annotation {CLUSTER}")
    parser.add_argument("--directory", type=Path, required=True, help="where kubeconfig and requests.jsonl are written")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every delay of the stand-ins")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    options = SandboxOptions(seed=given.seed, speed=given.speed)
    with Sandbox(fleet_from(given.fleet.read_text()), given.directory, options) as sandbox:
        sys.stdout.write(f"export KUBECONFIG={sandbox.kubeconfig.resolve()}\n")
        sys.stdout.flush()
        signal.sigwait(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
