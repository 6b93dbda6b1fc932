"""The benchmark of costs has a row for each kind of text, and says how large the files of a model are."""

from __future__ import annotations

import pytest

from benchmarks.costs import TOKENS, size_on_disk, time_texts
from softkv_service.encoding import DEFAULT_MODEL, load_encoder


def test_a_table_has_times_of_questions_documents_and_token_counts():
    encoder = load_encoder(DEFAULT_MODEL, precision="int16", threads=1)
    table = time_texts([encoder, encoder], 1)
    kinds, tokens, times, _, _, _, ratios = (list(column.cells) for column in table.columns)
    assert kinds == ["25 English questions", "6 documents of 60 words", *(f"{n} tokens" for n in TOKENS)]
    assert [float(text) for text in tokens[2:]] == list(TOKENS)
    assert 60 < float(tokens[1]) < 90
    assert min(float(text) for text in times) > 0
    assert float(ratios[0]) == pytest.approx(1, abs=0.7)


def test_the_size_of_a_model_is_that_of_its_files():
    assert size_on_disk(DEFAULT_MODEL) == pytest.approx(92, abs=2)
