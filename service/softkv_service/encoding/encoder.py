"""Sentence encoders, which turn texts into vectors: what all have in common, the limits of their batches, and those on
this machine.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from softkv_attention.lookup import Background
from softkv_service.encoding.background import TOPICS, Backgrounds, measure_background
from softkv_service.encoding.errors import TokensUnknown
from softkv_service.encoding.models.network import Kind, Network, Precision, RunsOn
from softkv_service.encoding.provider_counts import ProviderCounts
from softkv_service.encoding.temperature import Similarity, Temperature, Temperatures, has_unit_length, temperatures
from softkv_service.encoding.texts import Encoded, Purpose, check_texts
from softkv_service.encoding.tokens import Span, Token, decode, room, windows

if TYPE_CHECKING:
    from softkv_service.encoding.models.declaration import Declaration

BATCH_TOKENS = 2048  # measured: half of it costs a tenth more, twice of it saves a twentieth and takes the memory
ALONE = 1  # a budget that no two texts fit into
ALONE_NOTE = "its numbers change with what else is in a batch, so it reads each text alone, which takes longer"


BATCH_SECONDS = 0.1
"""The target duration of a batch; texts that arrive while it runs wait for it."""

FIRST_CHARACTERS, MIN_CHARACTERS, MAX_CHARACTERS = 1024, 256, 8192
"""Characters of the first batch, and their bounds; 8,192 are about 2,000 tokens: passages take a twentieth less time in
such batches than in those of half the size, and short texts as much."""

SPECIAL_TOKEN_CHARACTERS = 8  # the cost of the two special tokens of a text, at four characters a token
BYTES_PER_TOKEN = 3  # UTF-8: about four in English, three in Chinese, where a character is often a token


class BatchLimits(Protocol):
    """The limits of the batches in which a queue hands texts to an encoder. A batch always has at least one text.

    Attributes:
        texts: the most texts.
        size: the largest sum of their sizes.
        may_exceed: whether the last text may exceed that sum.
    """

    texts: int
    size: int
    may_exceed: bool

    def size_of(self, text: str) -> int:
        """Return the size of a text, in the unit of these limits."""

    def learn(self, size: int, seconds: float) -> None:
        """Adjust the limits to a batch of this size, which took `seconds`."""


class BatchSize:
    """The number of characters of a batch that takes about `BATCH_SECONDS` on this machine under its current load.

    A batch that took longer makes the next one smaller at once. A full batch that took less makes the next one larger,
    at most twice as large. A batch that was not full is ignored, because most of its time may be a fixed cost.
    """

    texts = sys.maxsize
    may_exceed = True

    def __init__(self) -> None:
        self.size = FIRST_CHARACTERS

    def size_of(self, text: str) -> int:
        """Return how many characters a text counts for."""
        return len(text) + SPECIAL_TOKEN_CHARACTERS

    def learn(self, size: int, seconds: float) -> None:
        """Adjust the size to a batch of `size` characters that took `seconds`."""
        target = int(size * BATCH_SECONDS / max(seconds, 1e-6))
        if seconds > BATCH_SECONDS:
            self.size = max(min(target, self.size), MIN_CHARACTERS)
        elif size >= self.size:
            self.size = min(max(target, self.size), 2 * self.size, MAX_CHARACTERS)


class FixedLimits:
    """The most texts and tokens of a batch. The tokens are estimated from the characters, rather too many than too few.

    Args:
        texts, tokens: the limits; a longer text is a batch of its own.
        prefix: the text that is put before each text of a batch.
    """

    may_exceed = False

    def __init__(self, texts: int, tokens: int, prefix: str = "") -> None:
        self.texts = texts
        self.size = tokens
        self._prefix_tokens = estimate_tokens(prefix)

    def size_of(self, text: str) -> int:
        """Return the estimated tokens of a text, with its prefix."""
        return self._prefix_tokens + estimate_tokens(text)

    def learn(self, size: int, seconds: float) -> None:
        """Do nothing: these limits are the operator's."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has in a model whose tokeniser is not known.

    >>> estimate_tokens(""), estimate_tokens("soft"), estimate_tokens("注意力")
    (0, 2, 3)
    """
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


class Late(NamedTuple):
    """The numbers by which late interaction changes the logits of the best documents; chosen on questions by hand.

    The new logit is (logit + weight / temperature · mean cosine of the words) / divisor, up to a constant.
    `projection` names the file of the projection of its words, see `read_projection`.
    """

    weight: float
    divisor: float
    projection: str


class Measurements(NamedTuple):
    """Properties of an encoder's vectors, measured on related and unrelated texts; `Encoder` explains most.

    Attributes:
        asymmetry: the mean similarity of unrelated questions and texts, divided by that of two unrelated texts; None
            if these count as equal. Only encoders of several languages have one: `benchmarks.languages` measures it.
        late: the numbers of late interaction; None if its gain with this encoder is unmeasured.
    """

    backgrounds: Backgrounds
    unit_length: bool
    temperatures: Temperatures
    asymmetry: float | None = None
    late: Late | None = None


class ShortText(NamedTuple):
    """The part of a long text that a model reads, and the numbers of tokens and unknown ones of the whole, or None."""

    text: str
    counts: tuple[int, int] | None


class TextModel(ABC):
    """A model that a queue feeds with texts; any thread may call it, and every call blocks.

    Attributes:
        name: the name by which callers choose it.
        created: the time at which its files arrived on this machine, in seconds of Unix time.
        dimension: the width d of a vector.
        precision: the number format of the arithmetic.
        kind: what computes the vectors; see `Network`.
        runs_on: the library that computes the vectors.
        max_tokens: how many tokens of a text the model reads, special ones included; None for all, or if unknown.
        notes: notes for the operator, one sentence each; empty for most models.
        knows_tokens: whether it tells the tokens of each text; see `Encoded`.
        lanes: how many batches of the queue it encodes at once.
        has_query_lane: whether it also encodes a batch of queries at the same time as one of documents.
        timeout_seconds: the time within which a batch has to be encoded; infinite for models of this machine.
    """

    name: str
    created: int
    dimension: int
    precision: Precision
    kind: Kind
    runs_on: RunsOn
    max_tokens: int | None
    notes: list[str]
    knows_tokens: bool
    lanes: int
    has_query_lane = False
    timeout_seconds: float

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters in this process."""
        return 0

    @abstractmethod
    def batch_limits(self) -> BatchLimits:
        """Return the limits of the batches in which a queue hands texts to this model."""

    @abstractmethod
    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order.

        Raises:
            InvalidText: a text has a lone surrogate.
            TextRefused: the encoder's provider refuses some texts.
        """

    def shorten(self, text: str, purpose: Purpose) -> Iterator[ShortText | None]:
        """Shorten a long text to what the model reads of it: yield None after each slice of the text, then the result.

        Its time grows with the length, while that of `encode` then does not.
        """
        yield ShortText(text, None)

    def count_tokens(self, texts: Sequence[str], purpose: Purpose) -> NDArray[np.int64]:
        """Return int64 [n], the tokens of each whole text, special ones included.

        Raises:
            TokensUnknown: the model does not tell tokens.
        """
        raise TokensUnknown(f"{self.name} does not tell the tokens of a text.")

    def submit(
        self, texts: Sequence[str], purpose: Purpose, threads: ThreadPoolExecutor, seconds: float
    ) -> Future[Encoded]:
        """Begin to encode n texts, and return the future result. If it can be cancelled, that ends the work.

        Args:
            texts: the texts.
            purpose: whether they are queries or documents.
            threads: for a model that computes in this process.
            seconds: the time limit, for an encoder behind a URL.
        """
        return threads.submit(self.encode, texts, purpose)

    def tokens_read(self, token_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 [n], how many tokens of each text the model reads, which is at most its limit.

        Args:
            token_counts: int64 [n], the tokens of each whole text.
        """
        return token_counts


