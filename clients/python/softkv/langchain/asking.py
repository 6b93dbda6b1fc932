"""How a collection is asked, in words of LangChain's, and its answer as LangChain's documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from langchain_core.documents import Document

from softkv.calls.attending import How
from softkv.integrations.asking import ACCEPTED, Accept, sureness
from softkv.integrations.content import Content, text_of
from softkv.integrations.mmr import key_of
from softkv.langchain.filters import where
from softkv.problems import flawed, refuse
from softkv.wire import checks
from softkv.wire.body import plain

if TYPE_CHECKING:
    from softkv.answers.answer import Answer
    from softkv.answers.match import Match

Score: TypeAlias = Literal["weight", "similarity"]
EVIDENCE = "softkv"
"""Under which field of a document's metadata stands what the service said of it."""

OF_ATTEND = frozenset(How.__annotations__) - {"where", "allow_missing", "read"} | {"filter"}
_OWN: dict[str, Any] = {"score": "weight", "accept": "any", "evidence": False}
_ALWAYS = ("key", "value", "metadata")


class Question(NamedTuple):
    """What is asked besides the query.

    Attributes:
        how: the arguments of `attend`.
        score: which number of a match is its score.
        accept: with which verdict documents come back: where "one" stands out, where "several" share too, with "any".
        evidence: whether documents have in their metadata how much the collection knew.
        include: what else of a match they have there.
    """

    how: dict[str, Any]
    score: Score
    accept: Accept
    evidence: bool
    include: tuple[str, ...]

    def with_keys(self, many: int) -> Question:
        """The same for at least so many matches, which bring their keys along."""
        fields = tuple(dict.fromkeys([*self.how["include"], "key_vector"]))
        return self._replace(how=self.how | {"top_k": max(many, self.how["top_k"]), "include": fields})


def question(k: int | None, options: Mapping[str, Any]) -> Question:
    """Arguments of a search → what is asked.

    Args:
        k: how many documents, where `options` have no `top_k`.

    Raises:
        Invalid: there is no such option, or a choice has no such word.
    """
    if unknown := options.keys() - OF_ATTEND - _OWN.keys():
        known = ", ".join(sorted(OF_ATTEND | _OWN.keys()))
        raise flawed("", f"a search has no argument {', '.join(sorted(unknown))}: it has k, {known}")
    own = _OWN | {name: each for name, each in options.items() if name in _OWN}
    for name, choices in (("score", Score), ("accept", Accept)):
        if own[name] not in get_args(choices):
            raise flawed("", f"{name}: wanted one of {', '.join(get_args(choices))}, got {own[name]!r}")
    how = {name: each for name, each in options.items() if name in OF_ATTEND and each is not None}
    include = _names(how.pop("include", ()))
    how = {"top_k": k} | how
    refuse(checks.matches(how["top_k"]))
    how["include"] = tuple(dict.fromkeys([*_ALWAYS, *include]))
    if "filter" in how:
        how["where"] = where(how.pop("filter"))
    return Question(how, own["score"], own["accept"], own["evidence"], include)


def documents(answer: Answer, asked: Question, content: Content) -> list[tuple[Document, float]]:
    """The matches as LangChain's documents, each with its score."""
    if answer.verdict not in ACCEPTED[asked.accept]:
        return []
    return [
        (_document(match, content, _told(answer, match, asked)), _score(match, asked.score)) for match in answer.matches
    ]


def _document(match: Match, content: Content, told: Mapping[str, Any]) -> Document:
    metadata = dict(match.metadata or {})
    if told:
        metadata[EVIDENCE] = dict(told)
    return Document(id=match.id, page_content=text_of(match, content), metadata=metadata)


def _score(match: Match, score: Score) -> float:
    found = match.weight if score == "weight" else match.similarity
    return 0.0 if found is None else found


def _told(answer: Answer, match: Match, asked: Question) -> dict[str, Any]:
    """What was asked for of a match, and with `evidence` what the service says of the answer."""
    said = answer.to_dict()
    others = {"output": answer.output, "key_vector": key_of(match)}
    told = {name: _json(others[name] if name in others else getattr(match, name)) for name in asked.include}
    if not asked.evidence:
        return told
    told |= {"weight": match.weight, "similarity": match.similarity, "logit": match.logit} | sureness(match)
    told |= {name: said[name] for name in ("rest_weight", "complete", "temperature", "documents", "keys")}
    return told | dict(said["evidence"]) | {"certificate": said["certificate"]}


def _json(given: Any) -> Any:
    """A field of a match as JSON has it."""
    if given is None or isinstance(given, str | int | float | Mapping | list):
        return given
    fields = getattr(given, "_fields", None)
    return fields() if fields is not None else plain(given)


def _names(include: Any) -> tuple[str, ...]:
    if isinstance(include, str) or not isinstance(include, Sequence):
        raise flawed("/include", f"wanted a list of fields, got {include!r}")
    return tuple(include)
