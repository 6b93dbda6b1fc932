"""Small random sentence encoders of every family that runs on the core, as sentence-transformers saves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = ["the", "dog", "chased", "a", "cat", "across", "street", "and", "of", "to", "in", "water", "river", "mountain"]
WORDS += ["light", "house", "tree", "stone"]
PROMPTS = {"query": "Instruct: find what answers it\nQuery: ", "document": "text: "}


@dataclass(frozen=True)
class Sizes:
    """The sizes of a small model; `longest` is its largest number of positions."""

    d_model: int = 24
    n_heads: int = 3
    d_ff: int = 20
    n_layers: int = 3
    longest: int = 64


SMALL, WIDE = Sizes(), Sizes(d_model=64, n_heads=2, d_ff=96, n_layers=4, longest=96)


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        config: the sizes → the library's config.
        tokenizer: makes the tokenizer, with special tokens and the texts that name them.
        poolings: the poolings of the sentence encoder.
        dense: whether two maps follow the pooling.
        prompts: the prompts by purpose.
    """

    config: Callable[[Sizes, int], Any]
    tokenizer: Callable[[], tuple[Tokenizer, dict[str, str]]]
    poolings: tuple[str, ...] = ("mean",)
    dense: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)


def word_pieces() -> tuple[Tokenizer, dict[str, str]]:
    """Return a tokenizer of words and letters with BERT's special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(97, 123)]
    pieces = special + WORDS + [c for c in letters if c not in WORDS] + [f"##{c}" for c in letters] + list(".,:!?")
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token")
    return tokenizer, dict(zip(names, special, strict=True))


def sentence_pieces() -> tuple[Tokenizer, dict[str, str]]:
    """Return a unigram tokenizer with the special tokens of RoBERTa, the padding token at 1."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(token, 0.0) for token in special] + [(f"▁{word}", -2.0) for word in WORDS]
    pieces += [(letter, -6.0) for letter in "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:!?\n"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer, dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), special, strict=True))


