"""Answers in the forms of other services: of OpenAI, of Cohere and of vLLM. They may have more fields."""

from __future__ import annotations

from typing import Annotated, Literal

from softkv.answers.arrays import RankedDocument
from softkv.answers.service import Model
from softkv.record import Keyword, Record


class EmbeddedInput(Record, closed=False):
    """The vector of an input: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(Record, closed=False):
    """The number of tokens that the model read for a request.

    Attributes:
        estimated: not OpenAI's: true if the numbers are estimated from the characters, because an encoder behind a
            URL does not tell them.
    """

    prompt_tokens: int
    total_tokens: int
    estimated: Annotated[bool, Keyword("default", False)] = False


class EmbeddingsAnswer(Record, closed=False):
    """The vectors of the inputs, in their order, and the number of tokens.

    Attributes:
        id: Mistral's: the id of the request.
        truncated: not OpenAI's: the indices of inputs that are longer than the model reads; None if the encoder
            does not tell.
    """

    id: str
    object: Literal["list"]
    data: list[EmbeddedInput]
    model: str
    usage: Usage
    truncated: list[int] | None


class ModelList(Record, closed=False):
    """The models of this service."""

    object: Literal["list"]
    data: list[Model]


class RankedText(Record, closed=False):
    """The text of a document."""

    text: str


class RankedResult(RankedDocument, schema="RankedDocument", closed=False):
    """A document and its relevance.

    Attributes:
        document: present with `return_documents`.
    """

    document: RankedText | None = None


class APIVersion(Record, closed=False):
    """The version of Cohere's API that the call has the form of."""

    version: Literal["1", "2"]


class BilledUnits(Record, closed=False):
    """Cohere's count of searches; always 1."""

    search_units: int


class Meta(Record, closed=False):
    """Facts about the call, as Cohere's clients read them."""

    api_version: APIVersion
    billed_units: BilledUnits


class RerankAnswer(Record, closed=False):
    """The documents in the order of their relevance, the most relevant first.

    Attributes:
        id: the id of the request.
    """

    id: str
    model: str
    results: list[RankedResult]
    meta: Meta
    usage: Usage


class Score(Record, closed=False):
    """The score of a pair.

    Attributes:
        score: the logit after the activation that the model's maker declares: a sigmoid, unless its files name
            another.
    """

    index: int
    object: Literal["score"]
    score: float


class ScoreAnswer(Record, closed=False):
    """The scores of the pairs, in their order, and the number of tokens.

    Attributes:
        id: the id of the request.
        created: the time of the answer, in seconds of Unix time.
    """

    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Score]
    usage: Usage
