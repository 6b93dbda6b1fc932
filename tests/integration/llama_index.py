"""Run by `.venv-integrations`: {url, texts, calls} as JSON comes in, what LlamaIndex makes of each call goes out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai
from llama_index.embeddings.openai import OpenAIEmbedding

asked = json.load(sys.stdin)
texts = asked["texts"]


def embed(model: str, dimensions: int | None) -> dict[str, Any]:
    """Return the vectors of all texts and of the second as a query, or the error."""
    embeddings = OpenAIEmbedding(model_name=model, api_base=f"{asked['url']}/v1", api_key="none", dimensions=dimensions)
    try:
        return {
            "documents": embeddings.get_text_embedding_batch(texts),
            "query": embeddings.get_query_embedding(texts[1]),
            "later": asyncio.run(embeddings.aget_text_embedding_batch(texts)),
        }
    except openai.APIStatusError as error:
        return {"error": type(error).__name__, "message": str(error)}


json.dump([embed(*call) for call in asked["calls"]], sys.stdout)
