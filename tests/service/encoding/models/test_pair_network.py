"""Pairs of texts whose ends a cross-encoder does not reach: the same tokens, in work that is linear in the lengths."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from softkv_service.encoding import load_reranker
from softkv_service.encoding.models import pair_network
from softkv_service.encoding.models.pair_network import Pair, cut_pair, cut_pairs
from softkv_service.encoding.tokens import SPARE, ModelTokenizer
from tests.checkpoints import edit_json, save_cross_encoder, write_cross_encoder
from tests.service.encoding.models.test_tokenizer_classes import FOLDERS, TEXTS, save_tokenizer
from tests.thorough import examples

STRATEGIES = ("longest_first", "only_first", "only_second")
LONGEST = 24
LONG = st.builds("".join, st.lists(st.sampled_from([*TEXTS, " ", "\n", "dog ", "é" * 9, "a" * 120]), max_size=40))


@pytest.fixture(scope="module", params=FOLDERS, ids=str)
def library(request, tmp_path_factory) -> Tokenizer:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"), *request.param)


def truncated(library: Tokenizer, pair: Pair, *options: object) -> tuple[list[int], list[int], int]:
    """Return the ids and types of a pair after the tokeniser's own truncation, and how many pieces it keeps besides.

    They are empty if a strategy that shortens one text alone cannot make a pair short enough.
    """
    library.enable_truncation(options[0], strategy=options[1], direction=options[2])
    try:
        (encoding,) = library.encode_batch([pair])
    except Exception as error:  # the library raises no narrower type
        if "too short to respect the provided max_length" not in str(error):
            raise
        return [], [], 0
    finally:
        library.no_truncation()
    return encoding.ids, encoding.type_ids, len(encoding.overflowing)


def result_of(steps: Generator[None, None, Pair]) -> Pair:
    """Return what a generator returns in the end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("side", ["left", "right"])
@given(first=LONG, second=LONG, limit=st.integers(6, LONGEST), strategy=st.sampled_from(STRATEGIES))
@settings(max_examples=examples(40), deadline=None)
def test_a_cut_pair_has_the_tokens_of_the_whole_one(library, side, first, second, limit, strategy):
    tokenizer = ModelTokenizer(library, max_tokens=limit, unknown_token=None, truncation_side=side)
    (cut,) = cut_pairs(tokenizer, [Pair(first, second)])
    *expected, pieces = truncated(library, Pair(first, second), limit, strategy, side)
    *read, pieces_of_cut = truncated(library, cut, limit, strategy, side)
    assert (read, pieces_of_cut > 0) == (expected, pieces > 0)
    assert result_of(cut_pair(tokenizer, Pair(first, second))) == cut


def test_the_work_for_a_pair_grows_with_its_length_and_not_with_its_square(library):
    tokenizer = ModelTokenizer(library, max_tokens=LONGEST, unknown_token=None)
    short, long = (Pair("the dog " * n, "a tree " * n) for n in (100, 200))
    pieces = [truncated(library, pair, LONGEST, "longest_first", "right")[2] for pair in (short, long)]
    pieces_of_each = 2 + 3 * SPARE // LONGEST
    assert pieces[1] > 3 * pieces[0]  # the pieces of a whole pair grow with the square
    for pair in cut_pairs(tokenizer, [short, long]):
        assert truncated(library, pair, LONGEST, "longest_first", "right")[2] < 2 * pieces_of_each**2
        assert max(len(library.encode(text).ids) for text in pair) < LONGEST + 3 * SPARE


TALES = Pair("the dog " * 9999, "a tree " * 9999)


def test_the_core_keeps_few_pieces_of_a_long_pair(tmp_path):
    network = load_reranker(str(save_cross_encoder(tmp_path / "model"))).network
    (encoding,) = network._read([TALES])
    assert len(encoding.ids) == network.max_tokens
    assert 0 < len(encoding.overflowing) < 9


@pytest.mark.parametrize(("tolerance", "precision"), [(1e-3, "int16"), (0, "float32")])
def test_a_reranker_is_in_int16_if_its_scores_hardly_change(tmp_path, monkeypatch, tolerance, precision):
    monkeypatch.setattr(pair_network, "SCORE_TOLERANCE", tolerance)
    folder = str(save_cross_encoder(tmp_path / "model"))
    exact, near = load_reranker(folder), load_reranker(folder, precision="int16")
    assert (exact.precision, near.precision) == ("float32", precision)
    logits = [reranker.network.logits(pair_network.PROBE_PAIRS).values for reranker in (exact, near)]
    assert (np.abs(logits[0] - logits[1]).max() > 0) == (precision == "int16")


def test_the_library_gets_little_of_a_long_pair(tmp_path, monkeypatch):
    network = load_reranker(str(save_cross_encoder(tmp_path / "model", "ElectraConfig", embedding_size=32))).network
    predict, handed = network._model.predict, []
    monkeypatch.setattr(
        network._model, "predict", lambda texts, **options: handed.extend(texts) or predict(texts, **options)
    )
    assert network.logits([TALES]).truncated
    assert max(map(len, handed[0])) < 20 * network.max_tokens


@pytest.mark.parametrize("strategy", ["only_second", "longest_first"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_library_reads_a_cut_pair_as_its_folder_asks(tmp_path, strategy, side):
    from sentence_transformers import CrossEncoder  # takes seconds to import

    folder = write_cross_encoder(tmp_path / "model")
    CrossEncoder(str(folder), device="cpu").save(str(folder))
    edit_json(folder / "tokenizer_config.json", {"truncation_side": side})
    edit_json(folder / "sentence_bert_config.json", {"processing_kwargs": {"text": {"truncation": strategy}}})
    reranker, model = load_reranker(str(folder)), CrossEncoder(str(folder), device="cpu")
    pairs = [Pair("the dog " * n, "a cat across the street " * m) for n, m in ((1, 99), (9, 1), (12, 300))]
    assert reranker.kind == "library"
    expected = model.predict([list(pair) for pair in pairs], activation_fn=None, show_progress_bar=False)
    values = 1 / (1 + np.exp(-reranker.network.logits(pairs).values))
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)
    assert reranker.network.logits(pairs).truncated.tolist() == [True, False, True]
