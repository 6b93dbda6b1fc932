"""Cross-encoders in memory, which turn a query and a document into one logit: on the core, or by the library."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from softkv_attention.transformer import UnsupportedModelError, load_cross_encoder
from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.models.core_network import Computation, compute_closely
from softkv_service.encoding.models.declaration import ONE_LABEL
from softkv_service.encoding.models.library_network import (
    PROBES,
    check_longest,
    ignores_neighbours,
    library_tokenizer,
    load_by_library,
    try_probes,
)
from softkv_service.encoding.models.network import Kind, Precision, RunsOn
from softkv_service.encoding.models.tokenizer_classes import copy_of, load_tokenizer
from softkv_service.encoding.tokens import SPARE, ModelTokenizer

PAIRS_AT_ONCE = 256  # the tokens of more pairs than that need not be in memory together
BATCH_TOKENS, BATCH_PAIRS = 2048, 32
SHORTENED = {"only_first": "query", "only_second": "document"}
"""The text of a pair that loses tokens, by a tokeniser's strategy; by others it is the longer one."""


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
        refused: why the model cannot read a pair, by its index; its logit is 0.
    """

    values: NDArray[np.float32]
    token_counts: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    refused: dict[int, str]


WITHOUT_TOKENS = "both texts are empty for this model, which adds no tokens of its own: leave the pair out"
SCORE_TOLERANCE = 1e-3
"""In int16, the largest error of a probe's score; beyond it, the model is computed in float32."""
PROBE_PAIRS = [Pair(topic.question, topic.text) for topic in TOPICS[:3]]
PROBE_PAIRS += [Pair(text, other) for text, other in itertools.product(PROBES[-3:], repeat=2)]


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
        batched: whether pairs are computed together; if that would change their logits, each is computed alone.
        max_tokens: how many tokens of a pair it reads, special ones included.
    """

    kind: Kind
    runs_on: RunsOn
    precision: Precision
    tokenizer: ModelTokenizer
    batched: bool
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
    batched = True  # sequences are not padded

    def __init__(self, directory: Path, precision: Precision, threads: int | None, activation: str) -> None:
        """Load the model in a directory; arguments are those of `load_pair_network`.

        Raises:
            ModelUnusable: the model cannot run in this precision.
            UnsupportedModelError: the core does not compute this kind of model or tokeniser.
            CheckpointError: a file, field or tensor is missing or invalid.
        """
        checkpoint = load_cross_encoder(directory)
        model = checkpoint.model
        self.max_tokens = checkpoint.max_tokens
        self._prompt = checkpoint.prompt
        tokenizer = load_tokenizer(checkpoint.folder, checkpoint.max_tokens, len(model.embeddings.tokens))
        self.tokenizer = tokenizer
        # A copy, because the one for single texts does not truncate, and may run meanwhile.
        self._pairs = copy_of(tokenizer.library)
        self._pairs.enable_truncation(self.max_tokens, direction=tokenizer.truncation_side)
        self._has_types = checkpoint.has_types and tokenizer.tells_types
        types = model.embeddings.types
        if self._has_types and types is not None and max(tokenizer.library.encode("a", "b").type_ids) >= len(types):
            raise UnsupportedModelError(f"{checkpoint.folder}: its tokeniser has more types than the model")

        def score(compute: Computation) -> NDArray[np.float64]:
            self._compute = compute
            logits = self.logits(PROBE_PAIRS).values.astype(np.float64)
            return 1 / (1 + np.exp(-logits)) if activation == "Sigmoid" else logits

        def agree(one: Computation, other: Computation) -> bool:
            return bool((np.abs(score(one) - score(other)) <= SCORE_TOLERANCE).all())

        self._compute = compute_closely(model, precision, threads, agree)
        self.precision: Precision = self._compute.precision

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters, as they are computed with."""
        return self._compute.memory_bytes

    def logits(self, pairs: Sequence[Pair]) -> Logits:
        """Return the logits of n ≥ 1 pairs, in order; neighbours do not change a logit."""
        parts = [self._logits(pairs[start : start + PAIRS_AT_ONCE]) for start in range(0, len(pairs), PAIRS_AT_ONCE)]
        values, counts, truncated = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Logits(values, counts, truncated, dict.fromkeys(np.flatnonzero(counts == 0).tolist(), WITHOUT_TOKENS))

    def _logits(self, pairs: Sequence[Pair]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        encodings = self._read(pairs)
        lengths = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
        values = np.zeros(len(pairs), np.float32)
        # The longest first: pairs of similar length are computed together, and those without tokens are left out.
        order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
        batches = np.split(order, np.flatnonzero(np.diff(np.cumsum(lengths[order]) // BATCH_TOKENS)) + 1)
        for batch in filter(len, batches):
            tokens = np.concatenate([np.asarray(encodings[i].ids, np.int64) for i in batch])
            types = np.concatenate([np.asarray(encodings[i].type_ids, np.int64) for i in batch])
            values[batch] = self._compute(tokens, lengths[batch], types if self._has_types else None)[:, 0]
        return values, lengths, np.array([bool(encoding.overflowing) for encoding in encodings])

    def _read(self, pairs: Sequence[Pair]) -> list[Encoding]:
        pairs = [Pair(self._prompt + query, document) for query, document in pairs]
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
        self.tokenizer = library_tokenizer(self._model, directory, of_pairs=True)
        self._lock = Lock()  # the model's tokeniser keeps its truncation as state, so one call at a time
        self.precision: Precision = precision
        if self._model.num_labels != 1:
            raise ModelUnusable(
                f"the model in {directory} has {self._model.num_labels} labels, and a reranker has one: {ONE_LABEL}"
            )
        assert self.tokenizer.max_tokens is not None  # only a static model reads all tokens
        self.max_tokens = self.tokenizer.max_tokens
        prompt: str = self._model.prompts.get(self._model.default_prompt_name) or ""
        # In a chat template, the prompt is a message of its own.
        self._reads_chats = "message" in self._model[0].modality_config
        self._prefix, self._prompt = ("", prompt) if self._reads_chats else (prompt, "")
        text_options = self._model[0].processing_kwargs.get("text", {})
        self._shortened: str | None = SHORTENED.get(text_options.get("truncation"))
        self.batched = True
        try_probes(self._read, PROBE_PAIRS[:1], directory, "a pair of texts", 1)
        half = "a " * (self.max_tokens // 2 + 1)
        check_longest(self._model, [half, half], directory, self.max_tokens)
        try_probes(self._read, PROBE_PAIRS, directory, "a pair of texts", 1)
        self.batched = ignores_neighbours(self._read, PROBE_PAIRS, precision)

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self._model.parameters())

    def logits(self, pairs: Sequence[Pair]) -> Logits:
        """Return the logits of n ≥ 1 pairs, in order; neighbours change a logit by rounding only."""
        from torch.nn import Identity

        pairs = cut_pairs(self.tokenizer, [Pair(self._prefix + query, document) for query, document in pairs])
        with self._lock:
            counts = self._count(pairs)
            refused = dict.fromkeys(np.flatnonzero(counts == 0).tolist(), WITHOUT_TOKENS)
            if self._shortened is not None and (counts > self.max_tokens).any():
                fixed = self._count([pair._replace(**{self._shortened: ""}) for pair in pairs])
                too_long = (counts > self.max_tokens) & (fixed >= self.max_tokens)
                refused |= dict.fromkeys(np.flatnonzero(too_long).tolist(), self._without_room())
            texts = [list(pair) for i, pair in enumerate(pairs) if i not in refused]
            values = np.zeros(len(pairs), np.float32)
            if texts:
                values[[i for i in range(len(pairs)) if i not in refused]] = self._model.predict(
                    texts,
                    prompt=self._prompt,
                    activation_fn=Identity(),
                    batch_size=BATCH_PAIRS if self.batched else 1,
                    show_progress_bar=False,
                )
        return Logits(values, np.minimum(counts, self.max_tokens), counts > self.max_tokens, refused)

    def _read(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        return self.logits(pairs).values[:, None]

    def _count(self, pairs: Sequence[Pair]) -> NDArray[np.int64]:
        """Return the tokens of n pairs, int64 [n], if none were cut off."""
        options = {
            "text": {"truncation": False, "padding": False, "verbose": False},
            "common": {"return_tensors": None},
        }
        tokens = self._model.preprocess([list(pair) for pair in pairs], prompt=self._prompt, processing_kwargs=options)
        return np.array([len(ids) for ids in tokens["input_ids"]], np.int64)

    def _without_room(self) -> str:
        long_text = "document" if self._shortened == "query" else "query"
        return (
            f"the {long_text} alone has more tokens than the {self.max_tokens} that the model reads of a pair, and its "
            f"folder lets it cut the {self._shortened} only: send a shorter {long_text}"
        )


def load_pair_network(directory: Path, precision: Precision, threads: int | None, activation: str) -> PairNetwork:
    """Load a cross-encoder on softkv's own Transformer if possible, else on sentence-transformers.

    Args:
        directory: the folder.
        precision: the number format of the arithmetic; float32 in place of int16 if that is not exact enough.
        threads: the limit of threads; None for all cores.
        activation: the name in torch.nn of the function from a logit to a score.

    Raises:
        LibraryMissing: the model needs a library that this installation leaves out.
        ModelUnusable: the model cannot be loaded, or has not one logit.
        CheckpointError: a file, field or tensor is missing or invalid.
    """
    try:
        return CorePairNetwork(directory, precision, threads, activation)
    except UnsupportedModelError as error:
        precision = "float32" if precision == "int16" else precision
        return LibraryPairNetwork(directory, precision, threads, reason=str(error))
