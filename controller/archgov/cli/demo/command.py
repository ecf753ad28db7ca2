"""`archgov demo`: sets the stage, tells the story, exits 0 only if every promise was observed."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.status import Status

from archgov.cli.demo import main_job, page, played, story
from archgov.cli.demo.cluster import collection
from archgov.cli.demo.fleet import HUB, MEMBERS, SYSTEM, Manifest, counts, hub, member_cluster, objects
from archgov.cli.demo.stage import Scene, install, operator, scene
from archgov.cli.demo.teller import Promised, Teller, archgov_looks, everything_runs
from archgov.cli.failure import Exit, Failure
from archgov.cli.source import saved
from archgov.model.snapshot import Snapshot
from archgov.sandbox import Sandbox, SandboxOptions

# A MemberCluster names at most 16 witnesses, one of them for the whole cluster.
MOST_ZONES: Final = 15
# Every so many pods a promise may take as long again.
PODS_A_PATIENCE: Final = 1500


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


def play(
    directory: Path,
    *,
    keep: bool = False,
    speed: float = 1.0,
    fleet: Path | None = None,
    console: Console | None = None,
) -> int:
    """Plays the demo in `directory`, which is made anew: its own fleet, or the one of a snapshot. Returns the exit code."""
    console = console or Console()
    tale = _own_tale() if fleet is None else tale_of(saved(fleet))
    begin = time.monotonic()
    with _made_anew(directory), console.status("setting up …") as status, _interruptible():
        voice = Told(console, status)
        voice.busy(f"the sandbox starts: {tale.about}")
        try:
            with Sandbox(
                {HUB: tale.hub, **tale.objects}, directory, SandboxOptions(seed=tale.seed, speed=speed)
            ) as sandbox:
                teller = Teller(scene(sandbox, list(tale.objects), directory), voice, tale.patience)
                _equip(teller.the, tale)
                everything_runs(teller, tale.may_wait)
                with operator(teller.the) as process:
                    code = _told(teller, tale, process, voice)
                    voice.say(f"  operator's log {directory}/operator.log · traces {directory}/traces.jsonl")
                    if not code:
                        voice.say(f"  what was decided, and why: {directory}/report.html")
                    voice.say(f"  done in {time.monotonic() - begin:.0f} s")
                    if keep and not code:
                        _keep(directory, process, voice)
                return code
        except Promised as broken:
            voice.say(f"✖ {broken}")
            return 1
        except KeyboardInterrupt:
            voice.say("interrupted; everything is stopped")
            return Exit.INTERRUPTED


@contextmanager
def _made_anew(directory: Path) -> Iterator[None]:
    """Empties what an earlier demo left, and nothing else; no other demo begins there meanwhile.

    Raises:
        Failure: something else lies there, another demo runs there, or nothing can be written.
    """
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            if not (directory / "requests.jsonl").is_file():
                fix = "name an empty or a new --directory"
                raise Failure(f"{directory} holds something that no demo left there", fix)
            with _locked(directory):
                shutil.rmtree(directory)
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{directory} can't be made: {error.strerror}", "name another --directory") from None
    with _locked(directory):
        yield


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Raises Failure where another demo runs; a demo that was killed holds no lock."""
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fix = "stop it (Ctrl-C where it runs), or name another --directory"
            raise Failure(f"a demo is running in {directory}", fix) from None
        yield


@dataclass(frozen=True, slots=True)
class Tale:
    """What is played.

    Attributes:
        objects: what each member begins with. members: their MemberClusters, without witnesses. zones: that a witness speaks for.
        fleet: the Fleet object, where it says more than its defaults. may_wait: pods that find no node.
        notes: what the report says beside its results.
    """

    about: str
    hub: list[Manifest]
    objects: Mapping[str, list[Manifest]]
    members: Mapping[str, Manifest]
    tell: Callable[[Teller], object]
    zones: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fleet: Manifest | None = None
    may_wait: int = 0
    notes: tuple[str, ...] = ()
    seed: int = story.SEED
    patience: float = 1.0


def _own_tale() -> Tale:
    nodes, workloads, pods = counts()
    return Tale(
        about=f"{len(MEMBERS)} clusters, {nodes} nodes, {workloads} workloads, {pods} pods",
        hub=hub(),
        objects=objects(),
        members={member.name: member_cluster(member) for member in MEMBERS},
        tell=story.tell,
    )


def tale_of(snapshot: Snapshot) -> Tale:
    """The main job on the fleet of a snapshot.

    Raises:
        Failure: the demo can't play it.
    """
    fleet = snapshot.fleet
    pods = int(fleet.standing.replicas.sum())
    if HUB in fleet.cluster_row:
        raise Failure(f'a cluster of the snapshot is named "{HUB}", as the hub of the demo is', "play another snapshot")
    zones: dict[str, list[str]] = {}
    for domain in fleet.domains:
        zones.setdefault(domain.cluster, []).append(domain.zone)
    return Tale(
        about=f"{len(fleet.clusters)} clusters, {len(fleet.nodes.name)} nodes, {len(fleet.workloads.key)} workloads, {pods} pods",
        hub=played.hub(snapshot),
        objects=played.objects(snapshot),
        members=played.member_clusters(snapshot),
        tell=lambda teller: main_job.tell(teller, snapshot),
        zones=zones,
        fleet=played.fleet_object(snapshot.governance),
        # Pods are put on nodes anew, so a few of the largest may find none.
        notes=snapshot.notes,
        # A fleet that was saved from a sandbox brings uids that the same seed would give to others.
        seed=int(snapshot.digest[:8], 16),
        may_wait=played.pending(snapshot) + pods // 100,
        patience=1 + pods / PODS_A_PATIENCE,
    )


def _equip(the: Scene, tale: Tale) -> None:
    """What an installation brings to the hub: kinds, members with a witness each, and one for each of their zones."""
    members = {}
    for name, member in tale.members.items():
        named = [(f"ingress-{name}", "ingress", "")]
        named += [(main_job.zone_witness(name, zone), "probe", zone) for zone in tale.zones.get(name, ())[:MOST_ZONES]]
        witnesses = [
            {"name": witness, "url": the.sandbox.witness(witness, group), "group": group}
            | ({"zone": zone} if zone else {})
            for witness, group, zone in named
        ]
        members[name] = {**member, "spec": {**member["spec"], "witnesses": witnesses}}
    install(the, members)
    if tale.fleet is not None:
        the.hub.apply(collection("fleets"), tale.fleet)


def _told(teller: Teller, tale: Tale, process: subprocess.Popen[bytes], voice: Told) -> int:
    the = teller.the
    try:
        archgov_looks(teller)
        before = page.picture(the.sandbox.kubeconfig)
        tale.tell(teller)
        voice.busy("the report is written …")
        told = replace(before, notes=(*before.notes, *tale.notes))
        page.write(told, the.sandbox.kubeconfig, the.directory / "ledger.sqlite", the.directory / "report.html")
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
    code = process.wait()
    voice.say(
        f"  the operator ended with exit code {code}; {directory}/operator.log says why. The clusters stay up until Ctrl-C"
    )
    signal.pause()


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that no process stays behind."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
