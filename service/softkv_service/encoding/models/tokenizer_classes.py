"""Tokenisers from a transformer's folder, built as transformers 5 builds them.

A class of transformers takes the vocabulary from tokenizer.json. It makes the normaliser, the pre-tokeniser and mostly
the special tokens itself, from tokenizer_config.json and its own defaults. So a setting that the file leaves out is the
default of the class, whatever tokenizer.json says. Only the class `PLAIN` takes tokenizer.json as it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from softkv_attention.transformer import CheckpointError, Config, UnsupportedModelError, transformer_settings
from softkv_service.encoding.models.unigram import Unigram
from softkv_service.encoding.tokens import ModelTokenizer

PLAIN = "TokenizersBackend"
OTHER_NAMES = dict.fromkeys(("PythonBackend", "PreTrainedTokenizer", "BloomTokenizer"), PLAIN) | {
    "DistilBertTokenizer": "BertTokenizer"
}
"""The names of classes, without Fast at the end, that read texts as another class does."""

REGISTERED = {
    "bert": "BertTokenizer",
    "camembert": "CamembertTokenizer",
    "distilbert": "BertTokenizer",
    "gemma3_text": "GemmaTokenizer",
    "gte": "XLMRobertaTokenizer",
    "mistral": PLAIN,
    "modernbert": PLAIN,
    "mpnet": "MPNetTokenizer",
    "nomic_bert": "BertTokenizer",
    "qwen2": "Qwen2Tokenizer",
    "qwen3": "Qwen2Tokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
"""The classes of transformers by model_type; the other families have none."""
ALWAYS_REGISTERED = ("qwen2", "modernbert")  # whatever tokenizer_class says
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

Token = str | AddedToken
Build = Callable[[Config, Mapping[str, Any], Mapping[str, Token]], Tokenizer]


def load_tokenizer(folder: Path, max_tokens: int, vocabulary: int | None = None) -> ModelTokenizer:
    """Load the tokeniser of a model.

    Args:
        folder: the folder of its transformer.
        max_tokens: how many tokens of a text the model reads.
        vocabulary: the number of tokens that the model has vectors for; special tokens beyond it are left out. None
            leaves out none.

    Raises:
        UnsupportedModelError: tokenizer.json is missing, or the library would build another tokeniser than softkv can.
        CheckpointError: a file is damaged.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        raise UnsupportedModelError(f"the tokenizer must be in {path}, which is missing")
    fields = Config.read(path).fields
    settings = Config.optional(folder / "tokenizer_config.json")
    _check(folder, settings)
    name = _class_name(Config.read(folder / "config.json"), settings, fields)
    kind = CLASSES[name]
    try:
        stored = _read_stored(path, fields, kind)
        tokens, added = _read_tokens(folder, settings, fields)
        special: dict[str, Token] = {**kind.special_tokens, **tokens}
        if stored.padding is not None:
            special.setdefault("pad_token", stored.padding["pad_token"])
        library = stored if kind.build is None else kind.build(settings, _vocabulary(path, fields, kind), special)
    except CheckpointError:
        raise
    except Exception as error:  # the library raises no narrower type
        raise CheckpointError(f"{path} must hold a tokenizer, got a damaged one ({error})") from error
    library.post_processor = stored.post_processor
    extra = _extra_tokens(settings)
    _add_tokens(library, added, special, kind.extra_tokens if extra is None else extra, vocabulary)
    library.encode_special_tokens = settings.flag("split_special_tokens", False)
    if kind.finish is not None:
        kind.finish(library, special, settings)
    if set(library.encode("a").type_ids) - {0}:
        raise UnsupportedModelError(f"{path}: post_processor must give all tokens of a text the type 0")
    unknown = special.get("unk_token") or fields["model"].get("unk_token")
    return ModelTokenizer(
        library,
        max_tokens=max_tokens,
        unknown_token=None if unknown is None else library.token_to_id(str(unknown)),
        truncation_side=_truncation_side(settings, stored),
        tells_types=_tells_types(settings, name),
        begins_after_space=kind.model == "Unigram",  # every piece is a word for the library
    )


