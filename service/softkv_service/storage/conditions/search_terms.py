"""The terms of a full-text search: words, phrases and the beginnings of words.

Each store splits the text of a term into words as it splits the keys. So a term may have several words, such as
`what's` in SQLite: they match where they follow each other.

Letters that are two when case is folded are written as two first, by `fold_letters` in keys and `fold_terms` in terms:
`straße` becomes `strasse`, as `STRASSE` does. The stores' own folding keeps the length of a text.

Scripts without spaces between words are written as bigrams first, the pairs of neighbouring characters, in keys by
`with_bigrams` and in terms by `bigram_terms`. These scripts are Han and kana, Thai, Lao, Khmer and Burmese, and Hangul,
whose words have endings: Lucene's CJKBigramFilter pairs Han, kana and Hangul, too. No other text changes.

`indexed_text` does both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from softkv_service.storage.errors import InvalidSearch

_PART = re.compile(r'"(?P<phrase>[^"]*)"|(?P<open>")|(?P<word>[^"\s]+)')

# Letters, then the vowels and tones that are written on them: Hangul and kana with their narrow forms, Han, Thai, Lao,
# Burmese, Khmer. An index has entries of these ranges, so they stay as they are.
_LETTERS = (
    r"\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    r"\uff66-\uff9d\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003fffd\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"
    r"\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e"
    r"\u1780-\u17b3\u17d7\u17dc"
)
_SIGNS = (
    r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060"
    r"\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd"
)
_ACCENTS = r"\u3099\u309a\uff9e\uff9f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # of kana; and marks of a form
_WIDE = r"\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"  # digits and letters as wide as a Han character
_CHARACTER = re.compile(f"([{_LETTERS}][{_SIGNS}]*)[{_ACCENTS}]*")
_RUN = re.compile(f"[{_WIDE}]+|[{_LETTERS}][{_LETTERS}{_SIGNS}{_ACCENTS}]*")
_MAX_SIGNS = 8  # of one letter; no writing has as many, and Unicode's Stream-Safe Text Format allows 30
_MORE_SIGNS = re.compile(f"([{_SIGNS}{_ACCENTS}]{{{_MAX_SIGNS}}})[{_SIGNS}{_ACCENTS}]+")

_TWO_LETTERS = "\u00df\u1e9e\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06\u0587\ufb13\ufb14\ufb15\ufb16\ufb17"
_FOLDS = {ord(letter): letter.casefold() for letter in _TWO_LETTERS}

FOLDED_CHARACTERS = f"[{_TWO_LETTERS}]"
"""A regular expression, of Python and of PostgreSQL, that finds the letters that are two when case is folded.

They are ß in both cases, and the ligatures of Latin and Armenian.
"""
INDEXED_CHARACTERS = f"[{_WIDE}{_LETTERS}{_TWO_LETTERS}]"
"""A regular expression, of Python and of PostgreSQL, that finds something in the texts that `indexed_text` changes."""
_OF_A_LETTER = re.compile(f"[{_SIGNS}]")
SIGNS = "".join(
    sign
    for sign in map(chr, range(0x0483, 0x1800))
    if _OF_A_LETTER.match(sign) or unicodedata.ucd_3_2_0.category(sign).startswith("M")
)
"""The vowels, tones and accents that a tokenizer has to take for letters, as of Hindi, Tamil, Arabic and Hebrew.

