"""Collections whose keys lie with slots, in front of a real database: every answer is that of the newest version."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from attention.lookup import Question, answers, cover_missing_rows
from service.cluster import Router, ShardedCatalogue, ShardsLost
from service.retrieval.collections import SharedCatalogue
from service.retrieval.queries import Aggregation, Options, attend_collection
from service.storage import Comparison, DocumentRecord, open_shared
from tests.postgres import PostgresServer
from tests.service.cluster.local_nodes import LocalNodes
from tests.waiting import until

pytestmark = pytest.mark.postgres
WIDTH = 8
SLOTS = ["a", "b", "c"]
BELOW_1050 = {"field": "metadata.seed", "operator": "<", "value": 1050}


def document(identity: str, seed: int, **fields: Any) -> DocumentRecord:
    key = np.random.default_rng(seed).standard_normal((1, WIDTH)).astype(np.float32)
    return DocumentRecord(identity, None, seed, key, metadata={"seed": seed}, **fields)


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def slots(address: str, ranges_of_16_rows: None) -> Iterator[LocalNodes]:
    open_shared(address).close()
    running = LocalNodes(address, SLOTS, copies=2)
    yield running
    running.close()


@pytest.fixture
def catalogue(address: str, slots: LocalNodes) -> Iterator[ShardedCatalogue]:
    store = open_shared(address)
    until(lambda: len(store.nodes.members()) == len(SLOTS))
    sharded = ShardedCatalogue(store, None, Router(slots, store.nodes, 2, seconds=5.0))
    sharded.rebuild()
    yield sharded
    sharded.close()
    store.close()


@pytest.fixture
def alone(address: str) -> Iterator[SharedCatalogue]:
    """Yield a catalogue of the same store, with all keys in one process."""
    store = open_shared(address)
    shared = SharedCatalogue(store, None)
    shared.rebuild()
    yield shared
    store.close()


def create(catalogue: SharedCatalogue, name: str = "c") -> Any:
    return asyncio.run(catalogue.create(name, {"similarity": "cosine", "temperature": 0.05}))[0]


def answer(collection: Any, seed: int, condition: Comparison | None = None, temperature: float = 0.2) -> Any:
    with collection.snapshot() as snapshot:
        mask = None if condition is None else snapshot.mask(condition)
        (answer,) = answers(snapshot.view, [Question(document("", seed).keys[0], temperature, mask=mask, null=0.1)])
        assert snapshot.record.documents == snapshot.view.documents == snapshot.reader.count(snapshot.record.id)
        values = [text.value for text in snapshot.reader.texts(snapshot.record.id, answer.numbers)]
        return answer, values, snapshot.version


def test_answers_are_those_of_a_process_with_all_keys(catalogue: ShardedCatalogue, alone: SharedCatalogue) -> None:
    collection = create(catalogue)
    for first in range(0, 200, 40):
        collection.write([document(f"{seed}", seed) for seed in range(first, first + 40)])
    collection.write([document(f"{seed}", seed + 1000) for seed in range(0, 60, 3)])
    collection.delete(ids=[f"{seed}" for seed in range(100, 140)])
    alone.look()
    for seed, condition in ((7, None), (1003, Comparison("metadata.seed", "<", 50)), (3, Comparison("id", "==", "55"))):
        (actual, values, version), (expected, same, newest) = (
            answer(process.collection("c"), seed, condition) for process in (catalogue, alone)
        )
        assert (version, values) == (newest, same)
        np.testing.assert_array_equal(actual.numbers, expected.numbers)
        np.testing.assert_array_equal(actual.similarities, expected.similarities)
        bounds = actual.certificate.total_variation + expected.certificate.total_variation
        assert np.abs(actual.weights - expected.weights).sum() / 2 <= bounds + 1e-15
        np.testing.assert_allclose(
            actual.output, expected.output, atol=actual.certificate.output_error + expected.certificate.output_error
        )
        assert (actual.documents, actual.keys) == (expected.documents, expected.keys)


def test_a_field_is_read_as_where_one_process_has_all_keys(catalogue: ShardedCatalogue, alone: SharedCatalogue) -> None:
    collection = create(catalogue)
    query = document("", 9).keys[0]
    for turn in range(2):
        collection.write([document(f"{seed}", seed + 1000 * turn) for seed in range(turn * 30, 100)])
        collection.delete(ids=["7", "55"])
        alone.look()
        for how in ("mean", "vote", "quantile"):
            options = Options(temperature=0.2, read=Aggregation("metadata.seed", how), filter=BELOW_1050)
            (actual,), (expected,) = (
                asyncio.run(attend_collection(process.collection("c"), [query], options, ["/query"]))
                for process in (catalogue, alone)
            )
            assert actual.read["value"] == pytest.approx(expected.read["value"], rel=1e-12)
            assert actual.read["weight"] == pytest.approx(1)
            if how == "mean":
                assert actual.read["error"] == pytest.approx(expected.read["error"])


def test_a_write_is_in_the_next_answer(catalogue: ShardedCatalogue) -> None:
    collection = create(catalogue)
    for turn in range(60):
        collection.write([document(f"{turn % 7}", turn)])
        _, values, version = answer(collection, turn, temperature=0.0)
        assert (values[0], version) == (str(turn), turn + 1)
        _, values, _ = answer(collection, turn, Comparison("metadata.seed", "==", turn))
        assert values == [str(turn)]
    assert collection.delete(ids=["1", "2"]) == 2
    assert answer(collection, 0)[0].documents == 5


def test_where_a_slot_is_lost_the_others_answer(catalogue: ShardedCatalogue, slots: LocalNodes) -> None:
    collection = create(catalogue)
    collection.write([document(f"{seed}", seed) for seed in range(200)])
    until(lambda: len(catalogue.store.nodes.holders(collection.record.id)) == 2 * 13)
    expected, _, _ = answer(collection, 5)
    for name in SLOTS:
        slots.lost = {name}
        actual, _, _ = answer(collection, 5)
        np.testing.assert_array_equal(actual.numbers, expected.numbers)
        np.testing.assert_array_equal(actual.similarities, expected.similarities)
    slots.lost = {"a", "b"}
    with pytest.raises(ShardsLost, match="a is lost"):
        answer(collection, 5)
    with collection.snapshot() as snapshot:  # a node that was silent a moment ago is not asked
        assert snapshot.missing is not None
        assert snapshot.view.documents + snapshot.missing.documents == 200
    slots.lost = set()
    until(lambda: collection_is_whole(collection))
    assert answer(collection, 5)[0].keys == 200


def collection_is_whole(collection: Any) -> bool:
    with collection.snapshot() as snapshot:
        return snapshot.missing is None


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 10.0])
@pytest.mark.parametrize("summarised", [True, False])
def test_an_answer_without_lost_ranges_is_true_of_all_rows(
    catalogue: ShardedCatalogue, slots: LocalNodes, alone: SharedCatalogue, temperature: float, summarised: bool
) -> None:
    collection = create(catalogue)
    collection.write([document(f"{seed}", seed) for seed in range(200)])
    collection.delete(ids=["3", "50", "51"])
    alone.look()
    answer(collection, 5)
    if summarised:
        collection.summarise()
        collection.delete(ids=["70", "150"])  # after that
    slots.lost = {"a", "b"}
    with pytest.raises(ShardsLost):
        answer(collection, 6)
    question = Question(document("", 6).keys[0], temperature, null=0.1, top_k=200)
    with collection.snapshot() as snapshot:
        (result,) = answers(snapshot.view, [question])
        covered, coverage = cover_missing_rows(result, question, snapshot.view.facts, snapshot.missing)
    with alone.collection("c").snapshot() as snapshot:
        (whole,) = answers(snapshot.view, [question])
    assert (coverage.documents, coverage.total) == (result.documents, whole.documents)
    assert coverage.documents < coverage.total
    weights = dict(zip(whole.numbers.tolist(), whole.weights.tolist(), strict=True))
    own_weights = np.array([weights[number] for number in covered.numbers.tolist()])
    missing = whole.weights.sum() - own_weights.sum()
    assert coverage.min_missing_weight - 1e-12 <= missing <= coverage.max_missing_weight + 1e-12
    apart = (np.abs(own_weights - covered.weights).sum() + abs(covered.null_weight - whole.null_weight) + missing) / 2
    assert apart <= covered.certificate.total_variation + whole.certificate.total_variation + 1e-12
    error = np.linalg.norm(covered.output - whole.output)
    assert error <= covered.certificate.output_error + whole.certificate.output_error
    if summarised and temperature >= 1.0:
        assert coverage.max_missing_weight < 0.6


def test_a_slow_slot_is_not_waited_for(catalogue: ShardedCatalogue, slots: LocalNodes) -> None:
    collection = create(catalogue)
    collection.write([document(f"{seed}", seed) for seed in range(200)])
    until(lambda: len(catalogue.store.nodes.holders(collection.record.id)) == 2 * 13)
    for seed in range(110):
        answer(collection, seed)
    slots.slow = {"a": 4.0}
    began = threading.Event()
    result: list[Any] = []

    def ask() -> None:
        began.set()
        result.append(answer(collection, 5))

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(2.0)
    assert result
    assert result[0][0].keys == 200


def test_ranges_move_while_answers_go_on(catalogue: ShardedCatalogue, slots: LocalNodes) -> None:
    collection = create(catalogue)
    collection.write([document(f"{seed}", seed) for seed in range(200)])
    wrong, stop = list[Any](), threading.Event()

    def ask() -> None:
        seed = 0
        while not stop.is_set():
            seed = (seed + 1) % 200
            try:
                result, values, _ = answer(collection, seed, temperature=0.0)
                if values[0] != str(seed) or result.keys != 200:
                    wrong.append((seed, values[0], result.keys))
            except Exception as error:
                wrong.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    number, register = collection.record.id, catalogue.store.nodes
    slots.add("d")
    until(lambda: any(holder.node.name == "d" for holder in register.holders(number)))
    until(lambda: len(register.holders(number)) == 2 * 13)
    slots.shards["a"].leave()
    until(lambda: slots.shards["a"].left)
    slots.remove("a")
    stop.set()
    asking.join()
    assert not wrong


def test_what_the_slots_hold_is_told(catalogue: ShardedCatalogue, slots: LocalNodes) -> None:
    def keys() -> list[int | None]:
        return [slot.keys for slot in catalogue.shards().slots]

    collection = create(catalogue)
    assert (catalogue.shards().ranges, catalogue.shards().whole) == (0, 0)
    collection.write([document(f"{seed}", seed) for seed in range(200)])
    until(lambda: catalogue.shards().whole == 13)
    status = catalogue.shards()
    assert (status.copies, status.ranges, status.unheld, status.fewer) == (2, 13, 0, 0)
    assert [(slot.name, slot.node, slot.leaving) for slot in status.slots] == [
        (name, f"node of {name}", False) for name in SLOTS
    ]
    until(lambda: sum(slot.ranges for slot in catalogue.shards().slots) == 26)  # and no slot holds what others do
    until(lambda: None not in keys() and sum(keys()) == 400)  # each of them twice
    assert [(slot.coming, slot.trouble) for slot in catalogue.shards().slots] == [(0, None)] * 3

    slots.lost, slots.slow = {"a"}, {"b": 3.0}
    began = time.monotonic()
    until(lambda: keys()[:2] == [None, None])
    assert time.monotonic() - began < 5.0
    assert keys()[2] > 0
    assert [slot.lag for slot in catalogue.shards().slots] == [None, None, 0]
    assert catalogue.shards().whole == 13  # a shard without any holder in the store is not requested
    slots.lost, slots.slow = set(), {}

    slots.shards["a"].close()
    for seed in range(3):
        collection.write([document(f"{seed}", seed)])
    until(lambda: [slot.lag for slot in catalogue.shards().slots] == [3, 0, 0])
    slots.shards["b"].close()
    for name in "ab":
        catalogue.store.nodes.remove(name)
    until(lambda: catalogue.shards().fewer == 13)  # the third has taken over all that it had not
    (left,) = catalogue.shards().slots
    assert (left.name, left.ranges, left.keys) == ("c", 13, 200)


def test_while_the_store_is_away_the_slots_are_not_known(catalogue: ShardedCatalogue) -> None:
    assert catalogue.shards().ranges == 0
    catalogue.store.close()
    until(lambda: catalogue.shards().ranges is None)
    status = catalogue.shards()
    assert (status.copies, status.whole, status.unheld, status.fewer, status.slots) == (2, None, None, None, ())