def copy_of(library: Tokenizer) -> Tokenizer:
    """Return a tokeniser with the same parts, and with truncation and padding of its own; pieces are not copied."""
    copy = Tokenizer(library.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "encode_special_tokens"):
        setattr(copy, part, getattr(library, part))
    copy.add_tokens([token for _, token in sorted(library.get_added_tokens_decoder().items())])
    return copy


def _read_stored(path: Path, fields: Mapping[str, Any], kind: TokenizerClass) -> Tokenizer:
    """Return the tokeniser of a file; without most pieces, if its class makes a tokeniser of them.

    They are loaded once: the library takes 280 MB for the 250,000 pieces of XLM-RoBERTa.
    """
    if kind.build is None or kind.model == "BPE" or fields["model"].get("type") != kind.model:
        return Tokenizer.from_file(str(path))
    pieces = fields["model"]["vocab"]
    needed = pieces[: (fields["model"].get("unk_id") or 0) + 1] if kind.model == "Unigram" else {}
    model = fields["model"] | {"vocab": needed}
    return Tokenizer.from_str(json.dumps({**fields, "model": model, "added_tokens": []}))


def _check(folder: Path, settings: Config) -> None:
    """Raise UnsupportedModelError if a text would be read by other files or in another way."""
    transformer_settings(folder).only("do_lower_case", False)
    settings.only("fast_tokenizer_files", None)
    settings.only("fix_mistral_regex", False)
    if (path := folder / "tekken.json").exists():
        raise UnsupportedModelError(f"the tokenizer must be in tokenizer.json, and {path} is another one")


def _truncation_side(settings: Config, stored: Tokenizer) -> Literal["left", "right"]:
    """Return the side on which a long text loses tokens; tokenizer_config.json counts before tokenizer.json."""
    side = settings.fields.get("truncation_side", (stored.truncation or {}).get("direction", "right"))
    if side not in ("left", "right"):
        raise CheckpointError(f"{settings.source}: truncation_side must be left or right, got {side!r}")
    return "left" if side == "left" else "right"


def _tells_types(settings: Config, name: str) -> bool:
    """Return whether transformers hands a model the types of a pair's tokens, as its class for BERT does by default."""
    inputs = settings.fields.get("model_input_names")
    if inputs is not None:
        return "token_type_ids" in inputs
    declared = str(settings.fields.get("tokenizer_class"))
    return name == "BertTokenizer" and not declared.startswith("DistilBert")


def _class_name(config: Config, settings: Config, fields: Mapping[str, Any]) -> str:
    """Return the key of `CLASSES` for the class that transformers chooses.

    Args:
        config: the content of config.json.
        settings: the content of tokenizer_config.json.
        fields: the content of tokenizer.json.
    """
    model_type = config.fields.get("model_type")
    source = settings if settings.fields.get("tokenizer_class") else config
    declared, registered = source.fields.get("tokenizer_class"), REGISTERED.get(str(model_type))
    if not declared:
        return registered or PLAIN
    name = str(declared).removesuffix("Fast")
    name = OTHER_NAMES.get(name, name)
    mistakes_bytes = name == "LlamaTokenizer" and model_type not in (*ALWAYS_REGISTERED, "mistral")
    if registered == PLAIN or (mistakes_bytes and _has_bytes(fields)):
        return PLAIN
    if model_type in ALWAYS_REGISTERED:
        return str(registered)
    if name not in CLASSES:
        raise UnsupportedModelError(f"{source.source}: tokenizer_class must be one of {', '.join(CLASSES)}, got {name}")
    return name


def _has_bytes(fields: Mapping[str, Any]) -> bool:
    parts = [fields.get("pre_tokenizer"), fields.get("decoder"), fields.get("post_processor"), fields.get("normalizer")]
    return '"ByteLevel"' in json.dumps(parts)


