"""How any story of the demo is told: promises that are read from the API until they hold, or are broken."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from archgov.cli.demo import seen
from archgov.cli.demo.cluster import ApiRefused
from archgov.cli.demo.stage import Scene

POLL: Final = 0.25
LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/archgov-system/leases/archgov"
# Patience by chapter, in seconds; a promise that takes longer is broken.
START, FIRST_ROUND, FIXED_POINT, DECLARED, FAILED_OVER, FAILED_BACK = 60.0, 40.0, 90.0, 30.0, 60.0, 90.0


class Promised(Exception):
    """Something the demo promises was not observed in time; says what, and what was seen instead."""


class Voice(Protocol):
    """Who tells the story: lines that stay, and a status that doesn't."""

    def say(self, text: str) -> None: ...

    def busy(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Teller:
    """What all chapters share. patience: multiplies every time that a promise may take; large fleets take longer."""

    the: Scene
    voice: Voice
    patience: float = 1.0

    def until(self, what: str, patience: float, question: Callable[[], str]) -> float:
        """Asks until the answer is "" (nothing is missing); seconds it took.

        Raises:
            Promised: it is still missing after the patience that is due.
        """
        begin, allowed = time.monotonic(), patience * self.patience
        while missing := self._asked(question):
            asked = time.monotonic()
            if asked - begin > allowed:
                raise Promised(f"{what}: not observed within {allowed:.0f} s; {missing}")
            self.voice.busy(f"{what} … {missing}")
            time.sleep(POLL)
        return time.monotonic() - begin

    @staticmethod
    def _asked(question: Callable[[], str]) -> str:
        try:
            return question()
        except ApiRefused as error:
            return str(error)


def everything_runs(teller: Teller, may_wait: int = 0) -> None:
    """Chapter 1: all pods of the fleet are Ready before archgov comes, but for as many as no node takes.

    Raises:
        Promised: more than `may_wait` pods found no node.
    """

    def starting() -> str:
        left = seen.pods_starting(teller.the.members)
        return f"{left} pods are starting" if left or not seen.deployments(teller.the.members) else ""

    took = teller.until("the fleet starts", START, starting)
    members = teller.the.members
    running = seen.deployments(members)
    nodes = [node for cluster in members.values() for node in cluster.items("/api/v1/nodes")]
    regions = {node["metadata"]["labels"].get("topology.kubernetes.io/region", "") for node in nodes}
    ready, waiting = seen.pods_ready(members)
    if waiting > may_wait:
        raise Promised(f"every pod finds a node: {waiting} did not, {may_wait} were expected")
    teller.voice.say(
        f"▸ sandbox: {len(members)} clusters in {len(regions)} regions, {len(nodes)} nodes, {len(running)} Deployments, "
        f"{ready} pods Ready{f', {waiting} find no node' if waiting else ''}   {took:.1f} s (pods here take 2–5 s to start)"
    )


def archgov_looks(teller: Teller) -> None:
    """Chapter 2: the first round of the operator, before any intent."""

    def looked() -> str:
        said = seen.reach(teller.the.hub)
        blind = [name for name, answer in said.items() if answer != "yes"]
        if blind:
            return f"not seen yet: {', '.join(blind)}"
        return "" if seen.fleet_status(teller.the.hub).get("workloads") else "no round yet"

    took = teller.until("archgov takes its first snapshot", FIRST_ROUND, looked)
    status = seen.fleet_status(teller.the.hub)
    lease = teller.the.hub.get(LEASE)["spec"]
    if not lease["holderIdentity"]:
        raise Promised("one archgov leads: the Lease has no holder")
    leads = f"leads (epoch {lease['leaseTransitions']})"
    teller.voice.say(f"▸ operator: {leads}, watching {len(teller.the.members)} clusters, all seen   {took:.1f} s")
    teller.voice.say(f"▸ before any intent: {fragile(status)}; {money(status)}")


def the_end(teller: Teller) -> None:
    """Last chapter: what it cost, what was decided.

    Raises:
        Promised: nothing that was decided could be verified.
    """
    status = seen.fleet_status(teller.the.hub)
    found = seen.decisions(teller.the.hub)
    outcomes = [seen.outcome(decision) for decision in found]
    if not outcomes.count("Verified"):
        raise Promised("decisions are verified: none is")
    teller.voice.say(f"  {money(status)}; {fragile(status)}")
    teller.voice.say(
        f"  {len(found)} decisions recorded: "
        + ", ".join(f"{outcomes.count(one)} {one}" for one in sorted(set(outcomes)))
    )
    teller.voice.say(
        f"  ledger: {_rows_of_the_ledger(teller)} rows, intact   archgov history --ledger {_ledger(teller)}"
    )


def _rows_of_the_ledger(teller: Teller) -> int:
    """How many rows the ledger has, as `archgov verify-ledger` finds them.

    Raises:
        Promised: somebody changed it, or it lacks what was decided.
    """
    command = [sys.executable, "-m", "archgov", "verify-ledger", "--json", "--ledger", str(_ledger(teller))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    if not found.get("rows"):
        raise Promised(f"everything that was decided is in the ledger: {done.stdout or done.stderr}")
    return int(found["rows"])


def _ledger(teller: Teller) -> Path:
    return teller.the.directory / "ledger.sqlite"


def open_questions(teller: Teller) -> str:
    """Intents that are not settled and decisions that are under way; "" at a fixed point."""
    unsettled = [intent.key for intent in seen.intents(teller.the.hub) if not intent.settled]
    return listed(unsettled + under_way(teller))


def under_way(teller: Teller) -> list[str]:
    """Names of decisions that are being carried out."""
    return [d["metadata"]["name"] for d in seen.decisions(teller.the.hub) if seen.outcome(d) == "Applying"]


def listed(names: list[str], most: int = 8) -> str:
    """A few of them, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def fragile(status: Mapping[str, Any]) -> str:
    """How many workloads would not survive which loss."""
    counts = {entry["scope"]: entry["workloads"] for entry in status.get("fragile", [])}
    return (
        f"{counts.get('zone', 0)} workloads would not survive the loss of some zone, "
        f"{counts.get('cluster', 0)} of some cluster, {counts.get('region', 0)} of some region"
    )


def money(status: Mapping[str, Any]) -> str:
    """What the fleet costs."""
    return f"allocated {status.get('allocated', '?')}, bill {status.get('bill', '?')}"


MARKS: Final = {"True": "✔", "False": "✖", "Unknown": "…"}


def line(intent: seen.Intent) -> str:
    """An intent with what became of it."""
    proposes = intent.mode != "Enforce" and intent.summary != "as declared"
    mark = (
        "◌"
        if intent.reason == "WaitingForApproval"
        else "○"
        if proposes and intent.ready == "True"
        else MARKS[intent.ready]
    )
    told = intent.message if intent.ready == "False" else intent.summary
    return f"  {mark} {intent.key:<26} {intent.kind.removesuffix('Intent'):<10} {intent.mode:<10} {told}"
