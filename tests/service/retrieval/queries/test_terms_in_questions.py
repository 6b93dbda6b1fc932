"""Words and biases as a collection is asked with them: scanned, swept, at temperature 0, of older versions, refused."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from softkv_attention.lookup import Limits, Question, answer
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.collections import snapshot as columns
from softkv_service.retrieval.collections import snapshot as snapshots
from softkv_service.retrieval.queries import attend_collection
from softkv_service.retrieval.queries.terms import add_up_terms, terms_of, words
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import attend, opened

MANY, WIDTH = 3000, 8
RECENT = {"field": "metadata.year", "half_life": 7.0}
SOFT = {"filter": {"field": "metadata.even", "operator": "==", "value": True}, "addend": 0.7}


def keys(n: int) -> Any:
    made = np.random.default_rng(7).standard_normal((n, WIDTH)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def documents(n: int) -> list[DocumentRecord]:
    return [
        DocumentRecord(
            f"{i:05}", f"word{i % 5} and", i, key[None], metadata={"year": 1900 + i % 120, "even": i % 2 == 0}
        )
        for i, key in enumerate(keys(n))
    ]


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """A collection of which a scan answers everything that it can."""
    limits = Limits(exact_max_components=0)
    catalogue = opened(tmp_path_factory.mktemp("scanned"), documents(MANY), limits)
    yield catalogue.collection("c")
    catalogue.store.close()


@pytest.fixture
def few(create: Any) -> Collection:
    return create(documents(40))


@pytest.mark.parametrize("temperature", [0.02, 0.1, 2.0])
@pytest.mark.parametrize("condition", [None, Comparison("metadata.year", ">", 1930)])
def test_a_certificate_of_a_scan_with_addends_holds(scanned: Collection, temperature: float, condition: Any) -> None:
    i = np.arange(MANY)
    for query in keys(MANY)[:3]:
        with scanned.snapshot() as snapshot:
            (added,) = add_up_terms(
                terms_of(["word3"], CollectionQuestion(full_text=0.4, bias=[RECENT, SOFT])), snapshot, 1
            )
            assert added is not None
            assert added.words is not None
            mask = None if condition is None else snapshot.mask(condition)
            question = Question(query, temperature, null=0.5, mask=mask, bias=added.bias, top_k=MANY, output=False)
            result = answer(snapshot.view, question)
            first = int(snapshot.view.numbers()[0])
            ranks = added.words.ranks
        assert result.certificate.method == "quantised"
        logits = keys(MANY).astype(np.float64) @ query / temperature
        logits += -np.log(2) * (2019 - (1900 + i % 120)) / 7.0 + 0.7 * (i % 2 == 0)
        logits[i % 5 == 3] += 0.4 * ranks
        logits[(condition is not None) & (1900 + i % 120 <= 1930)] = -np.inf
        null = 0.5 / temperature
        peak = max(logits.max(), null)
        weights, without_null = np.exp(logits - peak), np.exp(null - peak)
        total = weights.sum() + without_null
        got = np.zeros(MANY)
        got[result.numbers - first] = result.weights
        distance = (np.abs(got - weights / total).sum() + abs(result.null_weight - without_null / total)) / 2
        assert distance <= result.certificate.total_variation <= 0.05
        assert result.weights[0] == pytest.approx(weights.max() / total, abs=1e-6)
        assert result.log_partition == pytest.approx(peak + np.log(total), abs=1e-2)


def test_requests_share_a_soft_filter_until_its_instant_passes_a_date(few: Collection) -> None:
    hour = 3_600_000_000
    recent = {"filter": {"field": "metadata.at", "operator": ">=", "value": {"datetime": "now-1h"}}, "addend": 1}
    dates = [(str(i), {"at": f"1970-01-01T0{i}:00Z"}) for i in (1, 3)]
    few.write([DocumentRecord(name, None, None, keys(1), metadata=metadata) for name, metadata in dates])
    biases = []
    for now in (3 * hour, 4 * hour, 4 * hour + 1, 9 * hour):
        with few.snapshot() as snapshot:
            (added,) = add_up_terms(terms_of([np.ones(WIDTH)], CollectionQuestion(bias=recent, now=now)), snapshot, 1)
            assert added is not None
            biases.append(added.bias)
    assert biases[0] is biases[1]
    assert biases[1] is not biases[2] is biases[3]


def test_at_temperature_0_ties_share_by_their_addends(create: Any) -> None:
    tied = [DocumentRecord(str(i), None, i, np.ones((1, 2), np.float32), metadata={"stars": i}) for i in range(4)]
    worse = DocumentRecord("worse", None, 0, np.zeros((1, 2), np.float32), metadata={"stars": 100})
    prior = {"field": "metadata.stars", "scale": "log"}
    (result,) = attend(create([*tied, worse]), np.ones(2), temperature=0, bias=prior, include=["value", "explanation"])
    assert {match.id: match.weight for match in result.matches} == pytest.approx(
        {"3": 1 / 2, "2": 1 / 3, "1": 1 / 6, "worse": 0}
    )
    assert result.answer.documents == 4  # the one of no stars is forbidden
    for match in result.matches[:3]:
        log_weight = match.logit + match.log_weight_of_other_parts - result.answer.log_partition
        assert log_weight == pytest.approx(np.log(match.weight))
        assert match.log_weight_of_other_parts == pytest.approx(sum(line["addend"] for line in match.addends))


def test_an_older_version_keeps_its_own_bias(few: Collection) -> None:
    with few.snapshot() as before:
        few.write([DocumentRecord("new", "word0", 0, keys(1), metadata={"year": 2500})])
        (later,) = attend(few, keys(1)[0], bias=RECENT, include=["value", "explanation"], top_k=1)
        (added,) = add_up_terms(terms_of(["word0"], CollectionQuestion(full_text=1.0, bias=RECENT)), before, 1)
        assert added is not None
        lines = added.explain(before.view.numbers())
        assert added.count_containing(None) == 8
    assert later.matches[0].addends[0]["addend"] == 0
    np.testing.assert_allclose([line[1]["addend"] for line in lines], -np.log(2) * (39 - np.arange(40)) / 7.0)


def test_a_cached_bias_holds_no_reference_to_its_columns(few: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_CACHE_BYTES", 100)
    monkeypatch.setattr(columns, "CACHE_BYTES_PER_DOCUMENT", 1)
    read: list[weakref.ref[Any]] = []
    real = snapshots.Snapshot.columns

    def watched(snapshot: Any, *arguments: Any) -> Any:
        terms = real(snapshot, *arguments)
        read.extend(weakref.ref(term) for term in terms)
        return terms

    monkeypatch.setattr(snapshots.Snapshot, "columns", watched)
    (terms,) = attend(few, keys(1)[0], bias=[RECENT, SOFT], include=["value", "explanation"])
    assert terms.matches[0].addends[0]["field"] == "metadata.year"
    gc.collect()
    assert len(read) == 1
    assert read[0]() is None
    attend(few, keys(1)[0], bias=[RECENT, SOFT])
    assert len(read) == 1


async def test_while_words_are_ranked_others_are_answered(few: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    ranking, go_on = threading.Event(), threading.Event()
    real = words._rank

    def slow(snapshot: Any, text: str) -> Any:
        ranking.set()
        assert go_on.wait(10)
        return real(snapshot, text)

    monkeypatch.setattr(words, "_rank", slow)
    (term,) = terms_of(["word3"], CollectionQuestion(full_text=0.4))
    adding = asyncio.create_task(term.prepare(few))
    await asyncio.to_thread(ranking.wait, 10)
    (other,) = await attend_collection(few, [keys(1)[0]], CollectionQuestion(), ["/query"])
    go_on.set()
    term = await adding
    assert other.matches
    monkeypatch.setattr(words, "_rank", None)  # of that version they are known
    with few.snapshot() as snapshot:
        assert len(term.addends(snapshot, 0).by_row[0]) == 8


@pytest.mark.parametrize("text", ["word " * 501, "x" * 10_001])
def test_more_words_than_are_ranked_in_a_moment_are_refused(few: Collection, text: str) -> None:
    with pytest.raises(InvalidContent, match="at most 500 and 10,000") as refused:
        terms_of([text], CollectionQuestion(full_text=0.1))
    assert refused.value.flaws[0].pointer == "/full_text"
    assert terms_of(["word " * 500], CollectionQuestion(full_text=0.1))
