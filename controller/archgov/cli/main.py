"""The program `archgov`, which is also `kubectl archgov`: names of commands, errors in words, exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from archgov.cli.failure import Exit, Failure

# One module a command, imported when it is asked for: `archgov --help` must not wait for solvers.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("archgov.cli.play", "Govern a fleet of clusters on this machine: a region lost, a region back."),
    "plan": ("archgov.cli.plan", "What would change, and why, if these intents were declared."),
    "explain": ("archgov.cli.explain", "Why an intent's workloads are where they are, and why not elsewhere."),
    "simulate": ("archgov.cli.simulate", "What if a region, cluster or zone were lost, or demand grew."),
    "suggest": ("archgov.cli.suggest", "Write intents that describe what is good today and mend the worst."),
    "report": ("archgov.cli.report", "Write one HTML page about the fleet, before and after."),
    "snapshot": ("archgov.cli.snapshot", "Save a live fleet to a file."),
    "import": ("archgov.cli.import_", "Turn a public cluster trace into a snapshot."),
    "approve": ("archgov.cli.approve", "Let archgov carry out a plan that waits for a person."),
    "reject": ("archgov.cli.approve", "Keep a plan from being proposed again for a time."),
    "rollback": ("archgov.cli.approve", "Take a decision back, and keep it so for a time."),
    "history": ("archgov.cli.history", "What was decided, approved, done and verified."),
    "verify-ledger": ("archgov.cli.verify_ledger", "Check that nobody changed what was recorded."),
    "replay": ("archgov.cli.history", "Decide again from the snapshot that a decision rests on."),
    "stop": ("archgov.cli.stop", "Stop all acting, fleet-wide; observing and reporting go on."),
    "resume": ("archgov.cli.resume", "Let archgov act again."),
    "run": ("archgov.cli.run", "Run the operator until it is stopped."),
    "version": ("archgov.cli.version", "Print the version."),
}


class Commands(TyperGroup):
    """The commands by name; whatever goes wrong in one of them is told in words."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 as typer asks
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override]  # noqa: ARG002 as typer asks
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.replace("-", "_"))
        alone.command(cmd_name, help=command.__doc__, epilog=module.EXAMPLES)(command)
        found: TyperCommand = typer.main.get_command(alone)  # type: ignore[assignment]
        return found

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002 as typer asks
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Runs the command that was asked for; one that ends its own work when interrupted says so itself."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _tell("interrupted")
            return Exit.INTERRUPTED

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Runs one command and exits with its code."""
        told = list(sys.argv[1:] if args is None else args) or ["--help"]
        extra["standalone_mode"] = False
        try:
            code = super().main(told, prog_name or _called(), **extra)
        except Failure as failure:
            _tell(str(failure))
            code = Exit.ERROR
        except typer.TyperException as error:
            _tell(str(Failure(_lowered(error.format_message()), f"see: {_called()} {_help_for(told)}--help")))
            code = Exit.ERROR
        except typer.Abort:
            code = Exit.INTERRUPTED
        except BrokenPipeError:
            # Whoever read us has seen enough; that is no error of theirs or ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = Exit.OK
        except Exception as error:  # noqa: BLE001 our own bug: told in a line; the traceback is one option away
            if "--traceback" in told:
                traceback.print_exc()
            where = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(where.filename).name}:{where.lineno}"
            what = f"archgov itself failed: {type(error).__name__}: {error}"
            _tell(str(Failure(what, f"please report it with the output of: {_called()} --traceback …", where=at)))
            code = Exit.ERROR
        sys.exit(int(code or 0))


app = typer.Typer(
    name="archgov",
    cls=Commands,
    help="Declarative architecture governance for Kubernetes fleets.",
    epilog="Exit codes: 0 nothing to do, 1 error or wrong usage, 2 changes, 3 refused or infeasible, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    show_traceback: bool = typer.Option(False, "--traceback", help="When archgov itself fails, show where."),
) -> None:
    """Declarative architecture governance for Kubernetes fleets."""


def main() -> NoReturn:
    """Runs the command that the command line names."""
    app(prog_name=_called())
    raise AssertionError("a command exits by itself")


def _called() -> str:
    """The name that this program was called by."""
    name = Path(sys.argv[0]).name
    return {"__main__.py": "archgov", "kubectl-archgov": "kubectl archgov"}.get(name, name)


def _help_for(args: Sequence[str]) -> str:
    return next((f"{arg} " for arg in args if arg in COMMANDS), "")


def _lowered(message: str) -> str:
    return (message[:1].lower() + message[1:]).rstrip(".")


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
