"""An answer's verdict: one sentence on whether the collection knows, and one on what to do with the matches."""

from __future__ import annotations

from softkv import Answer


def verdict(answer: Answer) -> str:
    """What a model should make of an answer."""
    if not answer.documents:
        return (
            "No document can be asked: the collection is empty, or none passes where. There is nothing to answer from."
        )
    null, named = answer.null_weight, sum(each.weight or 0.0 for each in answer)
    if answer.evidence.null_similarity is None:
        return (
            f"This collection always answers: it has no 'none of these' to outweigh. The matches hold {share(named)} "
            "of the weight; judge for yourself whether they answer the question."
        )
    if not answer:
        return (
            f"The collection does not know: 'none of these' has {share(null)} of the weight, and the documents do not "
            "outweigh it. Say that it holds no answer; the matches are only what comes nearest, and no evidence."
        )
    known = f"The collection knows: 'none of these' has {share(null)} of the weight, the matches {share(named)}"
    if answer.rest_weight > named:
        others = answer.documents - len(answer)
        return (
            f"{known}. But {share(answer.rest_weight)} lies on {others:,} other documents: the matches are a part of "
            "it, so ask more exactly, or with a larger top_k, before you answer."
        )
    return f"{known}. Answer from the matches by their weight, and name the ids that you used."


def share(weight: float) -> str:
    """A weight in percent."""
    if 0 < weight < 0.01:
        return "less than 1 %"
    return f"{weight:.0%}".replace("%", " %")
