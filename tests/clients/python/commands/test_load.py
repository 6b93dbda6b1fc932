"""`softkv load`: every kind of file ends up as the same collection, and an interruption loses nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv import Client
from softkv.commands.command_line import Refused
from softkv.commands.remote import Upload
from softkv.tables import open_table
from softkv_service.retrieval.documents.backfill import MissingValues
from tests.running import RunningService
from tests.service.commands.conftest import COMMAND, Softkv

BOOKS = [
    {"id": "a/1", "key": "cats, and 猫", "value": "Old Possum", "metadata": {"year": 1939}},
    {"id": "b", "key": "chess", "value": "My 60 Memorable Games", "metadata": {"year": 1969}},
]
PATH = "/v1/collections/books"


@pytest.fixture(autouse=True)
def without_books(client: httpx.Client) -> Iterator[None]:
    client.delete(PATH)
    yield
    client.delete(PATH)


def stored(client: httpx.Client) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = client.post(f"{PATH}/documents/query", json={"limit": 10_000}).json()["documents"]
    return documents


def write_lines(path: Path, documents: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    return path


def vectors(n: int) -> list[dict[str, Any]]:
    """n documents that bring their keys, so that no text is encoded."""
    rng = np.random.default_rng(7)
    return [
        {"id": f"{i:06}", "key": None, "value": i, "metadata": {}, "key_vector": rng.normal(size=5).round(3).tolist()}
        for i in range(n)
    ]


def test_ndjson(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    ended = softkv("load", str(write_lines(tmp_path / "books.ndjson", BOOKS)))
    assert ended.stdout == "books: 2 documents written\n"
    assert stored(client) == BOOKS
    result = softkv("attend", "books", "a board game", "--json")
    assert json.loads(result.stdout)["matches"][0]["id"] == "b"


def test_standard_input(softkv: Softkv, client: httpx.Client) -> None:
    lines = "".join(json.dumps(book) + "\n" for book in BOOKS)
    assert softkv("load", "-", "--collection", "books", input=lines).exit_code == 0
    assert stored(client) == BOOKS
    assert softkv("load", "-", input=lines).exit_code == 2


def test_vectors_beside_their_ids(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    np.save(tmp_path / "books.npy", np.array([[1.0, 0.25], [0.5, -3.0]]))
    (tmp_path / "books.ids.txt").write_text("a/1\nb\n")
    ended = softkv("load", str(tmp_path / "books.npy"), "--encoder", "none", "--similarity", "dot")
    assert ended.exit_code == 0, ended.stderr
    settings = client.get(PATH).json()
    assert (settings["encoder"], settings["similarity"], settings["dimension"]) == (None, "dot", 2)
    assert client.get(f"{PATH}/documents/b?include=key_vector").json()["key_vector"] == [0.5, -3.0]


def test_a_collection_that_is_another_is_not_written_to(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    client.put(PATH, json={"similarity": "cosine"})
    ended = softkv("load", str(write_lines(tmp_path / "books.ndjson", BOOKS)), "--similarity", "dot")
    assert ended.exit_code == 1
    assert "similarity" in ended.stderr
    assert stored(client) == []


def test_bad_lines_are_named_and_the_others_are_written(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    """Line numbers are the file's, over blank lines and over what is sent at a time."""
    documents = vectors(2600)
    lines = [json.dumps(document) for document in documents]
    lines[10] = "not json"
    lines[1550] = '{"key_vector": [1, 2, 3, 4, 5]}'
    lines[1551] = '{"id": "narrow", "key_vector": [1, 2]}'
    lines[2590] = "[]"
    (tmp_path / "books.ndjson").write_text("\n\n" + "\n".join(lines) + "\n")
    ended = softkv("load", str(tmp_path / "books.ndjson"), "--encoder", "none", "--json")
    assert ended.exit_code == 1
    summary = json.loads(ended.stdout)
    assert (summary["documents"], summary["upserted"]) == (2600, 2596)
    assert [refused["line"] for refused in summary["refused"]] == [13, 1553, 1554, 2593]
    assert re.fullmatch(
        r"line 13: it is not JSON: .+\n"
        r"line 1553: /id: this field is needed\n"
        r"line 1554, id 'narrow': key_vector has width 2, .+\n"
        r"line 2593: expected a document as a JSON object, got \[\]\n"
        r"softkv: 4 documents were refused, the others are written\n",
        re.sub(r" \n(?!line|softkv)", " ", ended.stderr),
    ), ended.stderr
    assert [document["id"] for document in stored(client)] == [
        document["id"] for i, document in enumerate(documents) if i not in (10, 1550, 1551, 2590)
    ]


