"""The vectors that come with the demo collections, made anew by the default model.

python -m tools.demo_vectors            # writes service/softkv_service/datasets/vectors
python -m tools.demo_vectors library    # those of one collection
"""

from __future__ import annotations

import sys

from softkv_service.datasets import DEMOS, ENGLISH, Demo
from softkv_service.datasets.precomputed_vectors import write_vectors
from softkv_service.encoding import DEFAULT_MODEL, load_encoder
from tools import ROOT

DIRECTORY = ROOT / "service" / "softkv_service" / "datasets" / "vectors"


def encoded_texts(demo: Demo) -> list[str]:
    """The texts that the collection encodes: keys, and values unless keys stand for them; each once."""
    texts = list[str]()
    for document in demo.documents():
        texts.append(document["key"])
        if isinstance(document["value"], str) and demo.settings.get("value_from") != "key":
            texts.append(document["value"])
    return list(dict.fromkeys(texts))


def main() -> None:
    encoder = load_encoder(DEFAULT_MODEL)
    assert encoder.checksum is not None
    DIRECTORY.mkdir(exist_ok=True)
    for name in sys.argv[1:] or ENGLISH:
        texts = encoded_texts(DEMOS[name])
        vectors = encoder.encode(texts, "document").vectors
        write_vectors(DIRECTORY, name, encoder.checksum, dict(zip(texts, vectors, strict=True)))


if __name__ == "__main__":
    main()
