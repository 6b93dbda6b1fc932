"""Text → vectors, by a sentence encoder on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.encoding.background import Background
from service.encoding.batches import token_batches
from service.encoding.declaration import Declaration
from service.encoding.decoding import decode
from service.encoding.encoded import Encoded
from service.encoding.network import Network
from service.encoding.spans import Token, spans
from service.encoding.temperature import Temperature, temperatures
from service.encoding.texts import Purpose, check_texts
from service.encoding.topics import TOPICS

BATCH_TOKENS = 2048  # measured: half of it costs a tenth more, twice of it saves a twentieth and takes the memory


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
        max_tokens: how many tokens of a text the model reads, special ones included.
        similarity: what its vectors are meant to be compared by.
        temperatures: for each similarity, the temperature that it wants.
        background: how similar a question and a text are that have nothing to do with each other.
    """

    def __init__(self, name: str, network: Network, declaration: Declaration, *, created: int = 0) -> None:
        self.name = name
        self.network = network
        self.created = created
        self.dimension = network.dimension
        self.precision = network.precision
        self.runs_on = network.runs_on
        self.max_tokens = network.tokenizer.max_tokens
        self.declaration = declaration
        self.similarity = declaration.similarity
        questions = self.encode([topic.question for topic in TOPICS], "query").vectors
        texts = self.encode([topic.text for topic in TOPICS], "document").vectors
        self.background = Background.measure(questions, texts)
        self.temperatures = temperatures(questions, texts, similarity=self.similarity, known=declaration.temperature)

    @property
    def temperature(self) -> Temperature:
        """The temperature that its own similarity wants, and who says so."""
        return self.temperatures[self.similarity]

    @property
    def notes(self) -> list[str]:
        """What one should know who runs it, a sentence each; none of most models."""
        return [] if self.declaration.note is None else [self.declaration.note]

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order; a vector does not depend on its neighbours by more than 1e-6.

        Any Unicode text has an answer, the empty one too: the vector of the special tokens alone.

        Raises:
            TextError: a text has a lone surrogate; nothing is encoded.
        """
        check_texts(texts)
        prompt = self.network.prompt(purpose)
        tokens = self.network.tokenizer.read([prompt + text for text in texts])
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for batch in token_batches(np.minimum(tokens.total, self.max_tokens), BATCH_TOKENS):
            vectors[batch] = self.network.embed([texts[i] for i in batch], [tokens.ids[i] for i in batch], purpose)
        return Encoded(vectors, tokens.total, tokens.total > self.max_tokens, tokens.unknown)

    def tokens(self, texts: Sequence[str], purpose: Purpose) -> list[list[Token]]:
        """The tokens that the model reads of each text, in order.

        Raises:
            TextError: a text has a lone surrogate.
        """
        check_texts(texts)
        return spans(self.network.tokenizer, texts, self.network.prompt(purpose))

    def decode(self, ids: Sequence[int]) -> str:
        """The text whose tokens are `ids`, special ones included.

        Raises:
            TokensError: they are no text of this model's.
        """
        return decode(self.network.tokenizer, ids)
