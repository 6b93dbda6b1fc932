"""Collections whose keys are on shard servers, over a real database: every answer is that of the newest version."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import softkv_cluster.service
from extensions.cluster.tests.answers import check_covered, check_equal
from extensions.cluster.tests.local_servers import LocalServers
from softkv import Client
from softkv.questions import Read
from softkv_attention.lookup import Question, answers, cover_missing_rows
from softkv_cluster.service import Roster, Router, ShardedCatalogue, ShardsLost
from softkv_service.retrieval.collections import SharedCatalogue
from softkv_service.retrieval.queries import attend_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage import open_shared
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord
from tests.meanwhile import Meanwhile
from tests.running import RunningService
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("shards_of_16_rows")]
WIDTH = 8
NAMES = ["softkv-0", "softkv-1", "softkv-2"]
BELOW_1050 = {"field": "metadata.seed", "operator": "<", "value": 1050}


def document(identity: str, seed: int) -> DocumentRecord:
    key = np.random.default_rng(seed).standard_normal((1, WIDTH)).astype(np.float32)
    return DocumentRecord(identity, None, seed, key, metadata={"seed": seed})


@pytest.fixture
def servers(run_servers: Callable[..., LocalServers]) -> LocalServers:
    return run_servers(3, 2)


@pytest.fixture
def catalogue(address: str, servers: LocalServers) -> Iterator[ShardedCatalogue]:
    store = open_shared(address)
    sharded = ShardedCatalogue(store, None, Router(servers, Roster(store, servers), seconds=5.0))
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


def create(catalogue: SharedCatalogue, count: int = 0) -> Any:
    """Return a new collection whose document i has the key of the seed i."""
    collection = asyncio.run(catalogue.create("c", {"similarity": "cosine", "temperature": 0.05}))[0]
    if count:
        collection.write([document(f"{seed}", seed) for seed in range(count)])
    return collection


def answer(collection: Any, seed: int, condition: Comparison | None = None, temperature: float = 0.2) -> Any:
    """Return the answer to a document's key, the values of its documents, and its version."""
    with collection.snapshot() as snapshot:
        mask = None if condition is None else snapshot.mask(condition)
        (result,) = answers(snapshot.view, [Question(document("", seed).keys[0], temperature, mask=mask, null=0.1)])
        assert snapshot.record.documents == snapshot.view.documents == snapshot.reader.count(snapshot.record.id)
        values = [text.value for text in snapshot.reader.texts(snapshot.record.id, result.numbers)]
        return result, values, snapshot.version


def test_a_question_sees_no_document_that_has_expired(catalogue, alone):
    """Each shard leaves out what has expired, also when the clock goes back, and a question deletes nothing."""
    collection, now, condition = create(catalogue, 60), [1000], Comparison("metadata.seed", ">", 20)
    collection.in_memory.clock = lambda: now[0]
    single = alone_again(alone)
    single.in_memory.clock = lambda: now[0]
    collection.write([replace(document(f"{seed}", seed), expires=1000 + seed) for seed in range(1, 40)])
    for now[0] in (1001, 1020, 1030, 1003, 1100, 1020, 900):
        for passing in (None, condition):
            result, values, version = answer(collection, 7, passing)
            expected, expected_values, newest = answer(single, 7, passing)
            check_equal(result, expected)
            assert values == expected_values
            assert version == newest == 2
        assert collection.keys == single.keys == 60 - max(0, min(now[0] - 1000, 39))
    now[0] = 1020
    assert collection.delete_expired(15)
    assert not collection.delete_expired(15)
    for now[0] in (1020, 1025, 900):
        check_equal(answer(collection, 7)[0], answer(single, 7)[0])
        assert collection.keys == 60 - max(20, now[0] - 1000)


