"""A process killed in the middle of writing loses nothing it acknowledged and leaves nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import WriteAnswered
from softkv_service.storage.records import WriteAnswer, WriteRequest

# Writes one document once, and kills itself before the commit or as soon as it is on disk.
ONCE = """
import os, signal, sys
from pathlib import Path
from softkv_service.storage import IdempotentWrite, SQLiteStore
from softkv_service.storage.records import WriteAnswer, WriteRequest
from tests.service.storage.making import SETTINGS, document

def end():
    os.kill(os.getpid(), signal.SIGKILL)

store = SQLiteStore.open(Path(sys.argv[1]))
with store.writing() as writer:
    number = writer.create_collection("c", SETTINGS).id
once = IdempotentWrite(WriteRequest("caller", "key", b"digest", 1), lambda did: WriteAnswer(201, b"done"))
with store.writing(once) as writer:
    writer.upsert(number, [document("a")])
    writer.keep_answer(once, None)
    writer.after_commit(end) if sys.argv[2] == "after" else end()
"""
REPEATED = WriteRequest("caller", "key", b"digest", 2)


@pytest.mark.kill
@pytest.mark.parametrize("moment", ["before", "after"])
def test_kill_nine_at_the_commit_of_a_write_that_is_done_once(tmp_path: Path, moment: str) -> None:
    """Either the write and its answer are there, or neither."""
    command = [sys.executable, "-c", ONCE, str(tmp_path), moment]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == -signal.SIGKILL
    with SQLiteStore.open(tmp_path) as store:
        with store.reading() as reader:
            written = [document.id for document in reader.page(reader.collection("c").id, limit=9)]
        if moment == "before":
            store.refuse_answered(REPEATED)
            assert written == []
        else:
            with pytest.raises(WriteAnswered) as answered:
                store.refuse_answered(REPEATED)
            assert (answered.value.answer, written) == (WriteAnswer(201, b"done"), ["a"])
        assert list(store.check()) == []
