"""Documents and answers as a model gets them: short enough to read, and without repetition."""

from __future__ import annotations

import json
from typing import Any

from softkv import Document, Match

LIST_CHARACTERS = 2000
"""The most characters of a text or a value in a list of documents."""
DOCUMENT_CHARACTERS = 50_000
"""The most characters of a text or a value of a document that is read by its id."""


def document_result(document: Document | Match, limit: int) -> dict[str, Any]:
    """Return the id, text and metadata of a document, its value if it differs from the text, and when it expires.

    `cut` says whether the text or the value is longer than `limit` characters.
    """
    text, cut = _text(document, limit)
    result: dict[str, Any] = {"id": document.id, "text": text}
    if document.value is not None and document.value != document.key:
        written = document.value if isinstance(document.value, str) else json.dumps(document.value, ensure_ascii=False)
        result["value"] = f"{written[:limit]}…" if len(written) > limit else document.value
        cut = cut or len(written) > limit
    if document.expires is not None:
        result["expires"] = str(document.expires)
    return {**result, "metadata": dict(document.metadata or {}), "cut": cut}


def _text(document: Document | Match, limit: int) -> tuple[str, bool]:
    """Return a document's key text, beginning at its most similar part, and whether it was cut to `limit`
    characters.
    """
    text = document.key or ""
    if len(text) <= limit:
        return text, False
    part = document.part if isinstance(document, Match) else None
    begin = part.start if part is not None and part.start is not None else 0
    return f"{'…' if begin else ''}{text[begin : begin + limit]}…", True
