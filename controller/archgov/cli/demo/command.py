"""`archgov demo`: sets the stage, tells the story, exits 0 only if every promise was observed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.status import Status

from archgov.cli.demo import story
from archgov.cli.demo.fleet import HUB, MEMBERS, SYSTEM, counts, member_cluster, objects
from archgov.cli.demo.stage import Scene, install, operator, scene
from archgov.cli.demo.story import Promised, Teller
from archgov.sandbox import Sandbox, SandboxOptions

SEED: Final = 7
SAMPLES: Final = Path(__file__).parents[4] / "crds" / "samples" / "demo"
INTERRUPTED: Final = 130


class Told:
    """Prints lines that stay; on a terminal a spinner says what is waited for, elsewhere a line whenever that changes much."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console, self._status, self._said = console, status, ""

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def busy(self, text: str) -> None:
        if self._console.is_terminal:
            self._status.update(text[: self._console.width - 4])
        elif (what := text.split(" … ", maxsplit=1)[0]) != self._said:
            self._said = what
            self.say(f"  … {what}")


def play(directory: Path, *, keep: bool = False, speed: float = 1.0, console: Console | None = None) -> int:
    """Plays the demo in `directory`, which is made anew. Returns the exit code."""
    console = console or Console()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    begin = time.monotonic()
    options = SandboxOptions(seed=SEED, speed=speed)
    with console.status("setting up …") as status, _interruptible():
        voice = Told(console, status)
        nodes, workloads, pods = counts()
        voice.busy(f"the sandbox starts: {len(MEMBERS)} clusters, {nodes} nodes, {workloads} workloads, {pods} pods")
        try:
            with Sandbox(objects(), directory, options) as sandbox:
                the = scene(sandbox, [member.name for member in MEMBERS], directory)
                teller = Teller(the, voice, SAMPLES, SEED)
                _equip(sandbox, the)
                story.everything_runs(teller)
                with operator(the) as process:
                    code = _told(teller, process, voice)
                    voice.say(f"  operator's log {directory}/operator.log · traces {directory}/traces.jsonl")
                    voice.say(f"  done in {time.monotonic() - begin:.0f} s")
                    if keep and not code:
                        _keep(directory, process, voice)
                return code
        except KeyboardInterrupt:
            voice.say("interrupted; everything is stopped")
            return INTERRUPTED


def _equip(sandbox: Sandbox, the: Scene) -> None:
    """Witnesses for every member, then what an installation brings to the hub."""
    witnesses = {
        member.name: [
            {
                "name": f"ingress-{member.name}",
                "url": sandbox.witness(f"ingress-{member.name}", "ingress"),
                "group": "ingress",
            }
        ]
        for member in MEMBERS
    }
    install(the, {member.name: member_cluster(member, witnesses[member.name]) for member in MEMBERS})


def _told(teller: Teller, process: subprocess.Popen[bytes], voice: Told) -> int:
    chapters: tuple[Callable[[Teller], object], ...] = (story.archgov_looks, story.intents_are_carried_out)
    try:
        for chapter in chapters:
            chapter(teller)
        before = story.a_region_is_lost(teller)
        story.the_region_comes_back(teller, before)
        story.the_end(teller)
    except Promised as broken:
        ended = process.poll()
        voice.say(f"✖ {broken}")
        if ended is not None:
            voice.say(f"  the operator ended with exit code {ended}; the last lines of its log say why")
        return 1
    return 0


def _keep(directory: Path, process: subprocess.Popen[bytes], voice: Told) -> None:
    voice.say(
        f"  it stays up until Ctrl-C: export KUBECONFIG={directory}/kubeconfig; kubectl get governance -A"
        f"; the hub is context {HUB}, archgov lives in namespace {SYSTEM}"
    )
    process.wait()


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that no process stays behind."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
