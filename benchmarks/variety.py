"""Collections of every shape, and random questions to them with every option whose answer is determined."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.contenders.documents import WORDS, id_of
from benchmarks.keys import Array, clustered, near

Fields = dict[str, Any]
PATH = "/v1/collections"
SIMILARITIES = ("cosine", "dot", "scaled_dot", "gaussian")
ROWS_OF_ALL_SIMILARITIES = range(2, 5000)
KINDS = ("story", "note", "letter", "list")
SHELVES = ("QA76", "SF441", "PN56", "QL737", None)
VALUE_WIDTH = 6
DELETED = 17  # every 17th document is deleted, so that rows have gaps
ENCODED_WIDTH = 384
LINES_AT_ONCE = 1000


@dataclass(frozen=True)
class Shape:
    """A collection to ask.

    Attributes:
        size: documents written, before some are deleted.
        similarity: of the collection.
        width: of its keys.
        several: whether most documents have several keys.
        encoder: whether it has the service's encoder, and can be asked with texts.
    """

    size: int
    similarity: str
    width: int
    several: bool = False
    encoder: bool = False

    @property
    def name(self) -> str:
        """Return the name of the collection."""
        parts = [self.similarity, str(self.size)] + ["several"] * self.several + ["texts"] * self.encoder
        return "-".join(parts).replace("_", "-")

    @property
    def settings(self) -> Fields:
        """Return the body that creates it."""
        settings: Fields = {"similarity": self.similarity}
        if not self.encoder:
            settings |= {"encoder": None, "dimension": self.width}
        if self.several:
            term = {"field": "metadata.stars", "factor": 0.5}
            passing = {"field": "metadata.percent", "operator": "<", "value": 90}
            settings["defaults"] = {"filter": passing, "bias": term, "top_k": 7, "include": ["value", "explanation"]}
        return settings

    @property
    def keys(self) -> Array:
        """Return float32[n, width], a key of each document; other keys of a document are near it."""
        rows = max(self.size, 1)
        keys = np.concatenate(list(clustered(rows, seed=self.size, width=self.width)))
        keys[:: 2 * DELETED] = keys[0]  # copies, which tie
        if self.similarity != "cosine":
            keys *= np.random.default_rng(self.size).uniform(0.5, 2, (rows, 1)).astype(np.float32)
        return keys[: self.size] if self.size else keys

    def lines(self) -> Iterator[bytes]:
        """Yield its documents as NDJSON, a thousand lines at a time."""
        draw, keys = random.Random(self.name), self.keys
        for start in range(0, self.size, LINES_AT_ONCE):
            rows = range(start, min(start + LINES_AT_ONCE, self.size))
            yield b"".join(json.dumps(self._document(row, keys[row], draw)).encode() + b"\n" for row in rows)

    def ids_to_delete(self) -> list[str]:
        """Return the ids of documents to delete after the upload."""
        return [id_of(row) for row in range(DELETED // 2, self.size, DELETED)]

    def _document(self, row: int, key: Array, draw: random.Random) -> Fields:
        document: Fields = {
            "id": id_of(row),
            "value": draw.choice([f"value {row}", row, {"row": row}, " ".join(draw.choices(WORDS, k=8))]),
            "metadata": metadata(row, draw),
            "value_vector": [round(draw.uniform(-1, 1), 3) for _ in range(VALUE_WIDTH)],
        }
        if row % 3:
            document["key"] = " ".join(draw.choices(WORDS, k=12))
        if self.several and row % 4:
            vectors = [key, *near(key[None], draw.randrange(1, 4), row)]
            return document | {"key_vectors": [as_base64(vector) for vector in vectors]}
        return document | {"key_vector": as_base64(key)}


def metadata(row: int, draw: random.Random) -> Fields:
    """Return fields of several types, of which some documents lack some."""
    fields: Fields = {"percent": row % 100, "source": f"source-{row % 7}", "kind": draw.choice(KINDS)}
    if row % 5:
        fields["year"] = 1950 + draw.randrange(75)
    if row % 6:
        fields["stars"] = round(draw.uniform(0, 5), 2)
    if shelf := draw.choice(SHELVES):
        fields["shelf"] = shelf
    if row % 2:
        fields["topics"] = draw.sample(WORDS[:9], 2)
        fields["written"] = f"20{draw.randrange(10, 26)}-0{draw.randrange(1, 10)}-11"
    return fields


def as_base64(vector: Array) -> Fields:
    """Return a vector in JSON, as base64."""
    return {"base64": base64.b64encode(vector.astype("<f4").tobytes()).decode()}


def shapes(sizes: Sequence[int], *, encoder: bool) -> list[Shape]:
    """Return the collections: each size by cosine and dot, small ones by all similarities, some with several keys."""
    collections = []
    for size in sizes:
        similarities = SIMILARITIES if size in ROWS_OF_ALL_SIMILARITIES else SIMILARITIES[:2]
        width = 24 if size < 500 else 96
        collections += [Shape(size, similarity, width) for similarity in similarities]
        if size > 1:
            collections += [Shape(size, "cosine", width, several=True)]
        if encoder and size in ROWS_OF_ALL_SIMILARITIES:
            collections += [Shape(size, "cosine", ENCODED_WIDTH, encoder=True)]
    return collections


@dataclass(frozen=True)
class Request:
    """A question.

    Attributes:
        path: of the call.
        body: its JSON.
    """

    path: str
    body: Fields


class Questions:
    """Random questions to one collection; the same seed gives the same questions.

    Args:
        shape: the collection.
        seed: of the questions.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        self._shape, self._keys = shape, shape.keys
        self._draw = random.Random(f"{seed} {shape.name}")
        self._random = np.random.default_rng([seed, shape.size, shape.width])

    def __iter__(self) -> Iterator[Request]:
        """Yield questions without end."""
        while True:
            yield self._sweep() if self._chance(0.1) else self._attend()

    def _chance(self, share: float) -> bool:
        return self._draw.random() < share

    def _attend(self) -> Request:
        draw, text = self._draw, self._shape.encoder and self._chance(0.5)
        body = self._query(text=text) if self._chance(0.9) else self._queries(text=text)
        body |= self._common(text=text)
        if self._chance(0.8):
            body["temperature"] = draw.choice([0, 1e-9, 1e-3, 0.05, 0.05, 0.3, 1, 30, 1e300, "auto"])
        if body.get("temperature") == "auto" and self._chance(0.7):
            body["effective_documents"] = draw.choice([1, 2, 8.5, 30, 1000])
        if self._chance(0.25):
            body["top_p"] = draw.choice([0.1, 0.5, 0.9, 0.999, 1])
        if self._chance(0.2):
            body["normaliser"] = draw.choice(["softmax", "sparsemax", "entmax15", "one_hot"])
        if self._chance(0.15):
            body["max_error"] = draw.choice([1e-1, 1e-3, 1e-6, 1e-12])
        if self._chance(0.02):
            body["min_confidence"] = 0.5
        if self._chance(0.05):
            body["allow_missing"] = True
        if self._chance(0.15):
            body["read"] = self._read()
        if self._chance(0.5):
            fields = ["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation"]
            body["include"] = draw.sample(fields, draw.randrange(len(fields) + 1))
        if self._chance(0.2):
            body["vector_format"] = "base64"
        return Request(f"{PATH}/{self._shape.name}/attend", body)

    def _sweep(self) -> Request:
        text = self._shape.encoder and self._chance(0.5)
        temperatures = self._draw.choices([0, 1e-9, 1e-3, 0.05, 0.1, 1, 30, 1e300], k=self._draw.randrange(1, 6))
        body = self._query(text=text) | self._common(text=text) | {"temperatures": temperatures}
        return Request(f"{PATH}/{self._shape.name}/sweep", body)

    def _common(self, *, text: bool) -> Fields:
        draw, body = self._draw, Fields()
        if self._chance(0.7):
            body["top_k"] = draw.choice([0, 1, 3, 10, 10, 50, 300, None])
        if self._chance(0.35):
            body["filter"] = self._filter()
        if self._chance(0.5):
            body["null"] = draw.choice([False, 0.3, -1, 2.5, "auto", "strict", "lenient", "calibrated"])
        if self._chance(0.2):
            body["bias"] = self._term() if self._chance(0.7) else [self._term() for _ in range(draw.randrange(1, 4))]
        if text and self._chance(0.3):
            body["full_text"] = draw.choice([0, 0.1, 1, "auto"])
        return body

    def _query(self, *, text: bool) -> Fields:
        if text:
            return {"query": " ".join(self._draw.choices(WORDS, k=self._draw.randrange(1, 9)))}
        return {"query": self._vector()}

    def _queries(self, *, text: bool) -> Fields:
        return {"queries": [self._query(text=text)["query"] for _ in range(self._draw.randrange(1, 6))]}

    def _vector(self) -> Any:
        key = self._keys[self._random.integers(len(self._keys))]
        kind = self._draw.random()
        if kind < 0.6:
            vector = near(key[None], 1, int(self._random.integers(1 << 30)))[0]
        elif kind < 0.8:
            vector = self._random.standard_normal(len(key), dtype=np.float32)
        elif kind < 0.98:
            vector = key
        else:
            vector = np.zeros_like(key)
        return as_base64(vector) if self._chance(0.5) else [float(x) for x in vector]

    def _filter(self, depth: int = 0) -> Fields:
        draw = self._draw
        if depth < 2 and self._chance(0.25):
            conditions = [self._filter(depth + 1) for _ in range(draw.randrange(1, 4))]
            return {"operator": draw.choice(["AND", "OR", "NOT"]), "conditions": conditions}
        field, operator, value = draw.choice(
            [
                ("metadata.percent", draw.choice(["<", ">=", "=="]), draw.choice([1, 10, 50, 99])),
                ("metadata.year", draw.choice(["<", ">", "!="]), draw.randrange(1950, 2026)),
                ("metadata.kind", draw.choice(["==", "!="]), draw.choice(KINDS)),
                ("metadata.shelf", draw.choice(["==", "!="]), draw.choice(SHELVES)),
                ("metadata.source", draw.choice(["in", "not in"]), ["source-1", "source-4", 7]),
                ("metadata.topics", "contains", draw.choice(WORDS[:9])),
                ("metadata.written", ">", {"datetime": "2018-03-01T00:00:00Z"}),
                ("metadata.absent", "==", draw.choice([1, None])),
                ("key", "contains", draw.choice(WORDS)),
                ("id", "in", [id_of(draw.randrange(max(1, self._shape.size))) for _ in range(5)]),
                ("id", "<", id_of(self._shape.size // 3)),
            ]
        )
        return {"field": field, "operator": operator, "value": value}

    def _term(self) -> Fields:
        return self._draw.choice(
            [
                {"field": "metadata.stars", "factor": self._draw.uniform(-2, 2)},
                {"field": "metadata.stars", "scale": "log", "factor": self._draw.choice([0.5, 1, 2])},
                {"field": "metadata.year", "half_life": self._draw.choice([1, 20, 400]), "missing": -1},
                {"field": "metadata.year", "half_life": 15, "origin": 1990, "decay": "gaussian"},
                {"field": "metadata.written", "half_life": "300d", "origin": "2020-01-01"},
                {"field": "metadata.shelf", "weights": {"QA76": 1.5, "SF441": -1}},
                {"filter": self._filter(2), "addend": self._draw.choice([-3, 0.7, 2])},
            ]
        )

    def _read(self) -> Fields:
        field = self._draw.choice(["metadata.year", "metadata.stars", "metadata.kind", "metadata.absent"])
        read: Fields = {"field": field, "as": self._draw.choice(["mean", "vote", "quantile"])}
        if read["as"] == "quantile" and self._chance(0.6):
            read["quantiles"] = [0.1, 0.5, 0.9]
        return read
