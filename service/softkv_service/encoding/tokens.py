"""The tokens that a model reads of a text: ids, counts, positions and content; and windows of a long text."""

from __future__ import annotations

import re
from array import array
from collections.abc import Generator, Iterable, Iterator, MutableSequence, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from softkv_service.encoding.errors import InvalidTokens

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


TEXTS_AT_ONCE = 256
READ_AT_ONCE = 64 * 1024  # characters: a tokenised text takes up to 450 bytes a token, so a long one is read in slices
UNUSED = re.compile(r"[\[<]unused_?\d+[\]>]")
SHARED = 1024  # characters of a slice that the next one shares, and as many before them
SPARE = 16  # tokens at the end of a part of a text that may differ from those of the text
ADVICE = "send the text itself (LangChain: check_embedding_ctx_length=False)"


Span = tuple[int, int]
"""A range of characters: the first, and the one after the last."""


class Token(NamedTuple):
    """One token: its piece of the text, from character `start` up to `end`.

    Both are 0 for a token that is not in the text: one that the model adds, such as `[CLS]`, or a prompt's.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The tokens of a slice of a text, without special ones that a model adds.

    Attributes:
        ids: int64 [n].
        starts, ends: int64 [n], the characters of each token in the text, from its start up to its end.
        begins_word: bool [n], whether it begins a word.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    begins_word: NDArray[np.bool_]

    @classmethod
    def join(cls, runs: Sequence[Run]) -> Self:
        """Return the tokens of all runs, of which there is at least one."""
        if len(runs) == 1:
            return cls(*(getattr(runs[0], column.name) for column in fields(cls)))
        columns = ([getattr(run, column.name) for run in runs] for column in fields(cls))
        return cls(*(np.concatenate(column) for column in columns))

    def between(self, start: int, end: int) -> Run:
        """Return the tokens that begin at character `start` or later, and before `end`."""
        within = slice(*np.searchsorted(self.starts, [start, end]))
        return Run(self.ids[within], self.starts[within], self.ends[within], self.begins_word[within])

    def equals(self, other: Run) -> bool:
        """Return whether both have the same tokens of the same characters."""
        return np.array_equal(self.ids, other.ids) and np.array_equal(self.starts, other.starts)

    def lengthen(self, following: Run, position: int) -> None:
        """Set the end of the last token to where it ends in the following slice, if it goes on beyond a position."""
        before = int(np.searchsorted(following.starts, position)) - 1
        if len(self.ends) and before >= 0 and following.ends[before] > position:
            self.ends[-1] = following.ends[before]

    def boundary(self, position: int) -> int:
        """Return a character at which a slice may begin: the last start of a token at most `SHARED` before a position.

        It is the position itself if a token is that long. A token that shares a character with the one before it does
        not count: a character may have several.
        """
        candidates = self.starts[1:][self.starts[1:] >= self.ends[:-1]]
        candidates = candidates[(candidates > position - SHARED) & (candidates <= position)]
        return int(candidates[-1]) if len(candidates) else position


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
        begins_after_space: bool = False,
        read_at_once: int = READ_AT_ONCE,
    ) -> None:
        """Take over a tokeniser, and switch off its truncation and padding.

        Args:
            library: the tokeniser; no other code may use it.
            max_tokens: the model's limit, if it has one.
            unknown_token: the id of the unknown token, if it has one.
            truncation_side: the side on which a text that is too long loses tokens.
            tells_types: whether a model gets the types of the tokens of a pair.
            begins_after_space: whether a word begins only after a character without a token. Else the library says it.
            read_at_once: how many characters it reads at once, at least 4,096; a longer text is read in slices.
        """
        library.no_truncation()
        library.no_padding()
        self.library = library
        self.max_tokens = max_tokens
        probe = library.encode("a")
        special = probe.special_tokens_mask
        self.before = special.index(0) if 0 in special else len(special)
        self.after = special[::-1].index(0) if 0 in special else 0
        self.around = probe.ids[: self.before], probe.ids[len(special) - self.after :]
        self._unknown_token = -1 if unknown_token is None else unknown_token
        self._vocabulary = Vocabulary(library, unknown_token)
        self.truncation_side = truncation_side
        self.tells_types = tells_types
        self._begins_after_space = begins_after_space
        self._read_at_once = read_at_once

    def read(self, texts: Sequence[str], prompt: str = "") -> TokenisedTexts:
        """Tokenise prompt and text together; a word longer than the tokeniser's limit becomes one unknown token."""
        return self._collect(texts, prompt, self._read_ids([prompt + text for text in texts]))

    def read_with_words(self, texts: Sequence[str], prompt: str = "") -> tuple[TokenisedTexts, list[Run]]:
        """Return what `read` returns, and what `read_words` returns of each text."""
        runs = [Run.join(slices) for slices in self._read_runs([prompt + text for text in texts])]
        tokens = self._collect(texts, prompt, ([run.ids.tolist()] for run in runs))
        return tokens, [self._leave_out(run, len(prompt)) for run in runs]

    def _collect(self, texts: Sequence[str], prompt: str, read: Iterable[Iterable[list[int]]]) -> TokenisedTexts:
        """Return the tokens of texts.

        Args:
            read: the ids of each text with its prompt, in slices.
        """
        ids: list[NDArray[np.int64]] = []
        total = np.zeros(len(texts), dtype=np.int64)
        unknown = np.zeros(len(texts), dtype=np.int64)
        content = np.zeros(len(texts), dtype=np.int8)
        prompt_ids = array("q", self.prompt_ids(prompt.rstrip()))
        before, after = self.around
        for position, slices in enumerate(read):
            inner = array("q")
            for part in slices:
                total[position] += len(part)
                # Some models use one id for "unknown" and for the end of a text; only the former counts.
                unknown[position] += part.count(self._unknown_token)
                inner.extend(part)
                self._cut(inner)
            total[position] += len(before) + len(after)
            ids.append(np.array([*before, *inner, *after], dtype=np.int64))
            content[position] = self._content(texts[position], inner, prompt_ids)
        return TokenisedTexts(ids, total, unknown, content)

    def count(self, text: str, prompt: str = "") -> Generator[None, None, tuple[int, int]]:
        """Return how many tokens a text has with its prompt, and how many of them are unknown. Yield after a slice."""
        total, unknown = self.before + self.after, 0
        for run in self.runs(prompt + text):
            total += len(run.ids)
            unknown += int(np.count_nonzero(run.ids == self._unknown_token))
            yield
        return total, unknown

    def spans(self, text: str, prompt: str = "") -> list[Token]:
        """Return the tokens that the model reads of a text in order, with those of the prompt and the special ones."""
        spans: list[tuple[int, int]] = []
        for run in self.runs(prompt + text):
            spans += zip(run.starts.tolist(), run.ends.tolist(), strict=True)
            if self._cut(spans):
                break
        before, after = ([Token(self.library.id_to_token(i) or "", 0, 0) for i in ids] for ids in self.around)
        return [*before, *(_token(span, prompt, text) for span in spans), *after]

    def read_words(self, text: str, prompt: str = "") -> Run:
        """Return the tokens of prompt and text that the model reads, special ones left out.

        They have their characters in the text; those of the prompt have none.
        """
        return self._leave_out(Run.join(list(self.runs(prompt + text))), len(prompt))

    def _leave_out(self, run: Run, prompt: int) -> Run:
        """Return the tokens that the model reads of a text and the characters before it, its prompt."""
        read = self._read_slice(len(run.ids))
        if not prompt and read == slice(0, len(run.ids)):
            return run
        starts, ends = (np.maximum(column[read] - prompt, 0) for column in (run.starts, run.ends))
        return Run(run.ids[read], starts, ends, run.begins_word[read])

    @cached_property
    def first_piece(self) -> int:
        """The lowest id of a piece of text: vocabularies begin with special and unused tokens."""
        names = ((piece, self.library.id_to_token(piece) or "") for piece in range(self.library.get_vocab_size()))
        special = self.library.get_added_tokens_decoder()
        return next((piece for piece, name in names if piece not in special and not UNUSED.fullmatch(name)), 0)

    def runs(self, text: str) -> Iterator[Run]:
        """Yield the tokens of a text, without special ones around it, in slices.

        A slice begins at a token of the one before. A tokeniser reads the text alike from there on, except at the
        start. The tokens that both slices have must show it; otherwise the slice gets longer. Only a word with more
        than `SHARED` characters in it that have no token, such as ignored accents, may be read as two words.
        """
        start, first, size = 0, 0, self._read_at_once
        run, last = self._run(text, start, size), None
        while start + size < len(text):
            end = run.boundary(start + size - SHARED)
            begin = run.boundary(end - SHARED)
            following, alike = self._run(text, begin, self._read_at_once), end - SHARED // 2
            if not run.between(alike, end).equals(following.between(alike, end)):
                size *= 2
                run = self._run(text, start, size)
                continue
            part = run.between(first, end)
            if last is not None and len(part.ids):
                yield last
            last = part if last is None or len(part.ids) else last
            last.lengthen(following, end)
            start, first, size, run = begin, end, self._read_at_once, following
        if last is not None:
            yield last
        yield run.between(first, len(text) + 1)

    def excerpt(self, text: str, tokens: int) -> str:
        """Return the part of a text that has its first `tokens` tokens, or its last ones if the model reads those.

        If the text has more, so has the part, because the outermost ones may differ from those of the text.
        """
        tokens, count = tokens + SPARE, 0
        if self.truncation_side == "right":
            return self.head(text, tokens)
        starts = np.empty(0, dtype=np.int64)
        for run in self.runs(text):
            count += len(run.ids)
            starts = np.concatenate([starts, run.starts])[-tokens:]
        return text if count < tokens else text[starts[0] :]

    def head(self, text: str, tokens: int) -> str:
        """Return the part of a text that has its first `tokens` ≥ 1 tokens."""
        count = 0
        for run in self.runs(text):
            count += len(run.ids)
            if count >= tokens:
                return text[: run.ends[tokens - count - 1]]
        return text

    def _run(self, text: str, start: int, size: int) -> Run:
        (run,) = self._runs_of(self.library.encode_batch([text[start : start + size]], add_special_tokens=False), start)
        return run

    def _runs_of(self, encodings: Sequence[Encoding], start: int = 0) -> Iterator[Run]:
        """Yield the tokens of slices, each of which begins at character `start` of its text."""
        counts = [len(encoding) for encoding in encodings]
        stops = np.cumsum(counts)
        beginnings = (stops - counts)[np.array(counts) > 0]
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype=np.int64)
        spans = chain.from_iterable(chain.from_iterable(encoding.offsets for encoding in encodings))
        offsets = np.fromiter(spans, dtype=np.int64) + start
        starts, ends = np.ascontiguousarray(offsets[::2]), np.ascontiguousarray(offsets[1::2])
        begins_word = np.ones(len(ids), dtype=np.bool_)
        if self._begins_after_space:
            begins_word[1:] = starts[1:] > ends[:-1]
        else:
            # NaN, which equals nothing, for a token without a word.
            words = np.array([word for encoding in encodings for word in encoding.word_ids], dtype=np.float64)
            begins_word[1:] = words[1:] != words[:-1]
        begins_word[beginnings] = True
        for count, stop in zip(counts, stops.tolist(), strict=True):
            text = slice(stop - count, stop)
            yield Run(ids[text], starts[text], ends[text], begins_word[text])

    def _read_runs(self, texts: Sequence[str]) -> Iterator[list[Run]]:
        """Yield the tokens of each text in order, as `runs` does."""
        for batch in self._batches(texts):
            if len(batch[0]) > self._read_at_once:
                yield list(self.runs(batch[0]))
            else:
                encodings = self.library.encode_batch(batch, add_special_tokens=False)
                yield from ([run] for run in self._runs_of(encodings))

    def _read_ids(self, texts: Sequence[str]) -> Iterator[Iterable[list[int]]]:
        """Yield the ids of each text in order, without special ones around it, in slices."""
        for batch in self._batches(texts):
            if len(batch[0]) > self._read_at_once:
                yield (run.ids.tolist() for run in self.runs(batch[0]))
            else:
                # The batch call releases the GIL, so the event loop goes on meanwhile.
                encodings = self.library.encode_batch_fast(batch, add_special_tokens=False)
                yield from ([encoding.ids] for encoding in encodings)

    def _cut(self, inner: MutableSequence[Any]) -> bool:
        """Remove what a model does not read from the tokens of a text, which have no special ones around them.

        Return whether it reads none of those that follow.
        """
        read = self._read_slice(len(inner))
        del inner[read.stop :], inner[: read.start]
        return self.truncation_side == "right" and len(inner) == self._most_inner

    def _read_slice(self, count: int) -> slice:
        """Return which of this many tokens of a text, without special ones, the model reads."""
        limit = count if self._most_inner is None else min(self._most_inner, count)
        return slice(0, limit) if self.truncation_side == "right" else slice(count - limit, count)

    @property
    def _most_inner(self) -> int | None:
        """The limit of tokens of a text without special ones."""
        return None if self.max_tokens is None else max(self.max_tokens - self.before - self.after, 0)

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt alone."""
        return self.library.encode(prompt, add_special_tokens=False).ids if prompt else []

    def _content(self, text: str, inner: array[int], prompt_ids: array[int]) -> Content:
        if inner[: len(prompt_ids)] == prompt_ids:
            return self._vocabulary.content(inner[len(prompt_ids) :])
        # A token spans prompt and text, or the prompt was cut off.
        return self._vocabulary.content(chain.from_iterable(chain.from_iterable(self._read_ids([text]))))

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield the texts in order, as many together as a tokeniser may read at once; a long one is alone."""
        batch: list[str] = []
        characters = 0
        for text in texts:
            characters += len(text)
            if batch and (len(batch) == TEXTS_AT_ONCE or characters > self._read_at_once):
                yield batch
                batch, characters = [], len(text)
            batch.append(text)
        if batch:
            yield batch


