"""The encoder from its first moment, and what the log says of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from softkv_service import logs
from softkv_service.encoding.encoders import LoadingEncoder
from softkv_service.encoding.registry import load_encoder


def start(directory, capsys):
    """Load a model as the service does → its state, and the log's lines about it."""
    logs.configure("json")

    async def load():
        loading = LoadingEncoder(str(directory), lambda: load_encoder(str(directory)))
        await loading.start()
        await loading.close()
        return loading

    loading = asyncio.run(load())
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return loading, [line for line in lines if line["event"] == "encoder"]


@pytest.mark.parametrize(("similarity", "notes"), [("cosine", 0), ("euclidean", 1)])
def test_notes_about_a_model_are_logged_after_loading(random_model, change, capsys, similarity, notes):
    directory = random_model("BertConfig")
    change(directory / "config_sentence_transformers.json", similarity_fn_name=similarity)
    loading, lines = start(directory, capsys)
    assert loading.state == "ready"
    assert [(line["level"], line["encoder"], line["note"]) for line in lines] == [
        ("warning", str(directory), note) for note in loading.encoder.notes
    ]
    assert len(lines) == notes


def test_a_refused_model_is_stored_for_callers_and_logged(random_model, change, capsys):
    directory = random_model("BertConfig")
    change(directory / "config_sentence_transformers.json", model_type="SparseEncoder")
    loading, (line,) = start(directory, capsys)
    assert (loading.state, loading.encoder) == ("failed", None)
    assert "holds a sparse encoder" in str(loading.failure)
    assert (line["level"], line["failure"]) == ("error", str(loading.failure))
