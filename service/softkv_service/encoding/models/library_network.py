"""Models that sentence-transformers computes, with softkv's attention if the model's architecture allows it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from softkv_attention import attend, causal
from softkv_attention.errors import AttentionError, ParameterError
from softkv_attention.transformer import Config, UnsupportedModelError, check_weights, read_modules
from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.errors import LibraryMissing, ModelUnusable
from softkv_service.encoding.models.network import Kind, Precision, RunsOn, use_threads
from softkv_service.encoding.models.static_network import static_tokenizer
from softkv_service.encoding.texts import PURPOSES, Purpose
from softkv_service.encoding.tokens import ModelTokenizer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor
    from transformers import PreTrainedModel

ATTENTION_NAME = "softkv"
# Options of an attention function, by transformers' names, that `attend` does not support.
UNSUPPORTED_OPTIONS = ("softcap", "s_aux", "cache")


class CoreAttention:
    """An adapter by which transformers calls `attend` of the core as its attention function. It counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def install(self, layers: PreTrainedModel) -> bool:
        """Make this object the attention of a model; return False if the architecture does not allow that."""
        from transformers import AttentionInterface
        from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
        from transformers.utils import logging as library_logging

        AttentionInterface.register(ATTENTION_NAME, self)
        AttentionMaskInterface.register(ATTENTION_NAME, sdpa_mask)
        verbosity = library_logging.get_verbosity()
        # A model that rejects the change would log a warning, which the code below makes superfluous.
        library_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            layers.set_attn_implementation(ATTENTION_NAME)
        except (ValueError, ImportError):
            return False
        finally:
            library_logging.set_verbosity(verbosity)
        return bool(layers.config._attn_implementation == ATTENTION_NAME)

    def __call__(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        is_causal: bool | None = None,
        position_bias: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor]:
        """Return the output and the weights of every head.

        Args:
            module: the layer; groups of its heads may share keys and values.
            query: [b, n_heads, m, d_k]
            key, value: [b, n_groups, n, d_k]
            attention_mask: [b, 1, m, n], bool, True where a query may attend; or floats to add to the logits.
            scaling: the factor of the dot products; None for 1/√d_k.
            is_causal: used without a mask; None for the module's setting.
            position_bias: floats to add to the logits.
            options: all others; those in `UNSUPPORTED_OPTIONS` must be None.

        Returns:
            the output [b, m, n_heads, d_k] and the weights [b, n_heads, m, n].

        Raises:
            ParameterError: the model uses an option that `attend` does not support.
        """
        self.calls += 1
        for name in UNSUPPORTED_OPTIONS:
            if options.get(name) is not None:
                raise ParameterError(f"{name} is not computed by the core's attention")
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        mask, bias = None, position_bias
        if attention_mask is not None and attention_mask.dtype.is_floating_point:
            bias = attention_mask if bias is None else bias + attention_mask
        elif attention_mask is not None:
            mask = attention_mask
        elif getattr(module, "is_causal", True) if is_causal is None else is_causal:
            mask = causal(query.shape[2], key.shape[2], like=query)
        if scaling is not None:
            query = query * (scaling * query.shape[-1] ** 0.5)
        attended = attend(query, key, value, mask=mask, bias=bias)
        return attended.output.transpose(1, 2).contiguous(), attended.weights


