"""Recorded questions about many rows: the library's 110, and 9,627 characters of which the page holds the nearest."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx

from softkv_service.datasets import DEMOS
from tests.running import RunningService

SUBJECT, SUIT = "machine learning", "diamond suit"
DIGITS = 7  # of a similarity; float32 has about as many
NEAREST = 6
BEGINNING = 0.05
# Every eighth position of the slider (shared/scale.js), the temperature of the beginning, and one in place of ∞.
TEMPERATURES = sorted([10 ** (-3 + (position - 1) / 398 * 5) for position in range(1, 400, 8)] + [BEGINNING, 1e300])


def sharing() -> dict[str, Any]:
    """Ask a service of its own, and return what the page shows of its answers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningService(data_dir=Path(folder), demo=("library", "unicode")) as running,
    ):
        running.wait_until_ready()
        with running.client() as client:
            return {"library": ask_library(client), "characters": ask_characters(client)}


def ask_library(client: httpx.Client) -> dict[str, Any]:
    """Return all rows in the order of the library, a title the value of each, with their similarities."""
    documents = list(DEMOS["library"].documents())
    body = {"query": SUBJECT, "top_k": len(documents), "null": False}
    answer = client.post("/v1/collections/library/attend", json=body).raise_for_status().json()
    similarities = {match["id"]: match["similarity"] for match in answer["matches"]}
    return {
        "query": SUBJECT,
        "rows": [{"key": document["key"], "value": document["metadata"]["title"]} for document in documents],
        "similarities": [round(similarities[document["id"]], DIGITS) for document in documents],
    }


def ask_characters(client: httpx.Client) -> dict[str, Any]:
    """Return the nearest characters, and a sweep of what all others weigh."""
    body = {"query": SUIT, "temperatures": TEMPERATURES, "top_k": NEAREST, "null": False}
    swept = client.post("/v1/collections/unicode/sweep", json=body).raise_for_status().json()
    return {
        "query": SUIT,
        "documents": swept["documents"],
        "rows": [{"key": match["key"], "value": match["value"]} for match in swept["matches"]],
        "similarities": [round(match["similarity"], DIGITS) for match in swept["matches"]],
        "temperatures": [
            {
                "temperature": rung["temperature"],
                "rest_weight": rung["rest_weight"],
                "evidence": {name: rung["evidence"][name] for name in ("log_partition", "effective_documents")},
            }
            for rung in swept["temperatures"]
        ],
    }
