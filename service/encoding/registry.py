"""From the name of a model to the encoder: a known name, a directory, or a model in the local cache."""

from pathlib import Path

from service.encoding.checkpoint import installed_checkpoint
from service.encoding.encoder import Encoder
from service.encoding.errors import ModelError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
ORGANISATION = "sentence-transformers"  # whose models go by their bare names


def load_encoder(name_or_path: str, *, threads: int | None = None) -> Encoder:
    """Load an encoder from this machine; blocks for seconds, and never asks the network.

    Args:
        name_or_path: `all-MiniLM-L6-v2` (with or without `sentence-transformers/`), a directory, or the
            name of a model that the Hugging Face cache of this machine holds.
        threads: cores for the arithmetic; None leaves torch's own choice.

    Raises:
        ModelError: there is no such model here, or it cannot be loaded.
    """
    name = encoder_name(name_or_path)
    return Encoder(name, _find(name), threads=threads)


def encoder_name(name_or_path: str) -> str:
    """The one name of a model, which its encoder has and collections record; nothing is loaded.

    The organisation's name is left out where it may be, and a directory is known by its absolute path,
    so that the name means the same from everywhere.
    """
    directory = Path(name_or_path).expanduser()
    bare = name_or_path.removeprefix(f"{ORGANISATION}/")
    if bare != DEFAULT_MODEL and name_or_path and directory.is_dir():
        return str(directory.resolve())
    return bare


def _find(name: str) -> Path:
    if name == DEFAULT_MODEL:
        return installed_checkpoint()
    if Path(name).is_absolute() and Path(name).is_dir():
        return Path(name)
    return _cached_model(name)


def _cached_model(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        repository = name if "/" in name else f"{ORGANISATION}/{name}"
        return Path(snapshot_download(repository, local_files_only=True))
    except (OSError, ValueError) as error:  # not in the cache; not a name that a model can have
        raise ModelError(
            f"there is no model {name!r} on this machine, neither as a directory nor in the Hugging Face "
            f"cache, and softkv does not download: name {DEFAULT_MODEL}, or a directory that holds a model"
        ) from error
