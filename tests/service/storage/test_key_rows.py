"""Sums over many keys: equal for keys given one by one, and different after any change."""

from __future__ import annotations

import numpy as np

from softkv_service.storage import KeySums, Store
from tests.service.storage.making import WIDTH, collection, document


def with_keys(identity: str, count: int, seed: int = 0):
    keys = np.random.default_rng([seed, count]).normal(size=(count, WIDTH)).astype(np.float32)
    return document(identity, seed, keys=keys, key=None)


def test_sums_equal_the_checksums_added_row_by_row(store: Store) -> None:
    counts = [1, 0, 3, 1, 7, 0, 2, 1]
    number = collection(store, [with_keys(f"{i}", count, i) for i, count in enumerate(counts)])
    with store.reading() as reader:
        numbers, owners, checksums = reader.key_checksums(number, 1, 1000)
        documents = np.unique(owners)
        first, last = int(numbers[0]), int(numbers[-1])
        assert reader.key_sums(number, first, first, last) == KeySums.of(checksums, documents)
        for begin, end in ((1, 5), (2, 12), (5, 5), (0, len(numbers) - 1)):
            low, high = int(numbers[begin]), int(numbers[end])
            begun = documents[(documents >= owners[begin]) & (documents <= high)]
            sums = reader.key_sums(number, int(owners[begin]), low, high)
            assert sums == KeySums.of(checksums[begin : end + 1], begun)
        assert reader.key_sums(number, last + 1, last + 1, last + 50) == (0, 0, 0, 0, 0)
        every = reader.rows_where(number)
        for begin, end in ((0, 3), (2, 2), (4, len(every) - 1)):
            between = reader.rows_where(number, first=int(every[begin]), last=int(every[end]))
            np.testing.assert_array_equal(between, every[begin : end + 1])
        np.testing.assert_array_equal(reader.rows_where(number, first=int(every[3])), every[3:])
    with store.writing() as writer:
        writer.upsert(number, [with_keys("7", 1, 99)])
    with store.reading() as reader:
        changed = reader.key_sums(number, first, first, int(reader.rows_where(number)[-1]))
    assert changed.documents == len(documents)
    before = KeySums.of(checksums, documents)
    assert all(now != then for now, then in zip(changed[1:3] + changed[4:], before[1:3] + before[4:], strict=True))