def _read_tokens(
    folder: Path, settings: Config, fields: Mapping[str, Any]
) -> tuple[dict[str, Token], dict[int, AddedToken]]:
    """Return the special tokens by name that the files declare, and the added tokens by number."""
    tokens = {
        key: _token(settings, key, value)
        for key, value in settings.fields.items()
        if value is not None and (key in SPECIAL_TOKENS or (key.endswith("_token") and isinstance(value, str)))
    }
    named = settings.fields.get("extra_special_tokens")
    for key, value in (named if isinstance(named, dict) else {}).items():
        tokens[key] = _token(settings, key, value)
    added: dict[int, AddedToken] = {}
    if "added_tokens_decoder" in settings.fields:
        for number, token in (settings.part("added_tokens_decoder") or Config("", {})).fields.items():
            added[int(number)] = _to_added_token(settings, "added_tokens_decoder", token)
    else:
        older = Config.optional(folder / "special_tokens_map.json")
        for key, value in older.fields.items():
            if key in SPECIAL_TOKENS:
                tokens[key] = (
                    _to_added_token(older, key, value | {"special": True}) if isinstance(value, dict) else value
                )
        special = {str(token) for token in tokens.values()}
        for content, number in Config.optional(folder / "added_tokens.json").fields.items():
            added[int(number)] = AddedToken(
                content, special=content in special, normalized=content not in special, lstrip=False, rstrip=False
            )
        for token in fields.get("added_tokens") or ():
            properties = {key: value for key, value in token.items() if key != "id"}
            added[int(token["id"])] = _to_added_token(settings, "added_tokens", properties)
    by_content = {str(token): token for token in added.values()}
    return {key: by_content.get(str(token), token) for key, token in tokens.items()}, added


def _token(source: Config, name: str, value: object) -> Token:
    return value if isinstance(value, str) else _to_added_token(source, name, value)


def _to_added_token(source: Config, name: str, value: object) -> AddedToken:
    fields = {key: field for key, field in value.items() if key != "__type"} if isinstance(value, dict) else {}
    try:
        return AddedToken(**fields) if fields else AddedToken(str(value["content"]))  # type: ignore[index]
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{source.source}: {name} must be a token or its fields, got {value!r}") from error


def _extra_tokens(settings: Config) -> list[Token] | None:
    """Return the special tokens without a name; None if the file does not declare any."""
    for name in ("extra_special_tokens", "additional_special_tokens"):
        declared = settings.fields.get(name)
        if isinstance(declared, list) and declared:
            return [_token(settings, name, token) for token in declared]
    return None


def _add_tokens(
    library: Tokenizer,
    added: Mapping[int, AddedToken],
    special: Mapping[str, Token],
    extra: Iterable[Token],
    vocabulary: int | None,
) -> None:
    """Add the tokens of a folder to a tokeniser, in the order and with the properties that transformers gives them."""
    present = list(library.get_added_tokens_decoder().values())
    unlike = {repr(token) for token in present}
    new: list[Token] = [token for _, token in sorted(added.items()) if repr(token) not in unlike]
    contents = {str(token) for token in (*present, *new)}
    ordered = [special[name] for name in (*SPECIAL_TOKENS, *special) if name in special]
    for token in (*ordered, *extra):
        if str(token) not in contents:
            contents.add(str(token))
            new.append(token)
    named = {str(token) for token in special.values()}
    for token in new:
        token = AddedToken(token, special=True) if isinstance(token, str) else token
        token.special = token.special or str(token) in named
        # A token beyond the model's vectors would be an error in any text that has it.
        if library.token_to_id(str(token)) is not None or vocabulary is None or library.get_vocab_size() < vocabulary:
            library.add_tokens([token])


@dataclass(frozen=True)
class TokenizerClass:
    """A class of tokenisers in transformers.

    Attributes:
        model: the type of the model in tokenizer.json that it takes the vocabulary from.
        build: makes the tokeniser from tokenizer_config.json, the vocabulary and the special tokens; None to take the
            stored one.
        special_tokens: the special tokens by name, unless the files have others.
        extra_tokens: special tokens without a name, unless the files have others.
        finish: sets the special tokens around a text, or their properties; None to keep those of tokenizer.json.
    """

    model: str = ""
    build: Build | None = None
    special_tokens: Mapping[str, Token] = field(default_factory=dict)
    extra_tokens: tuple[str, ...] = ()
    finish: Callable[[Tokenizer, Mapping[str, Token], Config], None] | None = None


