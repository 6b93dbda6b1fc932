from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.datasets import DEMOS
from softkv_service.encoding.errors import InvalidTokens
from softkv_service.encoding.models.tokenizer_classes import load_tokenizer
from softkv_service.encoding.registry import default_checkpoint
from softkv_service.encoding.tokens import decode
from tests.thorough import examples

TRICKY = [
    "",
    " \n\t",
    "##ing the ## a##b",
    "don't can't it's we've, do n't 'm 's 've 're",
    "a . b , c ! ? ; : -- ... '' `` 's n't",
    "[CLS] [MASK] [UNK] a [SEP]",
    "猫 😺 注意力",
    "e\u0301tude Straße ÅÄ",
    "word " * 700,
    "x" * 101,
    "a\x00b\u200b",
]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(default_checkpoint(), 8)


def test_the_models_own_tokens_come_back_as_a_text_of_the_same_tokens(tokenizer):
    texts = [*TRICKY, *(document["key"] for document in itertools.islice(DEMOS["library"].documents(), 100))]
    for text in texts:
        ids = tokenizer.library.encode(text).ids
        assert tokenizer.library.encode(decode(tokenizer, ids)).ids == ids


@settings(max_examples=examples(100), deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_every_text_has_tokens_that_come_back_or_are_refused(tokenizer, text):
    ids = tokenizer.library.encode(text).ids
    try:
        decoded = decode(tokenizer, ids)
    except InvalidTokens:
        return
    assert tokenizer.library.encode(decoded).ids == ids


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([101, 30_522, 102], "tokens are 0 to 30521, got 30522"),
        ([101, -1, 102], "got -1"),
        ([101, 10**40, 102], "got 1000"),
        ([7592, 2088], r"from \[101\] to \[102\]"),
        ([101, 7592], r"from \[101\] to \[102\]"),
        ([101], r"from \[101\] to \[102\]"),
        ([102], r"from \[101\] to \[102\]"),
        ([101, 2075, 102], "no text has these tokens"),
    ],
)
def test_unknown_token_ids_are_refused(tokenizer, ids, message):
    with pytest.raises(InvalidTokens, match=message) as refusal:
        decode(tokenizer, ids)
    assert "send the text itself" in str(refusal.value)


def test_spans_are_places_in_the_text_and_not_in_the_prompt(tokenizer):
    tokens = tokenizer.spans("naïve 猫 unbelievably", "query: ")
    assert [tuple(token) for token in tokens] == [
        ("[CLS]", 0, 0),
        ("query", 0, 0),
        (":", 0, 0),
        ("naïve", 0, 5),
        ("猫", 6, 7),
        ("un", 8, 10),
        ("bel", 10, 13),
        ("[SEP]", 0, 0),
    ]
