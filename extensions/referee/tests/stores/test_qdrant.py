"""qdrant, in its client's local mode, whose search is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from extensions.referee.tests.stores.conftest import WIDTH, Check, script

pytestmark = pytest.mark.integration

ROWS = 500
FILL = """
from qdrant_client import QdrantClient, models
client = QdrantClient(path="qdrant")
size = models.VectorParams(size=width, distance=models.Distance[distance])
client.create_collection("points", size)
client.create_collection("named", {"text": size, "image": size})
vectors = np.load("vectors.npy").tolist()
point = models.PointStruct
client.upsert("points", [point(id=row, vector=vector, payload={"percent": row % 100})
                         for row, vector in enumerate(vectors)])
client.upsert("named", [point(id=row, vector={"image": vector} if row % 2 else {"text": vector, "image": vector})
                        for row, vector in enumerate(vectors)])
client.close()
"""


def fill(folder: Path, vectors: NDArray[np.float32], distance: str) -> Path:
    np.save(folder / "vectors.npy", vectors[:ROWS])
    script(FILL, folder, distance=distance, width=WIDTH)
    return folder / "qdrant"


@pytest.mark.parametrize(("distance", "similarity"), [("COSINE", "cosine"), ("DOT", "dot"), ("EUCLID", "gaussian")])
def test_the_local_mode_is_exact(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path, distance: str, similarity: str
) -> None:
    folder = fill(tmp_path, vectors, distance)
    condition = json.dumps({"must": [{"key": "percent", "range": {"lt": 5}}]})
    checked = check(folder, "points", "--from", "qdrant", "--questions", questions, "--filter", condition)
    assert checked.code == 0, checked.messages
    assert checked.report["similarity"] == similarity
    whole, filtered = checked.report["summary"]["groups"]
    assert whole["recall"]["mean"] == filtered["recall"]["mean"] == 1
    assert filtered["passing"] == [25, 25]
    assert "local mode compares every vector" in checked.report["searches"][0]["note"]


def test_points_without_the_named_vector_are_counted(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path
) -> None:
    folder = fill(tmp_path, vectors, "COSINE")
    checked = check(folder, "named", "--from", "qdrant", "--vector", "text", "--questions", questions)
    assert (checked.code, set(checked.faults)) == (1, {"rows_without_vector"})
    assert checked.report["rows"]["without_vector"] == ROWS // 2
    assert checked.report["summary"]["groups"][0]["recall"]["mean"] == 1


def test_an_invalid_request_is_refused(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path
) -> None:
    folder = fill(tmp_path, vectors, "MANHATTAN")
    cases = [
        ([folder, "points"], 1, "points is searched by Manhattan"),
        ([folder, "named"], 1, "has the vectors image, text: name one"),
        ([tmp_path, "points"], 1, "has no file meta.json"),
        (["http://127.0.0.1:1", "points"], 3, "no qdrant answers"),
    ]
    for arguments, code, says in cases:
        checked = check(*arguments, "--from", "qdrant", "--questions", questions)
        assert (checked.code, says in checked.messages) == (code, True), checked.messages
