"""An answer as lines that add up to one, what was added to each document, its verdict and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from softkv.answers.match import Match

NONE_OF_THESE = "none of these"
SAID = {
    "one": "One document stands out",
    "several": "Several share it: here they are",
    "none": "Nothing here about that",
}
"""What each verdict is for a person."""


class _Answer(Protocol):
    """What is told of an answer."""

    @property
    def matches(self) -> list[Match]: ...
    @property
    def documents(self) -> int: ...
    @property
    def verdict(self) -> str: ...
    @property
    def unknown_tokens(self) -> int | None: ...
    @property
    def rest_weight(self) -> float: ...
    @property
    def null_weight(self) -> float: ...
    @property
    def evidence(self) -> Any: ...
    @property
    def full_text(self) -> Any: ...


def explained(answer: _Answer, min_confidence: float | None = None) -> str:
    """Who has how much of the weight, a line each; below a document stands what was added to its logit."""
    rows = [(each.weight or 0.0, each.id, _sure(each), told(each), _added(each)) for each in answer.matches]
    others = answer.documents - len(rows)
    if others > 0:
        rows.append((answer.rest_weight, f"{others:,} other document{'s' if others > 1 else ''}", "", "", ""))
    rows.append((answer.null_weight, NONE_OF_THESE, "", "", ""))
    named, surest = max(len(row[1]) for row in rows), max(len(row[2]) for row in rows)
    lines = []
    for weight, name, sure, text, added in rows:
        line = f"{weight:8.4f}  {name:<{named}}  {sure:<{surest}}{'  ' if surest else ''}{text}"
        lines += [each.rstrip() for each in (line, added) if each]
    lines.append(f"{sum(row[0] for row in rows):8.4f}  {verdict(answer, min_confidence)}")
    return "\n".join([*lines, *_words(answer)])


def verdict(answer: _Answer, min_confidence: float | None = None) -> str:
    """Which of the three an answer says, in words, and by what.

    Args:
        min_confidence: how sure the first match had to be, where that was asked.
    """
    has_null = answer.evidence.null_similarity is not None
    null = f"“None of these” has {answer.null_weight:.1%}."
    if not answer.documents:
        why = "No document is there to attend to."
    elif answer.verdict == "none":
        why = null
    elif _unread(answer, min_confidence):
        why = "The model knows no word of the question."
    elif answer.matches and min_confidence is not None:
        why = f"The first is right with {answer.matches[0].confidence:.1%}, {min_confidence:.1%} was wanted."
    elif answer.matches:
        beside = f", “none of these” {answer.null_weight:.1%}" if has_null else ""
        why = f"The first has {answer.matches[0].weight:.1%}{beside}."
    else:
        why = null if has_null else ""
    certain = "" if answer.evidence.verdict_certain else "That is within its error; a smaller max_error settles it."
    return " ".join(filter(None, [f"{SAID[answer.verdict]}.", why, certain]))


def _unread(answer: _Answer, min_confidence: float | None) -> bool:
    """Whether the first match would stand out if the model knew a word of the question."""
    if answer.verdict != "several" or not answer.unknown_tokens or not answer.matches:
        return False
    first = answer.matches[0]
    if min_confidence is None:
        return (first.weight or 0.0) > 0.5
    return (first.confidence or 0.0) >= min_confidence


def in_short(answer: _Answer) -> str:
    """The same within a line."""
    said = SAID[answer.verdict].partition(":")[0].lower()
    return said if answer.evidence.verdict_certain else f"{said} (within its error: a smaller max_error settles it)"


def told(found: Match) -> str:
    """What a match says, in a line."""
    said = found.value if found.value is not None else found.key
    text = said if isinstance(said, str) else "" if said is None else json.dumps(said, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _sure(found: Match) -> str:
    return "" if found.confidence is None else f"confidence {found.confidence:.4f}"


def _added(found: Match) -> str:
    addends = found.explanation.addends if found.explanation else None
    return f"{'':10}added {', '.join(map(_addend, addends))}" if addends else ""


def _addend(line: Mapping[str, Any]) -> str:
    if "rank" in line:
        why = f"of full_text, rank {line['rank']:.4f}"
    elif "passes" in line:
        why = f"of a filter, {'passes' if line['passes'] else 'passes not'}"
    else:
        why = f"of {line['field']}, {json.dumps(line['value'], ensure_ascii=False)}"
    return f"{line['addend']:+.4f} ({why})"


def _words(answer: _Answer) -> list[str]:
    found = answer.full_text
    if found is None:
        return []
    ranked = f"full_text {found.weight:g}, ranked by {found.ranking}"
    return [f"{'':10}{ranked}: {found.documents:,} document{'s' * (found.documents != 1)} with a word of it"]
