"""Cross-encoders in memory, which turn a query and a document into one logit: on the core, or by the library."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from attention.transformer import UnsupportedModelError, arrays, load_cross_encoder
from service.encoding.errors import ModelUnusable
from service.encoding.models.core_network import Computation
from service.encoding.models.declaration import ONE_LABEL
from service.encoding.models.library_network import library_tokenizer, load_by_library
from service.encoding.models.network import Kind, Precision, RunsOn
from service.encoding.models.tokenizer_classes import load_tokenizer
from service.encoding.tokens import SPARE, ModelTokenizer

PAIRS_AT_ONCE = 256  # the tokens of more pairs than that need not be in memory together
BATCH_TOKENS, BATCH_PAIRS = 2048, 32


class Pair(NamedTuple):
    """Two texts that a cross-encoder reads together."""

    query: str
    document: str


class Logits(NamedTuple):
    """The logits of n pairs.

    Attributes:
        values: float32 [n]
        token_counts: int64 [n], the tokens that the model read of each pair, special ones included.
        truncated: bool [n], whether it read fewer than the pair has.
    """

    values: NDArray[np.float32]
    token_counts: NDArray[np.int64]
    truncated: NDArray[np.bool_]


def cut_pairs(tokenizer: ModelTokenizer, pairs: Sequence[Pair]) -> list[Pair]:
    """Return pairs of which the model reads the same tokens, without the ends of texts that it does not reach.

    A tokeniser that truncates a pair keeps every piece of the one text beside every piece of the other. So their number
    would grow with the square of the length. Which of two texts is longer stays, since truncation depends on it.

    Args:
        tokenizer: the model's tokeniser, which has a limit of tokens.
        pairs: n ≥ 1 pairs.
    """
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    totals = dict(zip(texts, tokenizer.read(texts).total.tolist(), strict=True))
    return [_cut(tokenizer, pair, totals) for pair in pairs]


def cut_pair(tokenizer: ModelTokenizer, pair: Pair) -> Generator[None, None, Pair]:
    """Return what `cut_pairs` does of a pair of long texts. Yield after a slice of a text."""
    totals: dict[str, int] = {}
    for text in pair:
        totals[text], _ = yield from tokenizer.count(text)
    return _cut(tokenizer, pair, totals)


def _cut(tokenizer: ModelTokenizer, pair: Pair, totals: Mapping[str, int]) -> Pair:
    limit = tokenizer.max_tokens
    assert limit is not None

    def cut(text: str, other: str) -> str:
        tokens = limit + SPARE * (totals[text] > totals[other])
        return tokenizer.excerpt(text, tokens) if totals[text] > tokens else text

    return Pair(cut(pair.query, pair.document), cut(pair.document, pair.query))


class PairNetwork(Protocol):
    """A cross-encoder in memory, with its tokeniser; any thread may call it.

    Attributes:
        kind, runs_on, precision: as those of a `Network`.
        tokenizer: its tokeniser for single texts.
        max_tokens: how many tokens of a pair it reads, special ones included.
    """

    kind: Kind
    runs_on: RunsOn
    precision: Precision
    tokenizer: ModelTokenizer
    max_tokens: int

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters."""

    def logits(self, pairs: Sequence[Pair]) -> Logits:
        """Return the logits of n ≥ 1 pairs, in order; in a pair that is too long, the longer text loses tokens."""


