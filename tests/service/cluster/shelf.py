"""Documents whose answers reveal their rows: the exact answer is known, and a mixture of versions is visible.

Each document's key and value vector stay as they are, so softmax in float64 gives the right answer at any version.
Sixteen documents with near keys, from sixteen ranges, are written together with one number as their value. An answer
with two of them must have that number twice, and none smaller than the one acknowledged before the question.
A rewritten document gets row numbers of another range. So an answer that mixes an old and a new range has too many
or too few documents.
"""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import psycopg

from service.cluster import SHARD_ROWS
from service.storage import open_shared

NAME = "shelf"
PATH = f"/v1/collections/{NAME}"
WIDTH, VALUE_WIDTH = 16, 4
RANGES, IN_RANGE, TOGETHER = 24, 20, 16
DOCUMENTS = RANGES * IN_RANGE
GROUPS = DOCUMENTS // TOGETHER
NOTHING_SAID = math.inf


class Shelf:
    """The documents, and what a question to them has to be answered.

    Attributes:
        acknowledged: of each group the last number that was.
    """

    def __init__(self, address: str) -> None:
        random = np.random.default_rng(0)
        centers = random.standard_normal((GROUPS, WIDTH))
        self.groups = np.arange(DOCUMENTS) % GROUPS
        keys = centers[self.groups] + 0.4 * random.standard_normal((DOCUMENTS, WIDTH))
        self.keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
        self.values = random.standard_normal((DOCUMENTS, VALUE_WIDTH)).astype(np.float32)
        self.acknowledged = [0] * GROUPS
        self._address = address

    def fill(self, client: httpx.Client) -> None:
        """Write all documents, the same number in each range."""
        made = client.put(PATH, json={"similarity": "cosine", "dimension": WIDTH})
        assert made.status_code == 201, made.text
        for first in range(0, DOCUMENTS, IN_RANGE):
            written = self.write(client, np.arange(first, first + IN_RANGE), 0)
            assert written.status_code < 300, written.text
            if first + IN_RANGE < DOCUMENTS:
                self.turn_over()

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

    def turn_over(self) -> None:
        """Let later writes go to another range, as after a full range of rows."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(
                "UPDATE collections SET next_row = next_row + %s - next_row %% %s WHERE name = %s",
                (SHARD_ROWS, SHARD_ROWS, NAME),
            )

    def held(self) -> set[tuple[str, int]]:
        """Return which slots have which ranges ready, according to the database."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            return set(connection.execute("SELECT slot, first_row FROM held").fetchall())

    def ranges(self) -> tuple[int, list[int]]:
        """The number of the collection, and the first rows of all of its ranges."""
        store = open_shared(self._address)
        try:
            [(number, extent)] = store.extents().items()
            return number, list(range(0, extent.next_row, SHARD_ROWS))
        finally:
            store.close()

    def ask(self, client: httpx.Client, row: int, temperature: float, **options: Any) -> httpx.Response:
        """Ask for the documents near one document."""
        body = {"query": self.keys[row].tolist(), "temperature": temperature, "top_k": 12, "null": False}
        return client.post(f"{PATH}/attend", json={**body, "include": ["value", "output"], **options})

    def wrong(
        self, answer: dict[str, Any], row: int, temperature: float, before: list[int], missing: np.ndarray | None = None
    ) -> str | None:
        """Return the errors of an answer.

        Args:
            before: the numbers of each group that were acknowledged before the question.
            missing: bool[documents], the unreachable ones; None if all are reachable.
        """
        similarities = self._similarities(row)
        log_partition = float(np.logaddexp.reduce(similarities / temperature))
        weights = self.weights(row, temperature)
        present = np.ones(DOCUMENTS, dtype=bool) if missing is None else ~missing
        if answer["documents"] != present.sum():
            return f"{answer['documents']} documents, and there are {present.sum()}"
        best = np.argsort(-np.where(present, similarities, -np.inf), kind="stable")[:12]
        if [match["id"] for match in answer["matches"]] != [str(best_row) for best_row in best]:
            return "other matches, or in another order"
        variation = answer["certificate"]["total_variation"]
        apart = np.abs(np.array([match["weight"] for match in answer["matches"]]) - weights[best]).sum() / 2
        if max(apart, weights[~present].sum()) > variation + 1e-12:
            return f"weights are {apart:g} off, and {variation:g} is certain"
        output = float(np.linalg.norm(np.array(answer["output"]) - weights @ self.values.astype(np.float64)))
        bound = answer["certificate"]["output_error"]
        if output > (NOTHING_SAID if bound is None else bound) + 1e-6:
            return f"the output is {output:g} off, and {bound:g} is certain"
        least, slack = answer["evidence"]["log_partition"], 1e-6
        highest = least
        if missing is not None:
            coverage = answer["coverage"]
            if (coverage["documents"], coverage["total"]) != (present.sum(), DOCUMENTS):
                return f"{coverage} of {present.sum()}"
            at_most = coverage["max_missing_weight"]
            if weights[~present].sum() > at_most + 1e-12:
                return f"missing ones weigh {weights[~present].sum():g}, and {at_most:g} is said"
            highest = least - math.log1p(-at_most) if at_most < 1 else math.inf
        if not least - slack <= log_partition <= highest + slack:
            return f"the logarithm of all mass is {log_partition:g}, and {least:g} to {highest:g} is said"
        return self._mixed(answer, before)

    def weights(self, row: int, temperature: float) -> np.ndarray:
        """Return the weights of all documents in float64, float64[documents]."""
        logits = self._similarities(row) / temperature
        return np.exp(logits - np.logaddexp.reduce(logits))

    def _similarities(self, row: int) -> np.ndarray:
        keys = self.keys.astype(np.float64)
        return keys @ keys[row] / np.linalg.norm(keys, axis=1) / np.linalg.norm(keys[row])

    def _mixed(self, answer: dict[str, Any], before: list[int]) -> str | None:
        numbers: dict[int, set[int]] = {}
        for match in answer["matches"]:
            numbers.setdefault(int(self.groups[int(match["id"])]), set()).add(match["value"])
        for group, number in numbers.items():
            if len(number) > 1:
                return f"a mixture of versions {number}"
            if min(number) < before[group]:
                return f"version {number}, and {before[group]} was acknowledged before"
        return None
