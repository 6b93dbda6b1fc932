"""A text → the tokens that a model reads of it: their ids, how many there are, where they stand; and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from service.encoding.errors import InvalidTokens
from service.encoding.tokens.content import Content, Vocabulary

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
