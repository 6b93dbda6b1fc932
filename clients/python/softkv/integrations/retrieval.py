"""Questions with every option of attend, from a retriever's own and those of one call; what becomes of the answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from softkv.answers.answer import Answer, Verdict
from softkv.answers.documents import Match
from softkv.calls import queries
from softkv.calls.call import Plan
from softkv.calls.collections import Null
from softkv.calls.queries import Bias, Normaliser
from softkv.filters import Where
from softkv.integrations.connection import CollectionSource
from softkv.problems import invalid_value
from softkv.record import Record

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from softkv.answers.documents import Document, Match


Accept: TypeAlias = Literal["one", "several", "any"]
Score: TypeAlias = Literal["weight", "similarity"]
Extra: TypeAlias = Literal["key_vector", "value_vector", "output", "explanation"]
EVIDENCE_FIELD = "softkv"  # the field of the metadata that has it
ACCEPTED_VERDICTS: Mapping[Accept, Sequence[Verdict]] = {
    "one": ("one",),
    "several": ("one", "several"),
    "any": ("one", "several", "none"),
}
"""With which verdicts the matches of an answer are handed on."""
_RETRIEVER_OPTIONS = ("accept", "score", "evidence", "include")
_REQUIRED_FIELDS = ("key", "value", "metadata")


class RetrievalOptions(Record):
    """How a retriever asks; what is None is left to the collection.

    Attributes:
        accept: when the matches are handed on: where "one" stands out; where one does or "several" share the weight,
            so not where the verdict is "none"; or with "any" verdict.
        score: what a document's score is: its share of the weight, or the similarity of its key and the query.
        evidence: whether each document has in its metadata, under `softkv`, what it weighs and how much the collection
            knew.
        include: what an answer brings along besides; of this, too, what is a document's stands there.

    Raises:
        Invalid: one of these is none of the words that it can be.
    """

    temperature: float | Literal["auto"] | None = None
    effective_documents: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    normaliser: Normaliser | None = None
    null: Null | None = None
    max_error: float | None = None
    full_text: float | Literal["auto"] | None = None
    bias: Bias | None = None
    min_confidence: float | None = None
    conformal: float | None = None
    include: Sequence[Extra] | None = None
    accept: Accept = "several"
    score: Score = "weight"
    evidence: bool = False

    def _made(self) -> None:
        _require_choice("accept", [self.accept], get_args(Accept))
        _require_choice("score", [self.score], get_args(Score))
        _require_choice("include", self.include or (), get_args(Extra))

    def adjusted(self, given: Mapping[str, Any]) -> RetrievalOptions:
        """The same with other options, where these are not None.

        Raises:
            Invalid: there is no such option.
        """
        if unknown := sorted(given.keys() - set(self._names)):
            raise invalid_value("", f"a question has {', '.join(self._names)}, not {', '.join(unknown)}")
        return self.replaced(**{name: each for name, each in given.items() if each is not None})

    def ask(self, source: CollectionSource, query: Any, where: Where | None, also: Iterable[str] = ()) -> Plan[Answer]:
        """Ask a collection, which is made where it is not there.

        Args:
            also: what matches bring along in any case.
        """
        yield from source.info()
        how = {name: each for name, each in self._fields().items() if name not in _RETRIEVER_OPTIONS}
        include: Any = [*dict.fromkeys([*_REQUIRED_FIELDS, *also, *(self.include or ())])]
        answer = yield from queries.attend(source.place, query, where=where, include=include, **how)
        assert isinstance(answer, Answer)  # of one query
        return answer

    def matches(self, answer: Answer) -> list[Match]:
        """Those that are handed on."""
        return answer.matches if answer.verdict in ACCEPTED_VERDICTS[self.accept] else []

    def score_of(self, match: Match) -> float:
        """A match's score."""
        return match.similarity if self.score == "similarity" else match.weight or 0.0

    def metadata(self, answer: Answer, match: Match) -> dict[str, Any]:
        """A match's metadata, with what was asked for besides."""
        found, told = dict(match.metadata or {}), _match_details(match)
        if self.evidence:
            told |= {"weight": match.weight, "similarity": match.similarity, "logit": _finite_or_none(match.logit)}
            told |= confidence_fields(match) | evidence_fields(answer)
        return {**found, EVIDENCE_FIELD: told} if told else found


def confidence_fields(match: Match) -> dict[str, float]:
    """How sure it is that a match is right, where the collection is calibrated."""
    return {} if match.confidence is None else {"confidence": match.confidence}


def evidence_fields(answer: Answer) -> dict[str, Any]:
    """How much the collection knew, as JSON."""
    said = answer.to_dict()
    told = {name: said[name] for name in ("rest_weight", "complete", "temperature", "documents", "keys")}
    return told | dict(said["evidence"]) | {"certificate": dict(said["certificate"])}


def output_list(answer: Answer) -> list[float] | None:
    """The blended value, where it was asked for."""
    return None if answer.output is None else answer.output.tolist()


def key_vector_list(match: Match) -> list[float] | None:
    """The vector of a match's key, where it was asked for; of several, that of the one that spoke."""
    key = matched_key(match)
    return None if key is None else [float(each) for each in key]


def _match_details(match: Match) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if match.part is not None:
        told["part"] = dict(match.part._fields())
    if match.explanation is not None:
        told["explanation"] = dict(match.explanation._fields())
    if match.value_vector is not None:
        told["value_vector"] = match.value_vector.tolist()
    return told


def _finite_or_none(number: float | None) -> float | None:
    return number if number is None or math.isfinite(number) else None


def _require_choice(name: str, given: Iterable[Any], wanted: Sequence[str]) -> None:
    for each in given:
        if each not in wanted:
            raise invalid_value(f"/{name}", f"{name}: wanted {', '.join(map(repr, wanted))}, got {each!r}")


Content: TypeAlias = Literal["value", "key"]


def document_text(found: Document | Match, content: Content = "value") -> str:
    """The text of a document.

    Args:
        content: `"value"`, what is found there, as JSON where it is no text, and the key where there is none; or
            `"key"`, the text that queries are compared with, empty where it came as a vector.
    """
    told = found.key if content == "key" or found.value is None else found.value
    if isinstance(told, str):
        return told
    return "" if told is None else json.dumps(told, ensure_ascii=False)


def select_by_mmr(query: ArrayLike, keys: Sequence[ArrayLike], k: int, relevance: float) -> list[int]:
    """Choose one key after another, each time the one with most of what follows, where r is the relevance.

        r · cos(query, key) − (1 − r) · max cos(key, chosen)

    Args:
        query: [d].
        keys: [n, d].
        k: how many to choose at most.
        relevance: from 0, which looks only at how unlike the others a key is, to 1, which does not look at that.

    Returns:
        The places of the chosen, in their order; the first of those that tie.

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


def matched_key(match: Match) -> Any:
    """The key of a match that `include=["key_vector"]` brought along; of several, the one that spoke."""
    if match.key_vectors is None:
        return match.key_vector
    return match.key_vectors[match.part.index if match.part is not None else 0]


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