def bytes_with_end() -> tuple[Tokenizer, dict[str, str]]:
    """Return a tokenizer of bytes that appends its end token, as Qwen3-Embedding does."""
    end = "<|endoftext|>"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = {piece: i for i, piece in enumerate([*alphabet, "th", "the", end])}
    tokenizer = Tokenizer(models.BPE(pieces, [("t", "h"), ("th", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    number = tokenizer.token_to_id(end)
    tokenizer.add_special_tokens([end])
    tokenizer.post_processor = processors.TemplateProcessing(f"$A {end}", special_tokens=[(end, number)])
    return tokenizer, {"pad_token": end, "eos_token": end}


def bytes_as_fallback() -> tuple[Tokenizer, dict[str, str]]:
    """Return a tokenizer of letters, and of bytes where it has no letter, with a token at both ends, as Gemma's."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    letters = list("▁abcdefghijklmnopqrstuvwxyzT.,:\n")
    pieces = special + [f"<0x{byte:02X}>" for byte in range(256)] + letters + ["▁t", "▁th", "▁the"]
    tokenizer = Tokenizer(
        models.BPE(
            {piece: i for i, piece in enumerate(pieces)},
            [("▁", "t"), ("▁t", "h"), ("▁th", "e")],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        "<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    return tokenizer, dict(zip(("pad_token", "eos_token", "bos_token", "unk_token"), special, strict=True))


def encoder_fields(sizes: Sizes, n_vocabulary: int) -> dict[str, Any]:
    return {
        "hidden_size": sizes.d_model,
        "num_attention_heads": sizes.n_heads,
        "intermediate_size": sizes.d_ff,
        "num_hidden_layers": sizes.n_layers,
        "vocab_size": n_vocabulary,
        "max_position_embeddings": sizes.longest,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def encoder(name: str, **more: Any) -> Callable[[Sizes, int], Any]:
    """Return a function that makes the config of this name of an encoder."""
    return lambda sizes, n: getattr(transformers, name)(**encoder_fields(sizes, n) | more)


def decoder_fields(sizes: Sizes, n: int) -> dict[str, Any]:
    group = 3 if sizes.n_heads % 3 == 0 else 2
    return encoder_fields(sizes, n) | {"num_key_value_heads": sizes.n_heads // group, "rope_theta": 5000.0}


def decoder(name: str, **more: Any) -> Callable[[Sizes, int], Any]:
    """Return a function that makes the config of this name of a decoder."""
    return lambda sizes, n: getattr(transformers, name)(**decoder_fields(sizes, n) | more)


def gemma(sizes: Sizes, n: int, *, both_ways: bool = False) -> Any:
    fields = decoder_fields(sizes, n)
    del fields["rope_theta"]
    return transformers.Gemma3TextConfig(
        **fields,
        head_dim=12,
        query_pre_attn_scalar=7,
        sliding_window=10,
        layer_types=["full_attention" if i % 2 else "sliding_attention" for i in range(sizes.n_layers)],
        use_bidirectional_attention=both_ways,
    )


BERT = encoder("BertConfig")
FAMILIES: Mapping[str, Family] = {
    "bert": Family(BERT, word_pieces, ("cls",)),
    "labse": Family(BERT, word_pieces, ("cls",), dense=True),
    "xlm-roberta": Family(
        encoder("XLMRobertaConfig", pad_token_id=1, type_vocab_size=1),
        sentence_pieces,
        prompts={"query": "query: ", "document": "passage: "},
    ),
    "mpnet": Family(encoder("MPNetConfig", pad_token_id=1, eos_token_id=2), sentence_pieces),
    "nomic": Family(
        encoder("NomicBertConfig"), word_pieces, prompts={"query": "search query: ", "document": "search document: "}
    ),
    "gte": Family(encoder("GteConfig", type_vocab_size=1), sentence_pieces, ("cls",)),
    "modernbert": Family(
        encoder("ModernBertConfig", cls_token_id=2, sep_token_id=3, local_attention=8), word_pieces, ("cls",)
    ),
    "llama": Family(decoder("LlamaConfig"), bytes_with_end, ("mean",)),
    "mistral": Family(decoder("MistralConfig", sliding_window=7), bytes_with_end, ("lasttoken",), prompts=PROMPTS),
    "qwen2": Family(decoder("Qwen2Config"), bytes_with_end, ("lasttoken",), prompts=PROMPTS),
    "qwen3": Family(decoder("Qwen3Config", head_dim=10), bytes_with_end, ("lasttoken",), prompts=PROMPTS),
    "gemma": Family(gemma, bytes_as_fallback, ("lasttoken",)),
    "embedding-gemma": Family(partial(gemma, both_ways=True), bytes_as_fallback, dense=True, prompts=PROMPTS),
}


def save(name: str, folder: Path, sizes: Sizes = SMALL, *, seed: int = 0) -> Path:
    """Save a random sentence encoder of a family in a folder, and return the folder.

    Args:
        name: a key of FAMILIES.
        folder: an empty folder.
        sizes: the sizes.
        seed: the seed of its parameters.
    """
    # These take seconds to import.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    family = FAMILIES[name]
    tokenizer, special = family.tokenizer()
    torch.manual_seed(seed)
    config = family.config(sizes, tokenizer.get_vocab_size())
    bare = folder / "bare"
    random_transformer(config).save_pretrained(bare)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=sizes.longest - 2, **special
    ).save_pretrained(bare)
    steps = [Transformer(str(bare)), Pooling(sizes.d_model, pooling_mode=family.poolings)]
    if family.dense:
        width = sizes.d_model * len(family.poolings)
        steps += [Dense(width, 17, bias=False, activation_function=torch.nn.Identity()), Dense(17, 11)]
    model = SentenceTransformer(modules=[*steps, Normalize()], prompts=dict(family.prompts), device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


def random_transformer(config: Any) -> Any:
    """Return the library's model with random parameters, far from the 0 and 1 that would hide a mistake."""
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.2 if parameter.ndim == 1 else 1.5 * parameter.shape[-1] ** -0.5
            parameter += spread * torch.randn_like(parameter)
    return model
