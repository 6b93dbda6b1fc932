"""The tokeniser of a model of sentence-transformers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from service.encoding.errors import ModelUnusable
from service.encoding.tokens.tokens import ModelTokenizer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def library_tokenizer(model: SentenceTransformer, directory: Path) -> ModelTokenizer:
    """A copy of a model's tokeniser: the library keeps its own truncation in the other.

    Raises:
        ModelUnusable: it is none of the tokenizers library, a question and a document are not read alike, or the model
            does not say where it stops reading.
    """
    first = model[0]
    readers = [route[0] for route in getattr(first, "sub_modules", {}).values()] or [first]
    described = {_described(reader) for reader in readers}
    if len(described) > 1:
        raise ModelUnusable(
            f"the model in {directory} reads questions and documents with unlike tokenisers or limits, wanted one, for "
            "softkv counts tokens and says which texts were cut: name another model"
        )
    if described == {None}:
        raise ModelUnusable(
            f"the model in {directory} reads texts with {type(model.tokenizer).__name__}, wanted a tokeniser of the "
            "tokenizers library, which softkv counts tokens with: name another model"
        )
    if limits := ", ".join(filter(None, map(_own_limits, readers))):
        raise ModelUnusable(
            f"the model in {directory} cuts texts at limits of its own ({limits}), wanted one max_seq_length, for "
            "softkv says which texts were cut: leave them out of its sentence_bert_config.json, or name another model"
        )
    own = model.tokenizer
    if isinstance(own, Tokenizer):
        return _of_static_model(own)
    longest = model.max_seq_length
    if longest is None or longest == math.inf:
        raise ModelUnusable(f"the model in {directory} does not say its longest text: name another model")
    return ModelTokenizer(
        Tokenizer.from_str(own.backend_tokenizer.to_str()),
        max_tokens=int(longest),
        unknown_token=own.unk_token_id,
        truncation_side=own.truncation_side,
    )


def _described(reader: Any) -> tuple[bool, str, Any] | None:
    """A reader of texts in full: whether it is static, its tokeniser and its limit; None for another library's."""
    own = getattr(reader, "tokenizer", None)
    if isinstance(own, Tokenizer):
        return True, own.to_str(), None
    backend = getattr(own, "backend_tokenizer", None)
    return (False, backend.to_str(), reader.max_seq_length) if isinstance(backend, Tokenizer) else None


def _own_limits(reader: Any) -> str:
    """The limits of one purpose, or of every call, that stand beside max_seq_length."""
    limits = {name: getattr(reader, name, None) for name in ("query_length", "document_length")}
    for part, arguments in (getattr(reader, "processing_kwargs", None) or {}).items():
        limits[f"processing_kwargs.{part}.max_length"] = (arguments or {}).get("max_length")
    return ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit is not None)


def _of_static_model(own: Tokenizer) -> ModelTokenizer:
    """A static model averages the vectors of a text's tokens: it puts no special ones around them, and reads all,
    but for what its tokenizer.json cuts."""
    described: dict[str, Any] = json.loads(own.to_str())
    truncation = described["truncation"]
    library = Tokenizer.from_str(json.dumps(described | {"post_processor": None}))
    unknown = described["model"].get("unk_token")
    return ModelTokenizer(
        library,
        max_tokens=truncation["max_length"] if truncation else None,
        unknown_token=described["model"].get("unk_id") if unknown is None else library.token_to_id(unknown),
        truncation_side="left" if truncation and truncation["direction"].lower() == "left" else "right",
    )
