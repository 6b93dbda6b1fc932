"""Recording of a service's answers to all questions that visitors of the exported page can ask, scene by scene."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import softkv
    from softkv.answers.answer import Comparison, SqlResult

# In js/scenes.js: a set, `colour: { query: "…", t: 0.05, rows: rows({ … }) }`, and a row of the shared ones.
_SET = re.compile(r'^  (\w+): \{ query: "([^"]*)".*?rows\(\{(.*?)\}\) \}', re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r'"([^"]*)": "([^"]*)"')
_ROW = re.compile(r'\{ id: "([^"]*)", key: "([^"]*)", value: "([^"]*)" \}')
_SHARED_QUERY = re.compile(r'query: "([^"]*)", rows: SHARED')
_FILTER = re.compile(r"filter: (\{[^}]*\})")
_NAME = re.compile(r"(\w+):")
COLLECTIONS = ("library", "videos")


@dataclass(frozen=True)
class Memory:
    """Rows of a scene or a collection, with the questions about them.

    Attributes:
        name: the collection, or None if the rows are sent with each question.
        rows: the id, key, value and metadata of each row.
        questions: the questions.
        filters: the filters with which the first question is also asked.
    """

    name: str | None
    rows: list[dict[str, Any]]
    questions: list[str]
    filters: list[dict[str, Any]] = field(default_factory=list)


def find_memories(scenes: str) -> list[Memory]:
    """Return a `Memory` for each scene in the text of js/scenes.js: its rows and its question."""
    sets = [
        Memory(None, [_row(f"row-{i}", *pair) for i, pair in enumerate(_PAIR.findall(pairs), 1)], [query])
        for _, query, pairs in _SET.findall(scenes)
    ]
    shared = [_row(*groups) for groups in _ROW.findall(scenes)]
    return [*sets, Memory(None, shared, _SHARED_QUERY.findall(scenes))]


def find_filters(scenes: str) -> list[dict[str, Any]]:
    """Return the filters in the text of js/scenes.js, as the API takes them."""
    return [json.loads(_NAME.sub(r'"\1":', literal, count=3)) for literal in _FILTER.findall(scenes)]


def _row(identifier: str, key: str, value: str) -> dict[str, Any]:
    return {"id": identifier, "key": key, "value": value}


NULLS = ("auto", "lenient", "strict")
TEMPERATURE = 0.05
_TOP_K = 1000
_CHECKED = 5  # weights of each question, with which the page compares its own results


class Recording:
    """The answers to the questions, and the vectors of all texts.

    Args:
        client: the client of a service that has the collections.
        report: called after each answered question.
    """

    def __init__(self, client: softkv.Client, report: Callable[[], None]) -> None:
        self._client = client
        self._report = report
        self._memories: list[dict[str, Any]] = []
        self._texts: dict[Literal["document", "query"], dict[str, None]] = {"document": {}, "query": {}}

    def ask(self, memory: Memory) -> None:
        """Ask the service the questions of a memory, and record its answers."""
        questions = list(dict.fromkeys(memory.questions))
        for row in memory.rows:
            self._texts["document"] |= {text: None for text in (row["key"], row["value"]) if isinstance(text, str)}
        self._texts["query"] |= dict.fromkeys(questions)
        positions = {row["id"]: i for i, row in enumerate(memory.rows)}
        answers = {}
        first_of = dict[tuple[float, float] | None, str]()  # by background: that of short questions may differ
        for text in questions:
            compared = self._compare(memory, text)
            background = compared.background
            spread = None if background is None else (background.mean, background.deviation)
            first_of.setdefault(spread, text)
            answers[text] = {
                "words": compared.full_text.parameters.get("words"),
                "found": [positions[row["id"]] for row in compared.full_text.rows],
                "none": compared.attention.null_weight,
                "weights": [[positions[match.id], match.weight] for match in compared.attention.matches[:_CHECKED]],
                "stands_on": list(first_of).index(spread),
            }
            self._report()
        filters = [None] if memory.name is None else [None, *memory.filters]
        statements = [(condition, self._compare(memory, questions[0], where=condition)) for condition in filters]
        self._memories.append(
            {
                "name": memory.name,
                "rows": memory.rows,
                "backgrounds": [self._backgrounds(memory, text) for text in first_of.values()],
                "statements": [
                    {"filter": condition, "sql": _statement(compared.sql), "full_text": _statement(compared.full_text)}
                    for condition, compared in statements
                ],
                "questions": answers,
            }
        )

    def content(self) -> dict[str, Any]:
        """Return everything that was recorded, in the format that the exported page reads."""
        return {
            "temperature": TEMPERATURE,
            "memories": self._memories,
            **{purpose: self._vectors(purpose, texts) for purpose, texts in self._texts.items()},
        }

    def _vectors(self, purpose: Literal["document", "query"], texts: Iterable[str]) -> dict[str, Any]:
        """Return texts with their vectors: one base64 text of all vectors, one after another, in
        little-endian float32.
        """
        vectors = np.asarray(self._client.encode(list(texts), purpose=purpose), dtype="<f4")
        return {
            "texts": list(texts),
            "width": vectors.shape[1],
            "vectors": b64encode(vectors.tobytes()).decode("ascii"),
        }

    def _backgrounds(self, memory: Memory, query: str) -> dict[str, Any]:
        """Return, by the name of each null key, the background of similarities from which its similarity for a question
        follows.
        """
        backgrounds = {null: self._compare(memory, query, null=null).background for null in NULLS}
        return {
            null: background and {"mean": background.mean, "deviation": background.deviation, "of": background.of}
            for null, background in backgrounds.items()
        }

    def _compare(self, memory: Memory, query: str, **options: Any) -> Comparison:
        options = {"temperature": TEMPERATURE, "top_k": _TOP_K, "null": "auto", **options}
        if memory.name is None:
            return self._client.compare(query, memory.rows, **{k: v for k, v in options.items() if k != "where"})
        return self._client.collection(memory.name).compare(query, **options)


def _statement(result: SqlResult) -> dict[str, Any]:
    return {"statement": result.statement, "parameters": dict(result.parameters)}
