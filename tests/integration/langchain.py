"""Run by `.venv-integrations`: {url, texts, calls} as JSON comes in, what LangChain makes of each call goes out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai
from langchain_openai import OpenAIEmbeddings

asked = json.load(sys.stdin)
texts = asked["texts"]


def embed(model: str, dimensions: int | None) -> dict[str, Any]:
    """Return the vectors of all texts and of the second as a query, or the error."""
    embeddings = OpenAIEmbeddings(
        model=model,
        base_url=f"{asked['url']}/v1",
        api_key="none",
        # Else it sends the tokens of OpenAI's own models, as its documentation says of other providers.
        check_embedding_ctx_length=False,
        dimensions=dimensions,
    )
    try:
        return {
            "documents": embeddings.embed_documents(texts),
            "query": embeddings.embed_query(texts[1]),
            "later": asyncio.run(embeddings.aembed_documents(texts)),
        }
    except openai.APIStatusError as error:
        return {"error": type(error).__name__, "message": str(error)}


json.dump([embed(*call) for call in asked["calls"]], sys.stdout)
