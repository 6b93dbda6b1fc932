"""How much of a text a model can read: nothing, only signs, or words."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from tokenizers import Tokenizer


class Content(IntEnum):
    """The most that a known token of a text contains; special, unknown and blank tokens count as nothing."""

    NOTHING = 0
    SIGNS = 1  # punctuation and symbols
    WORDS = 2  # something with a letter or a digit


class Vocabulary:
    """The content of each token of a tokeniser, computed when the token is first seen. Threads may share it."""

    def __init__(self, library: Tokenizer, unknown_token: int | None) -> None:
        """Take a tokeniser, which is not changed, and the id of its unknown token; None if it has none."""
        special = [token for token, added in library.get_added_tokens_decoder().items() if added.special]
        self._library = library
        self._contents = dict.fromkeys(special, Content.NOTHING)
        if unknown_token is not None:
            self._contents[unknown_token] = Content.NOTHING

    def content(self, ids: Iterable[int]) -> Content:
        """Return the content of a text of these tokens; for most texts only the first one is looked up."""
        content = Content.NOTHING
        for token in ids:
            if token not in self._contents:
                self._contents[token] = self._content(token)
            if self._contents[token] > content:
                content = self._contents[token]
                if content is Content.WORDS:
                    break
        return content

    def _content(self, token: int) -> Content:
        # A byte that is not a character decodes to U+FFFD, which counts as a sign: byte-level models know every text.
        text = self._library.decode([token], skip_special_tokens=False)
        if any(character.isalnum() for character in text):
            return Content.WORDS
        return Content.SIGNS if text.strip() else Content.NOTHING
