"""The service's encoders as LlamaIndex's embedding models."""

from __future__ import annotations

import numpy as np
import pytest

from llama_index.vector_stores.softkv import SoftkvEmbedding
from softkv import NotFound

MODEL, SMALL = "all-MiniLM-L6-v2", "small"
TEXTS = ["relational databases", "a cat asleep in the sun", "cats"]


@pytest.mark.parametrize("model", [None, MODEL, SMALL])
def test_a_model_is_chosen_by_name_and_encodes_queries_and_documents_differently(client, runner, model):
    documents, queries = (client.encode(TEXTS, model=model, purpose=purpose) for purpose in ("document", "query"))
    assert np.allclose(documents, queries, atol=1e-2) == (model != SMALL)
    embeddings = SoftkvEmbedding(model)
    assert np.array(embeddings.get_text_embedding_batch(TEXTS)) == pytest.approx(documents, abs=1e-6)
    later = runner.run(embeddings.aget_text_embedding_batch(TEXTS))
    assert np.array(later) == pytest.approx(documents, abs=1e-6)
    assert np.array(embeddings.get_query_embedding(TEXTS[1])) == pytest.approx(queries[1], abs=1e-6)
    assert np.array(runner.run(embeddings.aget_query_embedding(TEXTS[1]))) == pytest.approx(queries[1], abs=1e-6)


def test_a_model_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(NotFound, match=f"{MODEL}, {SMALL}.*nothing"):
        SoftkvEmbedding("nothing").get_query_embedding("a")
