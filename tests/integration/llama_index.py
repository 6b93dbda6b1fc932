"""Run by `.venv-integrations`: {url, model, texts} as JSON comes in, what LlamaIndex made of it goes out."""

from __future__ import annotations

import asyncio
import json
import sys

from llama_index.embeddings.openai import OpenAIEmbedding

asked = json.load(sys.stdin)
embeddings = OpenAIEmbedding(model_name=asked["model"], api_base=f"{asked['url']}/v1", api_key="none")
texts = asked["texts"]
made = {
    "documents": embeddings.get_text_embedding_batch(texts),
    "query": embeddings.get_query_embedding(texts[1]),
    "later": asyncio.run(embeddings.aget_text_embedding_batch(texts)),
}
json.dump(made, sys.stdout)
