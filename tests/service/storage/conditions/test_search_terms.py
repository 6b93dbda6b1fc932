"""Phrases and beginnings of words in full text, in each store, against a count of the words written out here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import Store
from softkv_service.storage.conditions import (
    INDEXED_CHARACTERS,
    SearchTerm,
    bigram_terms,
    fold_terms,
    indexed_text,
    parse_search,
    search_terms,
    terms_of,
    with_bigrams,
)
from softkv_service.storage.errors import InvalidSearch
from tests.examples import ROOT
from tests.service.storage.making import collection, document
from tests.service.storage.test_storage_ranks import bm25
from tests.thorough import examples

WORDS = ["cat", "cats", "catalogue", "dog", "the"]
keys = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.none()
terms = st.one_of(
    st.sampled_from([*WORDS, "cow"]).map(lambda word: ([word], False)),
    st.sampled_from(["c", "cat", "do", "x"]).map(lambda word: ([word], True)),
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(lambda words: (words, False)),
)
Term = tuple[list[str], bool]


def written(term: Term) -> str:
    words, prefix = term
    return f"{words[0]}*" if prefix else f'"{" ".join(words)}"'


def count(key: str | None, term: Term) -> int:
    """Return how often a term occurs in a key; occurrences of a phrase may overlap."""
    (words, prefix), tokens = term, (key or "").split()
    if prefix:
        return sum(token.startswith(words[0]) for token in tokens)
    return sum(tokens[i : i + len(words)] == words for i in range(len(tokens)))


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(keys, min_size=1, max_size=12), st.lists(terms, min_size=1, max_size=4, unique_by=written))
def test_phrases_and_prefixes_rank_as_words_do(shared: Store, texts: list[str | None], search: list[Term]) -> None:
    number = collection(shared, [document(f"d{i}", key=text) for i, text in enumerate(texts)])
    with shared.reading() as reader:
        existing = reader.existing(number, [f"d{i}" for i in range(len(texts))])
        store_search = reader.search(number)
        rows, ranks = store_search.ranks(parse_search(" ".join(map(written, search))))
    expected = bm25({existing[f"d{i}"]: text for i, text in enumerate(texts)}, search, count)
    assert rows.tolist() == sorted(expected)
    assert (ranks > 0).all()
    if store_search.ranking == "bm25":
        np.testing.assert_allclose(ranks, [expected[row] for row in rows.tolist()], rtol=1e-9)


MANY = ["the x-ray machine", "foo-barn dance", "pi is 3.14159", "mail john@example.com now", "what's up", "whatever"]
MORE = ["Microscope", "big cat sat", "cat big", "a\\b'c'd", "naïve", "हिन्दी भाषा", "我是猫 有名字", None, ""]


@pytest.mark.parametrize(
    ("search", "matches"),
    [
        ("MICRO*", [6]),
        ('"big cat"', [7]),
        ('"BIG, cat!"', [7]),
        ('big"cat sat"', [7, 8]),
        ("foo-ba*", [1]),
        ("3.14*", [2]),
        ("john@ex*", [3]),
        ("what's*", [4]),
        ("wha*", [4, 5]),
        ("x-ra*", [0]),
        ('"x-ray"', [0]),
        ("a\\b'c*", [9]),
        ("naï*", [10]),
        ("हि*", [11]),
        ("我*", [12]),
        ('"我是猫 有名字"', [12]),
        ('"猫"', [12]),
        ("x" * 3000 + "*", []),
        ('"' + "y" * 3000 + '"', []),
        ("NOT* AND", []),
        ('"NEAR(cat big)"', []),
    ],
)
def test_both_stores_find_the_same_documents(shared: Store, search: str, matches: list[int]) -> None:
    number = collection(shared, [document(f"d{i:02}", key=key) for i, key in enumerate([*MANY, *MORE])])
    with shared.reading() as reader:
        names = {
            row: int(identity[1:]) for identity, row in reader.existing(number, [f"d{i:02}" for i in range(15)]).items()
        }
        rows, _ = reader.search(number).ranks(parse_search(search))
    assert [names[row] for row in rows.tolist()] == matches


FOREIGN = ["softkv是一个工具", "猫が人々とﾗｰﾒﾝを食べる", "熊猫", "น้ำตาลไม่ดี", "𠮷野家のＣａｔ", "한국어를 배운다"]
FOREIGN += ["မြန်မာစာ", "ទឹកមាន", "ພາສາລາວ", "注意力 机制", "葛\U000e0100飾区", "か\u3099き", "the cat", "2024年"]


@pytest.mark.parametrize(
    ("search", "matches"),
    [
        ("softkv 是什么", [0]),
        ("SOFTKV是什么？", [0]),
        ("一个工具箱", [0]),
        ("猫", [1, 2]),
        ("人々のラーメン", [1]),
        ("らーめん", []),
        ("น้ำ", [3]),
        ("ดี", [3]),
        ("ดู", []),
        ("𠮷野", [4]),
        ("ｃａｔ", [4, 12]),
        ("한국어 학교", [5]),
        ("မြန်မာ", [6]),
        ("ទឹក", [7]),
        ("ລາວ", [8]),
        ('"注意力"', [9]),
        ('"力机"', []),
        ('"意力 机制"', [9]),
        ("注意*", [9]),
        ("葛飾", [10]),
        ("がき", [11]),
        ("年", [13]),
        ('"2024年"', [13]),
        ('"家のcat"', [4]),
        ("家のca*", [4]),
    ],
)
def test_scripts_without_spaces_are_found_by_their_characters(shared: Store, search: str, matches: list[int]) -> None:
    number = collection(shared, [document(f"d{i:02}", key=key) for i, key in enumerate(FOREIGN)])
    with shared.reading() as reader:
        found = reader.existing(number, [f"d{i:02}" for i in range(len(FOREIGN))])
        rows, _ = reader.search(number).ranks(parse_search(search))
    assert sorted(int(identity[1:]) for identity, row in found.items() if row in rows) == matches


def test_words_keep_their_vowel_signs(shared: Store) -> None:
    texts = ["हिन्दी", "हिन्दू", "தமிழ்", "தமழ", "العَرَبِيَّة", "שָׁלוֹם"]
    number = collection(shared, [document(text, key=f"{text} text") for text in texts])
    with shared.reading() as reader:
        rows = reader.existing(number, texts)
        assert {text: reader.search(number).ranks(text)[0].tolist() for text in texts} == {
            text: [rows[text]] for text in texts
        }


BLOCKS = (0, 0xE00, 0x1000, 0x1700, 0x3000, 0x4E00, 0xAC00, 0xFF00, 0xE0100)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.characters(max_codepoint=0xDFF) | st.characters(min_codepoint=0x1E00, max_codepoint=0x2E7F)))
def test_other_texts_keep_their_words(text: str) -> None:
    assert with_bigrams(text) == text
    assert bigram_terms(terms_of(text)) == terms_of(text)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.one_of(*[st.characters(min_codepoint=b, max_codepoint=b + 255) for b in BLOCKS])))
def test_bigrams_are_stable_words_and_found(text: str) -> None:
    written = indexed_text(text)
    assert (written != text) == (re.search(INDEXED_CHARACTERS, text) is not None)
    words = written.replace("\0", " ").split()
    for term in bigram_terms(fold_terms(terms_of(text))):
        *whole, last = term.text.split()
        ends = [word for i, word in enumerate(words) if words[i - len(whole) : i] == whole or not whole]
        assert any(word.startswith(last) if term.prefix else word == last for word in ends), (term, words)


class Counted:
    """A pattern or a module whose calls add the work that their text takes: its characters, or those of a row of
    combining signs squared, as their reordering takes them.
    """

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped
        self.work = 0

    def normalize(self, form: str, text: str) -> str:
        rows = groupby(text, lambda character: unicodedata.combining(character) > 0)
        counts = [(combining, len(list(row))) for combining, row in rows]
        self.work += sum(count**2 if combining else count for combining, count in counts)
        return str(self._wrapped.normalize(form, text))

    def sub(self, replacement: Any, text: str) -> str:
        self.work += len(text)
        return str(self._wrapped.sub(replacement, text))

    def findall(self, text: str) -> list[str]:
        self.work += len(text)
        return list(self._wrapped.findall(text))

    def fullmatch(self, text: str) -> Any:
        self.work += len(text)
        return self._wrapped.fullmatch(text)


SCRIPTS = {
    "Thai": "ก\u0e38\u0e48",
    "Lao": "ກ\u0eb8\u0ec8",
    "Khmer": "ក\u17d2\u17dd",
    "Burmese": "က\u1037\u1039",
    "kana": "か\u3099\u309a",
    "narrow kana": "ｶ\uff9e\uff9f",
    "Han": "猫是",
    "Hangul": "한\u1112\u1161\u11ab",
    "wide": "Ａ１",
    "Hindi": "ह\u093c\u094d",
    "Latin": "e\u0301\u0323",
}
FORMS: dict[str, Callable[[str], object]] = {
    "key": indexed_text,
    "words": lambda text: bigram_terms(terms_of(text)),
    "phrase": lambda text: bigram_terms(parse_search(f'"{text}"')),
    "beginning": lambda text: bigram_terms(parse_search(f"{text}*")),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_work_is_linear_in_the_length_of_a_text(monkeypatch: pytest.MonkeyPatch, script: str, form: str) -> None:
    counted = {
        name: Counted(getattr(search_terms, name)) for name in ("unicodedata", "_RUN", "_CHARACTER", "_MORE_SIGNS")
    }
    for name, wrapped in counted.items():
        monkeypatch.setattr(search_terms, name, wrapped)

    def work(text: str) -> int:
        before = sum(wrapped.work for wrapped in counted.values())
        FORMS[form](text)
        return sum(wrapped.work for wrapped in counted.values()) - before

    letter, signs = SCRIPTS[script][0], SCRIPTS[script][1:]
    for one in (letter + signs, signs):  # letters with their signs, and one letter with all of them
        assert 0 < work(letter + one * 2000) <= 3 * work(letter + one * 1000), one
        assert work(letter + one * 2000) <= 80 * 2000 * len(one), one


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("กກកကかｶ猫한"), st.text("\u0e38\u0e48\u17d2\u1037\u3099\uff9e", max_size=30)))
)
def test_signs_that_are_cut_change_neither_other_texts_nor_the_number_of_words(letters: list[tuple[str, str]]) -> None:
    text = "".join(letter + signs for letter, signs in letters)
    whole = unicodedata.normalize("NFKC", text)
    assert len(with_bigrams(text).split()) == len(with_bigrams(whole).split())
    if all(len(signs) <= 8 for _, signs in letters):
        assert with_bigrams(text) == with_bigrams(whole)


def test_signs_in_quotes_are_literal_and_a_term_counts_once(shared: Store) -> None:
    number = collection(shared, [document("a", key="5*3 is 15"), document("b", key="dogs"), document("c", key="")])
    with shared.reading() as reader:
        search = reader.search(number)
        assert search.ranks(parse_search('"5*3"'))[0].size == 1
        once, twice = search.ranks(parse_search("do*")), search.ranks(parse_search("do* DO*"))
        assert [part.tolist() for part in once] == [part.tolist() for part in twice]


def test_a_text_is_split_into_terms() -> None:
    assert parse_search('cat "a  dog" - pur*\n"b"') == (
        SearchTerm("cat"),
        SearchTerm("a  dog", phrase=True),
        SearchTerm("pur", prefix=True, phrase=True),
        SearchTerm("b", phrase=True),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a "cat', 'wanted a " that closes the phrase from character 3 on'),
        ('"', "from character 1"),
        ('cat ""', "wanted a word in the phrase at character 5"),
        ('" *"', "wanted a word in the phrase"),
        ("*", "wanted each \\* at the end of a word, got '\\*' at character 1"),
        ("cat *", "at character 5"),
        ("a*b", "got 'a\\*b'"),
        ("cat**", "got 'cat\\*\\*'"),
        ("-*", "got '-\\*'"),
        ('"a cat"*', "got '\\*' at character 8"),
        ("", "wanted a text with a word in it"),
        (" - \0 ", "wanted a text with a word in it"),
    ],
)
def test_an_invalid_text_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(InvalidSearch, match=message):
        parse_search(text)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.sampled_from(['"', "*", "a", "b", " ", "'", "\\", ":", "(", "|", "&", "\0", "猫", "-"]), max_size=12))
def test_no_text_is_a_syntax_error_of_the_database(shared: Store, text: str) -> None:
    try:
        search = parse_search(text)
    except InvalidSearch:
        return
    number = collection(shared, [document("a", key="a b ab")])
    with shared.reading() as reader:
        reader.search(number).ranks(search)


def test_texts_are_normalised_by_these_forms_alone() -> None:
    """So questions, uploads, comparisons, defaults and the second store have the bound of the work that is tested."""
    folders = ("service/softkv_service", "clients/python/softkv", "extensions/postgres/softkv_postgres")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    calling = [path.name for path in sources if "unicodedata.normalize(" in path.read_text("utf-8")]
    assert calling == ["search_terms.py"]
