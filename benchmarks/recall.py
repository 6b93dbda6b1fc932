"""The recall of generated memories by the stores of agents. `benchmarks.memory` runs this in LangGraph's environment.

python -m benchmarks.recall URL MEMORIES
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore

from benchmarks.sessions import AgentMemory, Asked, Statement, agent_memory
from langgraph_store_softkv import SoftkvStore
from softkv import Client

NAMESPACE = ("memories",)
LIMIT = 5
LONG = 60.0 * 24
"""Minutes that a temporary fact lasts if it still holds when the questions come."""
FIELDS: Any = {"fields": ["text"]}
OPTIONS: Any = {"index": FIELDS, "ttl": {"refresh_on_read": False}}  # a read does not make a fact true for longer


class Recalled(NamedTuple):
    """An item that a store returned: its key, and its similarity."""

    key: str
    similarity: float


Search = Callable[[str], Sequence[Recalled]]


def write(store: BaseStore, statements: Sequence[Statement], until: float) -> None:
    """Store statements as an agent does, session by session.

    Args:
        until: when temporary facts expire that no longer hold, in seconds of Unix time.
    """
    for session in sorted({statement.session for statement in statements}):
        now = time.time()
        store.batch(
            PutOp(NAMESPACE, said.key, {"text": said.text, "session": said.session}, ttl=_ttl(store, said, until - now))
            for said in statements
            if said.session == session
        )


def _ttl(store: BaseStore, statement: Statement, seconds: float) -> float | None:
    if not (statement.temporary and store.supports_ttl):
        return None
    return LONG if statement.lasts else seconds / 60


def searches(client: Client, number: int) -> Iterator[tuple[str, Search, Search]]:
    """Write a memory to each store; yield the ways to ask it: a name, the search, and the same without abstention."""
    memory = agent_memory(number)
    vectors = _Vectors(client)
    expiry = time.time() + EXPIRED_AFTER
    plain = InMemoryStore(index={"dims": 384, "embed": vectors, **FIELDS})
    write(plain, memory.statements, expiry)
    name = f"memory-{number}"
    store = SoftkvStore(name, client=client, **OPTIONS)
    write(store, memory.statements, expiry)
    before = [item.key for item in store.search(NAMESPACE, limit=len(memory.statements))]
    time.sleep(max(0.0, expiry + 1 - time.time()))  # each time to live begins a little later, with its write
    after = {item.key for item in store.search(NAMESPACE, limit=len(memory.statements))}
    gone = {statement.key for statement in memory.statements if not statement.lasts}
    if not gone <= set(before) or after != set(before) - gone:
        raise RuntimeError(f"memory {number}: {len(before)} items before the expiry, {len(after)} after it")
    vectors.encode([asked.text for asked in (*memory.questions, *memory.labels)])
    everything = cache(_searching(plain))
    yield "InMemoryStore", everything, everything
    threshold = best_threshold(plain, memory)

    def reaching(text: str) -> list[Recalled]:
        return [item for item in everything(text) if item.similarity >= threshold]

    yield "InMemoryStore, cosine threshold", reaching, everything
    living = cache(_searching(SoftkvStore(name, client=client, **OPTIONS, null=False)))
    yield "softkv, without labels", _searching(store), living
    applied = calibrate(client, name, memory)
    calibrated = SoftkvStore(name, client=client, **OPTIONS, null="calibrated" if applied else None)
    yield f"softkv, calibrated from {len(memory.labels)} labels", _searching(calibrated), living
    if applied:
        sure = SoftkvStore(name, client=client, **OPTIONS, accept="one", min_confidence=0.5)
        yield "  and a confidence of .5", _searching(sure, ()), living
    recent: Any = {"field": "metadata.value.session", "half_life": HALF_LIFE}
    yield (
        "softkv, calibrated, newer facts first",
        _searching(SoftkvStore(name, client=client, **OPTIONS, null="calibrated" if applied else None, bias=recent)),
        _searching(SoftkvStore(name, client=client, **OPTIONS, null=False, bias=recent)),
    )


EXPIRED_AFTER = 15.0
"""Seconds from the first statement until temporary facts expire; all are written by then."""
HALF_LIFE = 10
"""The number of sessions after which a fact weighs half."""


def calibrate(client: Client, name: str, memory: AgentMemory) -> bool:
    """Calibrate a collection; return whether the calibration is stored."""
    collection = client.collection(name)
    collection.change(calibration=None)
    ids = {document.metadata["key"]: document.id for document in collection.find(include=["metadata"])}
    labels = [{"query": asked.text, "id": asked.right and ids[asked.right]} for asked in memory.labels]
    return bool(collection.calibrate(labels, apply=True).applied)


def best_threshold(store: BaseStore, memory: AgentMemory) -> float:
    """Return the cosine that decides most labels rightly: questions with an answer reach it, and others do not."""
    best = [(_searching(store)(asked.text)[0].similarity, asked.right is not None) for asked in memory.labels]
    return max(
        (similarity for similarity, _ in best),
        key=lambda threshold: sum((similarity >= threshold) == known for similarity, known in best),
    )


def _searching(store: BaseStore, namespace: tuple[str, ...] = NAMESPACE) -> Search:
    def search(text: str) -> list[Recalled]:
        items = store.search(namespace, query=text, limit=LIMIT)
        return [Recalled(item.key, getattr(item, "similarity", item.score)) for item in items]

    return search


class _Vectors:
    """The service's encoder as an embedding of LangGraph's; each text is encoded once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._vectors: dict[str, list[float]] = {}

    def encode(self, texts: Sequence[str]) -> None:
        """Encode the texts that are new."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._client.encode(new).tolist(), strict=True))

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.encode(texts)
        return [self._vectors[text] for text in texts]


def outcome(asked: Asked, items: Sequence[Recalled], best: Sequence[Recalled], expired: set[str]) -> dict[str, Any]:
    """Return what a search made of a question.

    Args:
        best: the items without abstention.
    """
    first = items[0].key if items else None
    return {
        "kind": asked.kind,
        "abstained": not items,
        "similarity": best[0].similarity,
        "expired_similarity": max((item.similarity for item in best if item.key in expired), default=-1.0),
        "right": first is not None and first == asked.right,
        "best_right": asked.right is not None and best[0].key == asked.right,
        "expired": any(item.key in expired for item in items),
        "contradicted": asked.stale is not None,
        "stale_first": first is not None and first == asked.stale,
    }


def main() -> int:
    """Ask all memories; print an outcome a line, as JSON."""
    url, memories = sys.argv[1], int(sys.argv[2])
    with Client(url) as client:
        for number in range(memories):
            memory = agent_memory(number)
            expired = {statement.key for statement in memory.statements if not statement.lasts}
            for name, search, unrestricted in searches(client, number):
                for asked in memory.questions:
                    result = outcome(asked, search(asked.text), unrestricted(asked.text), expired)
                    print(json.dumps({"name": name, **result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
