"""Documents whose answers reveal their rows: the exact answer is known, and a mixture of versions is visible.

The keys and value vectors of all documents stay as they are, so softmax in float64 gives the right answer at any
version. Sixteen documents with near keys, from sixteen shards, form a group. They are written together with one number
as their value. An answer with two of them must have that number twice, and none smaller than the one acknowledged
before the query. A rewritten document gets row numbers of another shard. So an answer that mixes an old and a new shard
has too many or too few documents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
import numpy as np
import psycopg

from softkv_cluster.service import shard_start, shard_stop
from softkv_service.storage import open_shared
from softkv_service.storage.records import DocumentRecord

NAME = "shelf"
PATH = f"/v1/collections/{NAME}"
VALUE_WIDTH, TOP_K = 4, 12
SHARDS, IN_SHARD, IN_GROUP = 24, 20, 16
DOCUMENTS = SHARDS * IN_SHARD
GROUPS = DOCUMENTS // IN_GROUP
FAR_BATCH = 5_000


@dataclass(frozen=True)
class Expected:
    """The exact answer to the query that is the key of one document.

    Attributes:
        best: the row numbers of the first `TOP_K` documents.
        weights: their weights.
        output: float64[value_width].
    """

    best: list[int]
    weights: np.ndarray
    output: np.ndarray
    log_partition: float


class Shelf:
    """The documents, and the exact answers to queries.

    Args:
        far_keys: the number of further documents, with random keys, which are never rewritten.
        width: the number of dimensions.

    Attributes:
        acknowledged: for each group, the number that was acknowledged last.
        temperature: of all queries.
    """

    def __init__(self, address: str, *, far_keys: int = 0, width: int = 16, temperature: float = 0.2) -> None:
        random = np.random.default_rng(0)
        self.groups = np.arange(DOCUMENTS) % GROUPS
        centers = _unit(random.standard_normal((GROUPS, width)))
        near = centers[self.groups] + 0.4 * _unit(random.standard_normal((DOCUMENTS, width)))
        keys = np.concatenate([_unit(near), random.standard_normal((far_keys, width), dtype=np.float32)])
        self.keys = keys.astype(np.float32)
        self.values = random.standard_normal((DOCUMENTS + far_keys, VALUE_WIDTH)).astype(np.float32)
        self.acknowledged = [0] * GROUPS
        self.temperature = temperature
        self._address, self._width = address, width

    def fill(self, client: httpx.Client) -> None:
        """Write all documents: the far ones, and then `IN_SHARD` into each shard."""
        made = client.put(PATH, json={"similarity": "cosine", "dimension": self._width})
        assert made.status_code == 201, made.text
        self._fill_far()
        for first in range(0, DOCUMENTS, IN_SHARD):
            self.begin_shard()
            written = self.write(client, np.arange(first, first + IN_SHARD), 0)
            assert written.status_code < 300, written.text

    def write(self, client: httpx.Client, rows: np.ndarray, number: int) -> httpx.Response:
        """Write documents, all with one number as their value."""
        documents = [
            {
                "id": str(row),
                "key_vector": self.keys[row].tolist(),
                "value_vector": self.values[row].tolist(),
                "value": number,
            }
            for row in rows.tolist()
        ]
        return client.post(f"{PATH}/documents", json={"documents": documents})

    def begin_shard(self) -> None:
        """Let later writes go to a new shard, as when a shard has no row numbers left."""
        with psycopg.connect(self._address) as connection:
            [next_row] = connection.execute(
                "SELECT next_row FROM softkv.collections WHERE name = %s FOR UPDATE", (NAME,)
            ).fetchone() or (1,)
            stop = shard_stop(shard_start(next_row))
            connection.execute("UPDATE softkv.collections SET next_row = %s WHERE name = %s", (stop, NAME))

    def ask(self, client: httpx.Client, row: int) -> httpx.Response:
        """Ask for the documents near one document."""
        body = {"query": self.keys[row].tolist(), "temperature": self.temperature, "top_k": TOP_K, "null": False}
        return client.post(f"{PATH}/attend", json={**body, "include": ["value", "output"]})

    def error(self, answer: dict[str, Any], row: int, acknowledged: Sequence[int]) -> str | None:
        """Return what is wrong with an answer, or None.

        Args:
            acknowledged: for each group, the number that was acknowledged before the query.
        """
        expected = self._exact_answers[row]
        if answer["documents"] != len(self.keys):
            return f"{answer['documents']} documents instead of {len(self.keys)}"
        if [match["id"] for match in answer["matches"]] != [str(best) for best in expected.best]:
            return "other matches, or in another order"
        variation = answer["certificate"]["total_variation"]
        apart = np.abs(np.array([match["weight"] for match in answer["matches"]]) - expected.weights).sum() / 2
        if apart > variation + 1e-12:
            return f"the weights are {apart:g} off, and the certificate says {variation:g}"
        apart = float(np.linalg.norm(np.array(answer["output"]) - expected.output))
        limit = answer["certificate"]["output_error"]
        if apart > (math.inf if limit is None else limit) + 1e-6:
            return f"the output is {apart:g} off, and the certificate says {limit:g}"
        if abs(answer["evidence"]["log_partition"] - expected.log_partition) > 1e-6:
            return f"the log partition is {answer['evidence']['log_partition']} instead of {expected.log_partition}"
        return self._mixture(answer, acknowledged)

    @cached_property
    def _exact_answers(self) -> list[Expected]:
        """The exact answers, by the row of the query."""
        queries = _unit(self.keys[:DOCUMENTS].astype(np.float64))
        similarities = queries @ queries.T
        best = np.argsort(-similarities, axis=1)[:, :TOP_K]
        least = np.take_along_axis(similarities, best, axis=1)[:, -1]
        # Cosines at this temperature are at most 5, so that sums of exponentials need no maximum.
        masses, outputs = np.zeros(DOCUMENTS), np.zeros((DOCUMENTS, VALUE_WIDTH))
        for first in range(0, len(self.keys), FAR_BATCH):
            logits = queries @ _unit(self.keys[first : first + FAR_BATCH].astype(np.float64)).T
            assert (logits[:, max(0, DOCUMENTS - first) :].max(axis=1, initial=-1) < least).all(), "a far key is near"
            exponentials = np.exp(logits / self.temperature)
            masses += exponentials.sum(axis=1)
            outputs += exponentials @ self.values[first : first + FAR_BATCH].astype(np.float64)
        return [
            Expected(
                best[row].tolist(),
                np.exp(similarities[row, best[row]] / self.temperature) / masses[row],
                outputs[row] / masses[row],
                float(np.log(masses[row])),
            )
            for row in range(DOCUMENTS)
        ]

    def _mixture(self, answer: dict[str, Any], acknowledged: Sequence[int]) -> str | None:
        numbers: dict[int, set[int]] = {}
        for match in answer["matches"]:
            if int(match["id"]) < DOCUMENTS:
                numbers.setdefault(int(self.groups[int(match["id"])]), set()).add(match["value"])
        for group, values in numbers.items():
            if len(values) > 1:
                return f"a mixture of versions {values}"
            if min(values) < acknowledged[group]:
                return f"version {values}, and {acknowledged[group]} was acknowledged before"
        return None

    def _fill_far(self) -> None:
        store = open_shared(self._address)
        try:
            [number] = store.extents()
            for first in range(DOCUMENTS, len(self.keys), FAR_BATCH):
                rows = range(first, min(first + FAR_BATCH, len(self.keys)))
                documents = [DocumentRecord(str(row), None, 0, self.keys[[row]], self.values[row]) for row in rows]
                with store.writing(collection=number) as writer:
                    writer.upsert(number, documents)
        finally:
            store.close()


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