def _vocabulary(path: Path, fields: Mapping[str, Any], kind: TokenizerClass) -> Mapping[str, Any]:
    """Return the arguments of the model of tokenizers: its vocabulary, and merges for byte pairs.

    It also has the `charsmap` of a SentencePiece model, bytes or None.
    """
    model = fields["model"]
    # Files before 2021 do not name the type.
    guess = "Unigram" if isinstance(model["vocab"], list) else "BPE" if "merges" in model else "WordPiece"
    stored = model.get("type") or guess
    if stored != kind.model:
        raise UnsupportedModelError(f"{path}: model must be of type {kind.model} for its class, got {stored}")
    vocab = model["vocab"]
    if kind.model == "Unigram":
        parts = (fields.get("normalizer") or {}).get("normalizers") or [fields.get("normalizer") or {}]
        maps = [part["precompiled_charsmap"] for part in parts if part.get("precompiled_charsmap") is not None]
        return {"vocab": vocab, "charsmap": base64.b64decode(maps[0]) if maps else None}
    if kind.model == "BPE":
        merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
        return {"vocab": vocab, "merges": merges}
    return {"vocab": vocab}


def _word_pieces(settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token]) -> Tokenizer:
    """Make a `BertTokenizer` or an `MPNetTokenizer`."""
    library = Tokenizer(models.WordPiece(vocabulary["vocab"], unk_token=str(special["unk_token"])))
    accents = settings.fields.get("strip_accents")
    library.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.flag("tokenize_chinese_chars", True),
        strip_accents=None if accents is None else settings.flag("strip_accents", False),
        lowercase=settings.flag("do_lower_case", True),
    )
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece(prefix="##")
    return library


def _byte_pairs(settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token]) -> Tokenizer:
    """Make a `RobertaTokenizer`."""
    library = Tokenizer(models.BPE(**vocabulary, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=settings.flag("add_prefix_space", False))
    library.decoder = decoders.ByteLevel()
    return library


QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _qwen(settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token]) -> Tokenizer:
    library = Tokenizer(models.BPE(**vocabulary, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    library.normalizer = normalizers.NFC()
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=settings.flag("add_prefix_space", False), use_regex=False),
        ]
    )
    library.decoder = decoders.ByteLevel()
    return library


def _llama(settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token]) -> Tokenizer:
    library = Tokenizer(models.BPE(**vocabulary, fuse_unk=True, byte_fallback=True))
    prefix = settings.flag("add_prefix_space", True)
    scheme = "never" if not prefix else "always" if settings.flag("legacy", False) else "first"
    library.pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme, split=False)
    strip = [decoders.Strip(content=" ", left=1)] if prefix else []
    library.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return library


def _gemma(settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token]) -> Tokenizer:
    unknown = str(special["unk_token"])
    library = Tokenizer(models.BPE(**vocabulary, fuse_unk=True, unk_token=unknown, byte_fallback=True))
    library.normalizer = normalizers.Replace(" ", "▁")
    library.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous", invert=False)
    library.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return library


def _sentence_pieces(
    settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token], unknown: int = 3
) -> Tokenizer:
    """Make an `XLMRobertaTokenizer`, in which the token 3 stands for an unknown piece."""
    unigram = Unigram(vocabulary["vocab"], unknown)
    library = Tokenizer(unigram.model)
    if vocabulary["charsmap"] is not None:
        library.normalizer = normalizers.Precompiled(vocabulary["charsmap"])
    scheme = "always" if settings.flag("add_prefix_space", True) else "never"
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace("▁", scheme),
            pre_tokenizers.PreTokenizer.custom(unigram),
        ]
    )
    library.decoder = decoders.Metaspace("▁", scheme)
    return library


