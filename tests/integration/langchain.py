"""Run by `.venv-integrations`: {url, model, texts, dimensions} as JSON comes in, what LangChain made of it goes out."""

from __future__ import annotations

import asyncio
import json
import sys

from langchain_openai import OpenAIEmbeddings

asked = json.load(sys.stdin)
embeddings = OpenAIEmbeddings(
    model=asked["model"],
    base_url=f"{asked['url']}/v1",
    api_key="none",
    # Else it sends the tokens of OpenAI's own models, as its documentation says of other providers.
    check_embedding_ctx_length=False,
    dimensions=asked["dimensions"],
)
texts = asked["texts"]
made = {
    "documents": embeddings.embed_documents(texts),
    "query": embeddings.embed_query(texts[1]),
    "later": asyncio.run(embeddings.aembed_documents(texts)),
}
json.dump(made, sys.stdout)
