"""`archgov version`."""

from __future__ import annotations

from typing import Final

from archgov import __version__
from archgov.cli.options import As, Json, Out, output
from archgov.cli.output import Format, Text, show

EXAMPLES: Final = "Example: archgov version -o json"


def version(format_: As = Format.TABLE, as_json: Json = False, out: Out = None) -> int:
    """Print the version."""
    show({"version": __version__}, [Text(__version__)], output(format_, as_json, out))
    return 0
