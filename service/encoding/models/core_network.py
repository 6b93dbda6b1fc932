"""Models of the BERT family on the core's own Transformer: tokeniser, computation and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from attention.kernels import transformer_ready
from attention.transformer import (
    CheckpointError,
    Compiled,
    Config,
    SentenceEncoder,
    UnsupportedModelError,
    compiles,
    load,
    modules,
    unfit_precision,
)
from service.encoding.errors import ModelUnusable
from service.encoding.models.network import Precision, RunsOn, use_threads
from service.encoding.texts import Purpose
from service.encoding.tokens import ModelTokenizer

# What tokenizer_config.json calls a setting of BERT's normaliser, and what tokenizer.json does.
NORMALISER_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def load_tokenizer(directory: Path, max_tokens: int) -> ModelTokenizer:
    """The tokeniser of the sentence encoder in a directory.

    Raises:
        UnsupportedModelError: it is not in a tokenizer.json, or the other files change what that one does.
        CheckpointError: a file is damaged.
    """
    folder, _, _ = modules(directory)
    path = folder / "tokenizer.json"
    if not path.exists():
        raise UnsupportedModelError(f"the tokenizer must be in {path}, there is none")
    described = Config.read(path).fields
    try:
        library = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more particular
        raise CheckpointError(f"{path} must hold a tokenizer, got a damaged one ({error})") from error
    config = Config.optional(folder / "tokenizer_config.json")
    Config.optional(folder / "sentence_bert_config.json").only("do_lower_case", False)
    config.only("truncation_side", "right")
    _check_normaliser(config, described.get("normalizer") or {})
    _check_added_tokens(config, library)
    unknown_token = _unknown_token(config, described["model"], library)
    tokenizer = ModelTokenizer(library, max_tokens=max_tokens, unknown_token=unknown_token)
    if not tokenizer.before + tokenizer.after:
        raise UnsupportedModelError(f"{path} must put special tokens around a text, or the empty text has none at all")
    return tokenizer


def _check_normaliser(config: Config, normaliser: Mapping[str, Any]) -> None:
    """Refuse a config that says other things of the same normaliser: transformers would follow the config."""
    if normaliser.get("type") != "BertNormalizer":
        return
    for name, own in NORMALISER_SETTINGS.items():
        config.only(name, normaliser.get(own))


def _check_added_tokens(config: Config, library: Tokenizer) -> None:
    added: Mapping[str, Any] = config.fields.get("added_tokens_decoder") or {}
    for number, token in added.items():
        if library.token_to_id(token["content"]) != int(number):
            raise UnsupportedModelError(f"{config.source} adds {token['content']!r}, which the tokenizer lacks")


def _unknown_token(config: Config, model: Mapping[str, Any], library: Tokenizer) -> int | None:
    name = config.fields.get("unk_token") or model.get("unk_token")
    name = name["content"] if isinstance(name, dict) else name
    return library.token_to_id(name) if isinstance(name, str) else None


MIN_FILL = 0.8
"""How much of a sequence is text at least where it is padded."""

Compute = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""


class Computation:
    """The fastest there is at the moment; any thread may call it.

    What stands in for machine code computes in float32, whatever the precision is: more exactly than was asked for.

    Args:
        model: with arrays of NumPy.
        precision: of the machine code.
        threads: at most so many work on one batch; None for all cores.

    Raises:
        ModelUnusable: bfloat16 of a model that there is no machine code for, or where it is slower than float32.
    """

    def __init__(self, model: SentenceEncoder, precision: Precision, threads: int | None) -> None:
        self._model = model
        self._precision = precision
        self._threads = threads
        self._compiles = compiles(model)
        if precision != "float32" and not self._compiles:
            raise ModelUnusable(
                f"{precision} was asked for, and this model is computed in float32 alone: softkv's machine code, which "
                "has both, is for layers that normalise last and heads whose width is a multiple of 32, where numba is "
                "installed: say PRECISION=float32"
            )
        if self._compiles and (reason := unfit_precision(precision)) is not None:
            raise ModelUnusable(f"{reason}: say PRECISION=float32")
        self._lock = Lock()
        self._settled: Compute | None = None

    def __call__(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""
        compute = self._settled or self._now()
        return compute(tokens, lengths)

    def _now(self) -> Compute:
        with self._lock:
            if self._settled is None:
                if not self._compiles:
                    self._settled = _without_machine_code(self._model, self._threads)
                elif transformer_ready():
                    self._settled = Compiled(self._model, self._precision, threads=self._threads)
            return self._settled or partial(embed_by_definition, self._model)


def _without_machine_code(model: SentenceEncoder, threads: int | None) -> Compute:
    try:
        use_threads(threads)
        from attention.transformer import Packed
    except ModuleNotFoundError:
        return partial(embed_by_definition, model)
    return Packed(model)


def embed_by_definition(
    model: SentenceEncoder, tokens: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The same without any library, slowly: neighbours of like length are padded to the first of them."""
    ends, embeddings, start = np.cumsum(lengths), list[NDArray[np.float32]](), 0
    while start < len(lengths):
        longest = lengths[start]
        unlike = (lengths[start:] > longest) | (lengths[start:] < MIN_FILL * longest)
        stop = start + int(unlike.argmax()) if unlike.any() else len(lengths)
        padded = np.zeros((stop - start, longest), dtype=np.int64)
        padded[np.arange(longest) < lengths[start:stop, None]] = tokens[ends[start] - longest : ends[stop - 1]]
        embeddings.append(model(padded, lengths[start:stop]))
        start = stop
    return np.concatenate(embeddings)


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
