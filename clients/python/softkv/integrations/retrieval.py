"""Options of a retriever, documents as text, and reranking by maximal marginal relevance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_type_hints

import numpy as np

from softkv.answers.answer import Answer, Verdict
from softkv.answers.documents import Match
from softkv.calls import queries
from softkv.calls.call import Plan
from softkv.calls.queries import ATTEND_OPTIONS, AttendOptions
from softkv.filters import Where
from softkv.integrations.connection import CollectionSource
from softkv.problems import invalid_value, warn_caller
from softkv.questions import OF_ANSWER, MatchField, Question
from softkv.record import fields_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from softkv.answers.documents import Document, Match


Accept: TypeAlias = Literal["one", "several", "any"]
Score: TypeAlias = Literal["weight", "similarity"]
EVIDENCE_FIELD = "softkv"  # the metadata field for evidence
ACCEPTED_VERDICTS: Mapping[Accept, Sequence[Verdict]] = {
    "one": ("one",),
    "several": ("one", "several"),
    "any": ("one", "several", "none"),
}
"""The verdicts whose matches are returned."""
_HALF = 0.5  # the share of all weight that a document has to exceed to stand out, and the confidence to be likely right
_REQUIRED_FIELDS = ("key", "value", "metadata")
_FIELDS = get_args(MatchField)


class RetrieverOptions(AttendOptions, total=False):
    """Keyword arguments of a retriever: those of `attend`, and three for the documents that it makes of an answer.

    A retriever refuses `where`, of which each framework has its own form, and options that add to the answer alone,
    such as `read` and `group_by`.

    Attributes:
        accept: which verdicts give documents: "several", which includes "one", if left out; "one"; or "any".
        score: the score of a document: its weight, if left out, or the similarity of its key and the query.
        evidence: whether each document's metadata has a field `softkv` with its weight and the answer's evidence.
    """

    accept: Accept | None
    score: Score | None
    evidence: bool | None


_OF_ANSWER = [field.name for field in fields_of(Question) if OF_ANSWER in field.marks]
RETRIEVER_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {name: hint for name, hint in get_type_hints(RetrieverOptions).items() if name not in ("where", *_OF_ANSWER)}
)
"""The types of a retriever's options, by name."""
_OWN_OPTIONS = RETRIEVER_OPTIONS.keys() - ATTEND_OPTIONS


class Retrieval:
    """How a retriever asks a collection, and what it makes of the answer.

    Attributes:
        options: the `RetrieverOptions` that are not None. The collection chooses the others.

    Raises:
        Invalid: an option is unknown, or its value.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options = {name: option for name, option in (options or {}).items() if option is not None}
        if unknown := sorted(self.options.keys() - RETRIEVER_OPTIONS.keys()):
            raise invalid_value("", f"a question has {', '.join(RETRIEVER_OPTIONS)}, not {', '.join(unknown)}")
        self.accept: Accept = self.options.get("accept", "several")
        self.score: Score = self.options.get("score", "weight")
        self.include: Sequence[MatchField] = self.options.get("include", ())
        _require_choice("accept", [self.accept], get_args(Accept))
        _require_choice("score", [self.score], get_args(Score))
        _require_choice("include", self.include, _FIELDS)

    def adjust(self, changes: Mapping[str, Any]) -> Retrieval:
        """Return a copy with other options; None keeps the old one.

        Raises:
            Invalid: an option is unknown, or its value.
        """
        return Retrieval(self.options | {name: option for name, option in changes.items() if option is not None})

    def ask(
        self, source: CollectionSource, query: Any, where: Where | None, required: Iterable[str] = ()
    ) -> Plan[Answer]:
        """Query a collection with these options, and return the answer. The collection is created if it does not exist.

        Args:
            required: further fields that the matches must have.
        """
        yield from source.info()
        options: Any = {name: option for name, option in self.options.items() if name not in _OWN_OPTIONS}
        options["include"] = [*dict.fromkeys([*_REQUIRED_FIELDS, *required, *self.include])]
        answer = yield from queries.attend(source.place, query, where=where, **options)
        assert isinstance(answer, Answer)  # of one query
        return answer

    def matches(self, answer: Answer) -> list[Match]:
        """Show the answer's warnings, and return its matches if the verdict is accepted, else an empty list."""
        show_warnings(answer)
        return answer.matches if answer.verdict in ACCEPTED_VERDICTS[self.accept] else []

    def score_of(self, match: Match) -> float:
        """Return the score of a match."""
        return match.similarity if self.score == "similarity" else match.weight or 0.0

    def metadata(self, answer: Answer, match: Match) -> dict[str, Any]:
        """Return the metadata of a match's document, with the further fields and the evidence that the
        options request.
        """
        metadata, details = dict(match.metadata or {}), _match_details(match)
        if self.options.get("evidence"):
            details |= {"weight": match.weight, "similarity": match.similarity, "logit": _finite_or_none(match.logit)}
            details |= confidence_fields(match) | evidence_fields(answer)
        return {**metadata, EVIDENCE_FIELD: details} if details else metadata


