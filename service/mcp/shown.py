"""Documents as a model is shown them: not longer than it can read, and nothing twice."""

from __future__ import annotations

import json
from typing import Any

from softkv import Document, Match

LIST_CHARACTERS = 2000
"""Of a text or a value where several documents are listed."""
WHOLE_CHARACTERS = 50_000
"""The same where documents are asked for by their ids."""


def shown(document: Document | Match, most: int) -> dict[str, Any]:
    """An id, a text, metadata, and the value where it is another; `cut` where one of them is longer than `most`."""
    text, cut = _text(document, most)
    result: dict[str, Any] = {"id": document.id, "text": text}
    if document.value is not None and document.value != document.key:
        written = document.value if isinstance(document.value, str) else json.dumps(document.value, ensure_ascii=False)
        result["value"] = f"{written[:most]}…" if len(written) > most else document.value
        cut = cut or len(written) > most
    return {**result, "metadata": dict(document.metadata or {}), "cut": cut}


def _text(document: Document | Match, most: int) -> tuple[str, bool]:
    """The key text, and whether there is more of it; of a long one that has parts, the part that spoke."""
    text = document.key or ""
    if len(text) <= most:
        return text, False
    part = document.part if isinstance(document, Match) else None
    begin = part.start if part is not None and part.start is not None else 0
    return f"{'…' if begin else ''}{text[begin : begin + most]}…", True