class Encoder(TextModel):
    """A sentence encoder. Collections record its name, so that a query never uses another model's vectors.

    Attributes:
        batched: whether texts run in batches; if a batch would change the model's vectors, each text runs alone.
        similarity: the similarity by which its maker compares vectors.
        checksum: the checksum of its weights, which identifies its vectors; None if it is unknown.

    Args:
        measured: the result of `measure`, if it is known beforehand.
    """

    batched: bool
    similarity: Similarity
    checksum: str | None

    def __init__(self, measured: Measurements | None = None) -> None:
        self._measured = measured
        self._measuring = Lock()

    def measure(self) -> Measurements:
        """Return the properties of the encoder's vectors; see `Measurements`.

        Unless they are known, the first call encodes hundreds of texts.
        """
        with self._measuring:
            if self._measured is None:
                questions = self.encode([topic.question for topic in TOPICS], "query").vectors
                texts = self.encode([topic.text for topic in TOPICS], "document").vectors
                names = [topic.name for topic in TOPICS]
                short = self.encode(names, "query").vectors, self.encode(names, "document").vectors
                self._measured = Measurements(
                    Backgrounds(measure_background(questions, texts), measure_background(*short)),
                    has_unit_length(questions) and has_unit_length(texts),
                    temperatures(questions, texts, similarity=self.similarity, declared=self._maker_temperature),
                )
            return self._measured

    @property
    def _maker_temperature(self) -> tuple[Similarity, float] | None:
        """A similarity, and the temperature that the maker declares for it; None if the maker declares none."""
        return None

    @property
    def background(self) -> Background:
        """The mean and deviation of the cosine between a question and an unrelated text."""
        return self.backgrounds.texts

    @property
    def backgrounds(self) -> Backgrounds:
        """The mean and deviation of the cosine of unrelated texts: of a question and a text, and of two short ones."""
        return self.measure().backgrounds

    @property
    def temperatures(self) -> Temperatures:
        """The best temperature of a softmax for each similarity by which the encoder's vectors can be compared."""
        return self.measure().temperatures

    @property
    def temperature(self) -> Temperature:
        """The best temperature for the encoder's own similarity, and the source of that number."""
        return self.temperatures[self.similarity]

    @property
    def counts(self) -> ProviderCounts | None:
        """Counts of the calls to the encoder's provider, for metrics; None for a model of this machine."""
        return None

    @abstractmethod
    def tokens(self, texts: Sequence[str], purpose: Purpose) -> list[list[Token]]:
        """Return the tokens that the model reads of each text, in order.

        Raises:
            InvalidText: a text has a lone surrogate.
            TokensUnknown: the encoder does not tell tokens.
        """

    @abstractmethod
    def room(self, tokens: int, purpose: Purpose) -> int:
        """Return how many tokens of a limit remain for a text, after the special tokens and the prompt.

        Args:
            tokens: the limit.
            purpose: whether the text is a query or a document, which may have different prompts.

        Raises:
            TokensUnknown: the encoder does not tell tokens.
        """

    @abstractmethod
    def windows(
        self, texts: Sequence[str], tokens: int, overlap: int, max_parts: int, purpose: Purpose
    ) -> list[list[Span]]:
        """Split each text into parts of at most `tokens` tokens, and return the spans of its parts, in characters.

        The details are those of `softkv_service.encoding.tokens.windows`.

        Raises:
            InvalidText: a text has a lone surrogate.
            TokensUnknown: the encoder does not tell tokens.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that has these tokens, special ones included.

        Raises:
            InvalidTokens: no text has these tokens in this model.
        """


