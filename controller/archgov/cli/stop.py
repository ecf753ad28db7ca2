"""`archgov stop`: one switch for all acting."""

from __future__ import annotations

import asyncio
import getpass
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from archgov.api.kind import API_VERSION
from archgov.api.registry import KINDS
from archgov.cli.access import access
from archgov.cli.failure import Exit, Failure, way_out
from archgov.cli.options import As, Context, Json, Kubeconfig, output
from archgov.cli.output import Format, Text, show
from archgov.edge.client import MERGE_PATCH, ApiError, Client
from archgov.edge.kubeconfig import Access, AccessError
from archgov.model.quantity import BadQuantity, seconds

EXAMPLES: Final = (
    'Examples: archgov stop --reason "black friday" --until 48h · '
    "archgov stop --reason INC-4711 --until 2026-12-01T08:00:00Z"
)
FLEET: Final = "fleet"


def stop(
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody who wonders will read it.")],
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="When it ends by itself: a duration such as 2h, or a time.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Who stops it. Left out: the user of this machine.")] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    format_: As = Format.TABLE,
    as_json: Json = False,
) -> int:
    """Stop all acting, fleet-wide; observing, planning and reporting go on. `archgov resume` ends it."""
    if not reason.strip():
        raise Failure("--reason is empty", "say why in a few words")
    stopped: dict[str, Any] = {"by": by or _user(), "reason": reason.strip()}
    if until:
        stopped["until"] = moment(until, time.time())
    switch(access(kubeconfig, context), stopped)
    for_how_long = f"until {stopped['until']}" if until else "until archgov resume"
    told = f"all acting is stopped {for_how_long}: {stopped['reason']}"
    show({"stopped": stopped}, [Text(told)], output(format_, as_json, None))
    return Exit.OK


def switch(api: Access, stopped: dict[str, Any] | None) -> dict[str, Any] | None:
    """Sets or removes spec.stopped of the Fleet. Returns what was there before.

    Raises:
        Failure: the API server refuses or does not answer.
    """
    try:
        return asyncio.run(_switch(api, stopped))
    except AccessError as error:
        raise Failure(str(error), where=api.server) from None
    except ApiError as error:
        fix = way_out(
            error.status,
            forbidden="ask for the right to patch fleets.archgov.io",
            missing="archgov is not installed here; apply its CRDs, or name another cluster",
        )
        raise Failure(f"the Fleet was not changed: {error}", fix, where=api.server) from None


async def _switch(api: Access, stopped: dict[str, Any] | None) -> dict[str, Any] | None:
    fleets = f"/apis/{API_VERSION}/{KINDS['Fleet'].plural}"
    async with Client(api) as client:
        try:
            found = await client.get(f"{fleets}/{FLEET}")
        except ApiError as error:
            if error.status != 404:
                raise
            await client.get(f"/apis/{API_VERSION}")
            if stopped is not None:
                body = {"apiVersion": API_VERSION, "kind": "Fleet", "metadata": {"name": FLEET}}
                await client.post(fleets, {**body, "spec": {"stopped": stopped}})
            return None
        before: dict[str, Any] | None = found.get("spec", {}).get("stopped")
        if before != stopped:
            # Null first: a merge would keep an `until` of somebody else's stop.
            wanted = None if stopped is None else {"until": None, **stopped}
            await client.patch(f"{fleets}/{FLEET}", {"spec": {"stopped": wanted}}, MERGE_PATCH)
        return before


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def moment(text: str, now: float) -> str:
    """As Kubernetes writes it, the instant that a duration from now, or a time, means."""
    try:
        at = datetime.fromtimestamp(int(now) + seconds(text), UTC)
    except BadQuantity:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise Failure(
                f'--until is "{text}"', "write a duration such as 2h, or a time such as 2026-12-01T08:00:00Z"
            ) from None
        if at.tzinfo is None:
            raise Failure(f'--until "{text}" has no time zone', "add one: Z, or +01:00") from None
    if at.timestamp() <= now:
        raise Failure(f'--until "{text}" is over', "name a time to come")
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
