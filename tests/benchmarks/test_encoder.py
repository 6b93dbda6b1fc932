"""The benchmark of the encoder has texts of the lengths that it says, and its engines make the same vectors."""

from __future__ import annotations

import time

from benchmarks.encoder import PEER, Column, columns, engines, least_cosines, timed
from softkv_service.encoding import DEFAULT_MODEL, load_encoder


def test_queries_and_passages_have_their_lengths():
    tokenizer = load_encoder(DEFAULT_MODEL).network.tokenizer
    for column in columns():
        lengths = tokenizer.read(column.texts, "").total
        low, high = (5, 30) if "quer" in column.name else (50, 260)
        assert low <= lengths.min() <= lengths.max() <= high
        assert len(set(column.texts)) == len(column.texts)


def test_engines_make_the_same_vectors_and_are_timed_in_turns():
    by_name = engines(1)
    assert {PEER, "softkv float32"} <= set(by_name)
    assert min(least_cosines(by_name, ["a cat purrs", "how do databases work?"]).values()) > 0.999
    rates = timed(by_name, [Column("both", ["a cat", "a dog"], 1)], 1, time.perf_counter)
    assert rates["both"].keys() == by_name.keys()
    assert min(rates["both"].values()) > 0
