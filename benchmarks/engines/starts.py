"""From the start of a process to its first embedding, in processes that do nothing else; what is read is in memory.

    python -m benchmarks.engines.starts softkv|sentence-transformers|onnxruntime MODEL FILE THREADS

It imports nothing that takes a while before it knows whose embedding is wanted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TEXT = "how does a cat purr?"


def softkv(model: str, file: str, threads: int) -> Sequence[float]:
    """The default model, as the service loads it."""
    from service.encoding import DEFAULT_MODEL, load_encoder

    vector: Sequence[float] = load_encoder(DEFAULT_MODEL, threads=threads).encode([TEXT], "query").vectors[0]
    return vector


def sentence_transformers(model: str, file: str, threads: int) -> Sequence[float]:
    """The library, which would import torchao where that is installed, and takes seconds more then."""
    sys.modules["torchao"] = None  # type: ignore[assignment]
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    vector: Sequence[float] = SentenceTransformer(model, device="cpu").encode([TEXT], show_progress_bar=False)[0]
    return vector


def onnxruntime(model: str, file: str, threads: int) -> Sequence[float]:
    """A session of the fused model, and the tokeniser."""
    from benchmarks.engines.onnxruntime import opened

    vector: Sequence[float] = opened(Path(file), Path(model), threads).encode([TEXT])[0]
    return vector


STARTS: Mapping[str, Callable[[str, str, int], Sequence[float]]] = {
    "softkv": softkv,
    "sentence-transformers": sentence_transformers,
    "onnxruntime": onnxruntime,
}


def seconds_to_first(names: Sequence[str], model: Path, file: Path, threads: int, count: int) -> dict[str, list[float]]:
    """Return the seconds of each until its first vector, `count` times in turns after a warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(count + 1):
        for name in names:
            seconds = first(name, model, file, threads)
            if turn:
                taken[name].append(seconds)
    return taken


def first(name: str, model: Path, file: Path, threads: int) -> float:
    """Seconds of one process until it says that it has the embedding.

    Raises:
        RuntimeError: it ended without.
    """
    command = [sys.executable, "-m", __name__, name, str(model), str(file), str(threads)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - began
        errors = process.communicate()[1]
    if line.strip() != "1.000":
        raise RuntimeError(f"{name} has no embedding, but {line!r}: {errors[-1000:]}")
    return taken


def main() -> None:
    """Print the length of the embedding as soon as it is there."""
    name, model, file, threads = sys.argv[1:]
    vector = STARTS[name](model, file, int(threads))
    print(f"{sum(float(number) ** 2 for number in vector) ** 0.5:.3f}", flush=True)


if __name__ == "__main__":
    main()
