"""Real embeddings to look up among: sentences of the docstrings that are installed, encoded by the default model.

python -m benchmarks.embeddings FILE.npy [--rows 100000]
"""

from __future__ import annotations

import argparse
import ast
import re
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from service.encoding.registry import DEFAULT_MODEL, load_encoder

BATCH = 512
SENTENCE = re.compile(r"(?<=[.!?])\s+")


def sentences() -> Iterator[str]:
    """Each sentence of a docstring once, in the order of the files."""
    seen = set()
    for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        for node in ast.walk(tree):
            for sentence in SENTENCE.split((isinstance(node, kinds) and ast.get_docstring(node)) or ""):
                words = " ".join(sentence.split())
                if 20 <= len(words) <= 300 and words not in seen:
                    seen.add(words)
                    yield words


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    texts = list(islice(sentences(), arguments.rows))
    # Texts of similar length run together, which is faster; the file keeps the order of the texts.
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    encoder = load_encoder(DEFAULT_MODEL)
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    for first in track(range(0, len(order), BATCH), "encoding", console=Console(stderr=True)):
        batch = order[first : first + BATCH]
        vectors[batch] = encoder.encode([texts[index] for index in batch], "document").vectors
    np.save(arguments.file, vectors)
    Console().print(f"{len(vectors):,} embeddings of width {vectors.shape[1]}")


if __name__ == "__main__":
    main()
