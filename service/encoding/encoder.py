"""Text → vectors, by a sentence encoder on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention.lookup import Background
from service.encoding.background import TOPICS, Backgrounds, measure_background
from service.encoding.models.network import Network
from service.encoding.temperature import Temperature, Temperatures, has_unit_length, temperatures
from service.encoding.texts import Encoded, Purpose, check_texts
from service.encoding.tokens import Span, Token, decode, room, spans, windows

if TYPE_CHECKING:
    from service.encoding.models.declaration import Declaration

BATCH_TOKENS = 2048  # measured: half of it costs a tenth more, twice of it saves a twentieth and takes the memory
ALONE = 1  # a budget that no two texts fit into


class Measured(NamedTuple):
    """What an encoder's vectors of unrelated and of related texts are like; see its properties of the same names."""

    backgrounds: Backgrounds
    unit_length: bool
    temperatures: Temperatures


class Encoder:
    """A sentence encoder, held in memory; any thread may call it, and every call blocks.

    Attributes:
        name: what collections record, so that they are never asked in another model's vectors.
        network: what computes it.
        declaration: what its maker says of its vectors.
        created: when its files came to this machine, in seconds of Unix time.
        dimension: the width d of a vector.
        precision: the number format of the arithmetic.
        runs_on: whose code computes it.
        max_tokens: how many tokens of a text the model reads, special ones included; None for all.
        batched: whether texts run together; a model whose vectors would change with that takes each alone.
        similarity: what its vectors are meant to be compared by.
        checksum: what tells its vectors from those of every other encoder; None where that is not known.

    Args:
        measured: what `measure` would find, if it is known beforehand.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        declaration: Declaration,
        *,
        created: int = 0,
        checksum: str | None = None,
        measured: Measured | None = None,
    ) -> None:
        self.name = name
        self.network = network
        self.created = created
        self.checksum = checksum
        self.dimension = network.dimension
        self.precision = network.precision
        self.runs_on = network.runs_on
        self.max_tokens = network.tokenizer.max_tokens
        self.batched = network.batched
        self.declaration = declaration
        self.similarity = declaration.similarity
        self._measured = measured
        self._measuring = Lock()

    def measure(self) -> Measured:
        """Return what its vectors are like; unless that was given, the first call encodes hundreds of texts."""
        with self._measuring:
            if self._measured is None:
                questions = self.encode([topic.question for topic in TOPICS], "query").vectors
                texts = self.encode([topic.text for topic in TOPICS], "document").vectors
                names = [topic.name for topic in TOPICS]
                short = self.encode(names, "query").vectors, self.encode(names, "document").vectors
                known = self.declaration.temperature
                self._measured = Measured(
                    Backgrounds(measure_background(questions, texts), measure_background(*short)),
                    has_unit_length(questions) and has_unit_length(texts),
                    temperatures(questions, texts, similarity=self.similarity, known=known),
                )
            return self._measured

    @property
    def background(self) -> Background:
        """The cosine of a question and a text that have nothing to do with each other."""
        return self.backgrounds.texts

    @property
    def backgrounds(self) -> Backgrounds:
        """The same, and that of a short question and a short text."""
        return self.measure().backgrounds

    @property
    def unit_length(self) -> bool:
        """Whether its vectors are normalised, so that other similarities follow from cosines."""
        return self.measure().unit_length

    @property
    def temperatures(self) -> Temperatures:
        """For each similarity, the temperature that it wants."""
        return self.measure().temperatures

    @property
    def temperature(self) -> Temperature:
        """The temperature that its own similarity wants, and who says so."""
        return self.temperatures[self.similarity]

    @property
    def notes(self) -> list[str]:
        """What one should know who runs it, a sentence each; none of most models."""
        alone = "its vectors change with what else is in a batch, so it encodes each text alone, which takes longer"
        return [note for note in (self.declaration.note, None if self.batched else alone) if note is not None]

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order; a vector depends on its neighbours no more than on rounding, 1e-6 in float32.

        Any Unicode text has an answer, the empty one too: the vector of the special tokens alone, or zeros where
        a model has none.

        Raises:
            InvalidText: a text has a lone surrogate; nothing is encoded.
        """
        check_texts(texts)
        prompt = self.network.prompt(purpose)
        tokens = self.network.tokenizer.read(texts, prompt)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        read = self.tokens_read(tokens.total)
        for batch in token_batches(read, BATCH_TOKENS if self.network.batched else ALONE):
            vectors[batch] = self.network.embed([texts[i] for i in batch], [tokens.ids[i] for i in batch], purpose)
        return Encoded(vectors, tokens.total, tokens.total > read, tokens.unknown, tokens.content)

    def tokens_read(self, token_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many tokens the model reads of texts that have `token_counts`; int64 [n]."""
        return self.network.tokenizer.read_of(token_counts)

    def tokens(self, texts: Sequence[str], purpose: Purpose) -> list[list[Token]]:
        """The tokens that the model reads of each text, in order.

        Raises:
            InvalidText: a text has a lone surrogate.
        """
        check_texts(texts)
        return spans(self.network.tokenizer, texts, self.network.prompt(purpose))

    def room(self, tokens: int, purpose: Purpose) -> int:
        """How many tokens of a text so many are enough for: the special ones and the prompt's are among them."""
        return room(self.network.tokenizer, tokens, self.network.prompt(purpose))

    def windows(
        self, texts: Sequence[str], tokens: int, overlap: int, at_most: int, purpose: Purpose
    ) -> list[list[Span]]:
        """Parts of each text that cover it, each of at most so many tokens; see `service.encoding.tokens`.

        Raises:
            InvalidText: a text has a lone surrogate.
        """
        check_texts(texts)
        return windows(self.network.tokenizer, texts, tokens, overlap, at_most, self.network.prompt(purpose))

    def decode(self, ids: Sequence[int]) -> str:
        """The text whose tokens are `ids`, special ones included.

        Raises:
            InvalidTokens: they are no text of this model's.
        """
        return decode(self.network.tokenizer, ids)


def token_batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Split n texts into batches that hold at most `budget` tokens once padded to their longest text.

    Texts of like length come together, so that little is spent on padding.

    Args:
        lengths: int64 [n], the tokens that the model reads of each text.
        budget: tokens a batch; a longer text is a batch of its own.

    Yields:
        int64 positions, the longest texts first; every position in exactly one batch.
    """
    longest_first = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(lengths):
        longest = max(int(lengths[longest_first[start]]), 1)
        stop = start + max(budget // longest, 1)
        yield longest_first[start:stop]
        start = stop
