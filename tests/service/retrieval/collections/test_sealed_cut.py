"""A file that is cut while it is mapped ends no process: its rows are read from the store again."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from softkv_attention.lookup import Question, answer
from softkv_service.retrieval.errors import CollectionLoading
from tests.examples import ROOT
from tests.service.retrieval.sealing import WIDTH, asked, documents, files, make_batches_small, opened, settled, written

LEFT = 4096
"""The bytes that are left of a file, its head. The system ends a process that reads beyond them, by SIGBUS."""

ACTIONS = {
    "ask": lambda collection: collection.snapshot().__enter__(),
    "write": lambda collection: collection.write(documents(200, 201)),
    "delete": lambda collection: collection.delete(ids=["0003"]),
    "read": lambda collection: collection.reading().__enter__(),
}


def run_all(directory: Path) -> None:
    """Try every action, each in a process of its own, which has what this one imported."""
    make_batches_small(pytest.MonkeyPatch())
    for action in (*ACTIONS, "tidy"):
        process = get_context("fork").Process(target=run, args=(action, directory / action))
        process.start()
        process.join()
        assert process.exitcode == 0, action


def run(action: str, directory: Path) -> None:
    """Cut each file of a collection in use, and see that it refuses an action once, and answers as before."""
    written(directory, documents(0, 200))
    with opened(directory) as made:
        collection = made.collection("c")
        question = Question(np.ones(WIDTH), 0.5, top_k=12)
        _, (before,), _ = asked(collection, [question])
        settled(collection)  # a check of its rows would read the file now
        for path in files(directory):
            os.truncate(path, LEFT)
        assert collection.memory_snapshot() is None
        if action == "tidy":
            collection.tidy()
            settled(collection)
        else:
            with pytest.raises(CollectionLoading):
                ACTIONS[action](collection)
        view, (after,), _ = asked(collection, [question])
        assert view.n == 200
        np.testing.assert_array_equal(after.numbers, before.numbers)
        np.testing.assert_allclose(after.weights, before.weights, atol=1e-7)
        assert answer(view, question).certificate.total_variation < 1e-6


@pytest.mark.skipif(os.name == "nt", reason="Windows cuts no file that is mapped")
def test_a_file_that_is_cut_in_use_ends_no_process(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from {0} import run_all; run_all(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code.format(__name__), str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
