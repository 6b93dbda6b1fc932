"""The content of a text by its tokens: nothing, signs alone, or words."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from softkv_service.encoding.models.tokenizer_classes import load_tokenizer
from softkv_service.encoding.registry import default_checkpoint
from softkv_service.encoding.tokens import Content, ModelTokenizer

NOTHING = ["", "   ", "\t\n", "\u00a0", "\u200b", "\ufeff", "\x00", "\u0301", "[PAD]", "[CLS] [SEP]", "[MASK]", "[UNK]"]
UNKNOWN = ["😺", "猫", "😺😺", "猫 😺", "x" * 101]
SIGNS = ["?", "...", "(!)", "😺!", "猫?", "[PAD] ."]
WORDS = ["cat", "7", "猫 cat", "😺 a", "don't", "[CLS] hello", "##s", "é", "[pad]"]


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return load_tokenizer(default_checkpoint(), 8)


def byte_level() -> ModelTokenizer:
    """Return a tokeniser of bytes, merged from a few words: no text has an unknown token."""
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<s>"])
    library.train_from_iterator(["the cat and the hat"] * 3, trainer)
    return ModelTokenizer(library, max_tokens=None, unknown_token=None)


def metaspace() -> ModelTokenizer:
    """Return a tokeniser of words after a mark for the blank."""
    words = ["<unk>", "▁", "▁cat", "▁?", "▁!"]
    library = Tokenizer(models.WordLevel(dict(zip(words, range(5), strict=True)), unk_token="<unk>"))
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Metaspace()
    return ModelTokenizer(library, max_tokens=None, unknown_token=0)


@pytest.mark.parametrize("prompt", ["", "search for: ", "Q"])
def test_special_unknown_and_blank_tokens_say_nothing_whatever_the_prompt(tokenizer, prompt):
    kinds = [(NOTHING + UNKNOWN, Content.NOTHING), (SIGNS, Content.SIGNS), (WORDS, Content.WORDS)]
    for texts, content in kinds:
        contents = map(Content, tokenizer.read(texts, prompt).content)
        assert dict(zip(texts, contents, strict=True)) == dict.fromkeys(texts, content)


def test_only_tokens_within_the_limit_count_as_content(tokenizer):
    assert tokenizer.read(["😺 " * 6 + "cat", "😺 " * 5 + "cat"]).content.tolist() == [Content.NOTHING, Content.WORDS]


def test_a_text_is_read_where_its_prompt_is_cut_off(tokenizer):
    library = Tokenizer.from_file(str(default_checkpoint() / "tokenizer.json"))
    left = ModelTokenizer(library, max_tokens=8, unknown_token=100, truncation_side="left")
    texts = ["! " * 20, "! " * 20 + "cat", "[UNK] " * 20]
    contents = [Content.SIGNS, Content.WORDS, Content.NOTHING]
    assert left.read(texts, "search for: ").content.tolist() == contents


def test_the_bytes_of_a_character_are_signs_and_known():
    texts = ["", " ", "<s>", "\n\t", "!", "猫", "the cat"]
    read = byte_level().read(texts)
    assert read.content.tolist() == [*[Content.NOTHING] * 4, *[Content.SIGNS] * 2, Content.WORDS]
    assert read.unknown.tolist() == [0] * len(texts)


def test_a_mark_for_a_blank_says_nothing():
    read = metaspace().read(["", "  ", "cat", "?", "dog", "dog ?"])
    expected = [Content.NOTHING, Content.NOTHING, Content.WORDS, Content.SIGNS, Content.NOTHING, Content.SIGNS]
    assert read.content.tolist() == expected
