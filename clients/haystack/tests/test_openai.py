"""Haystack's own classes for OpenAI's embeddings, pointed at a service with two encoders."""

from __future__ import annotations

import os

import numpy as np
import pytest
from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.utils import Secret
from openai import NotFoundError

MODEL, SMALL = "all-MiniLM-L6-v2", "small"
TEXTS = ["relational databases", "a cat asleep in the sun", "word " * 300]


def embedder(kind, model, **options):
    return kind(
        model=model, api_base_url=f"{os.environ['SOFTKV_URL']}/v1", api_key=Secret.from_token("none"), **options
    )


@pytest.mark.parametrize("model", [MODEL, SMALL])
def test_vectors_are_those_of_the_model_that_is_named(client, runner, model):
    expected = client.encode(TEXTS, model=model)
    documents = [Document(content=text) for text in TEXTS]
    result = embedder(OpenAIDocumentEmbedder, model, batch_size=2, progress_bar=False).run(documents)
    assert np.array([document.embedding for document in result["documents"]]) == pytest.approx(expected, abs=1e-6)
    assert result["meta"]["model"] == model
    text = embedder(OpenAITextEmbedder, model)
    assert np.array(text.run(TEXTS[1])["embedding"]) == pytest.approx(expected[1], abs=1e-6)
    assert np.array(runner.run(text.run_async(TEXTS[1]))["embedding"]) == pytest.approx(expected[1], abs=1e-6)


def test_fewer_dimensions_are_the_first_ones_at_length_one(client):
    first = client.encode(TEXTS[:1], model=SMALL)[0, :8]
    result = embedder(OpenAITextEmbedder, SMALL, dimensions=8).run(TEXTS[0])
    assert np.array(result["embedding"]) == pytest.approx(first / np.linalg.norm(first), abs=1e-6)


def test_a_model_that_is_not_there_is_named_with_those_that_are():
    """A document embedder logs the error of a batch and returns its documents without embeddings, by default."""
    with pytest.raises(NotFoundError, match=f"{MODEL}, {SMALL}.*nothing"):
        embedder(OpenAITextEmbedder, "nothing").run("a")
    strict = embedder(OpenAIDocumentEmbedder, "nothing", raise_on_failure=True, progress_bar=False)
    with pytest.raises(NotFoundError, match=f"{MODEL}, {SMALL}.*nothing"):
        strict.run([Document(content="a")])
