"""Models of other kinds, as sentence-transformers computes them, on the core's attention where they allow it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attention.errors import AttentionError
from service.encoding.errors import LibraryMissing, ModelUnusable
from service.encoding.models.core_attention import CoreAttention
from service.encoding.models.network import Precision, RunsOn
from service.encoding.models.torch_threads import use_threads
from service.encoding.texts import PURPOSES, Purpose
from service.encoding.tokens.library_tokenizer import library_tokenizer
from service.encoding.topics import TOPICS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Texts of unlike lengths, so that all but the longest are padded when they run together.
PROBES = [topic.text for topic in TOPICS[:3]] + [" ".join(topic.text for topic in TOPICS[:3]), "short", ""]
# How far the core's attention may move a vector, of its length: as far as rounding does.
TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 3e-2}
# How far its neighbours in a batch may move a vector, of its length. In float32 rounding moves it by up to 2e-6, and
# padding that counts by more than 1e-1. In bfloat16 one rounding is 4e-3; padding on the right moves nothing at all.
DEPENDENCE: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 4e-3}


class LibraryNetwork:
    """A model of sentence-transformers; a `Network`."""

    def __init__(self, directory: Path, precision: Precision, threads: int | None = None) -> None:
        """Load the model in a directory, without asking the network.

        Raises:
            LibraryMissing: sentence-transformers is not installed, or torch.
            ModelUnusable: sentence-transformers cannot load it or encode a text with it, or it does not say what is
                needed.
        """
        self._model = _load(directory, precision, threads)
        self._lock = Lock()  # the model's tokeniser keeps its truncation as state, so one call at a time
        self.precision: Precision = precision
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelUnusable(f"the model in {directory} does not say its width: name another model")
        self.dimension: int = dimension
        self.tokenizer = library_tokenizer(self._model, directory)
        self._try(directory)
        on_core = self._use_core_attention()
        self.runs_on: RunsOn = "sentence-transformers with attention" if on_core else "sentence-transformers"
        self.batched = all(self._ignores_neighbours(purpose) for purpose in PURPOSES)

    def prompt(self, purpose: Purpose) -> str:
        """What goes in front of a text."""
        return self._model.prompts.get(purpose) or ""

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """One batch of n texts, which the library tokenises itself → float32 [n, d]."""
        run = self._model.encode_query if purpose == "query" else self._model.encode_document
        with self._lock:
            vectors = run(list(texts), prompt=self.prompt(purpose), batch_size=len(texts), show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def _try(self, directory: Path) -> None:
        """Encode a text for each purpose: modules that load need not fit together."""
        for purpose in PURPOSES:
            try:
                vectors = self.embed(PROBES[:1], [], purpose)
            except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
                raise ModelUnusable(
                    f"the model in {directory} loads, but gives no vector of a {purpose} "
                    f"({type(error).__name__}: {error}): its modules.json must end in one vector a text, "
                    "as a Transformer and a Pooling do"
                ) from error
            if vectors.shape != (1, self.dimension) or not np.isfinite(vectors).all():
                raise ModelUnusable(
                    f"the model in {directory} must give {self.dimension} finite numbers of a {purpose}, "
                    f"got {vectors.shape[-1]}, {np.isfinite(vectors).sum()} of them finite: name another model"
                )

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

    def _ignores_neighbours(self, purpose: Purpose) -> bool:
        """Whether texts of unlike lengths have the same vectors together as alone."""
        together = self.embed(PROBES, [], purpose)
        alone = np.concatenate([self.embed([text], [], purpose) for text in PROBES])
        distance = np.linalg.norm(together - alone, axis=1)
        return bool((distance <= DEPENDENCE[self.precision] * np.linalg.norm(alone, axis=1)).all())


def _load(directory: Path, precision: Precision, threads: int | None) -> SentenceTransformer:
    # Seconds to import, so only a process that needs the library pays for it.
    try:
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ModuleNotFoundError as error:
        raise LibraryMissing(
            f"the model in {directory} is computed by sentence-transformers and torch, and this installation has no "
            f"{error.name}: take all-MiniLM-L6-v2 or another of the BERT family, or an installation with both, as the "
            "image that is built without SLIM"
        ) from error

    use_threads(threads)
    shows_progress = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    try:
        model = SentenceTransformer(str(directory), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype})
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
        raise ModelUnusable(f"the model in {directory} cannot be loaded: {error}") from error
    finally:
        if shows_progress:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    # A static model comes in the precision it was saved in, whatever is asked for.
    return model if model.transformers_model is not None else model.to(dtype)
