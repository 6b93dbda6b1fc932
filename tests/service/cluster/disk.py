"""Slots of one machine, which has a disk, over a real PostgreSQL; their looks are asked for one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attention.lookup import Question, answer, of_bytes, to_bytes
from service.cluster import Node, shard_starts
from service.storage import CollectionSettings, DocumentRecord, SharedStore, open_shared
from tests.service.retrieval.sealing import SMALL_BLOCKS, WIDTH

QUERIES = np.random.default_rng(9).standard_normal((4, WIDTH))


def told(views, mask, view, message, arrays, bias=None):
    """Return the lookup's answers, and the rows behind them."""
    outcomes = [answer(view, Question(query, 0.5, mask=mask, top_k=12)) for query in QUERIES]
    names = ("numbers", "weights", "output")
    return {}, {"rows": view.numbers()} | {
        name: np.array([getattr(outcome, name) for outcome in outcomes]) for name in names
    }


class Machine:
    """A store, a disk, and slots whose looks are asked for; what they do in threads is done at once."""

    def __init__(self, address: str, disk: Path) -> None:
        self.disk, self.now, self.limits = disk, 0.0, SMALL_BLOCKS
        self._address = address
        self._opened: list[Any] = []
        self.store = self._open()
        self.number = self.create("c")

    def _open(self) -> SharedStore:
        self._opened.append(open_shared(self._address))
        return self._opened[-1]

    def create(self, name: str) -> int:
        with self.store.writing() as writer:
            return writer.create_collection(name, CollectionSettings("dot", 0.5)).id

    def write(self, *batches: list[DocumentRecord], deleted: list[str] | None = None) -> None:
        for batch in batches:
            with self.store.writing() as writer:
                writer.upsert(self.number, batch)
        if deleted:
            with self.store.writing() as writer:
                writer.delete_ids(self.number, deleted)

    def slot(self, name: str = "a", *, files: bool = True, copies: int = 1) -> Node:
        disk = self.disk if files else None
        made = Node(
            name,
            name,
            self._open(),
            copies,
            sealed=disk,
            limits=self.limits,
            respond=told,
            clock=lambda: self.now,
            submit=lambda w: w(),
        )
        self._opened.append(made)
        self.look(made)
        return made

    def look(self, *shards: Node) -> None:
        for _ in range(4):
            self.now += 1.0
            for shard in shards:
                shard.step()

    def leave(self, shard: Node) -> None:
        shard.close()
        self.store.nodes.remove(shard.name)

    def ask(self, shard: Node) -> tuple[dict[str, Any], dict[str, Any]]:
        _, extent = self.store.extent(self.number)
        first_rows = list(shard_starts(extent.next_row))
        question = {"collection": self.number, "version": extent.version, "ranges": first_rows}
        return of_bytes(shard.answer(to_bytes({**question, "condition": None, "seconds": 0.0}, {})))

    def answers(self, name: str, *, files: bool = True) -> dict[str, Any]:
        """Return the answers of a slot that starts for that and ends afterwards."""
        shard = self.slot(name, files=files)
        reply, arrays = self.ask(shard)
        assert "rows" in arrays, reply
        self.leave(shard)
        return arrays

    def same(self) -> None:
        """Check that a slot with these files answers like one without any."""
        answers, expected = self.answers("a"), self.answers("plain", files=False)
        for name, array in expected.items():
            np.testing.assert_allclose(answers[name], array, atol=1e-6, err_msg=name)

    def files(self, name: str = "a") -> list[Path]:
        return sorted(self.disk.glob(f"softkv.slot-{name}/*"))

    def close(self) -> None:
        for resource in reversed(self._opened):
            resource.close()
