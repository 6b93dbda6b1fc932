"""Run by `.venv-integrations`: {url, texts, calls} as JSON comes in, what Voyage's client makes of it goes out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from voyageai import AsyncClient, Client
from voyageai.error import VoyageError

asked = json.load(sys.stdin)
texts = asked["texts"]
address: dict[str, Any] = {"api_key": "none", "base_url": f"{asked['url']}/v1"}
api = Client(**address)


def embed(model: str, dimensions: int | None) -> dict[str, Any]:
    """Return the vectors of all texts and of the second, or the error."""
    options: dict[str, Any] = {"model": model, "output_dimension": dimensions}
    try:
        return {
            "documents": api.embed(texts, input_type="document", **options).embeddings,
            "query": api.embed([texts[1]], **options).embeddings[0],
            "later": asyncio.run(AsyncClient(**address).embed(texts, output_dtype="float", **options)).embeddings,
            "refusal": f"{refuse(options, output_dtype='int8')} {refuse(options, truncation=False)}",
        }
    except VoyageError as error:
        return {"error": type(error).__name__, "message": str(error)}


def refuse(options: dict[str, Any], **more: Any) -> str:
    """Return the error of a call whose answer would not be what its caller reads."""
    try:
        return str(api.embed(texts, **options, **more).embeddings)
    except VoyageError as error:
        return str(error)


json.dump([embed(*call) for call in asked["calls"]], sys.stdout)
