"""Pieces of words against the library's own model, token by token: ties, unknown characters, long words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from softkv_service.encoding.models import unigram
from softkv_service.encoding.models.unigram import Unigram
from tests.thorough import examples

LETTERS = "ab▁é猫"
SCORES = st.sampled_from([-1.0, -2.0, -3.3, -0.1, 0.0])  # few values, so that many cuts are alike
VOCABULARIES = st.dictionaries(st.text(LETTERS, min_size=1, max_size=4), SCORES, max_size=12)


def tokenizers(pieces: list[tuple[str, float]]) -> tuple[Tokenizer, Tokenizer]:
    """Return the library's unigram tokeniser, and the one whose words are cut beforehand."""
    cut = Unigram(pieces, 1)
    ours, library = Tokenizer(cut.model), Tokenizer(models.Unigram(pieces, unk_id=1))
    words = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", "always")]
    library.pre_tokenizer = pre_tokenizers.Sequence(words)
    ours.pre_tokenizer = pre_tokenizers.Sequence([*words, pre_tokenizers.PreTokenizer.custom(cut)])
    return library, ours


@settings(max_examples=examples(1000), deadline=None)
@given(VOCABULARIES, st.lists(st.text(f"{LETTERS}☃", max_size=9) | st.just("☃<unk>"), max_size=9))
def test_pieces_are_those_of_the_library(vocabulary, words):
    library, ours = tokenizers([("<s>", 0.0), ("<unk>", 0.0), *vocabulary.items()])
    for text in (" ".join(words), "".join(words)):
        assert_alike(library, ours, text)


def assert_alike(library, ours, text):
    expected, actual = library.encode(text), ours.encode(text)
    assert (actual.ids, actual.offsets) == (expected.ids, expected.offsets), text


PIECES = {"▁": -1.0, "<unk>": 0.0, "a": -2.5, "aa": -3.0, "ab": -3.1, "b": -2.0, "p": -3.3, "qs": -3.3, "t☃": -3.3}
PIECES |= {"r": -3.3, "pqsrt": 0.0}
LONG = "aab☃☃b" * 1000


@pytest.mark.parametrize("text", [LONG[:n] for n in (unigram.CHARACTERS - 1, unigram.CHARACTERS, 5000)] + ["☃pqsrt☃"])
def test_long_words_and_unknown_characters_have_the_pieces_of_the_library(text):
    assert_alike(*tokenizers([*PIECES.items()]), text)