def test_expired_documents_of_a_lost_shard_are_not_counted(catalogue, alone, servers):
    collection, now = create(catalogue, 60), [1000]
    collection.in_memory.clock = lambda: now[0]
    collection.write([replace(document(f"{seed}", seed), expires=1000 + seed) for seed in range(1, 40)])
    servers.settle()
    assert is_whole(collection)
    collection.summarise()
    servers.lost = set(NAMES[:2])
    until(lambda: not is_whole(collection))
    single = alone_again(alone)
    single.in_memory.clock = lambda: now[0]
    for now[0] in (1000, 1020, 1100):
        question = Question(document("", 7).keys[0], 0.2, null=0.1, top_k=60)
        with collection.snapshot() as snapshot, single.snapshot() as whole:
            (result,), (expected,) = answers(snapshot.view, [question]), answers(whole.view, [question])
            result, coverage = cover_missing_rows(result, question, snapshot.view.facts, snapshot.missing)
            assert (coverage.documents, coverage.total) == (snapshot.view.documents, whole.view.documents)
            check_covered(result, coverage, expected)


def alone_again(alone: SharedCatalogue) -> Any:
    alone.look()
    return alone.collection("c")


def is_whole(collection: Any) -> bool:
    """Send a query, and return whether no shard is lost."""
    with collection.snapshot() as snapshot:
        with suppress(ShardsLost):
            answers(snapshot.view, [Question(document("", 1).keys[0], 0.2)])
        return snapshot.missing is None


def test_answers_are_those_of_a_process_with_all_keys(catalogue: ShardedCatalogue, alone: SharedCatalogue) -> None:
    collection = create(catalogue, 200)
    collection.write([document(f"{seed}", seed + 1000) for seed in range(0, 60, 3)])
    collection.delete(ids=[f"{seed}" for seed in range(100, 140)])
    alone.look()
    for seed, condition in ((7, None), (1003, Comparison("metadata.seed", "<", 50)), (3, Comparison("id", "==", "55"))):
        (actual, values, version), (expected, same, newest) = (
            answer(process.collection("c"), seed, condition) for process in (catalogue, alone)
        )
        assert (version, values) == (newest, same)
        check_equal(actual, expected)
    reads = [[Read("metadata.seed", how)] for how in ("mean", "quantile")]
    for option in [CollectionQuestion(temperature=0.2, read=read, filter=BELOW_1050) for read in reads]:
        (actual,), (expected,) = (
            asyncio.run(attend_collection(process.collection("c"), [document("", 9).keys[0]], option, ["/query"]))
            for process in (catalogue, alone)
        )
        assert actual.readings[0].values[0]["value"] == pytest.approx(
            expected.readings[0].values[0]["value"], rel=1e-12
        )
        assert actual.readings[0].values[0]["weight"] == pytest.approx(1)


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


def test_a_lost_server_is_covered_by_the_other_copies(catalogue: ShardedCatalogue, servers: LocalServers) -> None:
    collection = create(catalogue, 200)
    servers.settle()
    expected, _, _ = answer(collection, 5)
    for name in NAMES:
        servers.lost = {name}
        actual, _, _ = answer(collection, 5)
        np.testing.assert_array_equal(actual.numbers, expected.numbers)
        np.testing.assert_array_equal(actual.similarities, expected.similarities)


def test_a_shard_that_is_back_is_used_again_without_a_refused_query(
    catalogue: ShardedCatalogue, servers: LocalServers
) -> None:
    collection = create(catalogue, 200)
    servers.settle()
    assert is_whole(collection)
    servers.lost = set(NAMES[:2])
    until(lambda: not is_whole(collection))
    with collection.snapshot() as snapshot:  # the lost shards are not asked again
        assert snapshot.missing is not None
        assert snapshot.view.documents + snapshot.missing.documents == 200
    servers.lost = set()
    lost = catalogue.router.find_lost_shards
    until(lambda: not lost(collection.record.id))  # from reports alone
    assert answer(collection, 5)[0].keys == 200


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 10.0])
@pytest.mark.parametrize("summarised", [True, False])
def test_an_answer_without_lost_shards_is_true_of_all_rows(
    catalogue: ShardedCatalogue, servers: LocalServers, alone: SharedCatalogue, temperature: float, summarised: bool
) -> None:
    collection = create(catalogue, 200)
    collection.delete(ids=["3", "50", "51"])
    alone.look()
    answer(collection, 5)
    if summarised:
        collection.summarise()
        collection.delete(ids=["70", "150"])  # after that
    servers.lost = set(NAMES[:2])
    until(lambda: not is_whole(collection))
    question = Question(document("", 6).keys[0], temperature, null=0.1, top_k=200)
    with collection.snapshot() as snapshot:
        (result,) = answers(snapshot.view, [question])
        covered, coverage = cover_missing_rows(result, question, snapshot.view.facts, snapshot.missing)
    with alone.collection("c").snapshot() as snapshot:
        (whole,) = answers(snapshot.view, [question])
    assert (coverage.documents, coverage.total) == (result.documents, whole.documents)
    check_covered(covered, coverage, whole)
    if summarised and temperature >= 1.0:
        assert coverage.max_missing_weight < 0.6


