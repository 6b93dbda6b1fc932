"""The encoder of the exported page, against the service's: the same tokens, nearly the same vectors and attention."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from softkv_attention.transformer import strongest_neurons
from softkv_service.datasets import DEMOS
from softkv_service.encoding import Encoder, load_encoder
from softkv_service.encoding.tracing import read_pair, trace_layers, trace_without_heads, traceable
from softkv_service.retrieval.queries.trace import HIDDEN_STATES
from softkv_workshop.page.model import write_model
from softkv_workshop.page.recording import TEXTS
from tools.node import ROOT, checked, node

pytestmark = pytest.mark.node

SCRIPT = Path("workshop", "tests", "page", "encode_texts.mjs")
TRACED: list[dict[str, Any]] = [
    {"text": "The dog chased the cat", "pair": None, "causal": False},
    {"text": "Ünïcödé: a “naïve” café!", "pair": None, "causal": True},
    {"text": "Where does the cat sleep?", "pair": "It sleeps in the kitchen, 日本語.", "causal": False},
]
HOSTILE = [
    "",
    "   ",
    "ÅNGSTRÖM Straße İstanbul ΣΊΣΥΦΟΣ ﬁ",
    "e\u0301\u0327 n\u0303 \u0301",
    "日本語とEnglish混在",
    "한국어 텍스트",
    "عربي ٣٤ ½ ² ①",
    "cat🐱dog",
    "[CLS] hello [SEP] [MASK]x[UNK] [pad] ##ing ##",
    "I'm—don't; \"x\" (y) $5.00 <b>&amp;</b> a_b^c`d~e|f",
    "\x00\x07tab\tnew\nline\x85next\u200bzero\ufeff\ufffd",
    "\u2028a\u2029b\u00a0c\u3000d",
    "a" * 150,
    "x" * 99 + " " + "y" * 101,
    "word " * 400,
    "\u1734\u166d\u061d\u08ca",  # of another kind in other versions of Unicode
]
CHARACTERS = [(0x20, 0x7F), (0xA0, 0x600), (0x600, 0x3000), (0x3000, 0xD800), (0xE000, 0x11000), (0x1F300, 0x1F700)]


def random_texts(count: int) -> list[str]:
    random = Random(45)
    return ["".join(chr(random.randrange(*random.choice(CHARACTERS))) for _ in range(20)) for _ in range(count)]


def in_the_browser(folder: Path, texts: tuple[str, ...], encoded: tuple[str, ...]) -> dict[str, Any]:
    """What the page's encoder makes of texts."""
    given = json.dumps({"folder": str(folder), "texts": texts, "encoded": encoded, "traced": TRACED})
    answer: dict[str, Any] = json.loads(checked(node(ROOT, SCRIPT, given=given)))
    return answer


@pytest.fixture(scope="module")
def texts() -> list[str]:
    keys = [row["key"] for row in (*DEMOS["library"].documents(), *DEMOS["videos"].documents())]
    questions = TEXTS.read_text(encoding="utf-8").splitlines()
    return [*keys, *questions, *HOSTILE, *random_texts(200)]


@pytest.fixture(scope="module")
def encoded(texts: list[str]) -> list[str]:
    return [*texts[:120:2], *HOSTILE]


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], encoded: list[str], encoder: Encoder
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("model")
    for name, content in write_model(encoder).items():
        (folder / name).write_bytes(content)
    return in_the_browser(folder, tuple(texts), tuple(encoded))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


def test_every_text_has_the_tokens_that_the_service_reads(encoder: Encoder, page: Any, texts: list[str]) -> None:
    for text, tokens in zip(texts, page["tokens"], strict=True):
        expected = read_pair(encoder, text, None)
        assert [token["id"] for token in tokens] == expected.ids, repr(text)
        assert [token["text"] for token in tokens][1:-1] == [token.text for token in expected.tokens][1:-1], repr(text)


def test_unknown_and_unread_tokens_are_counted_as_the_service_counts_them(
    encoder: Encoder, page: Any, texts: list[str]
) -> None:
    tokens = encoder.network.tokenizer.read(texts)
    is_truncated = tokens.total > encoder.tokens_read(tokens.total)
    counts = zip(tokens.total, tokens.unknown, is_truncated, strict=True)
    assert [(count["count"], count["unknown"], count["isTruncated"]) for count in page["counts"]] == list(counts)


