"""Run by `.venv-integrations`: {url, texts, calls} as JSON comes in, what Mistral's client makes of it goes out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mistralai.client import Mistral
from mistralai.client.errors import MistralError

asked = json.load(sys.stdin)
texts = asked["texts"]
address: dict[str, Any] = {"api_key": "none", "server_url": asked["url"]}
api = Mistral(**address)


def embed(model: str, dimensions: int | None) -> dict[str, Any]:
    """Return the vectors of all texts and of the second, or the error."""
    options: dict[str, Any] = {"model": model, "output_dimension": dimensions}
    try:
        answers = [
            api.embeddings.create(inputs=texts, **options),
            api.embeddings.create(inputs=texts[1], **options),
            asyncio.run(embed_later(options)),
        ]
    except MistralError as error:
        return {"error": type(error).__name__, "message": str(error)}
    documents, query, later = ([item.embedding for item in answer.data] for answer in answers)
    return {"documents": documents, "query": query[0], "later": later, "refusal": refuse(options)}


async def embed_later(options: dict[str, Any]) -> Any:
    """Return the answer about all texts to a client of this event loop."""
    async with Mistral(**address) as later:
        return await later.embeddings.create_async(inputs=texts, **options)


def refuse(options: dict[str, Any]) -> str:
    """Return the error of a call for numbers of eight bits, which its caller would read as such."""
    try:
        return str(api.embeddings.create(inputs=texts, output_dtype="int8", **options))
    except MistralError as error:
        return str(error)


json.dump([embed(*call) for call in asked["calls"]], sys.stdout)
