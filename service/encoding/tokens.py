"""The tokens that a model reads of a text: ids, counts, positions and content; and windows of a long text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from service.encoding.errors import InvalidTokens


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


TEXTS_AT_ONCE = 256  # a tokenised text takes some 100 bytes a token: bulk uploads are read in slices
ADVICE = "send the text itself (LangChain: check_embedding_ctx_length=False)"

T = TypeVar("T")


class Token(NamedTuple):
    """One token: its piece of the text, from character `start` up to `end`.

    Both are 0 for a token that is not in the text: one that the model adds, such as `[CLS]`, or a prompt's.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Tokenised:
    """What a tokeniser makes of n texts.

    Attributes:
        ids: n times int64, the tokens that the model reads of each text, special ones included.
        total: int64 [n], the tokens of each whole text, special ones included.
        unknown: int64 [n], those among them that the vocabulary lacks.
        content: int8 [n], what the model reads of each text without the prompt, as `Content` counts.
    """

    ids: list[NDArray[np.int64]]
    total: NDArray[np.int64]
    unknown: NDArray[np.int64]
    content: NDArray[np.int8]


class ModelTokenizer:
    """A model's tokeniser, and where the model stops reading. Threads may share it.

    Attributes:
        library: the tokeniser itself; it neither truncates nor pads.
        max_tokens: how many tokens of a text the model reads, special ones included; None for all.
        before, after: how many special tokens it puts around every text.
    """

    def __init__(
        self,
        library: Tokenizer,
        *,
        max_tokens: int | None,
        unknown_token: int | None,
        truncation_side: Literal["left", "right"] = "right",
    ) -> None:
        """Take a tokeniser over, and switch its truncation and padding off.

        Args:
            library: the tokeniser; nobody else may use it.
            max_tokens: the model's limit, if it has one.
            unknown_token: the id that it gives what it does not know, if there is one.
            truncation_side: where a text that is too long loses its tokens.
        """
        library.no_truncation()
        library.no_padding()
        self.library = library
        self.max_tokens = max_tokens
        special = library.encode("a").special_tokens_mask
        self.before = special.index(0) if 0 in special else len(special)
        self.after = special[::-1].index(0) if 0 in special else 0
        self._unknown_token = unknown_token
        self._vocabulary = Vocabulary(library, unknown_token)
        self._truncation_side = truncation_side

    def read(self, texts: Sequence[str], prompt: str = "") -> Tokenised:
        """The tokens of each text after the prompt; a word longer than the tokeniser's limit is one unknown token."""
        ids: list[NDArray[np.int64]] = []
        total = np.zeros(len(texts), dtype=np.int64)
        unknown = np.zeros(len(texts), dtype=np.int64)
        content = np.zeros(len(texts), dtype=np.int8)
        prompt_ids = self._ids(prompt.rstrip())
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[start : start + TEXTS_AT_ONCE]
            # The batch call releases the GIL, so the event loop goes on while a megabyte is read.
            encodings = self.library.encode_batch_fast([prompt + text for text in some])
            for position, (text, encoding) in enumerate(zip(some, encodings, strict=True), start):
                all_ids = encoding.ids
                read_ids = self.cut(all_ids)
                ids.append(np.asarray(read_ids, dtype=np.int64))
                total[position] = len(all_ids)
                unknown[position] = self._count_unknown(all_ids, encoding)
                content[position] = self._content(text, read_ids, prompt_ids)
        return Tokenised(ids, total, unknown, content)

    def read_of(self, total: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens that the model reads of texts that have so many; int64 [n]."""
        return total if self.max_tokens is None else np.minimum(total, self.max_tokens)

    def cut(self, tokens: list[T]) -> list[T]:
        """Those tokens of a text that the model reads: the special ones stay."""
        n, room = len(tokens), self.max_tokens
        if room is None or n <= room:
            return tokens
        if self._truncation_side == "left":
            return tokens[: self.before] + tokens[n - (room - self.before) :]
        return tokens[: room - self.after] + tokens[n - self.after :]

    def _ids(self, text: str) -> list[int]:
        return self.library.encode(text, add_special_tokens=False).ids if text else []

    def _content(self, text: str, ids: list[int], prompt_ids: list[int]) -> Content:
        own = ids[self.before : len(ids) - self.after]
        if own[: len(prompt_ids)] != prompt_ids:  # the text runs into the prompt, or the prompt was cut off
            own, prompt_ids = self._ids(text), []
        return self._vocabulary.content(own[len(prompt_ids) :])

    def _count_unknown(self, ids: list[int], encoding: Encoding) -> int:
        if self._unknown_token not in ids:
            return 0
        # Some models use one id for "unknown" and for the end of a text; the latter is no unknown token.
        special = np.asarray(encoding.special_tokens_mask)
        return int(np.sum((np.asarray(ids) == self._unknown_token) & (special == 0)))


def spans(tokenizer: ModelTokenizer, texts: Sequence[str], prompt: str = "") -> list[list[Token]]:
    """The tokens of each text in order, those of the prompt before it and the special ones among them."""
    encodings = tokenizer.library.encode_batch([prompt + text for text in texts])
    return [
        tokenizer.cut(list(_tokens(encoding, prompt, text))) for encoding, text in zip(encodings, texts, strict=True)
    ]


def _tokens(encoding: Encoding, prompt: str, text: str) -> Iterator[Token]:
    for name, (start, end), added in zip(encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True):
        if added:
            yield Token(name, 0, 0)
        elif end <= len(prompt):
            yield Token(prompt[start:end], 0, 0)
        else:
            start, end = max(start - len(prompt), 0), end - len(prompt)
            yield Token(text[start:end], start, end)


def decode(tokenizer: ModelTokenizer, ids: Sequence[int]) -> str:
    """The text whose tokens, special ones included, are `ids`.

    Numbers do not say whose they are: a text in another tokeniser's ids would have an answer too, a
    meaningless one. So the special tokens that the model puts around every text are asked for.

    Raises:
        InvalidTokens: an id is out of range, the special tokens are missing, or no text has these tokens.
    """
    library, given = tokenizer.library, list(ids)
    vocabulary = library.get_vocab_size()
    wrong = next((i for i in given if not 0 <= i < vocabulary), None)
    if wrong is not None:
        raise InvalidTokens(f"the model's tokens are 0 to {vocabulary - 1}, got {wrong}: {ADVICE}", None)
    around = library.encode("a").ids
    before, after = around[: tokenizer.before], around[len(around) - tokenizer.after :]
    inner = given[len(before) : len(given) - len(after)]
    if given != [*before, *inner, *after]:
        raise InvalidTokens(
            f"wanted tokens as the model's own tokenizer makes them, from {before} to {after}; "
            f"these are another's: {ADVICE}",
            None,
        )
    text = library.decode(inner, skip_special_tokens=False)
    if library.encode(text).ids != given:
        raise InvalidTokens(f"no text has these tokens ({text[:80]!r} has others): {ADVICE}", None)
    return text


Span = tuple[int, int]
"""From a character up to another one."""


def room(tokenizer: ModelTokenizer, tokens: int, prompt: str = "") -> int:
    """How many tokens of a text are read, where so many are in all, special ones and the prompt's among them."""
    return tokens - tokenizer.before - tokenizer.after - _count_prompt_tokens(tokenizer, prompt)


def windows(
    tokenizer: ModelTokenizer, texts: Sequence[str], tokens: int, overlap: int, at_most: int, prompt: str = ""
) -> list[list[Span]]:
    """Parts of at most `tokens` tokens, as the model counts them, that cover each text; one part of a text that fits.

    None of a text that takes more than `at_most`: how many it would take is not found out.

    Parts begin and end between words where they can, so that a word means in its part what it means in the text.

    Args:
        tokens: of each part, special tokens and the prompt's among them; `room` must leave more than `overlap`.
        overlap: how many of its tokens a part shares with the one before it; a word more where that ends within one.
    """
    most = room(tokenizer, tokens, prompt)
    found: list[list[Span]] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = list(texts[start : start + TEXTS_AT_ONCE])
        encodings = tokenizer.library.encode_batch(some, add_special_tokens=False)
        for text, encoding in zip(some, encodings, strict=True):
            few = len(encoding) - overlap <= at_most * (most - overlap)
            spans = list(islice(_spans(text, encoding, most, overlap), at_most + 1)) if few else []
            found.append(spans if len(spans) <= at_most else [])
    return found


def _spans(text: str, encoding: Encoding, most: int, overlap: int) -> Iterator[Span]:
    places, words, n = encoding.offsets, encoding.word_ids, len(encoding.ids)
    if n <= most:
        yield 0, len(text)
        return
    start = covered = 0
    while True:
        end = n if start + most >= n else _boundary(words, start + overlap, start + most)
        # What no token stands for, as an accent that is not read, goes with the one before it.
        stop = len(text) if end == n else max(places[end - 1][1], places[end][0])
        span = _trimmed(text, places[start][0] if start else 0, stop)
        if span[1] > covered:  # tokens may stand for the same characters, or for white space
            covered = span[1]
            yield span
        if end == n:
            return
        start = _boundary(words, start, end - overlap)


def _boundary(words: Sequence[int | None], above: int, at: int) -> int:
    """The last place up to `at`, and above `above`, where a word begins; `at` where none does."""
    return next((place for place in range(at, above, -1) if words[place] != words[place - 1]), at)


def _trimmed(text: str, start: int, end: int) -> Span:
    """Without the white space around it, if anything is left."""
    part = text[start:end]
    bare = part.strip()
    if not bare:
        return start, end
    start += len(part) - len(part.lstrip())
    return start, start + len(bare)


def _count_prompt_tokens(tokenizer: ModelTokenizer, prompt: str) -> int:
    return len(tokenizer.library.encode(prompt, add_special_tokens=False).ids) if prompt else 0
