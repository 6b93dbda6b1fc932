"""A long text → parts that a model reads as a whole, each overlapping the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from tokenizers import Encoding

from service.encoding.tokens.tokens import TEXTS_AT_ONCE, ModelTokenizer

Span = tuple[int, int]
"""From a character up to another one."""


def room(tokenizer: ModelTokenizer, tokens: int, prompt: str = "") -> int:
    """How many tokens of a text are read, where so many are in all, special ones and the prompt's among them."""
    return tokens - tokenizer.before - tokenizer.after - _length(tokenizer, prompt)


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


def _length(tokenizer: ModelTokenizer, prompt: str) -> int:
    return len(tokenizer.library.encode(prompt, add_special_tokens=False).ids) if prompt else 0
