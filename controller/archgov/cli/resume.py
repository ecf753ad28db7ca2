"""`archgov resume`: the end of `archgov stop`."""

from __future__ import annotations

from typing import Final

from archgov.cli.access import access
from archgov.cli.failure import Exit
from archgov.cli.options import As, Context, Json, Kubeconfig, output
from archgov.cli.output import Format, Text, show
from archgov.cli.stop import switch

EXAMPLES: Final = "Example: archgov resume --context prod"


def resume(
    kubeconfig: Kubeconfig = None, context: Context = "", format_: As = Format.TABLE, as_json: Json = False
) -> int:
    """Let archgov act again after `archgov stop`."""
    before = switch(access(kubeconfig, context), None)
    told = (
        f"archgov acts again; it was stopped by {before.get('by')}: {before.get('reason')}"
        if before
        else "nothing was stopped"
    )
    show({"stopped": None, "before": before}, [Text(told)], output(format_, as_json, None))
    return Exit.OK