def _camembert(settings: Config, vocabulary: Mapping[str, Any], special: Mapping[str, Token]) -> Tokenizer:
    name = str(special["unk_token"])
    unknown = next((i for i, (token, _) in enumerate(vocabulary["vocab"]) if token == name), 0)
    return _sentence_pieces(settings, vocabulary, special, unknown)


def _ends(library: Tokenizer, special: Mapping[str, Token], names: str, *otherwise: int) -> list[tuple[str, int]]:
    """Return the tokens around a text, with their numbers; those in `otherwise` if the vocabulary lacks them."""
    tokens = [str(special[f"{name}_token"]) for name in names.split()]
    numbers = [library.token_to_id(token) for token in tokens]
    return [(t, o if n is None else n) for t, n, o in zip(tokens, numbers, otherwise, strict=True)]


def _around_bert(library: Tokenizer, special: Mapping[str, Token], settings: Config) -> None:
    ends = _ends(library, special, "cls sep", 2, 3)
    single = f"{ends[0][0]}:0 $A:0 {ends[1][0]}:0"
    pair = f"{single} $B:1 {ends[1][0]}:1"
    library.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ends)


def _around_mpnet(library: Tokenizer, special: Mapping[str, Token], settings: Config) -> None:
    first, last = _ends(library, special, "cls sep", 0, 2)
    library.post_processor = processors.RobertaProcessing(last, first, True, False)


def _around_roberta(library: Tokenizer, special: Mapping[str, Token], settings: Config) -> None:
    first, last = _ends(library, special, "cls sep", 0, 2)
    trim, prefix = settings.flag("trim_offsets", True), settings.flag("add_prefix_space", False)
    library.post_processor = processors.RobertaProcessing(last, first, trim, prefix)


def _around_sentence_pieces(library: Tokenizer, special: Mapping[str, Token], settings: Config) -> None:
    ends = _ends(library, special, "bos eos", 0, 2)
    (first, _), (last, _) = ends
    library.post_processor = processors.TemplateProcessing(
        single=[first, "$A", last], pair=[first, "$A", last, last, "$B", last], special_tokens=ends
    )


def _repeat_special(library: Tokenizer, special: Mapping[str, Token], settings: Config) -> None:
    """Give all special tokens of Qwen the properties of a plain one; those beyond the model's vectors are not there."""
    for token in (*special.values(), *(_extra_tokens(settings) or ())):
        if library.token_to_id(str(token)) is not None:
            library.add_tokens([AddedToken(str(token), special=True)])


BERT_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
ROBERTA_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
MASK = AddedToken("<mask>", lstrip=True, rstrip=False, special=True)
END = "<|endoftext|>"
CLASSES: Mapping[str, TokenizerClass] = {
    PLAIN: TokenizerClass(),
    "BertTokenizer": TokenizerClass("WordPiece", _word_pieces, BERT_TOKENS, finish=_around_bert),
    "CamembertTokenizer": TokenizerClass(
        "Unigram",
        _camembert,
        ROBERTA_TOKENS | {"mask_token": MASK},
        ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
        _around_sentence_pieces,
    ),
    "GemmaTokenizer": TokenizerClass(
        "BPE",
        _gemma,
        {
            "unk_token": "<unk>",
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
    ),
    "LlamaTokenizer": TokenizerClass("BPE", _llama, {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}),
    "MPNetTokenizer": TokenizerClass(
        "WordPiece", _word_pieces, ROBERTA_TOKENS | {"unk_token": "[UNK]", "mask_token": MASK}, finish=_around_mpnet
    ),
    "Qwen2Tokenizer": TokenizerClass(
        "BPE", _qwen, dict.fromkeys(("unk_token", "eos_token", "pad_token"), END), finish=_repeat_special
    ),
    "RobertaTokenizer": TokenizerClass("BPE", _byte_pairs, ROBERTA_TOKENS, finish=_around_roberta),
    "XLMRobertaTokenizer": TokenizerClass("Unigram", _sentence_pieces, ROBERTA_TOKENS, finish=_around_sentence_pieces),
}
"""The classes that softkv builds, by their names in transformers without Fast at the end."""
