"""Parts of a long text: each is read as a whole, and together they are the text."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.encoding.models.tokenizer_classes import load_tokenizer
from softkv_service.encoding.registry import default_checkpoint
from softkv_service.encoding.tokens import ModelTokenizer, measure_title, read_part, room, windows
from tests.service.encoding.models.test_tokenizer_classes import save_tokenizer
from tests.service.encoding.tokens.test_tokens import TRICKY


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return load_tokenizer(default_checkpoint(), 256)


def check(tokenizer: ModelTokenizer, text: str, tokens: int, overlap: int, prompt: str = "") -> list[tuple[int, int]]:
    """Return the parts of a text, after checks of their properties."""
    (parts,) = windows(tokenizer, [text], tokens, overlap, 10_000, prompt)
    total = len(tokenizer.library.encode(prompt + text).ids)
    if len(parts) == 1:
        assert total <= tokens
        assert parts == [(0, len(text))]
        return parts
    assert total > tokens
    covered = set[int]()
    for start, end in parts:
        assert 0 <= start < end <= len(text)
        covered.update(range(start, end))
    offsets = tokenizer.library.encode(text, add_special_tokens=False).offsets
    assert covered >= {position for position, character in enumerate(text) if not character.isspace()}
    assert parts == sorted(parts)
    for (first, stop), (start, end) in itertools.pairwise(parts):
        assert first < start <= stop or not text[stop:start].strip() or not overlap
        assert end > stop
        shared = [offset for offset in offsets if start <= offset[0] and offset[1] <= stop]
        assert len(shared) >= overlap
    return parts


WORDS = st.lists(
    st.sampled_from(["the", "cat", "attention", "xylophonist's", "étude", "猫", "😺", "don't", "...", "x1y2z3"]),
    max_size=60,
)


@given(WORDS, st.integers(3, 30), st.data())
@settings(deadline=None)
def test_parts_cover_a_text_with_the_requested_overlap(
    tokenizer: ModelTokenizer, words: list[str], tokens: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, room(tokenizer, tokens) - 1))
    check(tokenizer, " ".join(words), tokens, overlap)


@pytest.mark.parametrize("text", TRICKY)
@pytest.mark.parametrize(("tokens", "overlap"), [(3, 0), (8, 5), (256, 32)])
def test_texts_of_any_kind_have_parts(tokenizer: ModelTokenizer, text: str, tokens: int, overlap: int) -> None:
    check(tokenizer, text, tokens, overlap)


def test_a_part_is_read_as_a_whole_and_cut_between_words(tokenizer: ModelTokenizer) -> None:
    text = " ".join(f"Sentence {i} says that xylophonists practise unconstitutionally." for i in range(300))
    parts = check(tokenizer, text, 64, 8)
    read = tokenizer.read([text[start:end] for start, end in parts])
    assert max(read.total) <= 64
    assert min(read.total[:-1]) > 32  # and not much less than that
    for start, end in parts:
        assert start == 0 or not (text[start - 1].isalnum() and text[start].isalnum())
        assert end == len(text) or not (text[end - 1].isalnum() and text[end].isalnum())
    assert re.search(r"Sentence 299 .*\.$", text[slice(*parts[-1])])


def test_sentence_pieces_are_cut_between_words(tmp_path) -> None:
    save_tokenizer(tmp_path, "xlm-roberta", "XLMRobertaTokenizerFast")  # a token for each letter
    text = "unconstitutionally " * 40
    for start, end in check(load_tokenizer(tmp_path, 256), text, 60, 5):
        assert set(text[start:end].split()) == {"unconstitutionally"}


def test_accents_that_are_not_read_stay_with_their_letters(tokenizer: ModelTokenizer) -> None:
    text = "\x00" + "cafe\u0301 " * 3
    parts = check(tokenizer, text, 3, 0)
    assert [text[start:end] for start, end in parts] == ["\x00cafe\u0301", "cafe\u0301", "cafe\u0301"]


@pytest.mark.parametrize(("text", "overlap"), [("word " * 50, 0), ("unconstitutionally " * 50, 3), ("word " * 50, 5)])
def test_a_text_of_too_many_parts_has_none(tokenizer: ModelTokenizer, text: str, overlap: int) -> None:
    parts = check(tokenizer, text, 8, overlap)
    texts = ["short", text]
    assert windows(tokenizer, texts, 8, overlap, len(parts)) == [[(0, 5)], parts]
    for fewer in (len(parts) - 1, 1):
        assert windows(tokenizer, texts, 8, overlap, fewer) == [[(0, 5)], []]


def test_a_prompt_takes_its_tokens(tokenizer: ModelTokenizer) -> None:
    prompt = "represent this text: "
    assert room(tokenizer, 20, prompt) == room(tokenizer, 20) - 4
    text = "word " * 100
    for start, end in check(tokenizer, text, 20, 3, prompt):
        assert len(tokenizer.library.encode(prompt + text[start:end]).ids) <= 20


BODY = " ".join(f"Sentence {i} says that xylophonists practise unconstitutionally." for i in range(60))


@pytest.mark.parametrize("tokens", [24, 40, 64, 256])
@pytest.mark.parametrize(
    "title", ["Music at home", "Noten für Anfänger", "x1y2z3 " * 16, "  Music", "a" * 121, "", "One sentence"]
)
def test_each_part_with_its_title_is_read_as_a_whole(tokenizer: ModelTokenizer, title: str, tokens: int) -> None:
    text = f"{title}\n{BODY}"
    parts = check(tokenizer, text, tokens, tokens // 8)
    read = [read_part(text, part, parts[0]) for part in parts]
    assert tokenizer.read([one for one, _ in read]).total.max() <= tokens
    for (one, length), (start, end) in zip(read, parts, strict=True):
        assert one == text[:length] + text[start:end]
        assert length in {0, len(title) + 1}
    assert read[0][1] == 0
    repeated = {length for _, length in read[1:]}
    assert len(repeated) <= 1
    if tokens >= 64 and title.strip() in {"Music at home", "Noten für Anfänger", "Music"}:
        assert repeated == {len(title) + 1}
    if len(title) > 120 or not title:
        assert repeated <= {0}


def test_a_title_is_a_short_first_line() -> None:
    assert measure_title("Cats\nThey purr, all of them.", (0, 20)) == 5
    assert measure_title("Cats\nThey purr, all of them.", (0, 19)) == 0  # of a first part that it mostly is
    assert measure_title("Cats\nThey purr, all of them.", (6, 28)) == 0  # before the first part
    assert measure_title("They purr, all of them.", (0, 20)) == 0
    assert measure_title("\nThey purr, all of them.", (0, 20)) == 0
