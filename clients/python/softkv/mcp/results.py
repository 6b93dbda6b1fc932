"""Documents and answers as a model gets them: short enough to read, without repetition, and with advice."""

from __future__ import annotations

import json
from typing import Any

from softkv import Answer, Document, Match

HALF = 0.5
"""The share of all weight that a document has to exceed to stand out."""
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


def advice(answer: Answer) -> str:
    """Return what a model should do with an answer, in one to three sentences."""
    if not answer.documents and answer.warnings:
        return f"The conditions fit no document: {'; '.join(answer.warnings)}. Correct where, and ask again."
    if not answer.documents:
        return "There is nothing to answer from: say so."
    verdict, heaviest = answer.verdict, (answer[0].weight or 0.0) if len(answer) else 0.0
    if verdict == "none":
        return "Say that the collection holds no answer. The matches are only what comes nearest, and no evidence."
    if verdict == "one":
        confidence = answer[0].confidence if len(answer) else None
        if confidence is None:
            first = "Check that the first match answers the question; if it does not, say so. If it does, name its id."
        elif confidence < HALF:
            first = "The first match is more likely wrong than right: say that you are not sure."
        else:
            first = "Answer from the first match, and name its id."
    elif heaviest > HALF:
        first = "Ask in other words before you answer."
    elif answer.evidence.alike:
        first = (
            "The documents that share the weight say nearly the same: answer with what they agree on, say where they "
            "differ, and name the ids that you used."
        )
    elif answer.rest_weight > sum(match.weight or 0.0 for match in answer):
        first = (
            f"Most of the weight lies on {answer.documents - len(answer):,} other documents: ask more exactly, or with "
            "a larger top_k, before you answer."
        )
    else:
        first = (
            "No single match is sure: say so, give what the matches say as possibilities, and name the ids that you "
            "used."
        )
    if answer.evidence.null_similarity is None:
        return f"{first} This collection has no 'none of these': judge for yourself whether that fits."
    return first
