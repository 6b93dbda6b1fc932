"""The tokens that a model reads of a text, as the reader of that text sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokenizers import Encoding

from service.encoding.tokens.tokens import ModelTokenizer


class Token(NamedTuple):
    """One token: its piece of the text, from character `start` up to `end`.

    Both are 0 for a token that is not in the text: one that the model adds, such as `[CLS]`, or a prompt's.
    """

    text: str
    start: int
    end: int


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
