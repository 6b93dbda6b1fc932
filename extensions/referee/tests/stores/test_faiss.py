"""FAISS: indexes whose vectors come back, one that lacks rows of the originals, one that compresses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from extensions.referee.tests.stores.conftest import ROWS, WIDTH, Check, script

pytestmark = pytest.mark.integration

FILL = """
import faiss
vectors = np.load("vectors.npy")[:rows]
index = faiss.index_factory(vectors.shape[1], kind, getattr(faiss, metric))
index.train(vectors)
index.add_with_ids(vectors, np.arange(rows) * 7) if numbered else index.add(vectors)
faiss.write_index(index, "it.faiss")
"""


def fill(
    folder: Path,
    vectors: NDArray[np.float32],
    kind: str,
    metric: str = "METRIC_L2",
    *,
    rows: int = ROWS,
    numbered: bool = False,
) -> Path:
    np.save(folder / "vectors.npy", vectors)
    script(FILL, folder, kind=kind, metric=metric, rows=rows, numbered=numbered)
    return folder / "it.faiss"


@pytest.mark.parametrize(
    ("kind", "metric", "numbered", "least"),
    [
        ("Flat", "METRIC_INNER_PRODUCT", False, 1),
        ("HNSW16", "METRIC_L2", False, 0.9),
        ("IVF20,Flat", "METRIC_L2", True, 0.3),
        ("IDMap,HNSW16", "METRIC_L2", True, 0.9),
        ("PCA8,Flat", "METRIC_L2", False, 1),
    ],
)
def test_the_vectors_of_an_index_come_back(
    check: Check,
    tmp_path: Path,
    vectors: NDArray[np.float32],
    questions: Path,
    kind: str,
    metric: str,
    numbered: bool,
    least: float,
) -> None:
    index = fill(tmp_path, vectors, kind, metric, numbered=numbered)
    checked = check(index, "--from", "faiss", "--questions", questions)
    assert checked.messages == "" or set(checked.faults) == {"low_recall"}, checked.messages
    assert checked.report["rows"]["compared"] == ROWS
    assert checked.report["summary"]["reach"]["unreachable"] == 0
    assert checked.report["summary"]["groups"][0]["recall"]["mean"] >= least
    step = 7 if numbered else 1
    assert all(int(id_) % step == 0 for record in checked.report["questions"] for id_ in record["returned"])


def test_more_probes_raise_the_recall_beside_the_run_before(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path
) -> None:
    command = (fill(tmp_path, vectors, "IVF300,Flat"), "--from", "faiss", "--questions", questions)
    narrow = check(*command, "--report", tmp_path / "narrow.json")
    assert "The search is too narrow" in narrow.faults["low_recall"]
    wide = check(*command, "--set", "nprobe=300", "--before", tmp_path / "narrow.json")
    assert wide.code == 0, wide.faults
    recall = narrow.report["summary"]["groups"][0]["recall"]["mean"]
    assert wide.report["compared"]["recall"]["mean"] == pytest.approx(1 - recall)
    assert sorted(wide.report["compared"]["faults_gone"]) == sorted(narrow.faults.values())


@pytest.mark.end_to_end
def test_an_index_that_lacks_rows_of_the_originals_is_named(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path
) -> None:
    index = fill(tmp_path, vectors, "HNSW16", rows=ROWS * 9 // 10)
    originals = tmp_path / "vectors.npy"
    checked = check(index, "--from", "faiss", "--originals", originals, "--questions", questions)
    assert checked.code == 1
    assert checked.faults["unreachable_rows"].startswith("about a tenth of the rows cannot be reached")
    lost = [int(row["id"]) for row in checked.report["probes"]["rows"] if not row["found"]]
    assert min(lost) >= ROWS * 9 // 10


def test_a_compressed_index_is_compared_with_the_originals(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path
) -> None:
    index = fill(tmp_path, vectors, "PQ4x4")
    compressed = check(index, "--from", "faiss", "--questions", questions)
    assert "may have compressed its vectors" in compressed.report["searches"][0]["note"]
    true = check(index, "--from", "faiss", "--originals", tmp_path / "vectors.npy", "--questions", questions)
    assert true.report["searches"][0]["note"] == ""
    recalls = [run.report["summary"]["groups"][0]["recall"]["mean"] for run in (compressed, true)]
    assert recalls[0] > recalls[1] + 0.2


def test_an_invalid_request_is_refused(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path
) -> None:
    index = fill(tmp_path, vectors, "Flat")
    np.save(tmp_path / "narrow.npy", vectors[:, : WIDTH - 1])
    cases = [
        ([tmp_path / "none", "--questions", questions], 1, "is not a file"),
        ([questions, "--questions", questions], 1, "is not an index of FAISS"),
        ([index, "notes", "--questions", questions], 1, "the name of a collection is not for faiss"),
        ([index, "--filter", "{}", "--questions", questions], 1, "takes no filter"),
        ([index, "--set", "ef=3", "--questions", questions], 1, "FAISS takes efSearch, nprobe"),
        ([index, "--set", "nprobe=0", "--questions", questions], 1, "expected a whole number of at least 1"),
        ([index, "--originals", tmp_path / "narrow.npy", "--questions", questions], 1, "expected vectors of width 16"),
        ([index, "--questions", tmp_path / "narrow.npy"], 1, "expected a vector of width 16, as the store's, got 15"),
    ]
    for arguments, code, says in cases:
        checked = check(*arguments, "--from", "faiss")
        assert (checked.code, says in checked.messages) == (code, True), checked.messages
