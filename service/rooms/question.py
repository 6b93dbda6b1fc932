"""A question to a room's rows: what was guessed before its answer was shown, and the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Share:
    """What a row got of an answer."""

    id: str
    weight: float
    similarity: float


@dataclass(frozen=True)
class Answer:
    """What the room's rows answered, the heaviest first.

    Attributes:
        temperature: at which it was asked.
        null_similarity: None where there is no null key.
        verdict, verdict_certain: as the evidence of an answer has them.
    """

    shares: Sequence[Share]
    temperature: float
    null_weight: float
    null_similarity: float | None
    verdict: str
    verdict_certain: bool


@dataclass
class Question:
    """What is asked of a room's rows.

    Attributes:
        number: of the room's questions, from 1.
        guesses: by who guessed, which row will weigh most; None for none of them.
        callers: by who guessed, where the guess came from.
        closed: whether guesses are no longer taken.
    """

    number: int
    query: str
    temperature: float | None = None
    guesses: dict[str, str | None] = field(default_factory=dict)
    callers: dict[str, str | None] = field(default_factory=dict)
    closed: bool = False
    answer: Answer | None = None

    def told(self) -> dict[str, Any]:
        """What everybody may know: of guesses only how many, until the answer is shown."""
        asked: dict[str, Any] = {"number": self.number, "query": self.query, "guesses": len(self.guesses)}
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        if (answer := self.answer) is None:
            return asked
        counts = Counter(self.guesses.values())
        matches = [
            {"id": each.id, "weight": each.weight, "similarity": each.similarity, "guesses": counts[each.id]}
            for each in answer.shares
        ]
        return asked | {
            "temperature": answer.temperature,
            "answer": {
                "matches": matches,
                "null_weight": answer.null_weight,
                "null_similarity": answer.null_similarity,
                "null_guesses": counts[None],
                "verdict": answer.verdict,
                "verdict_certain": answer.verdict_certain,
            },
        }
