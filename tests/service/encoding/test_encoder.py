"""Texts as vectors; of a model whose vectors change with the rest of a batch, each text alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.encoding.encoder import token_batches
from softkv_service.encoding.errors import InvalidText
from softkv_service.encoding.registry import default_checkpoint, load_encoder
from softkv_service.encoding.texts import PURPOSES
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


TEXTS = ["a red house", "", *("word " * n for n in (3, 17, 50, 80)), "猫 and dogs", "a red house"]
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 101, "eos_token_id": 102}


@pytest.fixture
def left_padded(bare_model, saved):
    """A model with learned positions that pads on the left, so that the padding moves them, as SGPT does."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bare = bare_model("GPT2Config", padding_side="left", **GPT2)
    prompts = {"query": "search for: ", "document": ""}
    modules = [Transformer(bare, max_seq_length=64), Pooling(32, "lasttoken")]
    return saved(SentenceTransformer(modules=modules, prompts=prompts, device="cpu"))


@pytest.mark.parametrize("precision", ["float32", thorough("bfloat16")])
def test_a_text_has_one_vector_whatever_it_is_encoded_with(left_padded, precision):
    encoder = load_encoder(str(left_padded), precision=precision)
    assert not encoder.batched
    (note,) = encoder.notes
    assert "reads each text alone" in note
    for purpose in PURPOSES:
        together = encoder.encode(TEXTS, purpose).vectors
        alone = np.concatenate([encoder.encode([text], purpose).vectors for text in TEXTS])
        np.testing.assert_array_equal(together, alone)
        if precision == "float32":
            expected = library_vectors(left_padded, TEXTS, purpose)
            np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5)
