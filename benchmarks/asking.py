"""Collections with questions as the service would hold them, with its null keys, in this process.

A question is asked of the core, as the service asks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from xxhash import xxh3_64_intdigest

from softkv_attention.lookup import Background, Memory, Question, Rows, answers
from softkv_service.encoding import Encoder, EncoderFacts
from softkv_service.retrieval.question import NullChoice
from softkv_service.retrieval.verdict import SAMPLE_DOCUMENTS, SAMPLE_TEXTS, KeyBackground, ResolvedNull, resolve_null
from softkv_service.storage.records import CollectionRecord, CollectionSettings

TOGETHER = 64

Array = np.ndarray[Any, Any]


class Vectors:
    """The vectors of texts, each text encoded once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._vectors = dict[tuple[str, str], Array]()

    def of(self, texts: Sequence[str], purpose: Literal["query", "document"]) -> Array:
        """float32[n, d], in order."""
        new = list(dict.fromkeys(text for text in texts if (purpose, text) not in self._vectors))
        if new:
            vectors = self.encoder.encode(new, purpose).vectors
            self._vectors.update({(purpose, text): vector for text, vector in zip(new, vectors, strict=True)})
        return np.stack([self._vectors[purpose, text] for text in texts])


@dataclass(frozen=True)
class Collection:
    """Documents of a set, and questions to it.

    Attributes:
        keys: the documents' texts, by id.
        present: questions with what answers them, which is there.
        absent: questions whose answers are left out.
    """

    keys: dict[str, str]
    present: list[tuple[str, tuple[str, ...]]]
    absent: list[str]


@dataclass(frozen=True)
class Said:
    """The results of q questions under one null key.

    Attributes:
        verdicts: <U7[q].
        first: <U[q], the id of the first match.
        cosines: float64[q], the cosine of the first match.
        nulls: float64[q], the null key's weight.
        weights: float64[q], of the first match.
    """

    verdicts: Array
    first: Array
    cosines: Array
    nulls: Array
    weights: Array

    def share(self, verdict: str) -> float:
        """Return the share of the questions with this verdict."""
        return float(np.mean(self.verdicts == verdict)) if len(self.verdicts) else float("nan")

    def of(self, chosen: Array) -> Said:
        """Return the results of some of the questions, bool[q]."""
        return Said(**{name: column[chosen] for name, column in vars(self).items()})

    @classmethod
    def together(cls, parts: Sequence[Said]) -> Said:
        """Concatenate the results of several collections."""
        return cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


class Asking:
    """A collection as the service would hold it, and its null keys."""

    def __init__(self, keys: dict[str, str], vectors: Vectors) -> None:
        encoder = self.encoder = vectors.encoder
        texts = list(keys.values())
        self.numbers = np.arange(1, len(texts) + 1)
        key_vectors = vectors.of(texts, "document")
        self.vectors, self.memory = vectors, Memory("cosine")
        self.memory.publish(add=Rows(self.numbers, key_vectors))
        self.ids = list(keys)
        settings = CollectionSettings("cosine", encoder.temperature.value, encoder.dimension, encoder=encoder.name)
        self.record = CollectionRecord(1, "asked", settings, len(texts))
        sample = np.array(sorted(range(len(texts)), key=lambda row: order_of(self.ids[row]))[:SAMPLE_DOCUMENTS])
        self.own = KeyBackground.measure("cosine", key_vectors[sample], [texts[row] for row in sample[:SAMPLE_TEXTS]])

    def null(self, choice: NullChoice) -> ResolvedNull:
        """The null key of a name."""
        return resolve_null(self.record, lambda: self.own, choice, EncoderFacts.of(self.encoder))

    def null_logits(self, questions: Sequence[str]) -> Array:
        """float64[q], of the null key `auto` beside each question."""
        temperature, null = self.record.settings.temperature, self.null("auto")
        backgrounds = [
            null.of(question, vector)
            for question, vector in zip(questions, self.vectors.of(questions, "query"), strict=True)
        ]
        keys = [
            background.null_key(temperature, len(self.ids))
            for background in backgrounds
            if isinstance(background, Background)
        ]
        return np.array([key.logit(0.0, temperature) for key in keys])

    def ask(self, questions: Sequence[str], choice: NullChoice) -> Said:
        """Return the service's results under the null key of this name."""
        null = self.null(choice)
        results = []
        for start in range(0, len(questions), TOGETHER):
            texts = questions[start : start + TOGETHER]
            scan_questions = [
                Question(vector, self.record.settings.temperature, null.of(text, vector), top_k=1, output=False)
                for text, vector in zip(texts, self.vectors.of(texts, "query"), strict=True)
            ]
            results += answers(self.memory.view, scan_questions)
        return Said(
            np.array([answer.verdict.stands for answer in results]),
            np.array([self.ids[answer.numbers[0] - 1] for answer in results]),
            np.array([answer.similarities[0] for answer in results]),
            np.array([answer.null_weight for answer in results]),
            np.array([answer.weights[0] for answer in results]),
        )


@dataclass(frozen=True)
class Results:
    """The results of the questions to some collections under one null key.

    Attributes:
        present, absent: of questions whose document is there, and is not.
        right: bool[q], of the former, whether the first match is right.
        off_topic: of another set's questions; None without another set.
    """

    present: Said
    right: Array
    absent: Said
    off_topic: Said | None

    def decided(self, present: Array, absent: Array) -> float:
        """Return the share of right decisions if "one document stands out" is said of these questions, bool[q]."""
        return float(np.mean(present == self.right) + np.mean(~absent)) / 2

    @property
    def by_verdict(self) -> float:
        """The share of right decisions by "one"."""
        return self.decided(self.present.verdicts == "one", self.absent.verdicts == "one")


def ask_all(
    askings: Sequence[Asking],
    questioned: Sequence[Collection],
    choice: NullChoice,
    off_topic: Sequence[Sequence[str]],
) -> Results:
    """Return the results of all questions to these collections.

    Args:
        askings: the collections, as the service would hold them.
        questioned: the same collections, with their questions.
        choice: the null key.
        off_topic: the off-topic questions to each collection; empty without another set.
    """
    present = [
        asking.ask([text for text, _ in collection.present], choice)
        for asking, collection in zip(askings, questioned, strict=True)
    ]
    right = [
        [first in answers for first, (_, answers) in zip(said.first, collection.present, strict=True)]
        for said, collection in zip(present, questioned, strict=True)
    ]
    absent = [asking.ask(collection.absent, choice) for asking, collection in zip(askings, questioned, strict=True)]
    other = [asking.ask(texts, choice) for asking, texts in zip(askings, off_topic, strict=bool(off_topic))]
    return Results(
        Said.together(present),
        np.concatenate(right).astype(np.bool_),
        Said.together(absent),
        Said.together(other) if other else None,
    )


def order_of(text: str) -> int:
    """Return a text's position in an arbitrary order, which is the same everywhere."""
    return int(xxh3_64_intdigest(text.encode()))