They are those of Unicode 3.2, which is the same in every Python, and those in bigrams.
"""


@dataclass(frozen=True)
class SearchTerm:
    """A word or a phrase that a key may contain.

    Attributes:
        text: the word, or the words of the phrase.
        prefix: whether the last word may continue, as that of `micro*` in "microscope".
        phrase: whether all bigrams of the text have to follow each other.
    """

    text: str
    prefix: bool = False
    phrase: bool = False


Searched: TypeAlias = str | Sequence[SearchTerm]
"""The words of a text, or terms."""


def terms_of(searched: Searched) -> list[SearchTerm]:
    """Return the terms of a search. Words of a text that consist of signs are left out.

    >>> [term.text for term in terms_of("what's a cat? -")]
    ["what's", 'a', 'cat?']
    """
    if not isinstance(searched, str):
        return list(searched)
    return [SearchTerm(word) for word in searched.replace("\0", " ").split() if _is_word(word)]


def parse_search(text: str) -> tuple[SearchTerm, ...]:
    """Return the terms of a text with phrases in double quotes and words that end in `*`.

    Inside a phrase, every sign is literal.

    >>> parse_search('"whole number" micro*')
    (SearchTerm(text='whole number', prefix=False, phrase=True), SearchTerm(text='micro', prefix=True, phrase=True))

    Raises:
        InvalidSearch: a quote is not closed, a phrase is empty, a `*` does not end a word, or there is no word.
    """
    terms = list[SearchTerm]()
    for part in _PART.finditer(text.replace("\0", " ")):
        phrase, word, character = part["phrase"], part["word"], part.start() + 1
        if part["open"]:
            raise InvalidSearch(
                f'wanted a " that closes the phrase from character {character} on: close it, or leave " out'
            )
        if phrase is not None:
            if not _is_word(phrase):
                raise InvalidSearch(f"wanted a word in the phrase at character {character}: write one, or leave it out")
            terms.append(SearchTerm(phrase, phrase=True))
        elif "*" in word:
            if word.index("*") < len(word) - 1 or not _is_word(word):
                raise InvalidSearch(
                    f"wanted each * at the end of a word, got {word[:60]!r} at character {character}: write a "
                    'word such as micro*, or put quotes around signs that are to be read literally, as in "5*3"'
                )
            terms.append(SearchTerm(word[:-1], prefix=True, phrase=True))
        elif _is_word(word):
            terms.append(SearchTerm(word))
    if not terms:
        raise InvalidSearch("wanted a text with a word in it, got one without: write a word, or leave full_text out")
    return tuple(terms)


def fold_letters(text: str) -> str:
    """Return a text with two letters in place of each that is two when case is folded.

    >>> fold_letters("Straße")
    'Strasse'
    """
    return text if text.isascii() else text.translate(_FOLDS)


def fold_terms(terms: Iterable[SearchTerm]) -> list[SearchTerm]:
    """Return the terms of a search of keys whose letters are folded."""
    return [replace(term, text=fold_letters(term.text)) for term in terms]


def indexed_text(text: str) -> str:
    """Return a text as full text indexes it: its letters folded, and with bigrams."""
    return with_bigrams(fold_letters(text))


def with_bigrams(text: str) -> str:
    """Return a text with bigrams in place of runs of characters, for spaces to separate.

    The last character of a run stands alone once more, so that each character begins one word of the index. A vowel or
    a tone belongs to the letter before it, and wide letters become those of ASCII. Of more than eight signs in a row,
    eight are kept: so the work is linear in the length of the text.

    >>> with_bigrams("attention是什么? 猫")
    'attention 是什 什么 么 ?  猫 '
    """
    return text if text.isascii() else _RUN.sub(_bigrams, text)


def _bigrams(run: re.Match[str]) -> str:
    # The time of `normalize` grows with the square of the signs in a row, and it holds the interpreter. A letter alone
    # is not enough for it: the parts of a Hangul syllable are three letters.
    # Two characters of equal meaning are equal here, in any version of Unicode.
    text = unicodedata.normalize("NFKC", _MORE_SIGNS.sub(r"\1", run[0]))
    characters = _CHARACTER.findall(text)
    pairs = map("".join, zip(characters, [*characters[1:], ""], strict=True))
    return f" {' '.join(pairs)} " if characters else text  # of wide letters there are none


def bigram_terms(terms: Iterable[SearchTerm]) -> list[SearchTerm]:
    """Return the terms of a search of keys with bigrams. Each bigram of a word is a term, and so are words between.

    One character is the beginning of each bigram that it begins.

    >>> [(term.text, term.prefix) for term in bigram_terms(parse_search('softkv是什么 "注意力" 猫'))]
    [('softkv', False), ('是什', False), ('什么', False), ('注意 意力', False), ('猫', True)]
    """
    written = list[SearchTerm]()
    for term in terms:
        if (text := with_bigrams(term.text)) == term.text:
            written.append(term)
            continue
        words = [word for word in text.split() if _is_word(word)]
        alone = [_CHARACTER.fullmatch(word) is not None for word in words]
        # The bigram before it contains the last character of a run.
        needless = [last and i > 0 and len(_CHARACTER.findall(words[i - 1])) > 1 for i, last in enumerate(alone)]
        if term.phrase:
            end = len(words) - needless[-1]
            prefix = (alone[-1] or term.prefix) and not needless[-1]
            written.append(SearchTerm(" ".join(words[:end]), prefix, phrase=True))
        else:
            written += [SearchTerm(word, alone[i]) for i, word in enumerate(words) if not needless[i]]
    return written


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))