class LocalEncoder(Encoder):
    """A sentence encoder in the memory of this process.

    Attributes:
        network: computes the vectors.
        declaration: the similarity and temperature that its maker declares.

    Args:
        measured: the result of `measure`, if it is known beforehand.
    """

    knows_tokens = True
    lanes = 1
    timeout_seconds = math.inf

    def __init__(
        self,
        name: str,
        network: Network,
        declaration: Declaration,
        *,
        created: int = 0,
        checksum: str | None = None,
        measured: Measurements | None = None,
    ) -> None:
        super().__init__(measured)
        self.name = name
        self.network = network
        self.created = created
        self.checksum = checksum
        self.dimension = network.dimension
        self.precision = network.precision
        self.kind = network.kind
        self.runs_on = network.runs_on
        self.has_query_lane = network.kind == "core"  # only its threads are known to share the cores fairly
        self.max_tokens = network.tokenizer.max_tokens
        self.batched = network.batched
        self.declaration = declaration
        self.similarity = declaration.similarity
        notes = declaration.note, None if self.batched else ALONE_NOTE
        self.notes = [note for note in notes if note is not None]

    @property
    def _maker_temperature(self) -> tuple[Similarity, float] | None:
        return self.declaration.temperature

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters in this process."""
        return self.network.memory_bytes

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order; neighbours in a batch change a vector by rounding only, 1e-6 in float32.

        Any Unicode text has a vector, also the empty one: the vector of the special tokens alone, or zeros if the
        model adds no special tokens.

        Raises:
            InvalidText: a text has a lone surrogate; nothing is encoded.
        """
        check_texts(texts)
        prompt = self.network.prompt(purpose)
        tokens = self.network.tokenizer.read(texts, prompt)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        tokens_read = self.tokens_read(tokens.total)
        for batch in token_batches(tokens_read, BATCH_TOKENS if self.network.batched else ALONE):
            vectors[batch] = self.network.embed([texts[i] for i in batch], [tokens.ids[i] for i in batch], purpose)
        return Encoded(vectors, tokens.content, tokens.total, tokens.total > tokens_read, tokens.unknown)

    def batch_limits(self) -> BatchLimits:
        """Return the limits of the batches in which a queue hands texts to this encoder: a time on this machine."""
        return BatchSize()

    def shorten(self, text: str, purpose: Purpose) -> Iterator[ShortText | None]:
        """Shorten a long text to what the model reads of it; a model without a limit reads all."""
        if self.max_tokens is None:
            yield ShortText(text, None)
            return
        counts = yield from self.network.tokenizer.count(text, self.network.prompt(purpose))
        yield ShortText(self.network.tokenizer.excerpt(text, self.max_tokens), counts)

    def count_tokens(self, texts: Sequence[str], purpose: Purpose) -> NDArray[np.int64]:
        """Return int64 [n], the tokens of each whole text, special ones and the prompt's included."""
        return self.network.tokenizer.read(texts, self.network.prompt(purpose)).total

    def tokens_read(self, token_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 [n], how many tokens of each text the model reads, which is at most its limit.

        Args:
            token_counts: int64 [n], the tokens of each whole text.
        """
        return token_counts if self.max_tokens is None else np.minimum(token_counts, self.max_tokens)

    def tokens(self, texts: Sequence[str], purpose: Purpose) -> list[list[Token]]:
        """Return the tokens that the model reads of each text, in order.

        Raises:
            InvalidText: a text has a lone surrogate.
        """
        check_texts(texts)
        prompt = self.network.prompt(purpose)
        return [self.network.tokenizer.spans(text, prompt) for text in texts]

    def room(self, tokens: int, purpose: Purpose) -> int:
        """Return how many tokens of a limit remain for a text, after the special tokens and the prompt.

        Args:
            tokens: the limit.
            purpose: whether the text is a query or a document, which may have different prompts.
        """
        return room(self.network.tokenizer, tokens, self.network.prompt(purpose))

    def windows(
        self, texts: Sequence[str], tokens: int, overlap: int, max_parts: int, purpose: Purpose
    ) -> list[list[Span]]:
        """Split each text into parts of at most `tokens` tokens, and return the spans of its parts, in characters.

        The details are those of `softkv_service.encoding.tokens.windows`.

        Raises:
            InvalidText: a text has a lone surrogate.
        """
        check_texts(texts)
        return windows(self.network.tokenizer, texts, tokens, overlap, max_parts, self.network.prompt(purpose))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that has these tokens, special ones included.

        Raises:
            InvalidTokens: no text has these tokens in this model.
        """
        return decode(self.network.tokenizer, ids)


def token_batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Split n texts into batches that hold at most `budget` tokens once padded to their longest text.

    Texts of similar length share a batch, which keeps padding small.

    Args:
        lengths: int64 [n], the tokens that the model reads of each text.
        budget: the most tokens of a batch; a longer text is a batch of its own.

    Yields:
        int64, the indices of the texts of a batch, the longest texts first; every text is in exactly one batch.
    """
    longest_first = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(lengths):
        longest = max(int(lengths[longest_first[start]]), 1)
        stop = start + max(budget // longest, 1)
        yield longest_first[start:stop]
        start = stop
