"""Documents and answers as a model gets them: short enough to read, without repetition, and with a summary."""

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
    """Return the id, text and metadata of a document, and its value if it differs from the text.

    `cut` says whether the text or the value is longer than `limit` characters.
    """
    text, cut = _text(document, limit)
    result: dict[str, Any] = {"id": document.id, "text": text}
    if document.value is not None and document.value != document.key:
        written = document.value if isinstance(document.value, str) else json.dumps(document.value, ensure_ascii=False)
        result["value"] = f"{written[:limit]}…" if len(written) > limit else document.value
        cut = cut or len(written) > limit
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


def summary(answer: Answer) -> str:
    """Return one sentence on the verdict and its reason, and one on what to do with the matches."""
    if not answer.documents:
        return (
            "No document can be asked: the collection is empty, or none passes where. There is nothing to answer from."
        )
    null, named = answer.null_weight, sum(match.weight or 0.0 for match in answer)
    verdict, always = answer.evidence.verdict, answer.evidence.null_similarity is None
    if verdict == "none":
        return (
            f"Nothing here about that: 'none of these' has {share(null)} of the weight. Say that the collection holds "
            "no answer; the matches are only what comes nearest, and no evidence."
        )
    beside = "" if always else f", 'none of these' {share(null)}"
    judge = " This collection has no 'none of these': judge for yourself whether that fits." if always else ""
    if verdict == "one":
        first = f"{answer.matches[0].id} has {share(answer.matches[0].weight or 0.0)} of the weight{beside}"
        return f"One document stands out: {first}. Answer from it, and name its id.{judge}"
    heaviest = (answer.matches[0].weight or 0.0) if answer.matches else 0.0
    if heaviest > HALF:
        return (
            "The model knows no word of the question, so the "
            f"{share(heaviest)} of the weight on {answer.matches[0].id} say little. Ask in other words before you "
            f"answer.{judge}"
        )
    shared = f"Several share it: no document has more than half of the weight, the matches {share(named)}{beside}"
    if answer.rest_weight > named:
        rest = answer.documents - len(answer)
        return (
            f"{shared}. But {share(answer.rest_weight)} lies on {rest:,} other documents: the matches are a part of "
            f"it, so ask more exactly, or with a larger top_k, before you answer.{judge}"
        )
    return (
        f"{shared}. No single match is sure: say so, give what the matches say as possibilities, and name the ids "
        f"that you used.{judge}"
    )


def share(weight: float) -> str:
    """Return a weight as a text in percent."""
    if 0 < weight < 0.01:
        return "less than 1 %"
    return f"{weight:.0%}".replace("%", " %")