def _token(span: Span, prompt: str, text: str) -> Token:
    start, end = span
    if end <= len(prompt):
        return Token(prompt[start:end], 0, 0)
    start, end = max(start - len(prompt), 0), end - len(prompt)
    return Token(text[start:end], start, end)


def decode(tokenizer: ModelTokenizer, ids: Sequence[int]) -> str:
    """Return the text that has these tokens, special ones included.

    Ids do not show which tokeniser made them, and another tokeniser's ids would decode to a meaningless text. So `ids`
    must include the special tokens that the model adds around every text.

    Raises:
        InvalidTokens: an id is out of range, the special tokens are missing, or no text has these tokens.
    """
    library, tokens = tokenizer.library, list(ids)
    vocabulary, (before, after) = library.get_vocab_size(), tokenizer.around
    invalid = next((i for i in tokens if not 0 <= i < vocabulary), None)
    if invalid is not None:
        raise InvalidTokens(f"the model's tokens are 0 to {vocabulary - 1}, got {invalid}: {ADVICE}", None)
    inner = tokens[len(before) : len(tokens) - len(after)]
    if tokens != [*before, *inner, *after]:
        raise InvalidTokens(
            f"wanted tokens as the model's own tokenizer makes them, from {before} to {after}; "
            f"these are another's: {ADVICE}",
            None,
        )
    text = library.decode(inner, skip_special_tokens=False)
    if [token for run in tokenizer.runs(text) for token in run.ids.tolist()] != inner:
        raise InvalidTokens(f"no text has these tokens ({text[:80]!r} has others): {ADVICE}", None)
    return text


