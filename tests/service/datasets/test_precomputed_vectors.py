"""The vectors that come with the demo collections are the default model's of today's texts, and no other's."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.datasets import DEMOS, ENGLISH
from softkv_service.datasets.precomputed_vectors import load_vectors, write_vectors
from softkv_service.encoding import load_encoder
from tests.bfloat16 import ROUGH
from tools.demo_vectors import encoded_texts

ROUNDING = 2.0**-11
"""The rounding error of float16, relative to each component."""
SMALLEST = 2.0**-25
FLOAT32 = 1e-5
"""The difference between two ways of computing a vector."""
SOME = 6
LARGE = ("python", "unicode")
"""The collections whose vectors are float16."""


@pytest.mark.parametrize("name", ENGLISH)
def test_some_of_them_are_the_encoders_but_for_rounding(name, encoder):
    texts = [text for text in encoded_texts(DEMOS[name]) if len(text) < 200]
    precomputed = load_vectors(name, encoder.checksum)
    sample = [text for text in texts[:: len(texts) // SOME] if precomputed.of(text) is not None]
    assert len(sample) >= SOME / 2
    expected = encoder.encode(sample, "document").vectors
    stored = np.stack([precomputed.of(text) for text in sample])
    # Bringing the stored ones to length one moves them by as much again.
    rounding = {"rtol": 2 * ROUNDING, "atol": FLOAT32 + SMALLEST} if name in LARGE else {"rtol": 0, "atol": FLOAT32}
    np.testing.assert_allclose(stored, expected, **rounding)


@pytest.mark.parametrize("name", ["library", "videos", "unicode"])
def test_every_text_has_one(name, encoder):
    precomputed = load_vectors(name, encoder.checksum)
    unknown = [text for text in encoded_texts(DEMOS[name]) if precomputed.of(text) is None]
    if name == "unicode":  # whose names are this Python's
        assert len(unknown) < 500
    else:
        assert unknown == [], "make vectors"


def test_another_model_or_text_has_none(encoder):
    text = next(iter(DEMOS["library"].documents()))["key"]
    assert load_vectors("library", encoder.checksum).of(text) is not None
    assert load_vectors("library", encoder.checksum).of(f"{text}.") is None
    assert load_vectors("library", "0" * 64).of(text) is None
    assert load_vectors("library", None).of(text) is None
    assert load_vectors("another", encoder.checksum).of(text) is None


@pytest.mark.parametrize("precision", [ROUGH])
def test_another_number_format_has_no_checksum_to_find_vectors_by(precision):
    assert load_encoder("all-MiniLM-L6-v2", precision=precision).checksum is None


def test_equal_vectors_make_equal_bytes(tmp_path):
    vectors = {"a": np.array([0.6, 0.8], np.float32), "b": np.array([1, 0], np.float32)}
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
        write_vectors(tmp_path / directory, "demo", "c", vectors)
    one, two = ((tmp_path / directory / "demo.npz").read_bytes() for directory in ("one", "two"))
    assert one == two
