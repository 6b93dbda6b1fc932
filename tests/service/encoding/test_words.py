"""The words of texts: vectors of the same pass as the text's own, in a projection that can be measured again."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.encoder import LocalEncoder
from softkv_service.encoding.models.core_network import CoreNetwork
from softkv_service.encoding.models.network import Precision
from softkv_service.encoding.registry import DEFAULT_MODEL, PACKAGED, load_encoder
from softkv_service.encoding.words import MAX_WORDS, WIDTH, WordModel, read_projection
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
