"""A kopf operator that prints what it is told about widgets: `python seen_by_kopf.py`, with KUBECONFIG set."""

from __future__ import annotations

from typing import Any

import kopf


@kopf.on.startup(id="configure")
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    settings.watching.initial_streaming = True


@kopf.on.event("example.io", "v1", "widgets", id="seen")
async def seen(type: Any, name: str, **_: Any) -> None:  # noqa: A002 - kopf passes it by this name
    print(type, name, flush=True)


if __name__ == "__main__":
    kopf.run(clusterwide=True, standalone=True)
