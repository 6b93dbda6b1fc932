"""The protocol of a model in memory, which turns token ids into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from service.encoding.texts import Purpose
from service.encoding.tokens import ModelTokenizer

Precision = Literal["float32", "bfloat16"]
RunsOn = Literal["attention/transformer", "sentence-transformers with attention", "sentence-transformers"]


class Network(Protocol):
    """A model in memory, with its tokeniser.

    Attributes:
        runs_on: whose code computes it; the second is the library's layers on the core's attention.
        precision: the number format of its arithmetic.
        dimension: the width d of a vector.
        tokenizer: from texts to its tokens.
        batched: whether a text has the same vector in a batch as alone; where it has not, each runs alone.
    """

    runs_on: RunsOn
    precision: Precision
    dimension: int
    tokenizer: ModelTokenizer
    batched: bool

    def prompt(self, purpose: Purpose) -> str:
        """What goes in front of a text; empty for most models."""

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """One batch of n texts → float32 [n, d]; any thread may call it.

        Args:
            texts: without the prompt; what a library's own tokeniser wants.
            ids: the tokens of prompt and text, as `tokenizer` reads them.
            purpose: what the texts are for.
        """


def use_threads(threads: int | None) -> None:
    """Have torch compute in so many threads; None leaves its own choice.

    Raises:
        ModuleNotFoundError: there is no torch.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
