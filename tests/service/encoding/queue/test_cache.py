from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from softkv_service.encoding.queue import EmbeddingCache
from softkv_service.encoding.texts import EncodedText


def answers(*texts):
    return {text: EncodedText(np.full(3, len(text), dtype=np.float32), len(text), False, 0, 2) for text in texts}


def test_a_text_is_found_as_it_was_kept_for_its_purpose_only():
    cache = EmbeddingCache()
    cached = answers("cat", "horse")
    cache.keep(cached, "query")
    result = cache.find(["horse", "dog", "cat", "horse"], "query")
    assert result.keys() == {"cat", "horse"}
    np.testing.assert_array_equal(result["cat"].vector, cached["cat"].vector)
    assert result["horse"][1:] == (5, False, 0, 2, None)
    assert cache.find(["cat"], "document") == {}


def test_a_kept_vector_is_a_copy():
    cache = EmbeddingCache()
    batch = np.ones((2, 3), dtype=np.float32)
    cache.keep({"a": EncodedText(batch[0], 1, False, 0, 2)}, "query")
    batch[:] = 7
    np.testing.assert_array_equal(cache.find(["a"], "query")["a"].vector, 1)
    assert cache.find(["a"], "query")["a"].vector.base is None  # it does not hold the batch in memory


def test_the_cache_is_bounded_and_drops_the_oldest_first():
    cache = EmbeddingCache(texts=10)
    for i in range(100):
        cache.keep(answers(f"text {i}"), "document")
    assert len(cache) == 5
    assert cache.find([f"text {i}" for i in range(100)], "document").keys() == {f"text {i}" for i in range(95, 100)}
    cache.keep(answers(*map(str, range(100))), "document")
    assert len(cache) == 10


def test_long_texts_are_not_kept():
    cache = EmbeddingCache(text_characters=4)
    cache.keep(answers("four", "fiver"), "document")
    assert cache.find(["four", "fiver"], "document").keys() == {"four"}


@pytest.mark.parametrize("uploaded", [50, 5000])
def test_an_upload_does_not_displace_texts_in_use(uploaded):
    cache = EmbeddingCache(texts=100)
    in_use = [f"row {i}" for i in range(40)]
    cache.keep(answers(*in_use), "document")
    cache.find(in_use, "document")
    for i in range(uploaded):
        cache.keep(answers(f"line {i}"), "document")
    assert cache.find(in_use, "document").keys() == set(in_use)


def test_a_text_cached_again_while_in_use_counts_once():
    cache = EmbeddingCache(texts=4)
    for _ in range(3):
        cache.keep(answers("a"), "query")
        cache.find(["a"], "query")
    assert len(cache) == 1


def test_threads_may_share_it():
    cache = EmbeddingCache(texts=64)

    def work(seed):
        for i in range(2000):
            texts = [str((seed * 31 + i + j) % 200) for j in range(5)]
            for text, encoded in cache.find(texts, "query").items():
                assert encoded.token_count == len(text)
            cache.keep(answers(*texts), "query")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(cache) <= 64
