"""The terms of a full-text search: words, phrases and the beginnings of words.

Each store splits the text of a term into words as it splits the keys. So a term may have several words, such as
`what's` in SQLite: they match where they follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from service.storage.errors import InvalidSearch

_PART = re.compile(r'"(?P<phrase>[^"]*)"|(?P<open>")|(?P<word>[^"\s]+)')


@dataclass(frozen=True)
class SearchTerm:
    """A word or a phrase that a key may contain.

    Attributes:
        text: the word, or the words of the phrase.
        prefix: whether the last word may continue, as that of `micro*` in "microscope".
    """

    text: str
    prefix: bool = False


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

    >>> parse_search('"whole number" micro* cat')
    (SearchTerm(text='whole number', prefix=False), SearchTerm(text='micro', prefix=True), \
SearchTerm(text='cat', prefix=False))

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
            terms.append(SearchTerm(phrase))
        elif "*" in word:
            if word.index("*") < len(word) - 1 or not _is_word(word):
                raise InvalidSearch(
                    f"wanted each * at the end of a word, got {word[:60]!r} at character {character}: write a "
                    'word such as micro*, or put quotes around signs that are to be read literally, as in "5*3"'
                )
            terms.append(SearchTerm(word[:-1], prefix=True))
        elif _is_word(word):
            terms.append(SearchTerm(word))
    if not terms:
        raise InvalidSearch("wanted a text with a word in it, got one without: write a word, or leave full_text out")
    return tuple(terms)


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))
