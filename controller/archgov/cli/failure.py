"""What went wrong, told so that its reader can act; and what a command's exit code says."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Exit codes of every command, as CI reads them."""

    OK = 0  # nothing to do
    ERROR = 1  # wrong usage, wrong input, no answer
    CHANGES = 2
    REFUSED = 3  # refused or infeasible; wins over changes
    INTERRUPTED = 130


class Failure(Exception):
    """A command that can't go on: what is wrong, where, how to fix it."""

    def __init__(self, what: str, fix: str = "", *, where: str = "") -> None:
        super().__init__(what)
        self.what, self.fix, self.where = what, fix, where

    def __str__(self) -> str:
        """`error: what (where)`, then how to fix it, indented."""
        head = f"error: {self.what}" + (f" ({self.where})" if self.where else "")
        return "\n".join([head, *(f"  {line}" for line in self.fix.splitlines())])


# What to look at where nothing answers.
CONNECTION: Final = "check --kubeconfig and --context, or the network"


def way_out(status: int, *, forbidden: str, missing: str) -> str:
    """How to go on after an API server's answer (0: none): what to do without the permission, or where something isn't there."""
    return {0: CONNECTION, 403: forbidden, 404: missing}.get(status, "try again")
