"""The rank of full-text matches: over all documents, after random histories of writes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import Reader, Store, temporary_search
from softkv_service.storage.conditions import Comparison, Searched, Visibility, parse_search
from softkv_service.storage.records import DocumentRecord
from tests.service.storage.making import collection, document
from tests.thorough import examples

WORDS = ["cat", "dog", "bird", "fish"]
keys = st.lists(st.sampled_from([*WORDS, "the", "the"]), max_size=9).map(" ".join) | st.none()
writes = st.lists(
    st.tuples(st.integers(0, 9), keys | st.just("(delete)")).map(lambda each: (f"d{each[0]}", each[1])), max_size=25
)
questions = st.lists(st.sampled_from([*WORDS, "the", "cow"]), min_size=1, max_size=4, unique=True)


def count_words(text: str | None, word: str) -> int:
    return (text or "").split().count(word)


def bm25(
    texts: dict[int, str | None], question: list[Any], count: Callable[[str | None, Any], int] = count_words
) -> dict[int, float]:
    """Return BM25 scores of documents with any of the terms, by the formula; FTS5 has a minimum for frequent ones."""
    k1, b, least = 1.2, 0.75, 1e-6
    lengths = {row: len((text or "").split()) for row, text in texts.items()}
    ranks: dict[int, float] = {}
    for term in question:
        counts = {row: number for row, text in texts.items() if (number := count(text, term))}
        idf = max(math.log((len(texts) - len(counts) + 0.5) / (len(counts) + 0.5)), least)
        for row, tf in counts.items():
            part = tf * (k1 + 1) / (tf + k1 * (1 - b + b * lengths[row] * len(texts) / sum(lengths.values())))
            ranks[row] = ranks.get(row, 0.0) + idf * part
    return ranks


@settings(max_examples=examples(40), deadline=None)
@given(writes, questions)
def test_ranks_are_of_all_that_hold_a_word_as_the_store_ranks_them(
    shared: Store, history: list[tuple[str, str | None]], question: list[str]
) -> None:
    number = collection(shared, [document("d0", key="the cat and the dog")])
    collection(shared, [document(f"d{i}", key="cat " * i) for i in range(5)], "other")
    expected_texts: dict[str, str | None] = {"d0": "the cat and the dog"}
    for identity, key in history:
        with shared.writing() as writer:
            if key == "(delete)":
                writer.delete_ids(number, [identity])
                expected_texts.pop(identity, None)
            else:
                writer.upsert(number, [document(identity, key=key)])
                expected_texts[identity] = key
    with shared.reading() as reader:
        search = reader.search(number)
        rows, ranks = search.ranks(" ".join(question))
        existing = reader.existing(number, list(expected_texts))
        result = search.full_text(" ".join(question), 100)
    expected = bm25({existing[identity]: key for identity, key in expected_texts.items()}, question)
    assert rows.tolist() == sorted(expected)
    assert rows.dtype == np.int64
    assert ranks.dtype == np.float64
    assert (ranks >= 0).all()
    by_id = {identity: ranks[rows == row][0] for identity, row in existing.items() if row in expected}
    assert [row.id for row in result.rows] == sorted(by_id, key=lambda identity: (-by_id[identity], identity))
    if search.ranking == "bm25":
        np.testing.assert_allclose(ranks, [expected[row] for row in rows.tolist()], rtol=1e-9)
    else:  # as often as the words stand there, weighed alike
        assert search.ranking == "ts_rank_cd"
        times = {
            identity: sum((expected_texts[identity] or "").split().count(word) for word in question)
            for identity in by_id
        }
        assert all(rank == pytest.approx(0.1 * times[identity], rel=1e-6) for identity, rank in by_id.items())


@pytest.mark.parametrize(
    ("message", "once"),
    [("cats Cats CATS", "cats"), ("cats? cats!", "cats"), ("cafe café, CAFÉ", "cafe"), ("what's What's?", "what's")],
)
def test_a_word_counts_once_whatever_its_case_accents_and_signs(shared: Store, message: str, once: str) -> None:
    number = collection(shared, [document("a", key="cats"), document("b", key="what's a cafe?"), document("c", key="")])
    with shared.reading() as reader:
        search = reader.search(number)
        assert [rank.tolist() for rank in search.ranks(message)] == [rank.tolist() for rank in search.ranks(once)]
        assert search.ranks(once)[0].size == 1


VISIBLE = Comparison("metadata.tenant", "==", "a")
texts = st.lists(st.sampled_from([*WORDS, "the", "the", "the", "cats", "什么猫", "what's", "Straße"]), max_size=12).map(
    " ".join
)
terms = st.sampled_from(
    ["cat", '"the cat"', '"the the the"', "ca*", '"the ca" do*', "猫", "什么", '"什么猫"', "what's", "STRASSE", "the"]
)


def tenant(name: str, keys: list[str | None], **fields: Any) -> list[DocumentRecord]:
    """Return documents of a tenant with these keys."""
    return [document(f"{name}{i}", key=key, metadata={"tenant": name}, **fields) for i, key in enumerate(keys)]


def ranked(reader: Reader, number: int, searched: Searched, *, kept: bool = False) -> list[tuple[str, float]]:
    """Return the ids of the documents with a term of a search that a reader sees, and the digits of their ranks."""
    search = reader.search(number)
    rows, ranks = search.ranks(searched, search.lengths() if kept else None)
    ids = {row: identity for identity, row in reader.existing(number, [d.id for d in reader.page(number)]).items()}
    return [(ids[row], rank) for row, rank in zip(rows.tolist(), ranks.tolist(), strict=True) if row in ids]


@pytest.mark.parametrize("more", [0, 300])  # with so many, an index in SQLite's file
@settings(max_examples=examples(25), deadline=None)
@given(st.lists(texts | st.none(), max_size=20), st.lists(texts | st.none(), max_size=20), st.lists(terms, min_size=1))
def test_a_restricted_reader_ranks_as_if_hidden_documents_did_not_exist(
    shared: Store, more: int, seen: list[str | None], hidden: list[str | None], searched: list[str]
) -> None:
    filler = [f"the {WORDS[i % 4]} of {i} " * (1 + i % 3) for i in range(more)]
    seen, parsed = [*seen, *filler], parse_search(" ".join(searched))
    alone = collection(shared, tenant("a", seen), "alone")
    number = collection(
        shared,
        [*tenant("b", hidden), *tenant("a", seen), *tenant("c", [*filler, None]), *tenant("a-", hidden, expires=1)],
    )
    with shared.reading() as reader:
        restricted = reader.seeing(Visibility(VISIBLE, 2))
        expected = ranked(reader, alone, parsed)
        assert ranked(restricted, number, parsed) == expected
        assert ranked(restricted, number, parsed, kept=True) == expected
        text = " ".join(searched).replace('"', "").replace("*", "")
        found = [reader.search(alone).full_text(text, 9), restricted.search(number).full_text(text, 9)]
        assert found[0].rows == found[1].rows
        restricting = Comparison("id", "in", ("a1", "a2", "b1", "a4"))
        found = [
            reader.search(alone).full_text(text, 2, restricting),
            restricted.search(number).full_text(text, 2, restricting),
        ]
        assert found[0].rows == found[1].rows


def test_a_restricted_reader_that_sees_nothing_ranks_nothing(shared: Store) -> None:
    number = collection(shared, tenant("b", ["the cat"] * 300))
    with shared.reading() as reader:
        restricted = reader.seeing(Visibility(VISIBLE))
        assert ranked(restricted, number, "cat") == []
        assert restricted.search(number).full_text("cat", 9).rows == []


def test_an_empty_search_ranks_nothing() -> None:
    with temporary_search([]) as search:
        assert search.ranks("cat")[0].tolist() == []
