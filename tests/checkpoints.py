"""Small models with random parameters, in folders as transformers and sentence-transformers save them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.registry import DEFAULT_MODEL, default_checkpoint, load_encoder
from tests.examples import ROOT

WIDTH = 32
VOCABULARY = 30_522  # of the tokeniser of all-MiniLM, which these models read texts with
MAX_TOKENS = 64
SPREAD = 0.3
"""The deviation of the parameters: large, so that attention is far from uniform and an error in it shows."""
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def made_wheel(model: str) -> Path:
    """Return the wheel of a model that is made on demand; skip the test if `make` has not made it."""
    wheels = sorted(ROOT.glob(f"dist/softkv_model_{model}-*.whl"))
    return wheels[-1] if wheels else pytest.skip(f"run make {model}")


def assert_unusable(
    model: Path | str, message: str, load: Callable[..., object] = load_encoder, **options: Any
) -> None:
    """Check that a model is refused with this message, a regular expression."""
    with pytest.raises(ModelUnusable, match=message):
        load(str(model), **options)


def tokenizer() -> Tokenizer:
    """Return the tokeniser of all-MiniLM, without its truncation and padding."""
    library = Tokenizer.from_file(str(default_checkpoint() / "tokenizer.json"))
    library.no_truncation()
    library.no_padding()
    return library


def save_transformer(
    directory: Path, config: str, *, auto: str = "AutoModel", padding_side: str = "right", **options: object
) -> None:
    """Write a transformer and its tokeniser as transformers does.

    Args:
        directory: an empty folder.
        config: the name of the model's configuration in transformers.
        auto: the name of the class that makes the model.
        padding_side: the side on which its tokeniser pads.
        options: fields of the configuration; `SIZES` has the others.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(7)
    model = getattr(transformers, auto).from_config(getattr(transformers, config)(**(SIZES | options)))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=SPREAD)
    model.save_pretrained(directory)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
    library = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(default_checkpoint() / "tokenizer.json"), padding_side=padding_side, **names
    )
    library.save_pretrained(directory)


def save_sentence_encoder(
    directory: Path,
    bare: Path,
    *,
    pooling: str | tuple[str, ...] = "mean",
    dense: Sequence[int] = (),
    activation: str = "Identity",
    normalise: bool = False,
    prompts: Mapping[str, str] | None = None,
) -> None:
    """Write a sentence encoder as sentence-transformers does.

    Args:
        directory: an empty folder.
        bare: the folder of its transformer.
        pooling: its pooling or poolings.
        dense: the widths of dense layers after the pooling.
        activation: the name of their activation in torch.
        normalise: whether its vectors have length one.
        prompts: its prompts by name.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    transformer = Transformer(str(bare), max_seq_length=MAX_TOKENS)
    pool = Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)
    widths = [pool.get_embedding_dimension(), *dense]
    torch.manual_seed(8)
    maps = [Dense(n_in, n_out, bias=False, activation_function=torch.nn.Identity()) for n_in, n_out in pairwise(widths)]
    modules = [transformer, pool, *maps, *[Normalize()] * normalise]
    SentenceTransformer(modules=modules, prompts=dict(prompts or {}), device="cpu").save(str(directory))


def save_static(
    directory: Path,
    width: int = WIDTH,
    *,
    truncation: Mapping[str, Any] | None = None,
    dense: bool = False,
    normalise: bool = True,
    weights: type[np.floating[Any]] = np.float32,
    prompts: Mapping[str, str] | None = None,
) -> None:
    """Write a static model, which averages the vectors of a text's tokens.

    Args:
        directory: an empty folder.
        width: the width of its vectors.
        truncation: the arguments of the tokeniser's truncation; None for no truncation.
        dense: whether a linear map follows.
        normalise: whether its vectors have length one.
        weights: the type of its stored numbers.
        prompts: its prompts by name.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, StaticEmbedding

    library = tokenizer()
    if truncation:
        library.enable_truncation(**truncation)
    embedding = np.random.default_rng(7).standard_normal((VOCABULARY, width)).astype(weights)
    modules: list[torch.nn.Module] = [
        StaticEmbedding(library, embedding_weights=torch.from_numpy(embedding)),
        *[Dense(width, width)] * dense,
        *[Normalize()] * normalise,
    ]
    SentenceTransformer(modules=modules, prompts=dict(prompts or {}), device="cpu").save(str(directory))


def write_static(directory: Path, width: int) -> None:
    """Write a static model into an empty folder, without torch, which takes seconds to import."""
    tokenizer().save(str(directory / "tokenizer.json"))
    embedding = np.random.default_rng(7).standard_normal((VOCABULARY, width)).astype(np.float32)
    save_file({"embedding.weight": embedding}, directory / "model.safetensors")
    types = {
        "": "sentence_transformer.modules.static_embedding.StaticEmbedding",
        "unit": "base.modules.normalize.Normalize",
    }
    modules = [{"path": path, "type": f"sentence_transformers.{name}"} for path, name in types.items()]
    (directory / "modules.json").write_text(json.dumps(modules))


