"""The protocol of a model in memory, which turns token ids into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from softkv_service.encoding.texts import Purpose
from softkv_service.encoding.tokens import ModelTokenizer

Precision = Literal["float32", "int16", "bfloat16"]
COMPARABLE: tuple[Precision, ...] = ("float32", "int16")
"""Precisions whose vectors of a model may be compared: a similarity in one is within 1e-3 of that in the other."""

Kind = Literal["core", "library", "static", "remote"]
RunsOn = Literal[
    "attention/transformer", "NumPy", "sentence-transformers with attention", "sentence-transformers", "provider"
]


class Network(Protocol):
    """A model in memory, with its tokeniser.

    Attributes:
        kind: what computes the model: softkv's own Transformer, another library, a table of token vectors, or a service
            elsewhere.
        runs_on: the library that computes the model. "sentence-transformers with attention" stands for that library's
            layers with softkv's attention, and "NumPy" for a static model.
        precision: the number format of its arithmetic: float32 also for a model that int16 does not fit.
        dimension: the width d of a vector.
        tokenizer: the tokeniser of its texts.
        prompts: texts by the purpose of the texts that they are put before. The owner may replace some.
        batched: whether a text has the same vector in a batch as alone; if not, each text runs alone.
    """

    kind: Kind
    runs_on: RunsOn
    precision: Precision
    dimension: int
    tokenizer: ModelTokenizer
    batched: bool
    prompts: dict[str, str]

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters, in every form in which they are held."""

    def prompt(self, purpose: Purpose) -> str:
        """Return the prompt that the model puts before a text with this purpose; empty for most models."""

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """Return the vectors of a batch of n texts, float32 [n, d]; any thread may call this.

        Args:
            texts: without the prompt; a network may tokenise them itself.
            ids: the tokens of prompt and text, from `tokenizer`, for networks that do not tokenise texts themselves.
            purpose: the purpose of the texts.
        """


def use_threads(threads: int | None) -> None:
    """Set the number of torch's threads; None leaves torch's choice.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
