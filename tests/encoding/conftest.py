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
