"""`softkv re-encode COLLECTION ENCODER`: move a collection to another encoder, and watch it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from softkv.commands.command_line import ApiKey, AsJSON, CommandError, Url
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from softkv import Collection, ReEncoding

WATCH_SECONDS = 0.5
RETRIES = 240
"""Attempts to reach a service that restarts, before the command gives up watching; the job goes on without it."""


def re_encode(
    collection: Annotated[str, typer.Argument(help="The name of the collection.", show_default=False)],
    encoder: Annotated[str, typer.Argument(help="The name of the other encoder.", show_default=False)],
    temperature: Annotated[
        float | None, typer.Option(help="The default temperature afterwards.", show_default="that of the encoder")
    ] = None,
    keep_vectors: Annotated[
        bool, typer.Option("--keep-vectors", help="Keep vectors that no encoder can make from the texts.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the move that is in progress, to whichever encoder.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Move a collection to another encoder while it is read and written.

    The service encodes all documents in the background. Answers have the
    vectors of the old encoder until all are done, and of the other one from
    then on. Ctrl-C ends only the watching: the same command watches the
    move again, or says that it is done.

    softkv re-encode library nomic
    """
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import connect

    with connect(url, api_key) as client, progress(messages()) as bar:
        moved = client.collection(collection)
        if cancel:
            job = moved.cancel_re_encoding()
        else:
            job = _begin(moved, encoder, temperature, keep_vectors=keep_vectors)
            task = bar.add_task(f"{collection} to {encoder}", total=job.documents)
            try:
                job = _watch(moved, job, lambda now: bar.update(task, completed=now.done, total=now.documents))
            except KeyboardInterrupt:
                raise CommandError(
                    f"the service goes on re-encoding {collection!r}: the same command watches it again, with --cancel "
                    "it ends"
                ) from None
    if as_json:
        write_json({"from" if name == "source" else name: value for name, value in vars(job).items()})
    else:
        dropped = "".join(f", without its {name}" for name in job.drops)
        output().print(f"{collection}: {job.state}, {job.done:,} of {job.documents:,} documents{dropped}")
    if job.state == "failed" or (job.state == "cancelled" and not cancel):
        raise CommandError(f"re-encoding {collection!r} is {job.state}: {job.reason or 'it was cancelled'}")


def _begin(collection: Collection, encoder: str, temperature: float | None, *, keep_vectors: bool) -> ReEncoding:
    """Begin the job; or return the last one, if it moves the collection to this encoder or has moved it."""
    from softkv import Conflict, Invalid

    try:
        return collection.re_encode(encoder, temperature=temperature, vectors="keep" if keep_vectors else None)
    except (Conflict, Invalid) as refusal:
        is_about_the_move = isinstance(refusal, Conflict) or any(flaw.pointer == "/encoder" for flaw in refusal.errors)
        job = collection.info().re_encode if is_about_the_move else None
        if job is None or job.to != encoder or job.state in ("failed", "cancelled"):
            raise
        return job


def _watch(collection: Collection, job: ReEncoding, show: Callable[[ReEncoding], object]) -> ReEncoding:
    """Show how far a job is until it has ended, also while the service restarts; return the job at its end."""
    from softkv import Unreachable

    failures = 0
    while not job.over:
        time.sleep(WATCH_SECONDS)
        try:
            latest, failures = collection.info().re_encode, 0
        except Unreachable:
            failures += 1
            if failures > RETRIES:
                raise
            continue
        if latest is None:
            raise CommandError(f"{collection.name!r} was deleted and created again: its move ended")
        job = latest
        show(job)
    return job
