"""Models of other kinds, as sentence-transformers computes them, on the core's attention where they allow it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from attention.errors import AttentionError
from service.encoding.core_attention import CoreAttention
from service.encoding.errors import ModelError
from service.encoding.network import Precision, RunsOn
from service.encoding.texts import Purpose
from service.encoding.tokens import ModelTokenizer
from service.encoding.topics import TOPICS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PROBES = [topic.text for topic in TOPICS[:4]] + ["short", ""]
# How far the core's attention may move a vector, of its length: as far as rounding does.
TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 3e-2}


class LibraryNetwork:
    """A model of sentence-transformers; a `Network`."""

    def __init__(self, directory: Path, precision: Precision) -> None:
        """Load the model in a directory, without asking the network.

        Raises:
            ModelError: sentence-transformers cannot load it, or it does not say what is needed.
        """
        self._model = _load(directory, precision)
        self._lock = Lock()  # the model's tokeniser keeps its truncation as state, so one call at a time
        self.precision: Precision = precision
        self.dimension = _required(self._model.get_embedding_dimension(), directory, "width")
        self.tokenizer = _tokenizer(self._model, directory)
        on_core = self._use_core_attention()
        self.runs_on: RunsOn = "sentence-transformers with attention" if on_core else "sentence-transformers"

    def prompt(self, purpose: Purpose) -> str:
        """What goes in front of a text."""
        return self._model.prompts.get(purpose) or ""

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """One batch of n texts, which the library tokenises itself → float32 [n, d]."""
        run = self._model.encode_query if purpose == "query" else self._model.encode_document
        with self._lock:
            vectors = run(list(texts), prompt=self.prompt(purpose), batch_size=len(texts), show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def _use_core_attention(self) -> bool:
        """Put the core's attention into the model, and leave it there if the vectors stay the same."""
        layers = self._model.transformers_model
        if layers is None:
            return False
        wanted, usual, attention = (
            self.embed(PROBES, [], "document"),
            layers.config._attn_implementation,
            CoreAttention(),
        )
        try:
            if attention.install(layers):
                given = self.embed(PROBES, [], "document")
                distance = np.linalg.norm(given - wanted, axis=1).max() / np.linalg.norm(wanted, axis=1).max()
                if attention.calls and distance <= TOLERANCES[self.precision]:
                    return True
        except (AttentionError, RuntimeError, TypeError):
            pass  # it asks for something that the core's attention has not got, and keeps its own
        layers.set_attn_implementation(usual)
        return False


def _load(directory: Path, precision: Precision) -> SentenceTransformer:
    # Seconds to import, so only a process that needs the library pays for it.
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shows_progress = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    try:
        return SentenceTransformer(str(directory), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype})
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    ) as error:
        raise ModelError(f"the model in {directory} cannot be loaded: {error}") from error
    finally:
        if shows_progress:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _tokenizer(model: SentenceTransformer, directory: Path) -> ModelTokenizer:
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"the model in {directory} has no tokeniser of the tokenizers library inside transformers, which "
            "softkv counts tokens with: name another model"
        )
    return ModelTokenizer(
        Tokenizer.from_str(backend.to_str()),  # a copy: the library keeps its own truncation in the other
        max_tokens=int(_required(model.max_seq_length, directory, "longest text")),
        unknown_token=model.tokenizer.unk_token_id,
        truncation_side=model.tokenizer.truncation_side,
    )


def _required(value: int | None, directory: Path, what: str) -> int:
    if value is None:
        raise ModelError(f"the model in {directory} does not say its {what}: name another model")
    return value
