"""Asking a service everything that the exported page can be asked, through the client."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from service.commands.page.memories import Memory

if TYPE_CHECKING:
    import softkv
    from softkv.answers.answer import Comparison, SqlResult

NULLS = ("auto", "lenient", "strict")
TEMPERATURE = 0.05
_MOST = 1000
_CHECKED = 5  # weights of each question, which the page compares its own with


class Recording:
    """What came of the questions, and the vectors of all texts.

    Args:
        client: of a service that has the collections.
        told: hears of each question that was answered.
    """

    def __init__(self, client: softkv.Client, told: Callable[[], None]) -> None:
        self._client = client
        self._told = told
        self._memories: list[dict[str, Any]] = []
        self._texts: dict[Literal["document", "query"], dict[str, None]] = {"document": {}, "query": {}}

    def ask(self, memory: Memory) -> None:
        """Put a memory's questions to the service."""
        questions = list(dict.fromkeys(memory.questions))
        for row in memory.rows:
            self._texts["document"] |= {text: None for text in (row["key"], row["value"]) if isinstance(text, str)}
        self._texts["query"] |= dict.fromkeys(questions)
        where = {row["id"]: i for i, row in enumerate(memory.rows)}
        asked = {}
        first_of = dict[tuple[float, float] | None, str]()  # by what it stands on: short questions may differ in that
        for text in questions:
            compared = self._compare(memory, text)
            background = compared.background
            spread = None if background is None else (background.mean, background.deviation)
            first_of.setdefault(spread, text)
            asked[text] = {
                "words": compared.full_text.parameters.get("words"),
                "found": [where[row["id"]] for row in compared.full_text.rows],
                "none": compared.attention.null_weight,
                "weights": [[where[match.id], match.weight] for match in compared.attention.matches[:_CHECKED]],
                "stands_on": list(first_of).index(spread),
            }
            self._told()
        filters = [None] if memory.name is None else [None, *memory.filters]
        statements = [(each, self._compare(memory, questions[0], where=each)) for each in filters]
        self._memories.append(
            {
                "name": memory.name,
                "rows": memory.rows,
                "backgrounds": [self._backgrounds(memory, text) for text in first_of.values()],
                "statements": [
                    {"filter": each, "sql": _statement(found.sql), "full_text": _statement(found.full_text)}
                    for each, found in statements
                ],
                "questions": asked,
            }
        )

    def content(self) -> dict[str, Any]:
        """All of it, as the page reads it."""
        return {
            "temperature": TEMPERATURE,
            "memories": self._memories,
            **{purpose: self._vectors(purpose, texts) for purpose, texts in self._texts.items()},
        }

    def _vectors(self, purpose: Literal["document", "query"], texts: Iterable[str]) -> dict[str, Any]:
        """Texts, and their vectors as little-endian float32 in base64, one after another."""
        vectors = np.asarray(self._client.encode(list(texts), purpose=purpose), dtype="<f4")
        return {
            "texts": list(texts),
            "width": vectors.shape[1],
            "vectors": b64encode(vectors.tobytes()).decode("ascii"),
        }

    def _backgrounds(self, memory: Memory, query: str) -> dict[str, Any]:
        """By the name of each null key, what it stands on beside a question."""
        backgrounds = {null: self._compare(memory, query, null=null).background for null in NULLS}
        return {
            null: found and {"mean": found.mean, "deviation": found.deviation, "of": found.of}
            for null, found in backgrounds.items()
        }

    def _compare(self, memory: Memory, query: str, **options: Any) -> Comparison:
        told = {"temperature": TEMPERATURE, "top_k": _MOST, "null": "auto", **options}
        if memory.name is None:
            return self._client.compare(query, memory.rows, **{name: told[name] for name in told if name != "where"})
        return self._client.collection(memory.name).compare(query, **told)


def _statement(found: SqlResult) -> dict[str, Any]:
    return {"statement": found.statement, "parameters": dict(found.parameters)}
