from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attention.kernels import prepare_transformer
from service.encoding.encoder import Encoder
from service.encoding.registry import default_checkpoint, load_encoder

WIDTH = 32  # of the small random models


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


@pytest.fixture
def machine_code() -> None:
    """Wait until machine code encodes, as in a service that has run for a minute."""
    prepare_transformer()


@pytest.fixture
def model_copy(tmp_path):
    """A directory with the real model, each file a link, so that a test can put another in its place."""
    source = default_checkpoint()
    directory = tmp_path / "model"
    for file in source.rglob("*"):
        if file.is_file():
            link = directory / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return directory


@pytest.fixture(scope="session")
def bare_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes small random transformers with all-MiniLM's tokeniser, as transformers saves them."""

    def make(config: str, *, auto: str = "AutoModel", padding_side: str = "right", **options: object) -> str:
        import torch
        import transformers

        directory = tmp_path_factory.mktemp("bare")
        torch.manual_seed(7)
        sizes = {
            "vocab_size": 30_522,
            "hidden_size": WIDTH,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
        model = getattr(transformers, auto).from_config(getattr(transformers, config)(**(sizes | options)))
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(directory)
        names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(default_checkpoint() / "tokenizer.json"), padding_side=padding_side, **names
        )
        tokenizer.save_pretrained(directory)
        return str(directory)

    return make


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    """Saves a model of sentence-transformers, of any of its kinds."""

    def save(model: Any) -> Path:
        model.save_pretrained(str(tmp_path / "model"))
        return tmp_path / "model"

    return save


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory, bare_model: Callable[..., str]) -> Callable[..., Path]:
    """Makes small random sentence encoders, as sentence-transformers saves them."""

    def make(config: str, **options: object) -> Path:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        directory = tmp_path_factory.mktemp("random")
        transformer = Transformer(bare_model(config, **options), max_seq_length=64)
        SentenceTransformer(modules=[transformer, Pooling(WIDTH)], device="cpu").save(str(directory))
        return directory

    return make


@pytest.fixture
def change() -> Callable[..., None]:
    """Sets fields of a JSON file."""

    def change(file: Path, **fields: object) -> None:
        content = json.loads(file.read_bytes())
        file.unlink()
        file.write_text(json.dumps(content | fields))

    return change
