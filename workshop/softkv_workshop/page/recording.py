"""The data of an exported page: the demo collections, and vectors of the texts that the page itself asks about."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from softkv_service.datasets import DEMOS, Demo
from softkv_service.encoding import Encoder
from softkv_service.retrieval.verdict import SAMPLE_DOCUMENTS, SAMPLE_TEXTS, KeyBackground
from softkv_service.storage import id_hash
from softkv_workshop.page.model import script

Precision = Literal["int8", "int16"]

TEXTS = Path(__file__).with_name("texts.txt")
"""The questions and keys of the page and a few hundred others, one per line: they need not wait for the encoder."""
MANY = 1000
"""The number of rows from which keys are written as int8, which changes a weight by a hundredth of itself."""
EXPORTED = "exported"


def record(encoder: Encoder, report: Callable[[str], None]) -> dict[str, bytes]:
    """Return the scripts of recorded data by their names: `exported.js`, and one for each demo.

    Args:
        encoder: the default encoder.
        report: called with a line about each step that is done.
    """
    scripts, collections = {}, {}
    texts = [line for line in TEXTS.read_text(encoding="utf-8").splitlines() if line.strip()]
    for demo in DEMOS.values():
        rows = list(demo.documents())
        keys = _key_vectors(demo, rows, encoder)
        name = f"collection-{demo.name}"
        scripts[f"{name}.js"] = script(
            name, {"rows": rows, "keys": _pack(keys, "int8" if len(rows) > MANY else "int16")}
        )
        collections[demo.name] = {"documents": len(rows), "measured": _measure(rows, keys)}
        if len(rows) <= MANY:
            texts += [text for row in rows for text in (row["key"], row["value"]) if isinstance(text, str)]
        report(f"{demo.name}: {len(rows):,} rows")
    exported = {
        "width": encoder.dimension,
        "encoder": {name: asdict(background) for name, background in encoder.backgrounds._asdict().items()}
        | {"temperature": encoder.temperature.value},
        "vectors": pack_texts(encoder, texts),
        "collections": collections,
    }
    report(f"{len(set(texts)):,} texts")
    return {f"{EXPORTED}.js": script(EXPORTED, exported), **scripts}


def _key_vectors(demo: Demo, rows: Sequence[dict[str, Any]], encoder: Encoder) -> NDArray[np.float32]:
    """Return float32 [n, d], the vectors of the rows' keys: precomputed ones, and others by the encoder."""
    precomputed = demo.vectors(encoder.checksum)
    vectors = [precomputed.of(row["key"]) for row in rows]
    missing = [row["key"] for row, vector in zip(rows, vectors, strict=True) if vector is None]
    encoded = iter(encoder.encode(missing, "document").vectors)
    return np.stack([next(encoded) if vector is None else vector for vector in vectors])


def _measure(rows: Sequence[dict[str, Any]], keys: NDArray[np.float32]) -> dict[str, Any] | None:
    """Return how similar the keys are to each other, by the sample that a service measures."""
    sample = sorted(range(len(rows)), key=lambda row: id_hash(rows[row]["id"]))[:SAMPLE_DOCUMENTS]
    texts = [rows[row]["key"] for row in sample[:SAMPLE_TEXTS]]
    measured = KeyBackground.measure("cosine", keys[sample], texts)
    if measured is None:
        return None
    return {
        "spread": asdict(measured.background),
        "pairs": measured.pairs,
        "isShort": measured.short,
        "sample": sample,
    }


def pack_texts(encoder: Encoder, texts: Iterable[str]) -> dict[str, Any]:
    """Return texts, each once, with their vectors and facts about their tokens."""
    unique = list(dict.fromkeys(texts))
    encoded = encoder.encode(unique, "query")
    rows = encoded.texts()
    return {
        "texts": unique,
        "packed": _pack(encoded.vectors, "int16"),
        "counts": [row.token_count for row in rows],
        "unknown": [row.unknown_tokens for row in rows],
    }


def _round(numbers: Any) -> list[float]:
    return [float(f"{number:.6g}") for number in numbers]


def _pack(vectors: NDArray[np.float32], precision: Precision) -> dict[str, Any]:
    """Return vectors [n, d] as integers in base64, one vector after another, with the scale of each."""
    scales = np.abs(vectors).max(axis=1) / np.iinfo(precision).max
    numbers = np.rint(vectors / scales[:, None]).astype(np.dtype(precision).newbyteorder("<"))
    return {
        "type": precision,
        "numbers": b64encode(numbers.tobytes()).decode("ascii"),
        "scales": _round(scales),
    }