def room(tokenizer: ModelTokenizer, tokens: int, prompt: str = "") -> int:
    """Return how many tokens of a limit remain for a text, after the special tokens and the prompt.

    Args:
        tokenizer: the model's tokeniser.
        tokens: the limit.
        prompt: the text that the model puts before the text.
    """
    return tokens - tokenizer.before - tokenizer.after - len(tokenizer.prompt_ids(prompt))


MAX_TITLE_CHARACTERS = 120
LEAST_PARTS_OF_TITLE = 4
"""The least length of the first part of a text, in lengths of its title. A longer title is not repeated."""


def measure_title(text: str, first: Span) -> int:
    """Return the length of a text's title with its line end, in characters; 0 for a text without one.

    The title is the first line of a text that has several. It stands before each later part when that is encoded.

    Args:
        text: the text.
        first: its first part, in characters.
    """
    end = text.find("\n", 0, MAX_TITLE_CHARACTERS + 1) + 1
    return end if text[:end].strip() and first[0] < end and LEAST_PARTS_OF_TITLE * end <= first[1] else 0


def read_part(text: str, part: Span, first: Span) -> tuple[str, int]:
    """Return the text to encode for a part, and how many of its characters are the title that stands before it.

    Args:
        text: the whole text.
        part: the part, in characters.
        first: the first part.
    """
    title = measure_title(text, first)
    if part[0] < title:
        title = 0
    return text[:title] + text[slice(*part)], title