def test_vectors_are_those_of_the_service(encoder: Encoder, page: Any, encoded: list[str]) -> None:
    vectors = np.array(page["vectors"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosines = (vectors * encoder.encode(encoded, "query").vectors).sum(axis=1)
    assert cosines.min() > 0.995, encoded[int(cosines.argmin())]
    assert np.median(cosines) > 0.999


@pytest.mark.parametrize("number", range(len(TRACED)))
def test_each_layer_computes_the_numbers_of_the_service(encoder: Encoder, page: Any, number: int) -> None:
    asked, trace = TRACED[number], page["traces"][number]
    tokens = read_pair(encoder, asked["text"], asked["pair"])
    assert trace["spans"] == [token._asdict() for token in tokens.tokens]
    layers = trace_layers(traceable(encoder), tokens, layers=range(6), heads=None, causal=asked["causal"])
    n = len(tokens.tokens)
    for layer, heads in zip(layers, trace["layers"], strict=True):
        weights = np.array(heads["attention"]).reshape(12, n, n)
        np.testing.assert_allclose(weights, layer.weights, atol=0.08)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
        logits = np.array(heads["logits"], dtype=float).reshape(12, n, n)
        np.testing.assert_allclose(np.where(np.isnan(logits), -np.inf, logits), layer.logits, atol=0.6)
        for name in ("query", "key", "value"):
            plural = {"query": "queries", "key": "keys", "value": "values"}[name]
            vectors, expected = np.array(heads[plural]).reshape(12, n, 32), getattr(layer, name)
            assert np.linalg.norm(vectors - expected) < 0.05 * np.linalg.norm(expected), name
        for name, expected in (
            ("attention", layer.attention_change),
            ("feedForward", layer.feed_forward_change),
            ("layer", layer.change),
        ):
            np.testing.assert_allclose(heads["changes"][name], expected, rtol=0.1)
        for states, name in zip(heads["states"], HIDDEN_STATES, strict=True):
            assert is_near(np.array(states).reshape(n, -1), getattr(layer, name), 0.1), name


def is_near(actual: Any, expected: Any, most: float) -> bool:
    """Return whether a matrix misses another one by at most a share of its size."""
    return bool(np.linalg.norm(actual - expected) < most * np.linalg.norm(expected))


@pytest.mark.parametrize("number", range(len(TRACED)))
def test_a_head_writes_and_neurons_are_found_as_the_service_does(encoder: Encoder, page: Any, number: int) -> None:
    asked, trace = TRACED[number], page["traces"][number]
    model, tokens = traceable(encoder), read_pair(encoder, asked["text"], asked["pair"])
    (layer,) = trace_layers(model, tokens, layers=[0], heads=[3], causal=asked["causal"])
    written = model.encoder.layers[0].attention.write(layer.head_output, [3])[0]
    assert is_near(np.array(trace["written"]).reshape(written.shape), written, 0.1)
    every = strongest_neurons(model.encoder.layers[0], layer.middle, 1536)
    found = {name: np.array(trace["neurons"][name]).reshape(len(tokens.ids), 8) for name in every._fields}
    for token in range(len(tokens.ids)):
        places = {int(index): k for k, index in enumerate(every.index[token])}
        at = [places[int(index)] for index in found["index"][token]]
        assert at[0] < 8
        for name, most in (("score", 0.3), ("activation", 0.3), ("share", 0.03)):
            np.testing.assert_allclose(found[name][token], getattr(every, name)[token][at], atol=most)


def test_a_head_is_left_out_as_the_service_does(encoder: Encoder, page: Any) -> None:
    expected = trace_without_heads(traceable(encoder), read_pair(encoder, TRACED[0]["text"], None)).reshape(72, -1)
    cosines = (np.array(page["without"]) * expected).sum(axis=1)
    assert cosines.min() > 0.99


def test_the_share_that_has_come_goes_from_nothing_to_all(page: Any) -> None:
    assert page["shares"][0] == 0
    assert page["shares"][-1] == 1
    assert page["shares"] == sorted(page["shares"])