def test_resume_sends_only_missing_documents(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    documents = [document | {"id": f"{document['id']}/x\u00a0 "} for document in vectors(700)]
    softkv("load", str(write_lines(tmp_path / "books.ndjson", documents[:300])), "--encoder", "none")
    # Documents that the service has are not sent again, whatever the file contains now.
    before = client.get(f"{PATH}/documents/{documents[0]['id']}").json()
    documents[0]["value"] = "changed"
    summary = softkv("load", str(write_lines(tmp_path / "books.ndjson", documents)), "--resume", "--json").stdout
    counts = json.loads(summary)
    assert counts["upserted"] + counts["skipped"] == 700
    assert client.get(PATH).json()["documents"] == 700
    assert client.get(f"{PATH}/documents/{documents[0]['id']}").json()["metadata"] == before["metadata"]


@pytest.mark.thorough
def test_ctrl_c_says_how_to_go_on(service: RunningService, client: httpx.Client, tmp_path: Path) -> None:
    write_lines(tmp_path / "books.ndjson", vectors(30_000))
    command = [*COMMAND, "load", str(tmp_path / "books.ndjson"), "--encoder", "none", "--url", service.url]
    # A run in the background may ignore Ctrl-C, and its children would too.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        until = time.monotonic() + 120
        while client.get(PATH).json().get("documents", 0) < 500 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    written = re.fullmatch(
        r"softkv: interrupted\nat least ([\d,]+) documents are written: --resume sends the others\n", errors
    )
    assert written is not None
    acknowledged = int(written[1].replace(",", ""))
    assert acknowledged <= client.get(PATH).json()["documents"] <= acknowledged + 2 * 1000


def test_an_error_names_the_line_that_an_upload_reached(service: RunningService, tmp_path: Path) -> None:
    """A collection that is dropped meanwhile takes no further rows; what was acknowledged before is counted."""
    source = open_table(write_lines(tmp_path / "books.ndjson", vectors(3000)))
    with Client(service.url) as client:
        collection = client.collection("books")
        collection.create(encoder=None)
        upload = Upload(collection, source, lambda done: collection.drop() if done == 1000 else None)
        with pytest.raises(Refused, match=r"^from line 1001 on: .*'books'"):
            upload.run(resume=False)
        assert upload.upserts == 1000


@pytest.mark.parametrize("value_from", ["value", "key"])
def test_a_load_ends_with_the_number_of_values_that_wait(
    service: RunningService, softkv: Softkv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value_from: str
) -> None:
    monkeypatch.setattr(MissingValues, "find", lambda *_: {})
    rows = [{"id": str(number), "key": f"key {number}", "value": f"value {number}"} for number in range(20)]
    file = str(write_lines(tmp_path / "books.ndjson", rows))
    ended = softkv("load", file, "--value-from", value_from)
    assert ended.stdout == "books: 20 documents written\n"
    *_, last = ["", *ended.stderr.splitlines()]
    line = "20 values are still to be encoded; questions find all documents now"
    assert last == (line if value_from == "value" else "")
    counts = json.loads(softkv("load", file, "--json").stdout)
    assert counts["values_waiting"] == (20 if value_from == "value" else 0)


def test_texts_that_are_cut_are_counted(softkv: Softkv, tmp_path: Path) -> None:
    long = [{"id": "long", "key": "word " * 1000}, {"id": "short", "key": "word"}]
    ended = softkv("load", str(write_lines(tmp_path / "books.ndjson", long)))
    assert ended.stdout == "books: 2 documents written, 1 longer than the encoder reads\n"


def test_a_name_that_cannot_be(softkv: Softkv, tmp_path: Path) -> None:
    ended = softkv("load", str(write_lines(tmp_path / "my books.ndjson", BOOKS)))
    assert ended.exit_code == 2
    assert "--collection" in ended.stderr
