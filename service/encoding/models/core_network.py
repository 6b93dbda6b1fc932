"""BERT-family models on the core's own Transformer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attention.transformer import load
from service.encoding.models.computation import Computation
from service.encoding.models.network import Precision, RunsOn
from service.encoding.texts import Purpose
from service.encoding.tokens.tokenizer_file import load_tokenizer


class CoreNetwork:
    """A sentence encoder on `attention.transformer`; a `Network`.

    Attributes:
        model: the layers in NumPy and float32, which `attention.transformer.trace` can look into.
    """

    runs_on: RunsOn = "attention/transformer"
    batched = True  # packed sequences have no padding, and none notices its neighbours

    def __init__(self, directory: Path, precision: Precision, threads: int | None = None) -> None:
        """Load the model in a directory.

        Raises:
            ModelUnusable: the precision is not one that it is computed in.
            UnsupportedModelError: it is of another kind than the core computes, or its tokeniser is.
            CheckpointError: a file, field or tensor is missing or wrong.
        """
        checkpoint = load(directory)
        self.precision: Precision = precision
        self.model = checkpoint.model
        self.dimension = checkpoint.model.dimension
        self.tokenizer = load_tokenizer(directory, checkpoint.max_tokens)
        # As sentence-transformers has it: a prompt is used where it goes by the purpose's own name.
        self._prompts = checkpoint.prompts
        self._compute = Computation(checkpoint.model, precision, threads)

    def prompt(self, purpose: Purpose) -> str:
        """What goes in front of a text."""
        return self._prompts.get(purpose, "")

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """One batch of n texts, of which only the tokens count → float32 [n, d]."""
        return self._compute(np.concatenate(ids), np.asarray([len(text) for text in ids]))
