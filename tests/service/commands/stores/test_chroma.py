"""`softkv import --from chroma`: what chroma itself answers comes out of its directory, without chroma."""

from __future__ import annotations

import base64
import json
import pickle
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.commands.errors import CommandError, Misused
from service.commands.stores.chroma import open_chroma
from service.commands.stores.record import Wanted
from tests.service.commands.conftest import Softkv

HERE = Path(__file__).parent
# What chroma 1.5.9 answered to get() on the directory that it left: 30 documents added one by one, of which twenty
# moved out of the queue into files; two deleted meanwhile, and some changed.
ANSWERED = [json.loads(line) for line in (HERE / "chroma.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with tarfile.open(HERE / "chroma.tar.xz") as archive:
        archive.extractall(tmp_path / "chroma", filter="data")
    return tmp_path / "chroma"


@pytest.fixture(autouse=True)
def without_poems(client: httpx.Client) -> Iterator[None]:
    client.delete("/v1/collections/poems")
    yield
    client.delete("/v1/collections/poems")


def documents(directory: Path, **wanted: str) -> list[dict[str, Any]]:
    source = open_chroma(directory, Wanted(**{"collection": "poems", **wanted}))
    read = [entry.document or {} for entry in source.entries()]
    assert source.total == len(read)
    return read


def numbers(document: dict[str, Any]) -> list[float]:
    return [float(x) for x in np.frombuffer(base64.b64decode(document["key_vector"]["base64"]), dtype="<f4")]


def test_what_chroma_answers_comes_out(directory: Path) -> None:
    read = {document["id"]: document for document in documents(directory)}
    assert list(read) == [each["id"] for each in ANSWERED]
    for each in ANSWERED:
        found = read[each["id"]]
        assert numbers(found) == each["vector"]
        assert found.get("key") == each["document"]
        assert found["metadata"] == (each["metadata"] or {})
    assert len(read) == 28
    assert any(each["vector"] == [4, 3, 2, 1] for each in ANSWERED)  # changed after it had moved


def test_similarities_order_as_its_distances_do(directory: Path) -> None:
    said = {name: open_chroma(directory, Wanted(name)).settings["similarity"] for name in ("poems", "cosines")}
    assert said == {"poems": "gaussian", "cosines": "cosine"}


def test_fields_become_the_key_and_the_value(directory: Path) -> None:
    second = documents(directory, key="s", value="tags")[1]
    assert (second["key"], second["value"]) == ("é", ["a", "b"])
    assert second["metadata"].keys() == {"n", "f", "even"}


def test_it_is_imported_and_an_interruption_goes_on(softkv: Softkv, client: httpx.Client, directory: Path) -> None:
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    take = ["import", "--from", "chroma", str(directory), "poems"]
    ended = softkv(*take)
    assert (ended.exit_code, ended.stdout) == (0, "poems: 28 documents written\n"), ended.stderr
    client.post("/v1/collections/poems/documents/delete", json={"ids": ["d7", "d8"]})
    told = json.loads(softkv(*take, "--resume", "--json").stdout)
    assert (told["upserted"], told["skipped"]) == (2, 26)
    asked = client.post("/v1/collections/poems/attend", json={"query": [4, 3, 2, 1], "include": ["key"], "top_k": 1})
    assert asked.json()["matches"][0]["id"] == "d6"
    assert client.get("/v1/collections/poems").json()["similarity"] == "gaussian"
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before


def test_records_that_cannot_be_are_named(softkv: Softkv, directory: Path) -> None:
    with sqlite3.connect(directory / "chroma.sqlite3") as database:
        database.execute("UPDATE embeddings SET embedding_id = 'a' || char(10) WHERE embedding_id = 'd1'")
    ended = softkv("import", "--from", "chroma", str(directory), "poems")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("record 2: ")
    assert "27 documents written" in ended.stdout


class Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("/tmp/softkv-was-here"),)


def test_a_pickle_does_nothing_here(directory: Path, tmp_path: Path) -> None:
    (index,) = directory.rglob("index_metadata.pickle")
    for harmful in (Harm(), {"id_to_label": {"d1": Harm()}}):
        index.write_bytes(pickle.dumps(harmful))
        with pytest.raises(CommandError, match=r"Path"):
            documents(directory)
    assert not Path("/tmp/softkv-was-here").exists()
    index.write_bytes(b"\x80\x04no pickle")
    with pytest.raises(CommandError, match=r"index_metadata\.pickle"):
        documents(directory)


def test_what_is_no_directory_of_chroma(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(Misused, match=r"chroma\.sqlite3"):
        open_chroma(tmp_path, Wanted("poems"))
    with pytest.raises(CommandError, match="its collections are cosines, poems: name one with --source"):
        open_chroma(directory, Wanted("novels"))
    shutil.copy(HERE / "chroma.jsonl", directory / "chroma.sqlite3")
    with pytest.raises(CommandError, match=r"is not what chroma 0\.4 and later keep"):
        open_chroma(directory, Wanted("poems"))


def test_writes_that_chroma_did_not_finish_are_no_guess(directory: Path) -> None:
    with sqlite3.connect(directory / "chroma.sqlite3") as database:
        database.execute("UPDATE max_seq_id SET seq_id = 30 WHERE seq_id = 35")
    with pytest.raises(CommandError, match="open it with chroma once"):
        documents(directory)
