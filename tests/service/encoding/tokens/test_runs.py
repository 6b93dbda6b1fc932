"""Long texts, which are read in slices: the same tokens as of the text at once."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from softkv_service.encoding.tokens import SHARED, ModelTokenizer, Run, windows
from tests.service.encoding.models.test_tokenizer_classes import FOLDERS, TEXTS, save_tokenizer
from tests.thorough import examples

AT_ONCE = 4096
PIECES = [
    *TEXTS,
    " ",
    "\n",
    "the dog ",
    "a",
    "ab",
    "é",
    "e\u0301",
    "\u0301",
    "猫",
    "😺",
    ". ",
    ".",
    "\0",
    "[SEP]",
    "don't ",
]
REPEATED = st.builds(str.__mul__, st.sampled_from(PIECES), st.sampled_from([1, 7, 300, 5000]))
LONG = st.builds("".join, st.lists(REPEATED, max_size=6)).map(lambda text: text[: 5 * AT_ONCE])
IGNORED = re.compile(f"[\u0301\0]{{{SHARED // 4}}}")  # a word of which these are a part may be read as two words


@pytest.fixture(scope="module", params=FOLDERS, ids=str)
def library(request, tmp_path_factory) -> Tokenizer:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"), *request.param)


@given(text=LONG, side=st.sampled_from(["left", "right"]), limit=st.integers(5, 70))
@settings(max_examples=examples(12), deadline=None)
def test_slices_have_the_tokens_of_the_text(library, text, side, limit):
    assume(not IGNORED.search(text))
    options = {"max_tokens": limit, "unknown_token": 3, "truncation_side": side}
    tokenizer, whole = (ModelTokenizer(library, read_at_once=n, **options) for n in (AT_ONCE, 10**9))
    runs, (expected,) = list(tokenizer.runs(text)), whole.runs(text)
    read = Run.join(runs)
    for column in ("ids", "starts", "ends", "begins_word"):
        np.testing.assert_array_equal(getattr(read, column), getattr(expected, column), err_msg=column)
    for column in ("ids", "total", "unknown", "content"):
        np.testing.assert_array_equal(getattr(tokenizer.read([text]), column), getattr(whole.read([text]), column))
    assert tokenizer.spans(text) == whole.spans(text)
    excerpt = whole.read([tokenizer.excerpt(text, limit)])
    np.testing.assert_array_equal(excerpt.ids, whole.read([text]).ids)
    assert len(runs) > len(text) // (2 * AT_ONCE)


def test_a_slice_is_longer_if_its_start_changes_all_tokens_of_a_run():
    library = Tokenizer(models.BPE({"▁": 0, "▁▁": 1, "a": 2}, [("▁", "▁")]))
    blanks = normalizers.Replace(" ", "▁")
    library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks])  # so every pair moves by one
    tokenizer = ModelTokenizer(library, max_tokens=None, unknown_token=None, read_at_once=AT_ONCE)
    text = 3 * AT_ONCE * " " + 3 * AT_ONCE * "a "
    runs = list(tokenizer.runs(text))
    assert len(runs) > 3
    assert Run.join(runs).ids.tolist() == library.encode(text).ids


def test_a_tokeniser_never_reads_more_than_a_slice_at_once(library):
    tokenizer, handed = ModelTokenizer(library, max_tokens=9, unknown_token=None, read_at_once=AT_ONCE), []

    class Spy:
        def __getattr__(self, name):
            def call(texts, **options):
                handed.append(texts)
                return getattr(library, name)(texts, **options)

            return call

    tokenizer.library = Spy()
    texts = ["the dog " * n for n in (1, 100, 500, 500, 400, 5000, 2, 3)]
    tokenizer.read(texts)
    windows(tokenizer, texts, 9, 1, 10_000)
    assert len(handed) > 20
    assert max(sum(map(len, batch)) for batch in handed) <= AT_ONCE
