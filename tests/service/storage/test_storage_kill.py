"""A process killed in the middle of writing loses nothing it acknowledged and leaves nothing half-written."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.storage import SQLiteStore, WriteAnswer, WriteAnswered, WriteRequest

# Each transaction replaces the three documents of the one before and adds one of its own; its
# number is printed once the commit has returned. Large values make several pages a commit.
WRITER = """
import sys
from pathlib import Path
from service.storage import SQLiteStore
from tests.service.storage.making import SETTINGS, document

store = SQLiteStore.open(Path(sys.argv[1]))
with store.writing() as writer:
    names = [record.name for record in writer.collections()]
    number = writer.collection("c").id if names else writer.create_collection("c", SETTINGS).id
turn = int(sys.argv[2])
while True:
    turn += 1
    with store.writing() as writer:
        writer.upsert(number, [document(each, turn, value="x" * 9000) for each in ("a", "b", "c", f"own {turn:06}")])
    print(turn, flush=True)
"""

# Writes one document once, and kills itself before the commit or as soon as it is on disk.
ONCE = """
import os, signal, sys
from pathlib import Path
from service.storage import IdempotentWrite, SQLiteStore, WriteAnswer, WriteRequest
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


@pytest.mark.end_to_end
@pytest.mark.kill
def test_kill_nine_at_random_moments(tmp_path: Path) -> None:
    moments = random.Random(7)
    root = Path(__file__).parents[3]
    acknowledged = 0
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(moments.uniform(0, 0.15))
            child.kill()
            numbers = [
                int(line) for line in (first + child.stdout.read()).splitlines(keepends=True) if line.endswith("\n")
            ]
        assert numbers
        with SQLiteStore.open(tmp_path) as store, store.reading() as reader:
            number = reader.collection("c").id
            documents = {document.id: document.metadata["seed"] for document in reader.page(number, limit=10**6)}
            rows = sum(len(vector.numbers) for vector in reader.vectors(number))
            assert list(store.check()) == []
        # The last commit may have reached the disk without having been acknowledged.
        written = documents["a"]
        assert numbers[-1] <= written <= numbers[-1] + 1
        assert documents["a"] == documents["b"] == documents["c"]
        own_documents = {f"own {turn:06}": turn for turn in range(1, written + 1)}
        assert {identity: seed for identity, seed in documents.items() if identity.startswith("own")} == own_documents
        assert rows == len(documents)
        acknowledged = written
