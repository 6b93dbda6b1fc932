"""Small models with random parameters, in NumPy and in torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from softkv_attention.kernels.native.library import library_of, usable_kinds
from softkv_attention.kernels.transformer import Encoder, dispatch
from softkv_attention.kernels.transformer.parameters import FLOAT32, INT16, THREE, TILES
from softkv_attention.transformer import (
    Architecture,
    Embeddings,
    LayerNorm,
    SentenceEncoder,
    compiled,
    initial,
    map_arrays,
)
from tests.thorough import thorough

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "dog", "chased", "cat", "across", "street"]
KINDS = [kind.name for kind in usable_kinds()]
"""The kinds of processors that this machine can be, the best first."""

WAYS = {"float32": FLOAT32, "int16": INT16, "bfloat16 by tiles": TILES, "float32 by tiles": THREE}

LIBRARIES: dict[str, Callable] = {"numpy": np.asarray, "torch": torch.as_tensor}


@pytest.fixture(params=list(LIBRARIES))
def library(request) -> Callable:
    """Return a function that converts NumPy arrays to the library under test."""
    return LIBRARIES[request.param]


@pytest.fixture
def random():
    return np.random.default_rng(7)


@pytest.fixture(params=[False, True], ids=["post-norm", "pre-norm"])
def sizes(request) -> Architecture:
    return Architecture(d_model=15, n_heads=5, d_ff=11, n_layers=3, norm_first=request.param)


def shaken(random, parameters):
    """Change every array a little: biases begin at 0 and scales at 1, which would hide a mistake."""
    return map_arrays(lambda array: array + 0.2 * random.standard_normal(array.shape).astype(array.dtype), parameters)


@pytest.fixture
def encoder(random, sizes, library):
    return map_arrays(library, shaken(random, initial.encoder(random, sizes)))


@pytest.fixture
def decoder(random, sizes, library):
    return map_arrays(library, shaken(random, initial.decoder(random, sizes, cross_attention=True)))


@pytest.fixture
def sentence_encoder(random, library) -> SentenceEncoder:
    """A small BERT: 31 tokens, 2 types, 19 positions."""
    sizes = Architecture(d_model=15, n_heads=5, d_ff=11, n_layers=3, norm_first=False)
    plain = initial.embeddings(random, 31, 19, sizes.d_model)
    embeddings = Embeddings(plain.tokens, plain.positions, plain.tokens[:2] + 1, initial.layer_norm(15))
    model = SentenceEncoder(embeddings, initial.encoder(random, sizes))
    return map_arrays(library, shaken(random, model))


@pytest.fixture
def layer_norm(random, library) -> LayerNorm:
    return map_arrays(library, shaken(random, initial.layer_norm(13)))


@pytest.fixture(params=[*KINDS[:1], *map(thorough, KINDS[1:])])
def kernels(request, monkeypatch) -> Encoder:
    """Encode with the kernels for a kind of processor; by day, test_compiled_bits.py compares the bits of all kinds."""
    encoder = Encoder(library_of(next(kind for kind in usable_kinds() if kind.name == request.param)))
    monkeypatch.setattr(dispatch, "native", lambda: encoder)
    return encoder


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request, monkeypatch, kernels) -> int:
    """Multiply in this way, whichever the processor would choose."""
    monkeypatch.setattr(compiled, "choose_way", lambda *_: request.param)
    return request.param


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """A small random model in a folder, written by sentence-transformers."""
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    bare = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=15,
        num_attention_heads=5,
        intermediate_size=11,
        num_hidden_layers=2,
        max_position_embeddings=19,
    )
    transformers.BertModel(config).save_pretrained(bare)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), WORDS, strict=False))
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=17, **special).save_pretrained(
        bare
    )

    transformer = Transformer(str(bare))
    pooling = Pooling(15, pooling_mode=("cls", "mean"))
    model = SentenceTransformer(
        modules=[transformer, pooling, Normalize()], prompts={"query": "the ", "passage": "dog "}, device="cpu"
    )
    folder = tmp_path_factory.mktemp("model")
    model.save(str(folder))
    return folder


@pytest.fixture
def folder(written, tmp_path) -> Path:
    """A copy to damage."""
    for source in written.rglob("*"):
        if source.is_file():
            target = tmp_path / source.relative_to(written)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path


@pytest.fixture
def change() -> Callable[..., None]:
    """Return a function that sets fields of a JSON file; a value of None removes the field."""

    def change(path: Path, **fields: object) -> None:
        fields_of_file = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({name: value for name, value in fields_of_file.items() if value is not None}))

    return change