def library_tokenizer(model: SentenceTransformer, directory: Path, *, of_pairs: bool = False) -> ModelTokenizer:
    """Return a copy of a model's tokeniser, because the original keeps the library's truncation as state.

    Args:
        model: the model.
        directory: its folder.
        of_pairs: whether it reads pairs of texts.

    Raises:
        ModelUnusable: the tokeniser is not from the tokenizers library, queries and documents have different tokenisers
            or limits, the model does not declare its limit of tokens, or its settings change what it reads of a text.
    """
    first = model[0]
    readers = [route[0] for route in getattr(first, "sub_modules", {}).values()] or [first]
    descriptions = {_describe(reader) for reader in readers}
    if len(descriptions) > 1:
        raise ModelUnusable(
            f"the model in {directory} reads questions and documents with unlike tokenisers or limits, wanted one, for "
            "softkv counts tokens and says which texts were cut: name another model"
        )
    if descriptions == {None}:
        if getattr(first, "tokenizer", None) is None:
            raise ModelUnusable(
                f"{directory / 'modules.json'} must begin with a module that reads texts, got {type(first).__name__}: "
                "list the modules in the order in which they compute"
            )
        raise ModelUnusable(
            f"the model in {directory} reads texts with {type(model.tokenizer).__name__}, wanted a tokeniser of the "
            "tokenizers library, which softkv counts tokens with: name another model"
        )
    if settings := ", ".join(
        dict.fromkeys(setting for reader in readers for setting in _other_settings(reader, of_pairs))
    ):
        raise ModelUnusable(
            f"the model in {directory} reads texts with settings of its own ({settings}), wanted each text as it is, "
            "with its special tokens and cut at one max_seq_length, for softkv counts tokens and says which texts were "
            "cut: leave them out of its sentence_bert_config.json, or name another model"
        )
    tokenizer = model.tokenizer
    if isinstance(tokenizer, Tokenizer):
        return static_tokenizer(tokenizer)
    if tokenizer.pad_token is None:
        raise ModelUnusable(
            f"the model in {directory} names no pad_token in its tokenizer_config.json, which sentence-transformers "
            "needs: name one there, such as its eos_token"
        )
    max_tokens = model.max_seq_length
    if max_tokens is None or max_tokens >= NO_LIMIT:
        raise ModelUnusable(
            f"the model in {directory} does not say its longest text: set model_max_length in its tokenizer_config.json"
        )
    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.encode_special_tokens = tokenizer.backend_tokenizer.encode_special_tokens  # which JSON lacks
    return ModelTokenizer(
        copy,
        max_tokens=int(max_tokens),
        unknown_token=tokenizer.unk_token_id,
        truncation_side=tokenizer.truncation_side,
    )


def _describe(reader: Any) -> tuple[bool, str, Any] | None:
    """Return the tokeniser of a module that reads texts, and facts about it; None for another library's tokeniser.

    Returns:
        Whether the module is a static model (which averages the vectors of tokens), its tokeniser as JSON, and its
        limit of tokens.
    """
    tokenizer = getattr(reader, "tokenizer", None)
    if isinstance(tokenizer, Tokenizer):
        return True, tokenizer.to_str(), None
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return (False, backend.to_str(), reader.max_seq_length) if isinstance(backend, Tokenizer) else None


def _other_settings(reader: Any, of_pairs: bool) -> Iterator[str]:
    """Yield the settings of a module that change which tokens of a text it reads, besides max_seq_length.

    They may hold for one purpose (queries or documents), for every call, or for the text of a chat.
    """
    for name in ("query_length", "document_length"):
        if (limit := getattr(reader, name, None)) is not None:
            yield f"{name} {limit}"
    for part, arguments in (getattr(reader, "processing_kwargs", None) or {}).items():
        for name, value in (arguments or {}).items():
            shortens = name == "truncation" and (value in TRUNCATIONS or (of_pairs and value == "only_second"))
            if name not in PADDING and not shortens:
                yield f"processing_kwargs.{part}.{name} {value}"
    if "message" in getattr(reader, "modality_config", {}) and not of_pairs:
        yield "modality_config.message, a chat template"


NO_LIMIT = 1e9
"""At this limit of tokens, a model has none: transformers writes 1e30 into a folder that does not say its limit."""
PADDING = ("padding", "padding_side", "pad_to_multiple_of")
TRUNCATIONS = (True, "longest_first", "only_first")
"""The ways in which a tokeniser may shorten a text that is too long."""

# Texts of different lengths: in a batch, all but the longest are padded.
PROBES = [topic.text for topic in TOPICS[:3]] + [" ".join(topic.text for topic in TOPICS[:3]), "short", ""]
# The largest change of a vector by the core's attention, relative to its length: the size of rounding errors.
TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 3e-2}
# The largest change of a vector by its neighbours in a batch, relative to its length. In float32, rounding changes it
# by up to 2e-6, and padding that the model attends to by more than 1e-1. In bfloat16, one rounding is 4e-3, and padding
# on the right changes nothing at all.
DEPENDENCE: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 4e-3}


