"""The tokeniser of a model's folder, by the tokenizers library alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from attention.transformer import CheckpointError, Config, UnsupportedModelError, modules
from service.encoding.tokens.tokens import ModelTokenizer

# What tokenizer_config.json calls a setting of BERT's normaliser, and what tokenizer.json does.
SETTINGS = {
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
    for name, own in SETTINGS.items():
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
