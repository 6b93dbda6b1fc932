"""Text → vectors, by a sentence encoder on this machine."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.encoding.background import Background
from service.encoding.batches import token_batches
from service.encoding.decoding import TokenDecoder
from service.encoding.encoded import Encoded
from service.encoding.errors import ModelError
from service.encoding.spans import SpanReader, Token
from service.encoding.texts import Purpose, check_texts
from service.encoding.tokens import TokenCounter

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH_TOKENS = 2048  # measured: 512 to 4096 are alike, beyond that padding and caches cost a third


class Encoder:
    """A sentence encoder, held in memory; loading it blocks, and `encode` may be called from any thread.

    Attributes:
        name: what collections record, so that they are never asked in another model's vectors.
        dimension: the width d of a vector.
        precision: the number format of the arithmetic.
        max_tokens: how many tokens of a text the model reads, special ones included.
        created: when its files came to this machine, in seconds of Unix time.
        runs_on: whose code computes it.
        background: how similar a question and a text are that have nothing to do with each other.
    """

    precision = "float32"
    runs_on = "sentence-transformers"

    def __init__(self, name: str, directory: Path, *, threads: int | None = None) -> None:
        """Load the model that lies in `directory`, without any network.

        Args:
            name: the name it goes by.
            directory: a sentence-transformers model on disk.
            threads: cores for the arithmetic, for the whole process as torch has it; None leaves torch's.

        Raises:
            ModelError: the directory does not hold a model that this can load.
        """
        self.name = name
        self.created = int((directory / "modules.json").stat().st_mtime)
        self._model = _load(directory, threads)
        self._lock = Lock()  # the model's tokeniser keeps its truncation as state, so one call at a time
        self._tokens = _token_counter(self._model, directory)
        self.dimension = _required(self._model.get_embedding_dimension(), directory, "width")
        self.max_tokens = int(_required(self._model.max_seq_length, directory, "longest text"))
        self._spans = SpanReader(self._model.tokenizer.backend_tokenizer, self.max_tokens)
        self.decoder = TokenDecoder(self._model.tokenizer.backend_tokenizer, name)
        self._prompts = _prompts(self._model)
        self.background = Background.measure(lambda texts, purpose: self.encode(texts, purpose).vectors)

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order; a vector does not depend on its neighbours by more than 1e-6.

        Any Unicode text has an answer, the empty one too: the vector of the special tokens alone.

        Raises:
            TextError: a text has a lone surrogate; nothing is encoded.
        """
        check_texts(texts)
        prompt = self._prompts[purpose]
        with self._lock:
            counts = self._tokens.count([prompt + text for text in texts])
            vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
            for batch in token_batches(np.minimum(counts.total, self.max_tokens), BATCH_TOKENS):
                vectors[batch] = self._embed([texts[i] for i in batch], purpose)  # [batch, d]
        return Encoded(vectors, counts.total, counts.total > self.max_tokens, counts.unknown)

    def tokens(self, texts: Sequence[str], purpose: Purpose) -> list[list[Token]]:
        """The tokens that the model reads of each text, in order.

        Raises:
            TextError: a text has a lone surrogate.
        """
        check_texts(texts)
        return self._spans.read(texts, self._prompts[purpose])

    def _embed(self, texts: list[str], purpose: Purpose) -> NDArray[np.float32]:
        """One batch through the network: the only place that knows which library runs it."""
        run = self._model.encode_query if purpose == "query" else self._model.encode_document
        vectors = run(texts, prompt=self._prompts[purpose], batch_size=len(texts), show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def _load(directory: Path, threads: int | None) -> "SentenceTransformer":
    if threads is not None and threads < 1:
        raise ModelError(f"threads is {threads}: wanted at least 1, or None for torch's own choice")
    if not (directory / "modules.json").is_file():
        raise ModelError(
            f"{directory} has no modules.json, so it does not say how its vectors are pooled: "
            "name the directory of a sentence-transformers model"
        )
    # Seconds to import, so only a process that encodes pays for it.
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    if threads is not None:
        torch.set_num_threads(threads)
    shows_progress = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(
            str(directory), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32}
        )
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


def _prompts(model: "SentenceTransformer") -> dict[Purpose, str]:
    """The prompt of each purpose, by the names that sentence-transformers looks for."""
    names: dict[Purpose, tuple[str, ...]] = {
        "query": ("query",),
        "document": ("document", "passage", "corpus"),
    }
    return {
        purpose: next((model.prompts[name] or "" for name in candidates if name in model.prompts), "")
        for purpose, candidates in names.items()
    }


def _token_counter(model: "SentenceTransformer", directory: Path) -> TokenCounter:
    from tokenizers import Tokenizer

    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"the model in {directory} has no tokeniser of the tokenizers library inside transformers, which "
            "softkv counts tokens with: name another model"
        )
    return TokenCounter(backend, model.tokenizer.unk_token_id)


def _required(value: int | None, directory: Path, what: str) -> int:
    if value is None:
        raise ModelError(f"the model in {directory} does not say its {what}: name another model")
    return value
