from collections.abc import Callable
from pathlib import Path

import pytest

from service.encoding.checkpoint import installed_checkpoint
from service.encoding.encoder import Encoder
from service.encoding.registry import load_encoder


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


@pytest.fixture
def model_copy(tmp_path):
    """A directory with the real model, each file a link, so that a test can put another in its place."""
    source = installed_checkpoint()
    directory = tmp_path / "model"
    for file in source.rglob("*"):
        if file.is_file():
            link = directory / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return directory


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes small random models with all-MiniLM's tokeniser, as sentence-transformers saves them."""

    def make(config: str, **options: object) -> Path:
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        directory = tmp_path_factory.mktemp("random")
        torch.manual_seed(7)
        sizes = {
            "vocab_size": 30_522,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
        model = transformers.AutoModel.from_config(getattr(transformers, config)(**sizes, **options))
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(directory / "bare")
        names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep")}
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(installed_checkpoint() / "tokenizer.json"), **names
        )
        tokenizer.save_pretrained(directory / "bare")
        transformer = Transformer(str(directory / "bare"), max_seq_length=64)
        saved = SentenceTransformer(modules=[transformer, Pooling(sizes["hidden_size"])], device="cpu")
        saved.save(str(directory / "model"))
        return directory / "model"

    return make
