"""The tokens that a model reads of a text: ids, counts, positions and content; and windows of a long text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.encoding.errors import InvalidTokens

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class Content(IntEnum):
    """The kind of the most meaningful token in a text that the model knows: nothing, signs or words.

    Special, unknown and blank tokens count as nothing.
    """

    NOTHING = 0
    SIGNS = 1  # punctuation and symbols
    WORDS = 2  # something with a letter or a digit


class Vocabulary:
    """The kind of content of each token of a tokeniser, computed when the token is first seen. Threads may share it."""

    def __init__(self, library: Tokenizer, unknown_token: int | None) -> None:
        """Use a tokeniser without changing it.

        Args:
            library: the tokeniser.
            unknown_token: the id of its token for unknown pieces; None if it has none.
        """
        special = [token for token, added in library.get_added_tokens_decoder().items() if added.special]
        self._library = library
        self._contents = dict.fromkeys(special, Content.NOTHING)
        if unknown_token is not None:
            self._contents[unknown_token] = Content.NOTHING

    def content(self, ids: Iterable[int]) -> Content:
        """Return the `Content` of a text with these tokens. For most texts only the first token has to be looked up."""
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
class TokenisedTexts:
    """The tokens of n texts.

    Attributes:
        ids: for each text, int64, the tokens that the model reads, special ones included.
        total: int64 [n], the tokens of each whole text, special ones included.
        unknown: int64 [n], the tokens that the vocabulary lacks.
        content: int8 [n], the `Content` of each text without the prompt, as far as the model reads it.
    """

    ids: list[NDArray[np.int64]]
    total: NDArray[np.int64]
    unknown: NDArray[np.int64]
    content: NDArray[np.int8]


class ModelTokenizer:
    """A model's tokeniser, and the limit of tokens that the model reads. Threads may share it.

    Attributes:
        library: the tokeniser itself; it neither truncates nor pads.
        max_tokens: how many tokens of a text the model reads, special ones included; None for all.
        before, after: how many special tokens it adds before and after every text.
        truncation_side: the side on which a text that is too long loses tokens.
        tells_types: whether a model gets the types of the tokens of a pair.
    """

    def __init__(
        self,
        library: Tokenizer,
        *,
        max_tokens: int | None,
        unknown_token: int | None,
        truncation_side: Literal["left", "right"] = "right",
        tells_types: bool = False,
    ) -> None:
        """Take over a tokeniser, and switch off its truncation and padding.

        Args:
            library: the tokeniser; no other code may use it.
            max_tokens: the model's limit, if it has one.
            unknown_token: the id of the unknown token, if it has one.
            truncation_side: the side on which a text that is too long loses tokens.
            tells_types: whether a model gets the types of the tokens of a pair.
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
        self.truncation_side = truncation_side
        self.tells_types = tells_types

    def read(self, texts: Sequence[str], prompt: str = "") -> TokenisedTexts:
        """Tokenise prompt and text together; a word longer than the tokeniser's limit becomes one unknown token."""
        ids: list[NDArray[np.int64]] = []
        total = np.zeros(len(texts), dtype=np.int64)
        unknown = np.zeros(len(texts), dtype=np.int64)
        content = np.zeros(len(texts), dtype=np.int8)
        prompt_ids = self._ids(prompt.rstrip())
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            batch = texts[start : start + TEXTS_AT_ONCE]
            # The batch call releases the GIL, so the event loop goes on while a megabyte is read.
            encodings = self.library.encode_batch_fast([prompt + text for text in batch])
            for position, (text, encoding) in enumerate(zip(batch, encodings, strict=True), start):
                all_ids = encoding.ids
                read_ids = self.cut(all_ids)
                ids.append(np.asarray(read_ids, dtype=np.int64))
                total[position] = len(all_ids)
                unknown[position] = self._count_unknown(all_ids, encoding)
                content[position] = self._content(text, read_ids, prompt_ids)
        return TokenisedTexts(ids, total, unknown, content)

    def tokens_read(self, total: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 [n], how many tokens of each text the model reads, which is at most its limit.

        Args:
            total: int64 [n], the tokens of each whole text.
        """
        return total if self.max_tokens is None else np.minimum(total, self.max_tokens)

    def cut(self, tokens: list[T]) -> list[T]:
        """Return the tokens of a text, truncated to the model's limit; the special tokens stay."""
        n, limit = len(tokens), self.max_tokens
        if limit is None or n <= limit:
            return tokens
        if self.truncation_side == "left":
            return tokens[: self.before] + tokens[n - (limit - self.before) :]
        return tokens[: limit - self.after] + tokens[n - self.after :]

    def excerpt(self, text: str, tokens: int) -> str:
        """Return the part of a text with its first `tokens` tokens, or its last ones if the model reads those."""
        (encoding,) = self.library.encode_batch([text], add_special_tokens=False)  # which releases the GIL
        if len(encoding) <= tokens:
            return text
        if self.truncation_side == "left":
            return text[encoding.offsets[-tokens][0] :]
        return text[: encoding.offsets[tokens - 1][1]]

    def _ids(self, text: str) -> list[int]:
        return self.library.encode(text, add_special_tokens=False).ids if text else []

    def _content(self, text: str, ids: list[int], prompt_ids: list[int]) -> Content:
        inner = ids[self.before : len(ids) - self.after]
        if inner[: len(prompt_ids)] != prompt_ids:  # a token spans prompt and text, or the prompt was cut off
            inner, prompt_ids = self._ids(text), []
        return self._vocabulary.content(inner[len(prompt_ids) :])

    def _count_unknown(self, ids: list[int], encoding: Encoding) -> int:
        if self._unknown_token not in ids:
            return 0
        # Some models use one id for "unknown" and for the end of a text; only the former counts.
        special = np.asarray(encoding.special_tokens_mask)
        return int(np.sum((np.asarray(ids) == self._unknown_token) & (special == 0)))


def spans(tokenizer: ModelTokenizer, texts: Sequence[str], prompt: str = "") -> list[list[Token]]:
    """Return the tokens of each text in order, with those of the prompt and the special tokens."""
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
    """Return the text that has these tokens, special ones included.

    Ids do not show which tokeniser made them, and another tokeniser's ids would decode to a meaningless text. So `ids`
    must include the special tokens that the model adds around every text.

    Raises:
        InvalidTokens: an id is out of range, the special tokens are missing, or no text has these tokens.
    """
    library, tokens = tokenizer.library, list(ids)
    vocabulary = library.get_vocab_size()
    invalid = next((i for i in tokens if not 0 <= i < vocabulary), None)
    if invalid is not None:
        raise InvalidTokens(f"the model's tokens are 0 to {vocabulary - 1}, got {invalid}: {ADVICE}", None)
    around = library.encode("a").ids
    before, after = around[: tokenizer.before], around[len(around) - tokenizer.after :]
    inner = tokens[len(before) : len(tokens) - len(after)]
    if tokens != [*before, *inner, *after]:
        raise InvalidTokens(
            f"wanted tokens as the model's own tokenizer makes them, from {before} to {after}; "
            f"these are another's: {ADVICE}",
            None,
        )
    text = library.decode(inner, skip_special_tokens=False)
    if library.encode(text).ids != tokens:
        raise InvalidTokens(f"no text has these tokens ({text[:80]!r} has others): {ADVICE}", None)
    return text


Span = tuple[int, int]
"""A range of characters: the first, and the one after the last."""


def room(tokenizer: ModelTokenizer, tokens: int, prompt: str = "") -> int:
    """Return how many tokens of a limit remain for a text, after the special tokens and the prompt.

    Args:
        tokenizer: the model's tokeniser.
        tokens: the limit.
        prompt: the text that the model puts before the text.
    """
    return tokens - tokenizer.before - tokenizer.after - _count_prompt_tokens(tokenizer, prompt)


def windows(
    tokenizer: ModelTokenizer, texts: Sequence[str], tokens: int, overlap: int, max_parts: int, prompt: str = ""
) -> list[list[Span]]:
    """Split each text into parts that cover it, each of at most `tokens` tokens; a text that fits is one part.

    Parts begin and end between words if possible, so that a word keeps its meaning.

    Args:
        tokens: the limit of a part, special tokens and the prompt included. What remains for the text must be more than
            `overlap`.
        overlap: how many tokens a part shares with the previous one; more if that would split a word.
        max_parts: the limit of parts of a text.
        prompt: the text that the model puts before each part.

    Returns:
        For each text the spans of its parts, in characters. The list is empty if the text needs more than `max_parts`
        parts.
    """
    part_tokens = room(tokenizer, tokens, prompt)
    parts: list[list[Span]] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        batch = list(texts[start : start + TEXTS_AT_ONCE])
        encodings = tokenizer.library.encode_batch(batch, add_special_tokens=False)
        for text, encoding in zip(batch, encodings, strict=True):
            may_fit = len(encoding) - overlap <= max_parts * (part_tokens - overlap)
            spans = list(islice(_spans(text, encoding, part_tokens, overlap), max_parts + 1)) if may_fit else []
            parts.append(spans if len(spans) <= max_parts else [])
    return parts


def _spans(text: str, encoding: Encoding, part_tokens: int, overlap: int) -> Iterator[Span]:
    offsets, words, n = encoding.offsets, encoding.word_ids, len(encoding.ids)
    if n <= part_tokens:
        yield 0, len(text)
        return
    start = covered = 0
    while True:
        end = n if start + part_tokens >= n else _boundary(words, start + overlap, start + part_tokens)
        # A character without a token, such as an ignored accent, goes with the token before it.
        stop = len(text) if end == n else max(offsets[end - 1][1], offsets[end][0])
        span = _trim(text, offsets[start][0] if start else 0, stop)
        if span[1] > covered:  # tokens may stand for the same characters, or for white space
            covered = span[1]
            yield span
        if end == n:
            return
        start = _boundary(words, start, end - overlap)


def _boundary(words: Sequence[int | None], above: int, limit: int) -> int:
    """Return the index of a token at which a text can be split: the last one that begins a word.

    Args:
        words: the index of each token's word.
        above, limit: the result is above `above` and at most `limit`; it is `limit` if no token there begins a word.
    """
    return next((token for token in range(limit, above, -1) if words[token] != words[token - 1]), limit)


def _trim(text: str, start: int, end: int) -> Span:
    """Return a span of a text without the white space around it; a blank span stays as it is.

    Args:
        text: the text.
        start, end: the span, in characters.
    """
    part = text[start:end]
    stripped = part.strip()
    if not stripped:
        return start, end
    start += len(part) - len(part.lstrip())
    return start, start + len(stripped)


def _count_prompt_tokens(tokenizer: ModelTokenizer, prompt: str) -> int:
    return len(tokenizer.library.encode(prompt, add_special_tokens=False).ids) if prompt else 0
