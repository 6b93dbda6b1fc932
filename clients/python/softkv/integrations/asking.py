"""Questions with every option of attend, from a retriever's own and those of one call; what becomes of the answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from softkv.answers.answer import Answer, Verdict
from softkv.answers.match import Match
from softkv.calls import attending
from softkv.calls.attending import Normaliser
from softkv.calls.call import Plan
from softkv.calls.collections import Null
from softkv.calls.queries import Bias
from softkv.filters import Where
from softkv.integrations.mmr import key_of
from softkv.integrations.source import Source
from softkv.problems import flawed
from softkv.record import Record

Accept: TypeAlias = Literal["one", "several", "any"]
Score: TypeAlias = Literal["weight", "similarity"]
Extra: TypeAlias = Literal["key_vector", "value_vector", "output", "explanation"]
EVIDENCE = "softkv"  # the field of the metadata that has it
ACCEPTED: Mapping[Accept, Sequence[Verdict]] = {
    "one": ("one",),
    "several": ("one", "several"),
    "any": ("one", "several", "none"),
}
"""With which verdicts the matches of an answer are handed on."""
_OWN = ("accept", "score", "evidence", "include")
_NEEDED = ("key", "value", "metadata")


class Asking(Record):
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
        _one_of("accept", [self.accept], get_args(Accept))
        _one_of("score", [self.score], get_args(Score))
        _one_of("include", self.include or (), get_args(Extra))

    def adjusted(self, given: Mapping[str, Any]) -> Asking:
        """The same with other options, where these are not None.

        Raises:
            Invalid: there is no such option.
        """
        if unknown := sorted(given.keys() - set(self._names)):
            raise flawed("", f"a question has {', '.join(self._names)}, not {', '.join(unknown)}")
        return self.replaced(**{name: each for name, each in given.items() if each is not None})

    def ask(self, source: Source, query: Any, where: Where | None, also: Iterable[str] = ()) -> Plan[Answer]:
        """Ask a collection, which is made where it is not there.

        Args:
            also: what matches bring along in any case.
        """
        yield from source.info()
        how = {name: each for name, each in self._fields().items() if name not in _OWN}
        include: Any = [*dict.fromkeys([*_NEEDED, *also, *(self.include or ())])]
        answer = yield from attending.attend(source.place, query, where=where, include=include, **how)
        assert isinstance(answer, Answer)  # of one query
        return answer

    def matches(self, answer: Answer) -> list[Match]:
        """Those that are handed on."""
        return answer.matches if answer.verdict in ACCEPTED[self.accept] else []

    def score_of(self, match: Match) -> float:
        """A match's score."""
        return match.similarity if self.score == "similarity" else match.weight or 0.0

    def metadata(self, answer: Answer, match: Match) -> dict[str, Any]:
        """A match's metadata, with what was asked for besides."""
        found, told = dict(match.metadata or {}), _told(match)
        if self.evidence:
            told |= {"weight": match.weight, "similarity": match.similarity, "logit": _finite(match.logit)}
            told |= sureness(match) | evidence(answer)
        return {**found, EVIDENCE: told} if told else found


def sureness(match: Match) -> dict[str, float]:
    """How sure it is that a match is right, where the collection is calibrated."""
    return {} if match.confidence is None else {"confidence": match.confidence}


def evidence(answer: Answer) -> dict[str, Any]:
    """How much the collection knew, as JSON."""
    said = answer.to_dict()
    told = {name: said[name] for name in ("rest_weight", "complete", "temperature", "documents", "keys")}
    return told | dict(said["evidence"]) | {"certificate": dict(said["certificate"])}


def output(answer: Answer) -> list[float] | None:
    """The blended value, where it was asked for."""
    return None if answer.output is None else answer.output.tolist()


def vector_of(match: Match) -> list[float] | None:
    """The vector of a match's key, where it was asked for; of several, that of the one that spoke."""
    key = key_of(match)
    return None if key is None else [float(each) for each in key]


def _told(match: Match) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if match.part is not None:
        told["part"] = dict(match.part._fields())
    if match.explanation is not None:
        told["explanation"] = dict(match.explanation._fields())
    if match.value_vector is not None:
        told["value_vector"] = match.value_vector.tolist()
    return told


def _finite(number: float | None) -> float | None:
    return number if number is None or math.isfinite(number) else None


def _one_of(name: str, given: Iterable[Any], wanted: Sequence[str]) -> None:
    for each in given:
        if each not in wanted:
            raise flawed(f"/{name}", f"{name}: wanted {', '.join(map(repr, wanted))}, got {each!r}")