def write_cross_encoder(directory: Path, tokenizer_class: str = "BertTokenizer") -> Path:
    """Write BERT as a cross-encoder of one label, without torch, and return its folder."""
    width, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    linear, norms = {"bert.pooler.dense": (width, width), "classifier": (1, width)}, ["bert.embeddings.LayerNorm"]
    for layer in (f"bert.encoder.layer.{i}" for i in range(SIZES["num_hidden_layers"])):
        linear |= {f"{layer}.attention.self.{name}": (width, width) for name in ("query", "key", "value")}
        linear |= {f"{layer}.attention.output.dense": (width, width)}
        linear |= {f"{layer}.intermediate.dense": (inner, width), f"{layer}.output.dense": (width, inner)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    rows = {"word": VOCABULARY, "position": MAX_TOKENS, "token_type": 2}
    shapes = linear | {f"bert.embeddings.{name}_embeddings": (n, width) for name, n in rows.items()}
    random = np.random.default_rng(7)
    tensors = {f"{name}.weight": random.normal(0, SPREAD, shape) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": np.zeros(shape[0]) for name, shape in linear.items()}
    tensors |= {f"{name}.weight": np.ones(width) for name in norms} | {
        f"{name}.bias": np.zeros(width) for name in norms
    }
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    settings = {"tokenizer_class": tokenizer_class, "model_max_length": MAX_TOKENS}
    directory.mkdir(parents=True)
    save_file({name: array.astype(np.float32) for name, array in tensors.items()}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(config | SIZES | {"max_position_embeddings": MAX_TOKENS}))
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer().save(str(directory / "tokenizer.json"))
    return directory


def save_cross_encoder(
    directory: Path, config: str = "BertConfig", tokenizer_class: str = "BertTokenizer", **options: object
) -> Path:
    """Write a cross-encoder of one label as transformers does, and return its folder.

    Args:
        directory: the folder.
        config: the name of the model's configuration in transformers.
        tokenizer_class: the class of its tokeniser; BERT's has types for the two texts of a pair.
        options: fields of the configuration; `SIZES` has the others.
    """
    defaults = {"num_labels": 1, "max_position_embeddings": MAX_TOKENS}
    save_transformer(directory, config, auto="AutoModelForSequenceClassification", **(defaults | options))
    edit_json(directory / "tokenizer_config.json", {"model_max_length": MAX_TOKENS, "tokenizer_class": tokenizer_class})
    return directory


def save_one_sided_cross_encoder(directory: Path, strategy: str) -> Path:
    """Write a cross-encoder that cuts one text of a pair only, as sentence-transformers does, and return its folder.

    Args:
        directory: the folder.
        strategy: `only_first` or `only_second`.
    """
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(save_cross_encoder(directory)), device="cpu").save(str(directory))
    edit_json(directory / "sentence_bert_config.json", {"processing_kwargs": {"text": {"truncation": strategy}}})
    return directory


def library_vectors(
    directory: Path | str, texts: Sequence[str], purpose: str = "document", *, precision: str = "float32"
) -> np.ndarray[Any, Any]:
    """Return the vectors that sentence-transformers computes of texts, each alone; [n, d].

    Args:
        directory: the folder of a model.
        texts: n texts.
        purpose: `query` or `document`.
        precision: the type in which it computes, as torch calls it.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True).to(getattr(torch, precision))
    encode = model.encode_query if purpose == "query" else model.encode_document
    return np.stack([encode(text, show_progress_bar=False) for text in texts])


def edit_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Set fields of a JSON object in a file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


SMALL = "small"
"""The name of the second encoder in a file of two."""
SMALL_PROMPTS = {"query": "search for: ", "document": ""}


def save_two_encoders(folder: Path) -> Path:
    """Write a small random model that reads queries and documents differently, and a file of two encoders.

    Args:
        folder: an existing folder.

    Returns:
        the file, for the setting ENCODERS: all-MiniLM-L6-v2, the default, and the small model, called `SMALL`.
    """
    bare, directory, file = folder / "bare", folder / SMALL, folder / "encoders.toml"
    save_transformer(bare, "BertConfig")
    save_sentence_encoder(directory, bare, normalise=True, prompts=SMALL_PROMPTS)
    file.write_text(
        f"""default = "{DEFAULT_MODEL}"

[encoders."{DEFAULT_MODEL}"]
model = "{DEFAULT_MODEL}"

[encoders.{SMALL}]
model = "{directory}"
"""
    )
    return file


FEW_TOKENS = {"sentence_bert_config.json": json.dumps({"max_seq_length": 8, "do_lower_case": False})}
"""A file for `link_default_model`: the model reads so few tokens that its vectors are soon measured."""


def link_default_model(directory: Path, files: Mapping[str, str] = {}) -> Path:
    """Make a folder with the default model, and return it: each file is a link, but some have other texts.

    Args:
        directory: the folder.
        files: the texts of files by their names.
    """
    source = default_checkpoint()
    for file in source.rglob("*"):
        if file.is_file() and str(file.relative_to(source)) not in files:
            link = directory / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory
