"""The projection of the words of an encoder, with which late interaction compares them, made anew.

python -m tools.word_projection all-MiniLM-L6-v2 mpnet   # writes service/softkv_service/encoding/projections

It has the first 128 right singular vectors of the words of `background.TOPICS`, texts and questions, each of length
one, rounded to integers of 8 bits with one factor.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from softkv_attention.late import I8, LARGEST
from softkv_service.encoding import LocalEncoder, WordModel, load_encoder
from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.models.core_network import CoreNetwork
from softkv_service.encoding.words import WIDTH
from tools import ROOT

DIRECTORY = ROOT / "service" / "softkv_service" / "encoding" / "projections"


def measure(encoder: LocalEncoder) -> NDArray[np.float64]:
    """Return float64[d, 128], the directions in which the words of the topics are longest, each of length one."""
    assert isinstance(encoder.network, CoreNetwork)
    model = WordModel(encoder, encoder.network, np.eye(encoder.dimension, dtype=np.int8))
    texts, questions = [topic.text for topic in TOPICS], [topic.question for topic in TOPICS]
    encoded = model.encode(texts, "document"), model.encode(questions, "query")
    vectors = np.concatenate([words.vectors for part in encoded for words in part.read_words()]).astype(np.float64)
    directions = np.linalg.svd(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), full_matrices=False)[2]
    first: NDArray[np.float64] = directions[:WIDTH].T
    return first


def round_projection(directions: NDArray[np.float64]) -> I8:
    """Round a projection to integers of 8 bits with one factor."""
    return np.rint(directions * (LARGEST / np.abs(directions).max())).astype(np.int8)


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name in sys.argv[1:]:
        np.save(DIRECTORY / f"{name}.npy", round_projection(measure(load_encoder(name, precision="float32"))))


if __name__ == "__main__":
    main()