Read = Callable[[Sequence[Any]], NDArray[np.float32]]
"""A function from n probes, texts or pairs of them, to float32 [n, d]."""
FAILURES = (LookupError, ValueError, TypeError, AttributeError, RuntimeError)
"""The errors of a model of the library for a text that it cannot read."""


def try_probes(read: Read, probes: Sequence[Any], directory: Path, kind: str, dimension: int) -> None:
    """Raise unless a model reads each probe alone. Its modules may load and still not fit together.

    Args:
        read: computes the probes.
        probes: texts or pairs.
        directory: the model's folder.
        kind: the kind of a probe, for errors.
        dimension: how many numbers a probe has.

    Raises:
        ModelUnusable: the model fails, or gives other numbers than `dimension` finite ones, or others at each call.
    """
    try:
        numbers = [read([probe]) for probe in [*probes, probes[0]]]
    except FAILURES as error:
        raise ModelUnusable(
            f"the model in {directory} loads, but fails on {kind} ({_first_line(error)}): its config.json, "
            "tokenizer_config.json and modules.json must be of one model, and end in a module that gives "
            f"{dimension} numbers"
        ) from error
    for row in numbers:
        if row.shape != (1, dimension) or not np.isfinite(row).all():
            raise ModelUnusable(
                f"the model in {directory} must give {dimension} finite numbers of {kind}, "
                f"got {row.shape[-1]}, {np.isfinite(row).sum()} of them finite: name another model"
            )
    if not np.allclose(numbers[0], numbers[-1], rtol=0, atol=1e-4):
        raise ModelUnusable(
            f"the model in {directory} gives other numbers each time that it reads {kind}, wanted the same ones: "
            "name another model, for this one draws at random"
        )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def check_longest(model: Any, sample: Any, directory: Path, max_tokens: int) -> None:
    """Raise ModelUnusable if a model has no positions for as many tokens as it says that it reads.

    Only what comes before its first layer is computed, so this is fast for any limit.

    Args:
        model: the model.
        sample: a text or a pair that is too long.
        directory: the model's folder.
        max_tokens: its limit.
    """
    from torch.nn import ModuleList

    def stop(*_: object) -> None:
        raise InterruptedError  # which no model raises itself

    stacks = (part for part in model.transformers_model.modules() if isinstance(part, ModuleList) and len(part))
    if (layers := next(stacks, None)) is None:
        return
    hook = layers[0].register_forward_pre_hook(stop)
    try:
        model(model.preprocess([sample]))
    except InterruptedError:
        pass  # the first layer is reached
    except FAILURES as error:
        raise ModelUnusable(
            f"the model in {directory} says that it reads {max_tokens} tokens, and fails on them "
            f"({_first_line(error)}): set model_max_length in its tokenizer_config.json, or max_seq_length in its "
            "sentence_bert_config.json, to the number of positions that it has learned"
        ) from error
    finally:
        hook.remove()


def ignores_neighbours(read: Read, probes: Sequence[Any], precision: Precision) -> bool:
    """Return whether probes have the same numbers in a batch, where all but the longest are padded, as alone."""
    alone = np.concatenate([read([probe]) for probe in probes])
    try:
        together = read(probes)
    except FAILURES:  # without a token for padding, only texts of one length run together
        return False
    distance, length = np.linalg.norm(together - alone, axis=1), np.linalg.norm(alone, axis=1)
    return bool((distance <= DEPENDENCE[precision] * np.maximum(length, 1)).all())


