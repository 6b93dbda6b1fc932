"""Words and biases over shards: every answer is that of a process with all keys."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from extensions.cluster.tests.conftest import make_shards_small
from extensions.cluster.tests.local_servers import LocalServers
from softkv.questions import MATCH_FIELDS, GroupBy, Read
from softkv_attention.lookup import Limits, Question, answers, sweep
from softkv_cluster.collection import ShardedSnapshot
from softkv_cluster.server import replica
from softkv_cluster.service import Roster, Router, ShardedCatalogue
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.collections import SharedCatalogue, Snapshot
from softkv_service.retrieval.collections import snapshot as snapshots
from softkv_service.retrieval.queries import attend_collection, sweep_collection
from softkv_service.retrieval.queries.terms import add_up_terms, terms_of
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage import Restriction, open_shared
from softkv_service.storage.conditions import Comparison, parse_condition
from softkv_service.storage.records import DocumentRecord
from tests.postgres import PostgresServer

pytestmark = pytest.mark.postgres
WIDTH, COUNT = 8, 150
RECENT = {"field": "metadata.year", "half_life": 7.0, "missing": -1.5}
GAUSSIAN = {"field": "metadata.year", "half_life": 90, "decay": "gaussian"}
PRIOR = {"field": "metadata.stars", "scale": "log"}  # −∞ if there are none
SHELF = {"field": "metadata.shelf", "weights": {"QA76": 1.25, "2": -0.1, "true": 2}}
LARGE = {"field": "metadata.large", "factor": 1}
SOFT = {"filter": {"field": "metadata.shelf", "operator": "==", "value": "QA76"}, "addend": 0.7}
DAYS = {"field": "metadata.day", "half_life": "3d", "missing": -2}
OF_DATES = [DAYS, {**DAYS, "origin": {"datetime": "now-1d"}, "decay": "gaussian"}]
SOFT_DATES = {"filter": {"field": "metadata.day", "operator": ">=", "value": {"datetime": "now-20d"}}, "addend": 0.5}
BIASES = [
    [*OF_DATES, SOFT_DATES],
    RECENT,
    [RECENT, SOFT],
    [PRIOR, SHELF, GAUSSIAN],
    [LARGE, SHELF, LARGE | {"factor": -1}],
    SOFT,
]
FILTERS = [None, {"field": "metadata.year", "operator": ">", "value": 1950}, SOFT_DATES["filter"]]
EXPLAINED = (*MATCH_FIELDS, "explanation")
NOW = 19_844 * 86_400_000_000  # 2024-05-01, in microseconds of Unix time


def document(identity: str, seed: int, **fields: Any) -> DocumentRecord:
    random = np.random.default_rng(seed)
    keys = random.standard_normal((1 + seed % 3, WIDTH)).astype(np.float32)
    if seed % 10 == 0:
        keys[0] = 1.0  # copies in every shard
    metadata = {
        "year": 1900 + seed % 120,
        "stars": seed % 9,
        "large": 1e17 + seed,
        "shelf": ["QA76", 2, True][seed % 3],
        "day": [f"2024-04-{1 + seed % 30:02}", f"202404{1 + seed % 30:02}T06+0600", "soon", seed][seed % 4],
    }
    metadata["words"] = f"number {seed}"
    if seed % 7 == 0:
        del metadata["year"]
    text = f"word{seed % 5} {'rare' if seed % 31 == 0 else 'and'}"
    return DocumentRecord(identity, text, seed, keys, metadata=metadata | fields)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", params=["cosine", "gaussian"])
def processes(
    request: pytest.FixtureRequest, postgres: PostgresServer, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[tuple[Any, Any]]:
    """Yield a collection over shards of 16 rows, and the same one in one process."""
    make_shards_small(monkeypatch_module, 16)
    address = postgres.database()
    sharded_store, own_store = open_shared(address), open_shared(address)
    servers = LocalServers(address, 3, 2)
    sharded = ShardedCatalogue(sharded_store, None, Router(servers, Roster(sharded_store, servers), seconds=120.0))
    sharded.rebuild()
    collection = asyncio.run(sharded.create("c", {"similarity": request.param, "temperature": 0.3}))[0]
    for first in range(0, COUNT, 50):
        collection.write([document(f"{seed:03}", seed) for seed in range(first, first + 50)])
    collection.write([document("keyless", 5, year=3000), document("gone", 7, year=2999)])
    collection.write([replace(document("keyless", 5, year=3000), keys=np.zeros((0, WIDTH), np.float32))])
    collection.delete(ids=["gone", *(f"{seed:03}" for seed in range(60, 90))])
    collection.write([document(f"{seed:03}", seed + 200) for seed in range(0, 20, 3)])
    alone = SharedCatalogue(own_store, None)
    alone.rebuild()
    yield collection, alone.collection("c")
    sharded.close()
    servers.close()
    own_store.close()
    sharded_store.close()


def attended(collection: Any, **options: Any) -> Any:
    query = np.ones(WIDTH) if options.pop("copies", False) else document("", 4).keys[0]
    (result,) = asyncio.run(attend_collection(collection, [query], CollectionQuestion(**options, now=NOW), ["/query"]))
    return result


def check(actual: Any, expected: Any) -> None:
    """Compare a result with that of one process, within both certificates."""
    assert [match.id for match in actual.matches] == [match.id for match in expected.matches]
    assert [match.similarity for match in actual.matches] == [match.similarity for match in expected.matches]
    assert [match.addends for match in actual.matches] == [match.addends for match in expected.matches]
    assert [match.spoke for match in actual.matches] == [match.spoke for match in expected.matches]
    assert (actual.answer.documents, actual.answer.keys) == (expected.answer.documents, expected.answer.keys)
    assert actual.verdict == expected.verdict
    assert actual.full_text == expected.full_text
    bound = actual.answer.certificate.total_variation + expected.answer.certificate.total_variation + 1e-15
    weights, expected_weights = ([match.weight for match in result.matches] for result in (actual, expected))
    np.testing.assert_allclose(weights, expected_weights, atol=bound, rtol=0)
    assert actual.rest_weight == pytest.approx(expected.rest_weight, abs=2 * bound)
    if expected.output is not None:
        error = actual.answer.certificate.output_error + expected.answer.certificate.output_error
        assert np.linalg.norm(np.asarray(actual.output) - np.asarray(expected.output)) <= error


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.0, "top_k": 5},
        {"temperature": 0.0, "copies": True, "top_k": 5},
        {"top_p": 0.8},
        {"null": 0.3, "include": [*EXPLAINED, "output"]},
        {"read": [Read("metadata.year", "mean")]},
        {"group_by": GroupBy("metadata.year", 3, 2)},
        {"group_by": GroupBy("metadata.year", 3, 2, [[None, 1950], [1950, 1990]])},
    ],
)
def test_a_bias_is_that_of_one_process(processes: tuple[Any, Any], bias: Any, options: dict[str, Any]) -> None:
    for condition in FILTERS:
        request = {"bias": bias, "filter": condition, "include": EXPLAINED, **options}
        actual, expected = (attended(process, **request) for process in processes)
        check(actual, expected)
        for one, other in zip(actual.readings, expected.readings, strict=True):
            if isinstance(options.get("group_by"), GroupBy):
                check_groups(one, other)
            else:
                assert one.values[0]["value"] == pytest.approx(other.values[0]["value"], rel=1e-9)


def check_groups(actual: Any, expected: Any) -> None:
    assert [(group.value, group.documents) for group in actual.groups] == [
        (group.value, group.documents) for group in expected.groups
    ]
    for one, other in zip(actual.groups, expected.groups, strict=True):
        assert one.weight == pytest.approx(other.weight, abs=1e-9)
        assert [match.id for match in one.matches] == [match.id for match in other.matches]
        assert [match.weight for match in one.matches] == pytest.approx(
            [match.weight for match in other.matches], abs=1e-9
        )


@pytest.mark.parametrize("bias", [None, *BIASES])
def test_a_caller_that_sees_a_part_is_answered_of_the_part_alone(processes: tuple[Any, Any], bias: Any) -> None:
    """Also where a term begins at the largest year: that of the documents which the caller sees."""
    condition = {"field": "metadata.year", "operator": "<", "value": 1950}
    restriction = Restriction(parse_condition(condition))
    parts = [process.restrict(restriction) for process in processes]
    for options in (
        {},
        {"filter": FILTERS[1]},
        {"allow_missing": True},
        {"read": [Read("metadata.year", "mean")]},
    ):
        actual, expected = (attended(part, bias=bias, include=EXPLAINED, **options) for part in parts)
        check(actual, expected)
        assert actual.coverage == expected.coverage
    with processes[0].reading() as (record, reader):
        years = [stored.metadata["year"] for stored in reader.page(record.id, condition=restriction.condition)]
    whole = attended(processes[1], filter=condition)
    assert attended(parts[0]).answer.documents == whole.answer.documents == len(years)
    assert attended(parts[0], allow_missing=True).coverage.total == len(years)
    if bias == RECENT:
        explained = attended(parts[0], bias=bias, include=EXPLAINED, top_k=COUNT)
        lines = [line for match in explained.matches for line in match.addends]
        assert max(line["addend"] for line in lines) == 0.0
        assert {line["value"] for line in lines if line["addend"] == 0.0} == {max(years)}


def with_limits(snapshot: Snapshot, limits: Limits) -> Snapshot:
    """Return a snapshot of which a view with these limits is asked."""
    if isinstance(snapshot, ShardedSnapshot):
        assert snapshot.metadata is not None
        view = replace(snapshot.metadata.view, limits=limits)
        metadata = replace(snapshot.metadata, view=view, masks=OrderedDict(), derived=OrderedDict())
        return replace(snapshot, view=view, metadata=metadata)
    return replace(snapshot, view=replace(snapshot.view, limits=limits))


@pytest.mark.parametrize("limits", [Limits(), Limits(exact_max_components=0)], ids=["exact", "scanned"])
@pytest.mark.parametrize("bias", [None, *BIASES])
@pytest.mark.parametrize("text", ["word3", "rare word1", "nothing"])
def test_words_and_a_bias_are_summed_as_in_one_process(
    processes: tuple[Any, Any], text: str, bias: Any, limits: Limits
) -> None:
    results = []
    for process in processes:
        with process.snapshot() as opened:
            snapshot = with_limits(opened, limits)
            (added,) = add_up_terms(
                terms_of([text], CollectionQuestion(full_text=0.7, bias=bias, now=NOW)), snapshot, 1
            )
            assert added is not None
            mask = snapshot.mask(Comparison("metadata.year", ">", 1950))
            question = Question(document("", 4).keys[0], 0.4, null=0.2, bias=added.bias, top_k=12)
            questions = [question, replace(question, temperature=0.0), replace(question, mask=mask)]
            results_of_all = answers(snapshot.view, questions)
            swept = sweep(snapshot.view, replace(question, output=False), [0.1, 3.0])
            counts = added.count_containing(None), added.count_containing(mask)
            results.append((results_of_all, swept, counts, added.explain(results_of_all[0].numbers)))
    (actual, actual_sweep, *actual_terms), (expected, expected_sweep, *expected_terms) = results
    assert actual_terms == expected_terms
    np.testing.assert_array_equal(actual_sweep.numbers, expected_sweep.numbers)
    np.testing.assert_allclose(actual_sweep.weights, expected_sweep.weights, rtol=1e-9)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_array_equal(one.similarities, other.similarities)
        bound = one.certificate.total_variation + other.certificate.total_variation + 1e-15
        np.testing.assert_allclose(one.weights, other.weights, atol=bound, rtol=0)


def test_a_sweep_is_that_of_one_process(processes: tuple[Any, Any]) -> None:
    options = CollectionQuestion(bias=[RECENT, PRIOR], top_k=6, filter=FILTERS[1])
    swept = [
        asyncio.run(sweep_collection(process, document("", 4).keys[0], [0.0, 0.2, 2.0], options))
        for process in processes
    ]
    assert [match.document.id for match in swept[0].matches] == [match.document.id for match in swept[1].matches]
    for actual, expected in zip(swept[0].temperatures, swept[1].temperatures, strict=True):
        np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-9, atol=1e-15)


def test_a_field_that_is_too_large_is_refused_as_in_one_process(
    processes: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in (("MIN_CACHE_BYTES", 10), ("CACHE_BYTES_PER_DOCUMENT", 0), ("MAX_COLUMN_BYTES", 10)):
        monkeypatch.setattr(snapshots, name, limit)
    monkeypatch.setattr(replica, "MAX_COLUMN_BYTES", 10)
    for bias in (RECENT | {"field": "metadata.words"}, SHELF | {"field": "metadata.words"}):
        refusals = []
        for process in processes:
            with pytest.raises(InvalidContent, match="words take more than ") as refused:
                attended(process, bias=bias)
            refusals.append([flaw.pointer for flaw in refused.value.flaws])
        assert refusals == [["/bias"], ["/bias"]]
    monkeypatch.undo()
    check(*(attended(process) for process in processes))  # and no shard counts as lost


def test_after_a_write_a_bias_is_of_the_new_version(processes: tuple[Any, Any]) -> None:
    for year in (2500, 2600):
        processes[0].write([document("new", 3, year=year)])
        actual, expected = (attended(process, bias=RECENT, include=EXPLAINED, top_k=100) for process in processes)
        check(actual, expected)
        addends = {match.id: match.addends[0]["addend"] for match in actual.matches}
        assert addends["new"] == 0
        assert addends["004"] == pytest.approx(-np.log(2) * (year - 1904) / 7.0)
    processes[0].delete(ids=["new"])
