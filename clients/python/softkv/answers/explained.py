"""An answer as lines that add up to one, what was added to each document, and why it was answered or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from softkv.answers.match import Match

NONE_OF_THESE = "none of these"
_UNDER = "the documents do not outweigh none of these"


class _Answer(Protocol):
    """What is told of an answer, which is true where it is answered."""

    @property
    def matches(self) -> list[Match]: ...
    @property
    def documents(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def rest_weight(self) -> float: ...
    @property
    def null_weight(self) -> float: ...
    @property
    def evidence(self) -> Any: ...
    @property
    def full_text(self) -> Any: ...
    def __bool__(self) -> bool: ...


def explained(answer: _Answer) -> str:
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
    lines.append(f"{sum(row[0] for row in rows):8.4f}  {verdict(answer)}")
    return "\n".join([*lines, *_words(answer)])


def verdict(answer: _Answer) -> str:
    """Whether it was answered, and why.

    By weight that is where the documents outweigh the null key. Where it is otherwise, `answer_if` asked for the
    confidence of the first match, which the answer does not say.
    """
    if not answer.documents:
        return "not answered: there is no document to attend to"
    if answer.temperature == 0 or answer.evidence.log_partition is None:  # or another normaliser: by similarity
        return "answered" if answer else "not answered: the best document is not above none of these"
    outweighs = answer.null_weight < 0.5
    if answer:
        return "answered" if outweighs else f"answered: the first match is as sure as was asked, though {_UNDER}"
    return f"not answered: {'the first match is not as sure as was asked' if outweighs else _UNDER}"


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