def windows(
    tokenizer: ModelTokenizer, texts: Sequence[str], tokens: int, overlap: int, max_parts: int, prompt: str = ""
) -> list[list[Span]]:
    """Split each text into parts that cover it, each of at most `tokens` tokens; a text that fits is one part.

    Parts begin and end between words if possible, so that a word keeps its meaning. Each part after the first leaves
    room for the title, if there is one; see `measure_title`.

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
    max_tokens = max_parts * (part_tokens - overlap) + overlap
    for text in texts:
        slices = list[Run]()
        for run in tokenizer.runs(text):
            slices.append(run)
            if sum(len(run.ids) for run in slices) > max_tokens:
                parts.append([])
                break
        else:
            spans = list(islice(_spans(text, Run.join(slices), part_tokens, overlap), max_parts + 1))
            parts.append(spans if len(spans) <= max_parts else [])
    return parts


def _spans(text: str, run: Run, part_tokens: int, overlap: int) -> Iterator[Span]:
    n = len(run.ids)
    if n <= part_tokens:
        yield 0, len(text)
        return
    limit = part_tokens
    longest = measure_title(text, (0, len(text)))
    if longest and 2 * _count_tokens(run, longest) > part_tokens - overlap:
        # The title leaves little room for text: by a shorter first part, it is not a title.
        limit = min(limit, max(overlap + 1, _count_tokens(run, LEAST_PARTS_OF_TITLE * longest - 1)))
    start = covered = 0
    while True:
        end = n if start + limit >= n else _boundary(run, start + overlap, start + limit)
        # A character without a token, such as an ignored accent, goes with the token before it.
        stop = len(text) if end == n else int(max(run.ends[end - 1], run.starts[end]))
        span = _trim(text, int(run.starts[start]) if start else 0, stop)
        if not start:
            limit = max(overlap + 1, part_tokens - _count_tokens(run, measure_title(text, span)))
        if span[1] > covered:  # tokens may stand for the same characters, or for white space
            covered = span[1]
            yield span
        if end == n:
            return
        start = _boundary(run, start, end - overlap)


def _count_tokens(run: Run, characters: int) -> int:
    """Return how many tokens end within the first characters of a text."""
    return int(np.count_nonzero(run.ends <= characters))


def _boundary(run: Run, above: int, limit: int) -> int:
    """Return the index of a token at which a text can be split: the last one that begins a word.

    It is above `above` and at most `limit`; it is `limit` if no token there begins a word.
    """
    begins = np.flatnonzero(run.begins_word[above + 1 : limit + 1])
    return above + 1 + int(begins[-1]) if len(begins) else limit


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
