"""A collection moves to another encoder while several processes serve it, of which one is killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from extensions.postgres.tests.of_the_core import functions_with
from softkv_service.encoding import Encoder
from softkv_service.retrieval.documents import Worker
from softkv_service.storage import open_shared
from softkv_service.storage.records import DocumentRecord
from tests.postgres import PostgresServer
from tests.service.retrieval.documents.test_re_encoding import (
    TEXTS,
    ended,
    filled,
    folder,
    hidden_gone,
    is_exact,
    models,
    running,
    sent,
    text,
    write,
)
from tests.service.retrieval.documents.test_re_encoding_kill import KILLED
from tests.thorough import thorough

__all__ = ["folder", "models"]  # fixtures

globals().update(functions_with("store", "retrieval.documents.test_re_encoding"))


def test_other_processes_follow(postgres: PostgresServer, models: dict[str, Encoder]) -> None:
    """A second process serves the new vectors to every call after the move, and takes over a dead one's job."""
    one, two = (open_shared(address) for address in [postgres.database()] * 2)

    async def scenario() -> None:
        async with running(one, models) as first, running(two, models, jobs=False) as second:
            await filled(first)
            assert is_exact(await second.attend(text(7)), models["old"], text(7), TEXTS)
            await first.jobs.start(first.collection(), "new")
            await ended(second)
            assert is_exact(await second.attend(text(7)), models["new"], text(7), TEXTS)
            await write(second.collection(), sent(400))
            assert "00400" in first.collection().ids()

    asyncio.run(scenario())
    one.close()
    two.close()


# One of two processes: begins the job, answers until it kills itself, and prints the encoder of each answer.
SHARER = f"""
from softkv_postgres.writer import Writer
{KILLED}
async def share():
    models = {{name: load_encoder(sys.argv[2] + "/" + name) for name in ("old", "new")}}
    async with running(open_shared(sys.argv[1]), models) as service:
        for i in range(10**6):
            result = await service.attend(text(i % 600))
            print([name for name in models if is_exact(result, models[name], text(i % 600), TEXTS)], flush=True)
            if i == 0:
                await service.jobs.start(service.collection(), "new")

asyncio.run(share())
"""


SHORT_LEASE_SECONDS = 5.0


def is_same(stored: list[DocumentRecord], model: Encoder) -> bool:
    """Return whether every document has the key that a model makes from its text."""
    keys = model.encode([document.key or "" for document in stored], "document").vectors
    return np.allclose(np.concatenate([document.keys for document in stored]), keys, atol=1e-6)


@pytest.mark.kill
@pytest.mark.parametrize("moment", [thorough("batch"), "before the move", "after the move"])
def test_another_process_takes_over(
    postgres: PostgresServer, folder: Path, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The one that lives answers and is written to all the time: first with the old encoder, then with the new one."""
    monkeypatch.setattr("softkv_postgres.writer.LEASE_SECONDS", SHORT_LEASE_SECONDS)
    address = postgres.database()
    moved = moment == "after the move"

    async def share() -> None:
        store = open_shared(address)
        async with running(store, models, jobs=False) as service:
            await filled(service, 600)
            command = [sys.executable, "-c", SHARER, address, str(folder), moment]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
                output = asyncio.create_task(asyncio.to_thread(other.communicate, timeout=60))
                seen, written = list[str](), 600

                async def ask_and_write() -> None:
                    nonlocal written
                    query = text(written % 600)
                    result = await service.attend(query)
                    (encoder,) = [name for name in models if is_exact(result, models[name], query, TEXTS)]
                    seen.append(encoder)
                    await write(service.collection(), sent(written))
                    written += 1

                while not output.done():
                    await ask_and_write()
                lines, _ = await output
            assert other.returncode == -signal.SIGKILL
            killed = time.monotonic()
            theirs = lines.splitlines()
            assert theirs
            assert set(theirs) <= {"['old']"}  # it was killed before it could answer with the new one
            assert (await asyncio.to_thread(service.last_job)).job.state == ("done" if moved else "running")
            worker = Worker(service.catalogue, interval_seconds=0.2, grace_seconds=0.2)
            working = asyncio.create_task(worker.run())
            while (await asyncio.to_thread(service.last_job)).job.active:
                assert time.monotonic() < killed + 60
                await ask_and_write()
            if not moved:
                assert time.monotonic() > killed + SHORT_LEASE_SECONDS / 2
            await ask_and_write()
            assert seen == sorted(seen, reverse=True)  # all of the old one, then all of the new one
            assert (seen[0], seen[-1]) == ("old", "new")
            assert service.collection().ids() == {f"{i:05}" for i in range(written)}
            with service.collection().reading() as (record, reader):
                stored = reader.documents(record.id, reader.rows_where(record.id))
            assert is_same(stored, models["new"])
            await hidden_gone(service)
            working.cancel()
        store.close()

    asyncio.run(share())
