"""chroma: a whole index, one whose links are cut, filters, and folders without an index."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from extensions.referee.benchmarks.planted import cut_links
from extensions.referee.tests.stores.conftest import ROWS, WIDTH, Check, script
from softkv import Client
from tests.running import RunningService

pytestmark = pytest.mark.integration

FILL = """
import chromadb
client = chromadb.PersistentClient("chroma")
notes = client.create_collection("notes", configuration={"hnsw": {"space": space}}, embedding_function=None)
client.create_collection("empty", embedding_function=None)
vectors = np.load("vectors.npy")
for start in range(0, len(vectors), 1000):
    rows = range(start, min(start + 1000, len(vectors)))
    metadatas = [{"percent": row % 100} for row in rows]
    notes.add(ids=[f"n{row}" for row in rows], embeddings=vectors[rows.start : rows.stop], metadatas=metadatas)
"""


@pytest.fixture
def folder(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    return fill(tmp_path, vectors, "cosine")


def fill(folder: Path, vectors: NDArray[np.float32], space: str) -> Path:
    np.save(folder / "vectors.npy", vectors)
    script(FILL, folder, space=space)
    return folder / "chroma"


def test_a_whole_index_has_no_fault_and_the_files_stay_as_they_are(check: Check, folder: Path, questions: Path) -> None:
    files = [path for path in folder.rglob("*.bin") if path.is_file()]
    before = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    condition = json.dumps({"percent": {"$lt": 2}})
    checked = check(folder, "notes", "--from", "chroma", "--questions", questions, "--filter", condition)
    assert checked.code == 0, checked.messages
    assert [hashlib.sha256(path.read_bytes()).digest() for path in files] == before
    report = checked.report
    assert report["rows"] == report["rows"] | {"counted": ROWS, "compared": ROWS, "width": WIDTH}
    whole, filtered = report["summary"]["groups"]
    assert (whole["filter"], filtered["filter"]) == (None, {"percent": {"$lt": 2}})
    assert filtered["passing"] == [ROWS // 50, ROWS // 50]
    assert whole["recall"]["mean"] > 0.99
    assert filtered["recall"]["mean"] > 0.99


def test_rows_without_links_to_them_are_named(check: Check, folder: Path, questions: Path) -> None:
    assert cut_links(folder, 0.1) == pytest.approx(ROWS / 10, abs=1)
    checked = check(folder, "notes", "--from", "chroma", "--questions", questions)
    assert checked.code == 1
    assert checked.report["rows"]["compared"] == ROWS
    assert checked.faults["unreachable_rows"].startswith("about a tenth of the rows cannot be reached by search")
    low, high = checked.report["summary"]["reach"]["interval"]
    assert low < 0.1 < high


@pytest.mark.parametrize(("space", "similarity"), [("l2", "gaussian"), ("ip", "dot")])
def test_the_exact_answer_orders_as_the_space_does(
    check: Check, tmp_path: Path, vectors: NDArray[np.float32], questions: Path, space: str, similarity: str
) -> None:
    checked = check(fill(tmp_path, vectors, space), "notes", "--from", "chroma", "--questions", questions)
    assert checked.report["similarity"] == similarity
    assert checked.report["summary"]["groups"][0]["recall"]["mean"] > 0.97


def test_documents_are_questions_and_no_answers_to_themselves(check: Check, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.jsonl").write_text('{"id": "n5"}\n{"id": "n77", "filter": {"percent": 77}}\n')
    checked = check(folder, "notes", "--from", "chroma", "--questions", tmp_path / "asked.jsonl")
    assert checked.code == 0, checked.faults
    first, second = checked.report["questions"]
    for record, id_, passing in ((first, "n5", ROWS - 1), (second, "n77", ROWS // 100 - 1)):
        assert (record["question"], record["passing"], record["hits"]) == (id_, passing, 10)
        assert id_ not in record["returned"] + record["exact"]
        assert len(record["returned"]) == 10


def test_a_service_encodes_questions_that_are_texts(check: Check, tmp_path: Path, service: RunningService) -> None:
    texts = [f"{count} {animal}" for count in ("one", "two", "three") for animal in ("cats", "dogs", "cows", "eels")]
    with Client(service.url) as encoding:
        folder = fill(tmp_path, np.asarray(encoding.encode(texts, purpose="document"), dtype=np.float32), "cosine")
    (tmp_path / "asked.txt").write_text("two dogs\npets that purr\n")
    command = (folder, "notes", "--from", "chroma", "--questions", tmp_path / "asked.txt", "-k", "3")
    checked = check(*command, "--url", service.url)
    assert checked.code == 0, checked.messages
    assert [record["question"] for record in checked.report["questions"]] == ["two dogs", "pets that purr"]
    assert checked.report["questions"][0]["exact"][0] == f"n{texts.index('two dogs')}"
    refused = check(*command)
    assert (refused.code, "is a text: give --url of a service" in refused.messages) == (1, True)
    away = check(*command, "--url", "http://127.0.0.1:1")
    assert (away.code, "no service answers" in away.messages) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nope"], 1, "no collection 'nope', its collections are empty, notes"),
        ([], 1, "name one after the address"),
        (["empty"], 1, "the collection has no vectors (0 rows)"),
        (["notes", "--filter", '{"$nope": 1}'], 1, "chroma refused: Invalid where clause"),
        (["notes", "--filter", "percent < 2"], 2, "expected JSON"),
        (["notes", "--set", "ef=1"], 1, "chroma has no settings of a search"),
        (["notes", "--vector", "text"], 1, "--vector is not for chroma"),
    ],
)
def test_an_invalid_request_is_refused(
    check: Check, folder: Path, questions: Path, arguments: list[str], code: int, says: str
) -> None:
    checked = check(folder, *arguments, "--from", "chroma", "--questions", questions)
    assert checked.code == code, checked.messages
    assert says in checked.messages


def test_a_folder_without_chroma_is_not_made_one(check: Check, tmp_path: Path, questions: Path) -> None:
    checked = check(tmp_path / "none", "--from", "chroma", "--questions", questions)
    assert (checked.code, "has no file chroma.sqlite3" in checked.messages) == (1, True)
    assert not (tmp_path / "none").exists()
    away = check("http://127.0.0.1:1", "notes", "--from", "chroma", "--questions", questions)
    assert (away.code, "no chroma answers" in away.messages) == (3, True)
