from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.encoding.encoder import token_batches
from service.encoding.errors import InvalidText
from service.encoding.registry import default_checkpoint, load_encoder
from tests.bfloat16 import FLOAT32_BY_TILES
from tests.checkpoints import library_vectors
from tests.thorough import examples, thorough

MIXED = [
    "",
    "   \n\t",
    "hello",
    "The quick brown fox jumps over the lazy dog.",
    "word " * 97,
    "word " * 254,
    "word " * 255,
    "word " * 700,
    "猫 and 狗",
    "😺😺",
    "\x00\x01\x02\x7f",
    "مرحبا بالعالم",
    "e\u0301tude \u200b\ufeff \U0010ffff",
    "x" * 101,
]


@pytest.mark.parametrize("purpose", [thorough("query"), "document"])
def test_vectors_are_those_of_sentence_transformers(encoder, purpose):
    vectors = encoder.encode(MIXED, purpose).vectors
    assert vectors.dtype == np.float32
    expected = library_vectors(default_checkpoint(), MIXED)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=5e-6 if FLOAT32_BY_TILES else 1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(neighbours=st.lists(st.sampled_from(MIXED) | st.text(max_size=300), max_size=12), place=st.integers(0, 12))
def test_a_vector_does_not_depend_on_its_neighbours(encoder, neighbours, place):
    text = "a question about glaciers"
    place = min(place, len(neighbours))
    together = encoder.encode([*neighbours[:place], text, *neighbours[place:]], "query")
    alone = encoder.encode([text], "query")
    assert np.abs(together.vectors[place] - alone.vectors[0]).max() <= 1e-6
    assert together.token_counts[place] == alone.token_counts[0]


@settings(max_examples=examples(25), deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400))
def test_every_unicode_text_has_an_answer(encoder, text):
    encoded = encoder.encode([text], "document")
    assert np.isfinite(encoded.vectors).all()
    assert encoded.token_counts[0] >= 2 + encoded.unknown_tokens[0]


def test_counts_are_of_the_whole_text(encoder):
    encoded = encoder.encode(["", "😺 cat 😺", "word " * 254, "word " * 255, "word " * 300 + "😺"], "document")
    np.testing.assert_array_equal(encoded.token_counts, [2, 5, 256, 257, 303])
    np.testing.assert_array_equal(encoded.truncated, [False, False, False, True, True])
    np.testing.assert_array_equal(encoded.unknown_tokens, [0, 2, 0, 0, 1])


def test_a_megabyte_of_one_word_is_read_in_linear_time(encoder):
    """It takes 1.5 seconds; in quadratic time, the test would not end."""
    encoded = encoder.encode(["a" * 1_000_000, "ab " * 333_333], "document")
    np.testing.assert_array_equal(encoded.token_counts, [3, 333_335])
    np.testing.assert_array_equal(encoded.truncated, [False, True])
    np.testing.assert_array_equal(encoded.unknown_tokens, [1, 0])


@pytest.mark.parametrize(
    ("texts", "position", "message"),
    [
        (["fine", "also 😺", "ab\ud83d"], 2, r"texts\[2\] has a lone surrogate \(U\+D83D\) at character 2"),
        (["\udc80"], 0, r"texts\[0\] has a lone surrogate \(U\+DC80\) at character 0"),
        (["fine", None], 1, r"texts\[1\] is of type NoneType"),
        ("one text", None, "wanted a list of texts"),
    ],
)
def test_an_invalid_text_is_refused_with_its_position(encoder, texts, position, message):
    with pytest.raises(InvalidText, match=message) as refusal:
        encoder.encode(texts, "document")
    assert refusal.value.position == position


def test_an_empty_list_gives_no_vectors(encoder):
    encoded = encoder.encode([], "query")
    assert encoded.vectors.shape == (0, 384)
    assert encoded.token_counts.shape == encoded.truncated.shape == encoded.unknown_tokens.shape == (0,)


@given(st.lists(st.integers(0, 256), max_size=200), st.integers(1, 1000))
def test_every_text_is_in_one_batch_and_none_exceeds_the_budget(lengths, budget):
    lengths = np.asarray(lengths, dtype=np.int64)
    batches = list(token_batches(lengths, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget or not lengths[batch].any()
    longest = [lengths[batch].max() for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_prefixes_replace_the_prompts_of_the_folder(random_model):
    directory = random_model("BertConfig")
    plain = load_encoder(str(directory))
    prefixed = load_encoder(str(directory), name="e5", prompts={"query": "query: "})
    assert prefixed.name == "e5"
    wanted = plain.encode(["query: a cat"], "query").vectors
    np.testing.assert_array_equal(prefixed.encode(["a cat"], "query").vectors, wanted)
    documents = [each.encode(["a cat"], "document").vectors for each in (plain, prefixed)]
    np.testing.assert_array_equal(*documents)
