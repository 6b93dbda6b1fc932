"""What a model can read of a text: nothing, signs alone, or words."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from tokenizers import Tokenizer


class Content(IntEnum):
    """What the known tokens of a text say at most; special, unknown and blank ones say nothing."""

    NOTHING = 0
    SIGNS = 1  # punctuation and symbols
    WORDS = 2  # something with a letter or a digit


class Vocabulary:
    """The tokens of a tokeniser, each looked at once, when it first comes. Threads may share it."""

    def __init__(self, library: Tokenizer, unknown_token: int | None) -> None:
        """Take the tokeniser, which stays the caller's, and the id that it gives what it does not know."""
        special = [token for token, added in library.get_added_tokens_decoder().items() if added.special]
        self._library = library
        self._contents = dict.fromkeys(special, Content.NOTHING)
        if unknown_token is not None:
            self._contents[unknown_token] = Content.NOTHING

    def content(self, ids: Iterable[int]) -> Content:
        """What a text of these tokens says; of most texts only the first token is looked at."""
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
        # Bytes that are no character of their own become U+FFFD, which is a sign: such a model knows every text.
        text = self._library.decode([token], skip_special_tokens=False)
        if any(character.isalnum() for character in text):
            return Content.WORDS
        return Content.SIGNS if text.strip() else Content.NOTHING