def confidence_fields(match: Match) -> dict[str, float]:
    """Return a field with the match's confidence; empty if the collection is not calibrated."""
    return {} if match.confidence is None else {"confidence": match.confidence}


def show_warnings(answer: Answer) -> None:
    """Show the warnings of an answer, which the documents of a framework do not have."""
    for warning in answer.warnings:
        warn_caller(warning)


def evidence_fields(answer: Answer) -> dict[str, Any]:
    """Return the answer's evidence as JSON, with advice for a model."""
    content = answer.to_dict()
    fields = {name: content[name] for name in ("rest_weight", "complete", "temperature", "documents", "keys")}
    fields |= dict(content["evidence"]) | {"certificate": dict(content["certificate"])}
    return fields | {"advice": advice(answer)}


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
        elif confidence < _HALF:
            first = "The first match is more likely wrong than right: say that you are not sure."
        else:
            first = "Answer from the first match, and name its id."
    elif heaviest > _HALF:
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


def output_list(answer: Answer) -> list[float] | None:
    """Return the weighted sum of value vectors, or None if it was not requested."""
    return None if answer.output is None else answer.output.tolist()


def key_vector_list(match: Match) -> list[float] | None:
    """Return the vector of the matched key, or None if it was not requested."""
    key = select_key(match)
    return None if key is None else [float(component) for component in key]


def _match_details(match: Match) -> dict[str, Any]:
    """Return the requested fields of a match that are put into its metadata."""
    details: dict[str, Any] = {}
    if match.part is not None:
        details["part"] = dict(match.part._fields())
    if match.explanation is not None:
        details["explanation"] = dict(match.explanation._fields())
    if match.value_vector is not None:
        details["value_vector"] = match.value_vector.tolist()
    return details


def _finite_or_none(number: float | None) -> float | None:
    """Return a finite number, or None."""
    return number if number is None or math.isfinite(number) else None


def _require_choice(name: str, values: Iterable[Any], choices: Sequence[str]) -> None:
    """Raise Invalid if a value is not one of the choices."""
    for value in values:
        if value not in choices:
            raise invalid_value(f"/{name}", f"{name}: wanted {', '.join(map(repr, choices))}, got {value!r}")


Content: TypeAlias = Literal["value", "key"]


def document_text(document: Document | Match, content: Content = "value") -> str:
    """Return the text of a document.

    Args:
        content: `"value"` for the value, as JSON unless it is a text, or the key if there is no value. `"key"` for the
            key text, which is empty for a key that is a vector.
    """
    stored = document.key if content == "key" or document.value is None else document.value
    if isinstance(stored, str):
        return stored
    return "" if stored is None else json.dumps(stored, ensure_ascii=False)


def select_by_mmr(query: ArrayLike, keys: Sequence[ArrayLike], k: int, relevance: float) -> list[int]:
    """Select keys one by one, each time the one that maximises the following, where r is the relevance.

        r · cos(query, key) − (1 − r) · max cos(key, selected)

    Source: Carbonell and Goldstein, The use of MMR, diversity-based reranking for reordering documents and producing
    summaries, SIGIR 1998.

    Args:
        query: [d].
        keys: [n, d].
        k: the number of keys to select.
        relevance: from 0, only diversity, to 1, only similarity to the query.

    Returns:
        The indices of the selected keys in order of selection; ties go to the first.

    Raises:
        Invalid: `relevance` is not between 0 and 1.
    """
    if not 0 <= relevance <= 1:
        raise invalid_value(
            "", f"wanted a number from 0 to 1 that weighs relevance against diversity, got {relevance!r}"
        )
    if not len(keys):
        return []
    rows = _unit_rows(np.asarray(keys, dtype=np.float64))
    to_query = rows @ _unit_rows(np.asarray(query, dtype=np.float64))
    to_chosen = np.full(len(rows), -np.inf)
    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):
        scores = to_query if not chosen else relevance * to_query - (1 - relevance) * to_chosen
        best = int(np.argmax(np.where(np.isin(np.arange(len(rows)), chosen), -np.inf, scores)))
        chosen.append(best)
        to_chosen = np.maximum(to_chosen, rows @ rows[best])
    return chosen


def select_key(match: Match) -> Any:
    """Return the key vector of a match, which needs `include=["key_vector"]`.

    Of several keys, return the one that matched best.
    """
    if match.key_vectors is None:
        return match.key_vector
    return match.key_vectors[match.part.index if match.part is not None else 0]


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each row to length 1; rows of zeros stay as they are."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
