"""The bounds of an exact answer under a key with a filter: hidden documents do not change a digit of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softkv_service.api.keyring import line_of
from tests.running import RunningService

VISIBLE = {"field": "metadata.tenant", "operator": "==", "value": "a"}


def answers(folder: Path, similarity: str, length: float) -> list[Any]:
    """Return what a key with a filter is answered beside a hidden document with a key and a value of this length."""
    folder.mkdir()
    lines = [line_of("all", "write", "", "all"), line_of("part", "read", "", "part", filter=VISIBLE)]
    (folder / "keys").write_text("".join(f"{line}\n" for line in lines))
    documents: list[dict[str, Any]] = [
        {"id": f"{i}", "key_vector": [1, i], "value_vector": [i, 2, 0], "metadata": {"tenant": "a"}} for i in range(4)
    ]
    documents.insert(
        2,
        {
            "id": "hidden",
            "key_vector": [length, 1],
            "value_vector": [length, 0, 0],
            "metadata": {"tenant": "b"},
        },
    )
    question = {"query": [1, 1], "temperature": 0.3, "include": ["output"]}
    results = []
    with RunningService(data_dir=folder / "data", encoder="none", keys_file=folder / "keys") as running:
        with running.client(headers={"x-api-key": "all"}) as client:
            client.put("/v1/collections/c", json={"similarity": similarity}).raise_for_status()
            written = client.post("/v1/collections/c/documents", json={"documents": documents})
            written.raise_for_status()
        with running.client(headers={"x-api-key": "part"}) as client:
            for options in ({}, {"normaliser": "sparsemax"}, {"temperature": 0}):
                answer = client.post("/v1/collections/c/attend", json=question | options)
                assert answer.status_code == 200, answer.text
                results.append({name: text for name, text in answer.json().items() if name != "took_ms"})
    return results


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_a_hidden_document_changes_no_digit_of_an_exact_answer(tmp_path: Path, similarity: str) -> None:
    short, long, longest = (answers(tmp_path / f"{length}", similarity, length) for length in (1.0, 2e6, 2e12))
    assert short == long == longest
    for answer in short:
        certificate = answer["certificate"] if "certificate" in answer else answer["results"][0]["certificate"]
        assert certificate["method"] == "exact"
        assert certificate["output_error"] < 1e-10