@pytest.mark.parametrize("copies", [1, 2])
def test_no_query_is_refused_while_servers_join_and_leave(
    catalogue: ShardedCatalogue, servers: LocalServers, copies: int
) -> None:
    servers.deploy(3, copies)
    collection = create(catalogue, 200)
    servers.settle()
    until(lambda: is_whole(collection))
    wrong, asked = list[Any](), list[int]()

    def ask() -> None:
        while not meanwhile.stop.is_set():
            asked.append(seed := len(asked) % 200)
            if seed % 5 == 0:
                collection.write([document(f"{seed}", seed)])
            try:
                result, values, _ = answer(collection, seed, temperature=0.0)
                if values[0] != str(seed) or result.keys != 200:
                    wrong.append((seed, values[0], result.keys))
            except Exception as error:
                wrong.append(error)

    with (meanwhile := Meanwhile([ask])):
        for size in (4, 6, 2, 1, 3):
            servers.deploy(size, copies)
            servers.settle()
        for name in set(servers.servers) - set(NAMES):
            servers.kill(name)
    assert wrong == []
    assert len(asked) > 20


def series(text: str) -> dict[str, dict[str, float]]:
    """Return the metrics with servers or copies as labels: name → the label's value → number."""
    metrics: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.keys() & {"server", "copies"}:
                (label,) = sample.labels.values()
                metrics.setdefault(sample.name.removeprefix("softkv_"), {})[label] = sample.value
    return metrics


def test_a_service_shows_its_servers_over_http(
    address: str, run_servers: Callable[..., LocalServers], monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = run_servers(2, 2)
    monkeypatch.setattr(
        softkv_cluster.service, "join_cluster", lambda *_: SimpleNamespace(servers=list, close=lambda: None)
    )
    monkeypatch.setattr(softkv_cluster.service, "open_transport", lambda: servers)
    with RunningService(store=address, shards="auto", encoder="none") as running, running.client() as http:
        http.put("/v1/collections/c", json={})
        documents = [{"id": str(i), "key_vector": [i, 1]} for i in range(40)]
        assert http.post("/v1/collections/c/documents", json={"documents": documents}).status_code == 200

        def status() -> Any:
            return Client(running.url).info().shards

        until(lambda: status().whole == 3 and all(server.keys == 40 for server in status().servers))
        assert (status().copies, status().ranges, status().unheld) == (2, 3, 0)
        assert [
            (server.name, server.machine, server.ranges, server.lag, server.leaving) for server in status().servers
        ] == [(name, f"machine of {name}", 3, 0, False) for name in NAMES[:2]]
        assert series(http.get("/metrics").text) == {
            "ranges": {"all": 3.0, "fewer": 0.0, "none": 0.0},
            "server_ranges": dict.fromkeys(NAMES[:2], 3.0),
            "server_keys": dict.fromkeys(NAMES[:2], 40.0),
            "server_lag_versions": dict.fromkeys(NAMES[:2], 0.0),
        }
        servers.lost = {NAMES[1]}
        until(lambda: math.isnan(series(http.get("/metrics").text)["server_keys"][NAMES[1]]))
        assert series(http.get("/metrics").text)["ranges"] == {"all": 0.0, "fewer": 3.0, "none": 0.0}
