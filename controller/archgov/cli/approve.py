"""`archgov approve`, `reject`, `rollback`: a person's word on one exact plan."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from archgov.api.kind import API_VERSION
from archgov.cli.access import access
from archgov.cli.failure import Exit, Failure, way_out
from archgov.cli.options import As, Context, Json, Kubeconfig, Namespace, output
from archgov.cli.output import Format, Text, show
from archgov.cli.stop import moment
from archgov.edge.client import ApiError, Client
from archgov.edge.kubeconfig import Access, AccessError
from archgov.model.approval import Ruling

EXAMPLES: Final = (
    "Examples: archgov approve workers-7f3a91d2 -n shop · archgov approve workers-7f3a91d2 -n shop --waves 1 --until 2h · "
    'archgov reject workers-7f3a91d2 -n shop --reason "after the sale" --until 48h · archgov rollback workers-7f3a91d2 -n shop'
)

Decision = Annotated[str, typer.Argument(metavar="DECISION", help="Name of the Decision, such as workers-7f3a91d2.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody who wonders will read it.")]
Until = Annotated[
    str, typer.Option("--until", metavar="TIME", help="A duration such as 2h, or a time. Left out: a day from now.")
]


# What nobody can say of a decision any more, or not yet, and what to do instead.
POINTLESS: Final[dict[Ruling, dict[str, str]]] = {
    Ruling.APPROVE: {
        "Verified": "it is carried out; if it was rolled back, delete that Rollback (kubectl get ap), and it comes again",
        "Rejected": "delete the rejection (kubectl get ap), and it is proposed again",
        "Superseded": "look at what is proposed now: kubectl get dec",
    },
    Ruling.REJECT: {"Verified": "it is carried out; archgov rollback takes it back"},
    Ruling.ROLLBACK: {"Proposed": "nothing of it is done; archgov reject keeps it from being proposed again"},
}


@dataclass(frozen=True, slots=True)
class Word:
    """What is said of a decision."""

    decision: str
    namespace: str
    ruling: Ruling
    reason: str
    until: str
    waves: int = 0


def approve(
    decision: Decision,
    namespace: Namespace = "default",
    waves: Annotated[int, typer.Option("--waves", min=0, help="Release only so many waves; 0 for all.")] = 0,
    reason: Reason = "",
    until: Until = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    format_: As = Format.TABLE,
    as_json: Json = False,
) -> int:
    """Let archgov carry out a plan that waits for a person; it is bound to the plan's hash, and begins by --until or never."""
    word = Word(_bare(decision), namespace, Ruling.APPROVE, reason, until, waves)
    return _say(access(kubeconfig, context), word, output(format_, as_json, None))


def reject(
    decision: Decision,
    namespace: Namespace = "default",
    reason: Reason = "",
    until: Until = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    format_: As = Format.TABLE,
    as_json: Json = False,
) -> int:
    """Keep a plan from being proposed again before --until."""
    word = Word(_bare(decision), namespace, Ruling.REJECT, reason, until)
    return _say(access(kubeconfig, context), word, output(format_, as_json, None))


def rollback(
    decision: Decision,
    namespace: Namespace = "default",
    reason: Reason = "",
    until: Until = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    format_: As = Format.TABLE,
    as_json: Json = False,
) -> int:
    """Go back to what stood there before a decision, in waves like any plan, and keep that until --until."""
    word = Word(_bare(decision), namespace, Ruling.ROLLBACK, reason, until)
    return _say(access(kubeconfig, context), word, output(format_, as_json, None))


def _bare(decision: str) -> str:
    """`dec/workers-7f3a91d2`, as kubectl writes it, is the same."""
    return decision.removeprefix("decision.archgov.io/").removeprefix("decision/").removeprefix("dec/")


def _say(api: Access, word: Word, to: Any) -> int:
    until = moment(word.until, time.time()) if word.until else ""
    try:
        made = asyncio.run(_made(api, word, until))
    except AccessError as error:
        raise Failure(str(error), where=api.server) from None
    except ApiError as error:
        fix = way_out(
            error.status,
            forbidden=f"ask for the right to create approvals.archgov.io in {word.namespace}",
            missing=f"look for it: kubectl get dec -n {word.namespace}; its namespace is given by -n",
        )
        raise Failure(f"nothing was said: {error.message}", fix, where=api.server) from None
    spec, name = made["spec"], made["metadata"]["name"]
    by = (
        f" as {spec['author']}" if spec.get("author") else "; nobody stamped who you are, so archgov will not follow it"
    )
    told = f"{word.ruling.value} {word.decision} ({spec['planHash'][:8]}) in {word.namespace}{by}"
    show({"approval": name, **spec}, [Text(told), Text(f"look at it: kubectl get ap {name} -n {word.namespace}")], to)
    return Exit.OK


async def _made(api: Access, word: Word, until: str) -> dict[str, Any]:
    root = f"/apis/{API_VERSION}/namespaces/{word.namespace}"
    async with Client(api) as client:
        decision = await client.get(f"{root}/decisions/{word.decision}")
        outcome = (decision.get("status") or {}).get("outcome", "")
        if outcome in POINTLESS[word.ruling]:
            raise Failure(f"{word.decision} is {outcome}: {POINTLESS[word.ruling][outcome]}", where=api.server)
        said = {
            "decision": word.decision,
            # The hash of what stands there now, so that a plan that changes meanwhile is another one.
            "planHash": decision["spec"]["planHash"],
            "verdict": word.ruling.value,
            **({"until": until} if until else {}),
            **({"reason": word.reason.strip()} if word.reason.strip() else {}),
            **({"waves": word.waves} if word.waves else {}),
        }
        metadata = {"generateName": f"{word.decision[:200]}-{word.ruling.value.lower()}-", "namespace": word.namespace}
        body = {"apiVersion": API_VERSION, "kind": "Approval", "metadata": metadata, "spec": said}
        return await client.post(f"{root}/approvals", body)
