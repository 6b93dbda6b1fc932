"""An answer's summary: one sentence on what its verdict is and why, and one on what to do with the matches."""

from __future__ import annotations

from softkv import Answer

HALF = 0.5
"""The share of all weight that a document has to exceed to stand out."""


def summary(answer: Answer) -> str:
    """What a model should make of an answer."""
    if not answer.documents:
        return (
            "No document can be asked: the collection is empty, or none passes where. There is nothing to answer from."
        )
    null, named = answer.null_weight, sum(each.weight or 0.0 for each in answer)
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
        others = answer.documents - len(answer)
        return (
            f"{shared}. But {share(answer.rest_weight)} lies on {others:,} other documents: the matches are a part of "
            f"it, so ask more exactly, or with a larger top_k, before you answer.{judge}"
        )
    return (
        f"{shared}. No single match is sure: say so, give what the matches say as possibilities, and name the ids "
        f"that you used.{judge}"
    )


def share(weight: float) -> str:
    """A weight in percent."""
    if 0 < weight < 0.01:
        return "less than 1 %"
    return f"{weight:.0%}".replace("%", " %")
