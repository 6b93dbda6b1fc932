from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from softkv_service.encoding.encoder import Encoder
from softkv_service.encoding.registry import load_encoder
from softkv_service.encoding.remote import provider
from tests.checkpoints import link_default_model, save_sentence_encoder, save_static, save_transformer
from tests.service.encoding.remote.provider import Reply, StubProvider


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


@pytest.fixture
def model_copy(tmp_path):
    """A directory with the real model, each file a link, so that a test can put another in its place."""
    return link_default_model(tmp_path / "model")


@pytest.fixture(scope="session")
def bare_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes small random transformers with all-MiniLM's tokeniser, as transformers saves them."""

    def make(config: str, **options: Any) -> str:
        directory = tmp_path_factory.mktemp("bare")
        save_transformer(directory, config, **options)
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
        directory = tmp_path_factory.mktemp("random")
        save_sentence_encoder(directory, Path(bare_model(config, **options)))
        return directory

    return make


@pytest.fixture(scope="session")
def static_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes small random static models, as sentence-transformers saves them."""

    def make(**options: Any) -> Path:
        directory = tmp_path_factory.mktemp("static")
        save_static(directory, **options)
        return directory

    return make


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubProvider]:
    """A provider that recovers quickly: encoders pause briefly before they call it again."""
    monkeypatch.setattr(provider, "FIRST_PAUSE_SECONDS", 0.01)
    with StubProvider().running() as stub:
        yield stub


@pytest.fixture
def door(stub: StubProvider) -> Iterator[threading.Event]:
    """A door that holds every call at the provider until it is opened."""
    door = threading.Event()
    stub.behaviour = lambda call: None if door.wait(60) else Reply(500)
    yield door
    door.set()


@pytest.fixture
def change() -> Callable[..., None]:
    """Sets fields of a JSON file."""

    def change(file: Path, **fields: object) -> None:
        content = json.loads(file.read_bytes())
        file.unlink()
        file.write_text(json.dumps(content | fields))

    return change
