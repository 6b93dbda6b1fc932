"""`softkv export`: out of the file comes the same collection, vectors bit by bit, and nothing is encoded for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.examples import same
from tests.running import RunningService
from tests.service.commands.conftest import COMMAND, Softkv

ALL = {
    "limit": 10_000,
    "include": ["key", "value", "metadata", "key_vector", "value_vector"],
    "vector_format": "base64",
}
LONG = "A glacier carves its valley. " * 9 + "A baker feeds the sourdough. " * 9


@pytest.fixture(autouse=True)
def without_them(client: httpx.Client) -> Iterator[None]:
    names = ("exported", "again")
    for name in names:
        client.delete(f"/v1/collections/{name}")
    yield
    for name in names:
        client.delete(f"/v1/collections/{name}")


def write(client: httpx.Client, settings: dict[str, Any], documents: list[dict[str, Any]]) -> None:
    client.put("/v1/collections/exported", json=settings).raise_for_status()
    client.post("/v1/collections/exported/documents", json={"documents": documents}).raise_for_status()


def stored(client: httpx.Client, name: str, *include: str) -> Any:
    body = ALL | ({"include": include} if include else {})
    return client.post(f"/v1/collections/{name}/documents/query", json=body).raise_for_status().json()["documents"]


def settings(client: httpx.Client, name: str) -> dict[str, Any]:
    info: dict[str, Any] = client.get(f"/v1/collections/{name}").json()
    return {field: setting for field, setting in info.items() if field not in ("name", "costs", "words")}


def answer(client: httpx.Client, name: str, query: Any) -> Any:
    body = {"query": query, "top_k": 5, "include": ["output", "value"]}
    return client.post(f"/v1/collections/{name}/attend", json=body).raise_for_status().json() | {"took_ms": 0}


TEXTS = [
    {"id": "text", "key": "cats", "value": "Old Possum", "metadata": {"year": 1939, "a": {"b": [1, None, "ü"]}}},
    {"id": "key alone", "key": "chess"},
    {"id": "key as value", "key": "chess", "value": "chess"},
    {"id": "value that is no text", "key": "tides", "value": {"hours": [3, 15], "none": None}},
    {"id": "no value", "key": "tides", "value": None},
    {"id": "split", "key": LONG, "split": {"tokens": 20}},
    {"id": "split, with a value", "key": LONG, "value": "On two things", "split": {"tokens": 20}},
    {"id": "own value vector", "key": "war", "value_vector": [0.1] * 384},
    {"id": "keyless", "value": [1, 2.5, True], "metadata": {"n": 12345678901234567}},
    {"id": "\u00e9/?#%", "key": "a \U0001f408", "value": "a \u0000"},
]
RANDOM = np.random.default_rng(3)
VECTORS = [
    *({"id": f"{n:04}", "key_vector": RANDOM.normal(size=3).tolist(), "value": n} for n in range(1200)),
    {
        "id": "several",
        "key": "cats dogs",
        "key_vectors": [[1, 0, 1e-40], [0, -0.0, 1]],
        "parts": [{"start": 0, "end": 4}, {"start": 5, "end": 9}],
    },
    {"id": "several without parts", "key_vectors": [[1, 0, 0], [0, 1, 0]], "value_vector": [5, 6, 7]},
    {"id": "keyless", "key": "a text that nobody encodes"},
    {"id": "the same value", "key_vector": [1, 2, 3], "value_vector": [1, 2, 3]},
]


@pytest.mark.parametrize(
    ("made", "documents", "query"),
    [
        ({"temperature": 0.07, "null": "strict"}, TEXTS, "a cat"),
        ({"value_from": "key", "null": -0.5}, TEXTS, "a cat"),
        ({"encoder": None, "similarity": "gaussian", "temperature": 0.3, "null": 0.25}, VECTORS, [1, 0.5, 0]),
        (
            {"encoder": None, "similarity": "dot", "expire_after": "30d", "defaults": {"top_k": 3}},
            [{"id": "a", "value": 1, "expires": "2126-01-01T00:00:00Z"}, {"id": "never", "expires": None}],
            None,
        ),
    ],
)
def test_an_exported_collection_is_loaded_unchanged(
    softkv: Softkv, client: httpx.Client, tmp_path: Path, made: Any, documents: Any, query: Any
) -> None:
    write(client, made, documents)
    file = tmp_path / "exported.ndjson"
    result = softkv("export", "exported", str(file))
    assert result.stdout == f"{file}: {len(documents):,} documents of exported\n"
    assert list(tmp_path.iterdir()) == [file]
    ended = softkv("load", str(file), "--collection", "again")
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith(f"again: {len(documents):,} documents written")
    assert stored(client, "again") == stored(client, "exported")
    assert stored(client, "again", "sent_value") == stored(client, "exported", "sent_value")
    assert settings(client, "again") == settings(client, "exported")
    if query is not None:
        same(answer(client, "again", query), answer(client, "exported", query))
    softkv("export", "again", str(tmp_path / "again.ndjson"))
    lines = [path.read_bytes().split(b"\n", 1)[1] for path in (file, tmp_path / "again.ndjson")]
    assert lines[0] == lines[1]


def test_from_one_service_into_another_without_a_file(service: RunningService, client: httpx.Client) -> None:
    write(client, {"encoder": None, "similarity": "dot"}, VECTORS)
    export = [*COMMAND, "export", "exported", "-", "--url", service.url]
    out = subprocess.run(export, stdout=subprocess.PIPE, check=True).stdout
    load = [*COMMAND, "load", "-", "--url", service.url]
    subprocess.run([*load, "--collection", "again"], input=out, check=True, stdout=subprocess.DEVNULL)
    assert stored(client, "again") == stored(client, "exported")
    client.delete("/v1/collections/exported")
    subprocess.run(load, input=out, check=True, stdout=subprocess.DEVNULL)
    assert stored(client, "exported") == stored(client, "again")  # under its own name


def test_a_flag_says_more_than_the_file(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    write(client, {"encoder": None, "similarity": "dot"}, VECTORS)
    file = tmp_path / "exported.ndjson"
    softkv("export", "exported", str(file))
    assert softkv("load", str(file), "--collection", "again", "--similarity", "cosine").exit_code == 0
    assert settings(client, "again")["similarity"] == "cosine"
    assert "similarity" in softkv("load", str(file), "--collection", "again", "--similarity", "dot").stderr


def test_an_export_of_a_later_version_is_not_guessed_at(softkv: Softkv, tmp_path: Path) -> None:
    (tmp_path / "again.ndjson").write_text('{"softkv_export": 2, "collection": "x", "settings": {}}\n')
    ended = softkv("load", str(tmp_path / "again.ndjson"))
    assert ended.exit_code == 1
    assert "version 2" in ended.stderr


def test_a_failure_leaves_the_old_file_alone(softkv: Softkv, tmp_path: Path) -> None:
    file = tmp_path / "atlantis.ndjson"
    file.write_bytes(b"old")
    ended = softkv("export", "atlantis", str(file))
    assert (ended.exit_code, list(tmp_path.iterdir()), file.read_bytes()) == (1, [file], b"old")
    assert "no collection 'atlantis'" in ended.stderr


@pytest.mark.parametrize(
    ("file", "code", "reason"),
    [("/nowhere/e.ndjson", 1, "cannot be written"), ("e.xlsx", 2, "has another extension than")],
)
def test_an_export_to_an_unwritable_file_is_refused(
    softkv: Softkv, client: httpx.Client, file: str, code: int, reason: str
) -> None:
    write(client, {"encoder": None}, [{"id": "a"}])
    ended = softkv("export", "exported", file)
    assert ended.exit_code == code
    assert reason in ended.stderr