class LibraryNetwork:
    """A model that sentence-transformers computes; a `Network`."""

    kind: Kind = "library"

    def __init__(self, directory: Path, precision: Precision, threads: int | None = None, *, reason: str) -> None:
        """Load the model in a directory, without a download.

        Args:
            directory: the folder.
            precision: the number format of the arithmetic.
            threads: the limit of threads; None for all cores.
            reason: why softkv does not compute the model itself, with the file and the field, for errors.

        Raises:
            LibraryMissing: sentence-transformers or torch is not installed.
            ModelUnusable: sentence-transformers cannot load the model or encode a text with it, or the model does not
                declare its width or its limit of tokens.
        """
        self._model: SentenceTransformer = load_by_library(directory, precision, threads, reason, "SentenceTransformer")
        self._lock = Lock()  # the model's tokeniser keeps its truncation as state, so one call at a time
        self.precision: Precision = precision
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelUnusable(f"the model in {directory} does not say its width: name another model")
        self.dimension: int = dimension
        self.tokenizer = library_tokenizer(self._model, directory)
        self._is_static = isinstance(self._model.tokenizer, Tokenizer)
        self.prompts = {name: prompt or "" for name, prompt in self._model.prompts.items()}
        reads = {purpose: partial(self._embed_probes, purpose=purpose) for purpose in PURPOSES}
        for purpose, read in reads.items():
            try_probes(read, PROBES[:1], directory, f"a {purpose}", dimension)
        if self._model.transformers_model is not None and self.tokenizer.max_tokens is not None:
            check_longest(self._model, "a " * self.tokenizer.max_tokens, directory, self.tokenizer.max_tokens)
        for purpose, read in reads.items():
            try_probes(read, PROBES, directory, f"a {purpose}", dimension)
        on_core = self._use_core_attention()
        self.runs_on: RunsOn = "sentence-transformers with attention" if on_core else "sentence-transformers"
        self.batched = all(ignores_neighbours(read, PROBES, precision) for read in reads.values())

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self._model.parameters())

    def prompt(self, purpose: Purpose) -> str:
        """Return the prompt that the model puts before a text with this purpose; empty for most models."""
        return self.prompts.get(purpose, "")

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """Return the vectors of a batch of n texts, float32 [n, d]; the library tokenises them itself.

        Args:
            texts: the texts.
            ids: the tokens of each text; a text without any gets zeros, because the library computes no transformer on
                nothing. A static model of the library gives such a text a vector itself.
            purpose: the purpose of the texts.
        """
        rows = [row for row, tokens in enumerate(ids) if self._is_static or len(tokens)]
        if len(rows) == len(texts):
            return self._encode(texts, purpose)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if rows:
            vectors[rows] = self._encode([texts[row] for row in rows], purpose)
        return vectors

    def _encode(self, texts: Sequence[str], purpose: Purpose) -> NDArray[np.float32]:
        encode = self._model.encode_query if purpose == "query" else self._model.encode_document
        if (limit := self.tokenizer.max_tokens) is not None:
            texts = [self.tokenizer.excerpt(text, limit) for text in texts]
        with self._lock:
            vectors = encode(list(texts), prompt=self.prompt(purpose), batch_size=len(texts), show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def _embed_probes(self, texts: Sequence[str], purpose: Purpose) -> NDArray[np.float32]:
        return self.embed(texts, self.tokenizer.read(texts, self.prompt(purpose)).ids, purpose)

    def _use_core_attention(self) -> bool:
        """Replace the model's attention by softkv's, but undo that if the vectors change."""
        layers = self._model.transformers_model
        if layers is None:
            return False
        default, attention = layers.config._attn_implementation, CoreAttention()
        try:
            expected = self._embed_probes(PROBES, "document")
            if attention.install(layers):
                vectors = self._embed_probes(PROBES, "document")
                distance = np.linalg.norm(vectors - expected, axis=1).max() / np.linalg.norm(expected, axis=1).max()
                if attention.calls and distance <= TOLERANCES[self.precision]:
                    return True
        except (AttentionError, *FAILURES):
            pass  # the core's attention lacks an option of the model, or no batch runs, so it keeps its own attention
        layers.set_attn_implementation(default)
        return False


class LoadReport(logging.Handler):
    """Reads what transformers reports while this thread loads a model: weights that are missing are drawn at random.

    Attributes:
        missing: the names of the weights that the model's files lack.
    """

    LINE = re.compile(r"^(?P<name>\S.*?) *\| *MISSING", re.MULTILINE)
    COLOUR = re.compile(r"\x1b\[[\d;]*m")

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.missing: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Note the missing weights that a message names, except those of a layer that no sentence encoder uses."""
        if record.thread == self._thread:
            message = self.COLOUR.sub("", record.getMessage())
            names = [line["name"] for line in self.LINE.finditer(message)]
            self.missing += [name for name in names if not name.startswith("pooler.")]


@contextmanager
def _quietly() -> Iterator[LoadReport]:
    """Hide transformers' progress bars, and yield a reader of its reports."""
    from transformers.utils import logging as library_logging

    report = LoadReport()
    shows_progress, verbosity = library_logging.is_progress_bar_enabled(), library_logging.get_verbosity()
    library_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    library_logging.set_verbosity(min(verbosity, logging.WARNING))
    library_logging.add_handler(report)
    try:
        yield report
    finally:
        library_logging.remove_handler(report)
        library_logging.set_verbosity(verbosity)
        if shows_progress:
            library_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def load_by_library(
    directory: Path,
    precision: Precision,
    threads: int | None,
    reason: str,
    kind: Literal["SentenceTransformer", "CrossEncoder"],
) -> Any:
    """Load a model of sentence-transformers; arguments and errors are those of `LibraryNetwork`.

    Args:
        kind: the name of the model's class.
    """
    # These take seconds to import, so only a process that needs the library imports them.
    try:
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder, SentenceTransformer
    except ModuleNotFoundError as error:
        raise LibraryMissing(
            f"softkv does not compute the model in {directory} itself: {reason}. If that is as it should be, "
            f"sentence-transformers and torch compute it, and this installation has no {error.name}: install both with "
            "`pip install sentence-transformers torch`, take the image with -full in its tag, or name all-MiniLM-L6-v2 "
            "or another model that softkv computes itself"
        ) from error

    with suppress(UnsupportedModelError):
        modules = read_modules(directory) if (directory / "modules.json").exists() else [("", directory)]
        for _, folder in modules[:1]:
            check_weights(folder)
    use_threads(threads)
    kinds: Mapping[str, Callable[..., Any]] = {"SentenceTransformer": SentenceTransformer, "CrossEncoder": CrossEncoder}
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    options: dict[str, Any] = {"device": "cpu", "local_files_only": True, "trust_remote_code": False}
    if kind == "CrossEncoder":
        options["activation_fn"] = torch.nn.Identity()  # a logit has none, and softkv knows the maker's
    try:
        with _quietly() as report:
            model = kinds[kind](str(directory), model_kwargs={"dtype": dtype}, **options)
    except (*FAILURES, OSError, ImportError, SafetensorError) as error:
        if code := own_code(directory):
            raise ModelUnusable(
                f"the model in {directory} brings Python code of its own ({code}), which softkv never runs: "
                "serve it with another program behind a URL, or name another model"
            ) from error
        raise ModelUnusable(
            f"softkv does not compute the model in {directory} itself: {reason}. "
            f"It cannot be loaded by sentence-transformers either: {error}"
        ) from error
    if report.missing:
        raise ModelUnusable(
            f"the model in {directory} lacks weights of its architecture, the first is {report.missing[0]}: "
            "its files are not of one model, or it needs code of its own, which softkv never runs"
        )
    # A static model loads in the precision of its file, so it is converted.
    return model if model.transformers_model is not None else model.to(dtype)


def own_code(directory: Path) -> str | None:
    """Return the name of a part of a model that neither sentence-transformers nor transformers knows, if it has one.

    Such a model comes with Python files, or names a repository that has them.
    """
    from transformers import CONFIG_MAPPING

    listed = read_modules(directory) if (directory / "modules.json").exists() else []
    for name, _ in listed:
        if find_spec(name.partition(".")[0]) is None:
            return name
    config = Config.optional((listed[0][1] if listed else directory) / "config.json").fields
    model_type = config.get("model_type")
    return f"model_type {model_type!r}" if "auto_map" in config and model_type not in CONFIG_MAPPING else None