class CorePairNetwork:
    """A cross-encoder that softkv's own Transformer computes; a `PairNetwork`."""

    kind: Kind = "core"
    runs_on: RunsOn = "attention/transformer"

    def __init__(self, directory: Path, precision: Precision, threads: int | None = None) -> None:
        """Load the model in a directory.

        Raises:
            ModelUnusable: the model cannot run in this precision.
            UnsupportedModelError: the core does not compute this kind of model or tokeniser.
            CheckpointError: a file, field or tensor is missing or invalid.
        """
        checkpoint = load_cross_encoder(directory)
        self.precision: Precision = precision
        self.model = checkpoint.model
        self.max_tokens = checkpoint.max_tokens
        tokenizer = load_tokenizer(checkpoint.folder, checkpoint.max_tokens, len(self.model.embeddings.tokens))
        self.tokenizer = tokenizer
        self._pairs = Tokenizer.from_str(
            tokenizer.library.to_str()
        )  # the other does not truncate, and may run meanwhile
        self._pairs.enable_truncation(self.max_tokens, direction=tokenizer.truncation_side)
        self._has_types = checkpoint.has_types and tokenizer.tells_types
        types = self.model.embeddings.types
        if self._has_types and types is not None and max(tokenizer.library.encode("a", "b").type_ids) >= len(types):
            raise UnsupportedModelError(f"{checkpoint.folder}: its tokeniser has more types than the model")
        self._compute = Computation(self.model, precision, threads)

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters, and of the copy of its layers that is packed for the kernels."""
        size = sum(int(array.nbytes) for _, array in arrays(self.model))
        return size + sum(int(array.nbytes) for _, array in arrays(self.model.encoder) if self._compute.packs)

    def logits(self, pairs: Sequence[Pair]) -> Logits:
        """Return the logits of n ≥ 1 pairs, in order; neighbours do not change a logit."""
        parts = [self._logits(pairs[start : start + PAIRS_AT_ONCE]) for start in range(0, len(pairs), PAIRS_AT_ONCE)]
        return Logits(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _logits(self, pairs: Sequence[Pair]) -> Logits:
        encodings = self._read(pairs)
        lengths = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
        values = np.empty(len(pairs), np.float32)
        # The longest first: pairs of similar length are computed together.
        order = np.argsort(-lengths, kind="stable")
        batches = np.split(order, np.flatnonzero(np.diff(np.cumsum(lengths[order]) // BATCH_TOKENS)) + 1)
        for batch in batches:
            tokens = np.concatenate([np.asarray(encodings[i].ids, np.int64) for i in batch])
            types = np.concatenate([np.asarray(encodings[i].type_ids, np.int64) for i in batch])
            values[batch] = self._compute(tokens, lengths[batch], types if self._has_types else None)[:, 0]
        return Logits(values, lengths, np.array([bool(encoding.overflowing) for encoding in encodings]))

    def _read(self, pairs: Sequence[Pair]) -> list[Encoding]:
        return self._pairs.encode_batch(cut_pairs(self.tokenizer, pairs))


class LibraryPairNetwork:
    """A cross-encoder that sentence-transformers computes; a `PairNetwork`."""

    kind: Kind = "library"
    runs_on: RunsOn = "sentence-transformers"

    def __init__(self, directory: Path, precision: Precision, threads: int | None = None, *, reason: str) -> None:
        """Load the model in a directory, without a download.

        Args:
            directory: the folder.
            precision: the number format of the arithmetic.
            threads: the limit of threads; None for all cores.
            reason: why softkv does not compute the model itself, with the file and the field, for errors.

        Raises:
            LibraryMissing: sentence-transformers or torch is not installed.
            ModelUnusable: sentence-transformers cannot load the model, or the model has not one logit, or its tokeniser
                is not of the tokenizers library.
        """
        self._model: Any = load_by_library(directory, precision, threads, reason, "CrossEncoder")
        self.tokenizer = library_tokenizer(self._model, directory)
        self._lock = Lock()  # the model's tokeniser keeps its truncation as state, so one call at a time
        self.precision: Precision = precision
        if self._model.num_labels != 1:
            raise ModelUnusable(
                f"the model in {directory} has {self._model.num_labels} labels, and a reranker has one: {ONE_LABEL}"
            )
        assert self.tokenizer.max_tokens is not None  # only a static model reads all tokens
        self.max_tokens = self.tokenizer.max_tokens

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self._model.parameters())

    def logits(self, pairs: Sequence[Pair]) -> Logits:
        """Return the logits of n ≥ 1 pairs, in order; neighbours change a logit by rounding only."""
        from torch.nn import Identity

        texts = [list(pair) for pair in cut_pairs(self.tokenizer, pairs)]
        queries, documents = map(list, zip(*texts, strict=True))
        with self._lock:
            values = self._model.predict(
                texts, activation_fn=Identity(), batch_size=BATCH_PAIRS, show_progress_bar=False
            )
            ids = self._model.tokenizer(queries, documents, verbose=False)["input_ids"]
        counts = np.array([len(tokens) for tokens in ids], dtype=np.int64)
        return Logits(np.asarray(values, np.float32), np.minimum(counts, self.max_tokens), counts > self.max_tokens)


def load_pair_network(directory: Path, precision: Precision, threads: int | None = None) -> PairNetwork:
    """Load a cross-encoder on softkv's own Transformer if possible, else on sentence-transformers.

    Raises:
        LibraryMissing: the model needs a library that this installation leaves out.
        ModelUnusable: the model cannot be loaded, or has not one logit.
        CheckpointError: a file, field or tensor is missing or invalid.
    """
    try:
        return CorePairNetwork(directory, precision, threads)
    except UnsupportedModelError as error:
        return LibraryPairNetwork(directory, precision, threads, reason=str(error))
