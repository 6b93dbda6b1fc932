"""The default encoder as scripts for a browser: weights as int8 with a scale for each row, in base64.

`web/encoder/` of the workshop reads them. Classic scripts open from files, where a page may not fetch anything else.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from softkv_service.encoding import LocalEncoder, traceable

NAME = "model"
PART_BYTES = 3 << 20
"""The tensors' bytes in one script; a multiple of three, so that only the last one pads its base64."""
PLANES = (range(0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE1000))
"""Characters that a tokeniser may drop or read as punctuation. The others are ideographs, or for private use."""
INT8_MAX = 127


def write_model(encoder: LocalEncoder) -> dict[str, bytes]:
    """Return the scripts of the default encoder, by their names: `model.js` first, then its parts."""
    model: Any = traceable(encoder)  # the types of a model allow parts that this one has or has not
    first = model.encoder.layers[0]
    tensors = dict(_tensors(model))
    # float32 first: a browser's arrays must begin at a multiple of their numbers' size.
    ordered = sorted(tensors.items(), key=lambda item: item[1].dtype != np.float32)
    content, entries = bytearray(), []
    for name, tensor in ordered:
        entries.append([name, tensor.dtype.name, len(content), tensor.size])
        content += tensor.tobytes()
    parts = {
        f"{NAME}-{number}": bytes(content[start : start + PART_BYTES])
        for number, start in enumerate(range(0, len(content), PART_BYTES), 1)
    }
    header = {
        "name": encoder.name,
        "shape": {
            "width": model.dimension,
            "layers": len(model.encoder.layers),
            "heads": first.attention.n_heads,
            "inner": len(tensors["0.widen.bias"]),
            "positions": model.embeddings.positions.limit,
            "epsilon": first.feed_forward_residual.norm.epsilon,
        },
        "max_tokens": encoder.max_tokens,
        "vocabulary": _vocabulary(encoder.network.tokenizer.library),
        "tensors": entries,
        "bytes": len(content),
        "parts": list(parts),
    }
    records = {NAME: header} | {name: b64encode(part).decode("ascii") for name, part in parts.items()}
    return {f"{name}.js": script(name, record) for name, record in records.items()}


def script(name: str, record: Any) -> bytes:
    """Return a classic script that records a JSON value under a name, for the page to read."""
    data = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return f"(self.softkvRecorded ??= {{}})[{json.dumps(name)}] = {data};\n".encode()


def _tensors(model: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tensors by the names that `encoder/network.js` gives them."""
    embeddings = model.embeddings
    yield from quantise("words", embeddings.tokens[:])
    # The first text's type is added to the positions; of a second text, the difference is added to that.
    yield "positions", embeddings.positions.table[embeddings.positions.first :] + embeddings.types[0]
    yield "second", embeddings.types[1] - embeddings.types[0]
    yield from norm_tensors("embeddings.norm", embeddings.norm)
    yield from layer_tensors(model.encoder.layers)


def layer_tensors(layers: Iterable[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tensors of layers with attention and a feed-forward network, named by the number of the layer."""
    for number, layer in enumerate(layers):
        heads, network = layer.attention, layer.feed_forward
        yield from quantise(f"{number}.attention", np.hstack([heads.W_Q, heads.W_K, heads.W_V]).T)
        yield f"{number}.attention.bias", np.hstack([heads.b_Q, heads.b_K, heads.b_V])
        yield from quantise(f"{number}.output", heads.W_O.T)
        yield f"{number}.output.bias", heads.b_O
        yield from norm_tensors(f"{number}.attention.norm", layer.attention_residual.norm)
        for name, linear in (("widen", network.inner), ("narrow", network.outer)):
            yield from quantise(f"{number}.{name}", linear.weight.T)
            yield f"{number}.{name}.bias", linear.bias
        yield from norm_tensors(f"{number}.norm", layer.feed_forward_residual.norm)


def quantise(name: str, matrix: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield a matrix [n, d] as int8, and the scales [n] of its rows."""
    scales = (np.abs(matrix).max(axis=1) / INT8_MAX).astype(np.float32)
    yield name, np.rint(matrix / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    yield f"{name}.scale", scales


def norm_tensors(name: str, norm: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the scale and the shift of a normalisation."""
    yield f"{name}.scale", norm.scale
    yield f"{name}.shift", norm.shift


def _vocabulary(library: Tokenizer) -> dict[str, Any]:
    """Return what `encoder/tokeniser.js` knows of BERT's tokeniser, as its type `Vocabulary` describes."""
    model = json.loads(library.to_str())["model"]
    ids = library.get_vocab()
    around = library.encode("").tokens
    return {
        "pieces": "\n".join(sorted(ids, key=ids.__getitem__)),
        "special": {token.content: number for number, token in library.get_added_tokens_decoder().items()},
        "unknown": model["unk_token"],
        "first": around[0],
        "last": around[-1],
        "prefix": model["continuing_subword_prefix"],
        "longest": model["max_input_chars_per_word"],
        "dropped": _ranges(lambda character: not library.normalizer.normalize_str(f"a{character}b")[1:-1]),
        "punctuation": _ranges(lambda character: len(library.pre_tokenizer.pre_tokenize_str(f"a{character}b")) == 3),
    }


def _ranges(holds: Any) -> list[list[int]]:
    """Return the ranges of characters, first and last, for which a condition holds."""
    ranges: list[list[int]] = []
    for plane in PLANES:
        for number in plane:
            if not holds(chr(number)):
                continue
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
    return ranges
