"""The reason of an answer: two sentences on why it was given or not.

The first says where the weight lies. The second says how similar the best match is, which similarity all documents
together are worth beside the null key, and what labels say. Only labels give a probability; without them the reason
claims none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from softkv_attention.lookup import Answer, Verdict
from softkv_service.retrieval.calibration import Calibration
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import CollectionSettings

MAX_ID_CHARACTERS = 60
HOTTEST = 1e15
"""From this temperature on, logits have no digit of a similarity, so the weights say nothing about similarities."""
UNCALIBRATED = "without labels, its weight does not say whether it answers"
LATE_WAITS = (
    "the calibration was fitted without late interaction, so questions are asked without it until the collection is "
    "calibrated again"
)
HOT = 1000
"""From this temperature on, in units of the best similarity and at least 1, similarities hardly move weights."""
ROUNDED = "The verdict is a tie within the rounding of the weights."
UNSETTLED = "The verdict lies within the error of the weights: a smaller max_error settles it."
ALIKE = "Several documents that say nearly the same share the weight"
NULL = "“none of these”"

_LEAST_SHOWN = 0.01  # smaller shares are given as "less than 1 %"


def late_waits(settings: CollectionSettings) -> bool:
    """Return whether a calibration without late interaction keeps questions of a collection with `late` from it."""
    calibration = Calibration.read(settings.calibration) if settings.late else None
    return calibration is not None and not calibration.has_late


class WeightedMatch(Protocol):
    """The fields of a match that the reason needs."""

    @property
    def id(self) -> str:
        """The document."""

    @property
    def similarity(self) -> float:
        """The similarity of its best key."""

    @property
    def weight(self) -> float:
        """Its share of the weight."""

    @property
    def confidence(self) -> float | None:
        """The probability that it is right; None without labels."""


@dataclass(frozen=True)
class Conclusion:
    """The verdict on an answer, with what the sentences of its reason need.

    Attributes:
        alike: whether the documents that share the weight say nearly the same.
        is_readable: whether the model knows a word of the query.
        leader: the group of documents that stands out, with its weight; None if the first match is the one to speak of.
        required: the confidence that the first match needs for the verdict "one"; None if not requested.
    """

    verdict: Verdict
    alike: bool
    is_readable: bool
    leader: tuple[str, float] | None
    required: float | None


def explain_verdict(
    matches: Sequence[WeightedMatch],
    answer: Answer,
    conclusion: Conclusion,
    question: CollectionQuestion,
    labels: str,
    measure: str,
) -> str:
    """Return the reason of an answer, in two sentences; in one if there is no match to speak of.

    Args:
        matches: the matches of the answer, best first.
        answer: the lookup's answer.
        conclusion: the verdict on it.
        question: the question.
        labels: the clause on labels, of `describe_labels`; empty to say nothing about them.
        measure: the name of the collection's similarity.
    """
    if not answer.documents:
        where = "the collection has none with a key" if question.filter is None else "none with a key passes the filter"
        return f"No document can answer: {where}."
    first, leader, verdict = matches[0] if matches else None, conclusion.leader, conclusion.verdict
    if leader is None and first is not None:
        leader = first.id, first.weight
    headline = ALIKE if conclusion.alike else _headline(leader, conclusion)
    sentences = [f"{headline}: {_shares(leader, answer, verdict)}."]
    if first is not None:
        largest = 1.0 if measure == "cosine" else math.inf
        sentences.append(_describe_match(first, answer, conclusion, question, labels, largest))
    if not verdict.certain:
        sentences.append(ROUNDED if answer.certificate.method == "exact" else UNSETTLED)
    return " ".join(sentences)


def _headline(leader: tuple[str, float] | None, conclusion: Conclusion) -> str:
    """Return the verdict in words."""
    stands = conclusion.verdict.stands
    if stands == "none":
        return "Nothing here is about that"
    if not conclusion.is_readable:
        return "The model knows no word of the question, so the weights say little"
    enough = "stands out" if conclusion.required is None else "is sure enough"
    name = "No document" if stands == "several" else "One document" if leader is None else _quote(leader[0])
    return f"{name} {enough}"


def _shares(leader: tuple[str, float] | None, answer: Answer, verdict: Verdict) -> str:
    """Return what the leader, all other documents and the null key have of the weight; the parts sum to one."""
    null, best = answer.evidence.null_weight, leader[1] if leader else 0.0
    rest = max(0.0, 1.0 - null - best)
    parts = list[tuple[str, float]]()
    if leader is not None:
        parts.append(("it" if verdict.stands == "one" else _quote(leader[0]), best))
    if leader is None or answer.documents > 1:
        parts.append(("all other documents" if leader else "all documents together", rest))
    if answer.evidence.null_similarity is not None:
        parts.insert(0 if verdict.stands == "none" else len(parts), (NULL, null))
    (name, weight), *other_parts = parts
    verb = "have" if name.startswith("all") else "has"
    clauses = [
        f"{name} {verb} {share(weight)} of the weight",
        *(f"{other} {share(part)}" for other, part in other_parts),
    ]
    return " and ".join(filter(None, [", ".join(clauses[:-1]), clauses[-1]]))


def _describe_match(
    first: WeightedMatch,
    answer: Answer,
    conclusion: Conclusion,
    question: CollectionQuestion,
    labels: str,
    largest: float,
) -> str:
    """Return a sentence on the best match: its similarity, that of the null key, and what labels say.

    A match that stands out weighs more than the null key. Otherwise all documents together compete with it. Words
    stand for similarities above `largest`, which no key can have.
    """
    evidence = answer.evidence
    similarity, level = first.similarity, evidence.null_similarity
    compared = f"{similarity:.3g}"
    if names := question.adding_terms:
        compared += f", before the addends of {' and '.join(names)}"
    elif evidence.temperature >= HOT * max(1.0, abs(similarity)):
        compared += ", but at so high a temperature all keys weigh nearly alike"
    elif level is not None and math.isfinite(level):
        together = None if conclusion.verdict.stands == "one" and similarity > level else _joint_similarity(answer)
        compared = _compare_with_null(similarity, together, level, largest)
    described = f"The best match has similarity {compared}"
    if first.confidence is None:
        return f"{described}; {labels}." if labels else f"{described}."
    required = "" if conclusion.required is None else f" ({100 * conclusion.required:.6g} % was asked for)"
    return f"{described}; {labels}, it is right with a probability of {share(first.confidence)}{required}."


def _compare_with_null(similarity: float, together: float | None, level: float, largest: float) -> str:
    """Return the similarity of the best match, beside all documents together and the null key.

    Args:
        similarity: the similarity of the best match.
        together: the similarity at which a single key weighs as much as all documents; None to compare the match.
        level: the similarity at which a single key weighs as much as the null key.
        largest: the largest similarity that a key can have.
    """
    best = f"{similarity:.3g}"
    if level > largest:
        return f"{best}, but at this temperature no single key, even of similarity {largest:g}, could outweigh {NULL}"
    if together is not None and together > largest:
        above = f"more than one of similarity {largest:g} would, above {level:.3g}, where {NULL} lies"
        return f"{best}, and all documents together weigh {above}"
    compared = similarity if together is None else together
    relation = "at" if compared == level else "above" if compared > level else "below"
    near, far = _distinguish(compared, level)
    joint = "" if together is None else f"{best}, and all documents together weigh as much as one of similarity "
    return f"{joint}{near}, {relation} {far}, where {NULL} lies"


def _joint_similarity(answer: Answer) -> float | None:
    """Return the similarity at which a single key weighs as much as all documents together.

    Return None if the null key has all of the weight or none, and at temperatures of `HOTTEST` and above. Also return
    None for other normalisers than softmax, whose weights are not in proportion to exp(similarity / temperature).
    """
    evidence = answer.evidence
    level, null, temperature = evidence.null_similarity, evidence.null_weight, evidence.temperature
    if level is None or evidence.log_partition is None or not (0 < null < 1 and 0 < temperature < HOTTEST):
        return None
    return level + temperature * math.log((1 - null) / null)


def _distinguish(number: float, other: float) -> tuple[str, str]:
    """Return two numbers as texts with as few digits as show that they differ, but at least three."""
    for digits in range(3, 17):
        texts = f"{number:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1] or number == other:
            break
    return texts


def _quote(identity: str) -> str:
    short = identity if len(identity) <= MAX_ID_CHARACTERS else f"{identity[: MAX_ID_CHARACTERS - 1]}…"
    return f"“{short}”"


def share(weight: float) -> str:
    """Return a share of 1 as a text in percent."""
    if 0 < weight < _LEAST_SHOWN:
        return "less than 1 %"
    if 1 - _LEAST_SHOWN < weight < 1:
        return "more than 99 %"
    return f"{weight:.0%}".replace("%", " %")
