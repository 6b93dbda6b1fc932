"""The words of texts: vectors of the same pass as the text's own, in a projection that can be measured again."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.encoder import LocalEncoder
from softkv_service.encoding.models.core_network import CoreNetwork
from softkv_service.encoding.models.network import Precision
from softkv_service.encoding.registry import DEFAULT_MODEL, PACKAGED, load_encoder
from softkv_service.encoding.words import MAX_WORDS, STEPS, WIDTH, WordModel, read_projection
from tools.word_projection import measure, round_projection

TEXTS = ["a cat needs sleep", "", "?!", "Straße, naïve café", "purr " * 300, *(topic.text for topic in TOPICS[:40])]


def model_of(encoder: LocalEncoder) -> WordModel:
    assert isinstance(encoder.network, CoreNetwork)
    return WordModel(encoder, encoder.network, read_projection(DEFAULT_MODEL))


def test_the_projection_spans_the_directions_that_are_measured(encoder: LocalEncoder) -> None:
    stored, measured = read_projection(DEFAULT_MODEL), measure(encoder)
    assert stored.shape == (encoder.dimension, WIDTH)
    assert (stored.dtype, np.abs(stored).max()) == (np.int8, 127)
    for matrix in (stored, round_projection(measured)):
        basis = np.linalg.qr(matrix.astype(np.float64))[0]
        cosines = np.linalg.svd(basis.T @ measured, compute_uv=False)  # of the principal angles
        assert cosines.min() > 0.998


@pytest.mark.parametrize("precision", ["float32", "int16"])
def test_words_and_vectors_are_the_same_beside_any_other_texts(precision: Precision) -> None:
    encoder = load_encoder(DEFAULT_MODEL, precision=precision)
    model = model_of(encoder)
    together = model.encode(TEXTS, "document")
    np.testing.assert_array_equal(together.vectors, encoder.encode(TEXTS, "document").vectors)
    for text, vector, words in zip(TEXTS, together.vectors, together.read_words(), strict=True):
        alone = model.encode([text], "document")
        np.testing.assert_array_equal(alone.vectors[0], vector)
        (again,) = alone.read_words()
        assert again.spans == words.spans
        np.testing.assert_array_equal(again.vectors, words.vectors)
        assert words.vectors.shape == (len(words.spans), WIDTH)


def test_a_word_is_its_letters_and_digits_in_order(encoder: LocalEncoder) -> None:
    text = "Straße no. 9, naïve café!"
    (words,) = model_of(encoder).encode([text], "document").read_words()
    assert [text[start:end] for start, end in words.spans] == ["Straße", "no", "9", "naïve", "café"]
    assert words.rarity.sum() == pytest.approx(1)


def test_a_word_has_the_vectors_of_all_its_pieces(encoder: LocalEncoder) -> None:
    model, text = model_of(encoder), "antidisestablishmentarianism, not so"
    tokens, (run,) = model.network.tokenizer.read_with_words([text])
    _, vectors = model.network.embed_with_tokens(tokens.ids)
    pieces = int(np.flatnonzero(run.begins_word)[1])
    assert pieces > 3
    total = vectors[1 : 1 + pieces].astype(np.float64).sum(axis=0)
    projected = total @ read_projection(DEFAULT_MODEL)
    (words,) = model.encode([text], "document").read_words()
    np.testing.assert_allclose(words.vectors[0], projected / np.abs(projected).max() * 127, atol=0.6)


def test_a_long_text_is_read_once_in_slices(encoder: LocalEncoder) -> None:
    tokenizer = model_of(encoder).network.tokenizer
    texts = ["a cat", "purr and sleep " * 9000, "", "a dog"]
    for prompt in ("", "passage: "):
        tokens, runs = tokenizer.read_with_words(texts, prompt)
        expected = tokenizer.read(texts, prompt)
        for i, text in enumerate(texts):
            np.testing.assert_array_equal(tokens.ids[i], expected.ids[i])
            assert runs[i].equals(tokenizer.read_words(text, prompt))
            np.testing.assert_array_equal(runs[i].begins_word, tokenizer.read_words(text, prompt).begins_word)
        np.testing.assert_array_equal(tokens.total, expected.total)


def test_the_first_words_of_a_long_text_are_read(encoder: LocalEncoder) -> None:
    (words,) = model_of(encoder).encode(["purr " * 300], "document").read_words()
    assert len(words.spans) <= MAX_WORDS


@pytest.mark.parametrize("name", [name for name, model in PACKAGED.items() if model.measured.late is not None])
def test_each_encoder_that_compares_words_has_a_projection(name: str) -> None:
    late = PACKAGED[name].measured.late
    assert late is not None
    projection = read_projection(late.projection)
    assert projection.shape[1] == WIDTH
    assert np.linalg.matrix_rank(projection.astype(np.float64)) == WIDTH
    largest_sum = (STEPS + projection.shape[0] ** 0.5) * np.linalg.norm(projection.astype(np.float64), axis=0).max()
    assert largest_sum < 2**24  # all sums are exact in float32
