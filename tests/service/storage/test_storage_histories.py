"""Random histories of writes, failures and restarts against a plain dictionary."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from softkv_service.storage import SQLiteStore
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord
from tests.service.storage.making import SETTINGS, WIDTH, document, plain
from tests.thorough import examples

names = st.sampled_from(["one", "two"])
ids = st.sampled_from(list("abcdef"))
batches = st.dictionaries(ids, st.integers(0, 5), min_size=1, max_size=4)


def made(identity: str, seed: int) -> DocumentRecord:
    """Return a document of no key, one, or two."""
    return document(identity, seed, keys=np.full((seed % 3, WIDTH), seed, np.float32))


class StoreMachine(RuleBasedStateMachine):
    """The store does what a dictionary of dictionaries does, and so does what follows its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, dict[str, int]] = {}
        self.store = self.opened()
        self.rows: dict[str, set[int]] = {}
        self.used: set[tuple[int, int]] = set()

    def opened(self) -> Any:
        raise NotImplementedError

    def teardown(self) -> None:
        self.store.close()

    @rule(name=names)
    def create_or_delete(self, name: str) -> None:
        with self.store.writing() as writer:
            if name in self.model:
                writer.delete_collection(name)
                del self.model[name], self.rows[name]
            else:
                writer.create_collection(name, SETTINGS)
                self.model[name], self.rows[name] = {}, set()

    @rule(name=names, batch=batches, superseded=st.sets(ids), fails=st.booleans())
    def upsert(self, name: str, batch: dict[str, int], superseded: set[str], fails: bool) -> None:
        """Write documents, and delete others in the same transaction."""
        if name not in self.model:
            return
        superseded -= batch.keys()
        try:
            with self.store.writing() as writer:
                number = writer.collection(name).id
                deleted = writer.delete_ids(number, sorted(superseded))
                records = [made(identity, seed) for identity, seed in batch.items()]
                change = writer.upsert(number, records)
                removed = np.union1d(change.removed, deleted)
                pairs = zip(change.added.tolist(), records, strict=True)
                new = {(number, row + i) for row, record in pairs for i in range(record.rows)}
                writer.after_commit(lambda: self._published(name, change.added, removed, new))
                if fails:
                    raise InterruptedError
        except InterruptedError:
            return
        self.model[name] = {
            identity: seed for identity, seed in self.model[name].items() if identity not in superseded
        } | batch

    @rule(name=names, identities=st.lists(ids))
    def delete_ids(self, name: str, identities: list[str]) -> None:
        if name in self.model:
            with self.store.writing() as writer:
                removed = writer.delete_ids(writer.collection(name).id, identities)
                writer.after_commit(lambda: self._published(name, np.array([], np.int64), removed))
            for identity in identities:
                self.model[name].pop(identity, None)

    @rule(name=names, seed=st.integers(0, 5))
    def delete_where(self, name: str, seed: int) -> None:
        if name in self.model:
            with self.store.writing() as writer:
                number = writer.collection(name).id
                removed = writer.delete_where(number, Comparison("metadata.seed", ">", seed))
                writer.after_commit(lambda: self._published(name, np.array([], np.int64), removed))
            self.model[name] = {
                identity: stored_seed for identity, stored_seed in self.model[name].items() if stored_seed <= seed
            }

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        with self.store.reading() as reader:
            assert [record.name for record in reader.collections()] == sorted(self.model)
            for name, expected in self.model.items():
                number = reader.collection(name).id
                assert reader.count(number) == len(expected)
                assert [plain(record) for record in reader.page(number)] == [
                    plain(made(identity, seed)) for identity, seed in sorted(expected.items())
                ]
                assert set(reader.rows_where(number).tolist()) == self.rows[name]
                keys = sum(len(batch.numbers) for batch in reader.vectors(number))
                assert keys == sum(len(made(identity, seed).keys) for identity, seed in expected.items())
                assert reader.collection(name).keyless == sum(seed % 3 == 0 for seed in expected.values())
                words = reader.search(number).full_text("key", 10)
                assert [row.id for row in words.rows] == sorted(expected)

    def _published(
        self, name: str, added: Any, removed: Any, numbered: frozenset[tuple[int, int]] | set[Any] = frozenset()
    ) -> None:
        new, gone = set(added.tolist()), set(removed.tolist())
        assert not numbered & self.used
        self.used |= numbered
        assert gone <= self.rows[name]
        self.rows[name] = self.rows[name] - gone | new


class InSQLite(StoreMachine):
    """In a directory of its own."""

    def opened(self) -> Any:
        if not hasattr(self, "directory"):
            self.directory = tempfile.TemporaryDirectory()
        return SQLiteStore.open(Path(self.directory.name))

    def teardown(self) -> None:
        assert list(self.store.check()) == []
        super().teardown()
        self.directory.cleanup()


TestHistory = InSQLite.TestCase
TestHistory.settings = settings(max_examples=examples(25), stateful_step_count=20, deadline=None)
