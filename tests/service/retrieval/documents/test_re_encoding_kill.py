"""A process that is killed while it moves a collection to another encoder; the next or another one goes on."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_service.encoding import Encoder
from softkv_service.storage import SQLiteStore
from tests.service.retrieval.documents.test_re_encoding import (
    TEXTS,
    ended,
    filled,
    folder,
    hidden_gone,
    is_exact,
    models,
    running,
    text,
)
from tests.thorough import thorough

__all__ = ["folder", "models"]  # fixtures

# Kills itself: after the third batch is on disk, within the transaction that replaces the collection, or as soon as
# that one is on disk.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from softkv_service.encoding import load_encoder
from softkv_service.storage import SQLiteStore, open_shared
from tests.service.retrieval.documents.test_re_encoding import TEXTS, is_exact, running, text

moment, batches = sys.argv[3], 0

def end():
    os.kill(os.getpid(), signal.SIGKILL)

def keep_copies(self, *arguments, real=Writer.keep_copies):
    global batches
    real(self, *arguments)
    batches += 1
    if moment == "batch" and batches == 3:
        self.after_commit(end)

def replace_collection(self, *arguments, real=Writer.replace_collection):
    record = real(self, *arguments)
    end() if moment == "before the move" else self.after_commit(end)
    return record

Writer.keep_copies, Writer.replace_collection = keep_copies, replace_collection
"""

# Moves the collection.
MOVER = f"""
from softkv_service.storage.sqlite.writer import Writer
{KILLED}
async def move():
    models = {{name: load_encoder(sys.argv[2] + "/" + name) for name in ("old", "new")}}
    with SQLiteStore.open(Path(sys.argv[1])) as store:
        async with running(store, models) as service:
            if moment != "before":
                await asyncio.sleep(60)
            await service.jobs.start(service.collection(), "new")
            end()

asyncio.run(move())
"""


@pytest.mark.kill
@pytest.mark.parametrize("moment", [thorough("before"), "batch", "before the move", "after the move"])
def test_the_next_start_goes_on(tmp_path: Path, folder: Path, models: dict[str, Encoder], moment: str) -> None:
    data = tmp_path / "data"

    async def begin() -> None:
        with SQLiteStore.open(data) as store:
            async with running(store, models, jobs=False) as service:
                await filled(service, 600)
                if moment != "before":
                    await service.jobs.start(service.collection(), "new")

    asyncio.run(begin())
    killed = subprocess.run([sys.executable, "-c", MOVER, str(data), str(folder), moment], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL

    async def go_on() -> None:
        with SQLiteStore.open(data) as store:
            async with running(store, models, jobs=False) as service:
                moved = moment == "after the move"
                status = service.last_job()
                assert status.job.state == ("done" if moved else "running")
                assert status.done == {"before": 0, "batch": 384, "before the move": 600, "after the move": 600}[moment]
                assert is_exact(await service.attend(text(7)), models["new" if moved else "old"], text(7), TEXTS)
            async with running(store, models) as service:
                assert (await ended(service)).job.state == "done"
                assert is_exact(await service.attend(text(7)), models["new"], text(7), TEXTS)
                assert service.collection().ids() == {f"{i:05}" for i in range(600)}
                await hidden_gone(service)

    asyncio.run(go_on())
