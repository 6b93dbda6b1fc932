"""The kernels compute layers of every family: each feature by itself, then together as in the families."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention import ParameterError
from softkv_attention.heads import Heads
from softkv_attention.rotary import Rotary
from softkv_attention.transformer import (
    Compiled,
    Dense,
    Embeddings,
    Encoder,
    EncoderLayer,
    FeedForward,
    LayerNorm,
    Linear,
    Positions,
    RelativePositions,
    Residual,
    RMSNorm,
    SentenceEncoder,
    compiles,
    initial,
)
from softkv_attention.transformer import compiled as module
from tests.attention.transformer.conftest import WAYS
from tests.attention.transformer.test_compiled import defined, in_turns

OFF_BY = {0: 2e-6, 1: 4e-2, 2: 4e-2, 3: 1e-5}


def model_of(
    random,
    *,
    d=64,
    heads=2,
    key_heads=None,
    head=32,
    d_ff=96,
    norm=LayerNorm,
    shift=True,
    norm_first=False,
    first_norm=True,
    branch_norms=False,
    embedding_norm=True,
    last_norm=False,
    gate=False,
    activation="gelu",
    rotary=(None, None, None),
    head_norms=False,
    windows=(None, None, None),
    causal=False,
    biases=True,
    buckets=0,
    positions=True,
    types=False,
    scale=1.0,
    temperature=1.0,
    dense=(),
    **options,
):
    """Return a random model of 31 tokens with these features, of as many layers as there are windows."""

    def numbers(*shape, about=0.0, spread=1.0):
        return (about + spread * random.standard_normal(shape)).astype(np.float32)

    def linear(depth, width):
        return Linear(numbers(depth, width, spread=depth**-0.5), numbers(width, spread=0.3) if biases else None)

    def normalisation(width=d, kind=norm):
        scale = numbers(width, about=1.0, spread=0.2)
        return RMSNorm(scale, 1e-6) if kind is RMSNorm else kind(scale, numbers(width, spread=0.2) if shift else None)

    def residual(*, with_norm=True):
        branch = normalisation() if branch_norms else None
        return Residual(normalisation() if with_norm else None, norm_first, branch)

    def layer(number):
        kv = heads if key_heads is None else key_heads
        maps = [linear(d, heads * head), linear(d, kv * head), linear(d, kv * head), linear(heads * head, d)]
        attention = Heads(
            *(map_.weight for map_ in maps),
            heads,
            *(map_.bias for map_ in maps),
            n_key_heads=key_heads,
            query_norm=normalisation(head, RMSNorm) if head_norms else None,
            key_norm=normalisation(head, RMSNorm) if head_norms else None,
            rotary=rotary[number],
            temperature=temperature,
        )
        network = FeedForward(linear(d, d_ff), linear(d_ff, d), activation, linear(d, d_ff) if gate else None)
        return EncoderLayer(
            attention,
            residual(with_norm=first_norm or number > 0),
            network,
            residual(),
            window=windows[number],
            causal=causal,
        )

    embeddings = Embeddings(
        numbers(31, d),
        Positions(numbers(142, d), 2) if positions else None,
        numbers(2, d) if types else None,
        normalisation() if embedding_norm else None,
        scale,
    )
    bias = RelativePositions(numbers(buckets, heads, spread=2.0)) if buckets else None
    encoder = Encoder(tuple(map(layer, range(len(windows)))), normalisation() if last_norm else None, bias)
    maps = [Linear(numbers(*shape, spread=shape[0] ** -0.5)) for shape in dense]
    return SentenceEncoder(embeddings, encoder, dense=tuple(Dense(map_, "tanh") for map_ in maps), **options)


PRE_NORM = {"norm_first": True, "last_norm": True, "embedding_norm": False}
LLAMA = PRE_NORM | {"norm": RMSNorm, "biases": False, "positions": False, "gate": True, "activation": "silu"}
HALVES, NEAR = Rotary.of(10_000.0, 32), Rotary.of(100.0, 32)

FEATURES = {
    "relative bias": {"buckets": 32},
    "rotary, halves": {"rotary": [HALVES] * 3},
    "rotary, interleaved": {"rotary": [replace(HALVES, interleaved=True)] * 3},
    "rotary, some components": {"rotary": [Rotary.of(500.0, 20)] * 3, "head": 64},
    "rotary, some interleaved components": {"rotary": [Rotary.of(500.0, 20, interleaved=True)] * 3},
    "rotary, scaled": {"rotary": [replace(HALVES, scale=1.2)] * 3},
    "rotary of two kinds and none": {"rotary": [NEAR, HALVES, None]},
    "query and key norms before rotary": {"head_norms": True, "rotary": [HALVES] * 3, "temperature": 0.7},
    "ReGLU": {"gate": True, "activation": "relu"},
    "LayerNorm without shift": {"shift": False},
    "pre-norm without a last norm": PRE_NORM | {"last_norm": False},
    "pre-norm behind normalised embeddings": PRE_NORM | {"embedding_norm": True, "first_norm": False},
    "norms of branches": PRE_NORM | {"branch_norms": True, "norm": RMSNorm, "biases": False},
    "windows": {"windows": [5, None, 40]},
    "causal windows": {"windows": [5, None, 40], "causal": True},
    "no positions": {"positions": False, "types": True},
    "scaled embeddings": {"scale": 8.0},
    "a temperature": {"temperature": 0.6},
    "last token": {"poolings": ("last", "cls")},
    "dense": {"dense": [(64, 40), (40, 24)]},
    "other widths": {"d": 96, "heads": 3, "key_heads": 3, "head": 20, "d_ff": 90},
    "other widths with rotary and gates": {"head": 20, "d_ff": 50, "gate": True, "rotary": [Rotary.of(9.0, 12)] * 3},
    "heads wider than the model": {"heads": 3, "head": 64},
    "more hidden units than a pass": {"d_ff": 800, "gate": True},
}

FAMILIES = {
    "MPNet": {"buckets": 32},
    "NomicBERT": {"positions": False, "types": True, "biases": False, "gate": True, "activation": "silu",
        "rotary": [HALVES] * 3},
    "ModernBERT": PRE_NORM | {"embedding_norm": True, "first_norm": False, "shift": False, "biases": False,
        "positions": False, "gate": True, "rotary": [HALVES, NEAR, NEAR], "windows": [None, 8, 8],
        "poolings": ("cls",)},
    "Llama": LLAMA | {"heads": 6, "key_heads": 2, "rotary": [HALVES] * 3, "causal": True},
    "Qwen3": LLAMA | {"heads": 4, "key_heads": 2, "head": 64, "rotary": [Rotary.of(1e6, 64)] * 3, "causal": True,
        "head_norms": True, "poolings": ("last",)},
    "Gemma 3": LLAMA | {"activation": "gelu_tanh", "branch_norms": True, "head_norms": True, "heads": 3,
        "key_heads": 1, "rotary": [NEAR, NEAR, HALVES], "windows": [6, 6, None], "causal": True, "scale": 8.0,
        "temperature": 0.8, "dense": [(64, 96), (96, 64)]},
    "EmbeddingGemma": LLAMA | {"activation": "gelu_tanh", "branch_norms": True, "head_norms": True, "heads": 3,
        "key_heads": 1, "rotary": [NEAR, HALVES, NEAR], "windows": [6, None, 40]},
}  # fmt: skip

MODELS = FEATURES | FAMILIES


@pytest.fixture
def texts(random):
    lengths = np.array([3, 17, 1, 33, 8, 140, 64, 2])
    return random.integers(0, 31, lengths.sum()), lengths


@pytest.mark.parametrize("name", MODELS)
def test_the_kernels_compute_each_family_as_defined(random, texts, name, way):
    model = model_of(random, **MODELS[name])
    assert compiles(model)
    expected, actual = defined(model, *texts), Compiled(model)(*texts)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=OFF_BY[way])


@pytest.mark.parametrize("name", MODELS)
def test_token_vectors_are_those_from_which_the_definition_pools(random, texts, name, way):
    model, (tokens, lengths) = model_of(random, **MODELS[name]), texts
    each = np.split(tokens, np.cumsum(lengths)[:-1])
    defined = np.concatenate([model.token_vectors(text[None], np.array([len(text)]))[0] for text in each])
    compiled = Compiled(model, threads=2)
    embeddings, actual = compiled.with_tokens(tokens, lengths)
    np.testing.assert_array_equal(embeddings, compiled(tokens, lengths))
    np.testing.assert_allclose(actual, defined, atol=10 * OFF_BY[way] * np.abs(defined).max())


@pytest.mark.parametrize("name", ["windows", "causal windows", "relative bias", *FAMILIES])
def test_neither_neighbours_nor_threads_change_a_text(random, texts, name, way, monkeypatch):
    tokens, lengths = texts
    model = model_of(random, **MODELS[name])
    together = Compiled(model, threads=3)(tokens, lengths)
    parts = np.split(tokens, np.cumsum(lengths)[:-1])
    alone = Compiled(model, threads=1)
    for number, text in enumerate(parts):
        np.testing.assert_array_equal(alone(text, lengths[number : number + 1])[0], together[number])
    monkeypatch.setattr(module, "share_texts", lambda lengths, threads: [slice(0, len(lengths))])
    monkeypatch.setattr(module, "run_in_stages", in_turns)
    for threads in (2, 3):
        np.testing.assert_array_equal(Compiled(model, threads=threads)(tokens, lengths), together)


@pytest.mark.parametrize("name", ["rotary, halves", "relative bias"])
def test_tables_grow_with_the_longest_text(kernels, random, name, monkeypatch):
    monkeypatch.setattr(module, "POSITIONS", 8)
    model = model_of(random, **MODELS[name])
    compiled = Compiled(model)
    for length in (8, 9, 130, 3):
        text = random.integers(0, 31, length), np.array([length])
        np.testing.assert_allclose(compiled(*text), defined(model, *text), atol=OFF_BY[module.way_of("float32")])


def test_token_vectors_are_not_copied(kernels, random):
    model = model_of(random)
    tokens = model.embeddings.tokens.copy()
    tokens.flags.writeable = False
    compiled = Compiled(replace(model, embeddings=replace(model.embeddings, tokens=tokens)))
    assert np.shares_memory(compiled._network.tokens, tokens)
    ids, lengths = np.arange(9), np.array([9])
    np.testing.assert_array_equal(compiled(ids, lengths), Compiled(model)(ids, lengths))


UNSUPPORTED = {
    "the poolings": {"poolings": ("weighted_mean",)},
    "with nothing behind them": {"last_norm": True},
    "in pre-norm layers only": {"branch_norms": True},
    "that have no bias": PRE_NORM | {"branch_norms": True},
    "normalise queries of widths that are multiples of 32, not 20": {"head": 20, "head_norms": True},
    "widths that are multiples of 32, not 48": {"d": 48},
    "not 'tanh'": {"activation": "tanh"},
}


@pytest.mark.parametrize("reason", UNSUPPORTED)
def test_models_that_it_does_not_compute(random, reason):
    model = model_of(random, **UNSUPPORTED[reason])
    assert not compiles(model)
    with pytest.raises(ParameterError, match=f"{reason}.*call the model itself"):
        Compiled(model)


@given(
    seed=st.integers(0, 2**32 - 1),
    way=st.sampled_from(list(WAYS.values())),
    lengths=st.lists(st.integers(1, 130), min_size=1, max_size=6),
    widths=st.tuples(*[st.integers(1, 3)] * 3),
    heads=st.sampled_from([(1, 1), (4, 2), (3, 1), (3, 3)]),
    windows=st.lists(st.sampled_from([None, 0, 4, 31, 32, 70]), min_size=1, max_size=3),
    options=st.fixed_dictionaries(
        {
            "activation": st.sampled_from(["relu", "gelu", "gelu_tanh", "silu"]),
            "poolings": st.lists(st.sampled_from(["mean", "cls", "max", "last"]), min_size=1, max_size=4, unique=True),
            **{name: st.booleans() for name in ("gate", "causal", "head_norms", "biases", "types")},
        }
    ),
    norm_first=st.booleans(),
    rms=st.booleans(),
    rotates=st.booleans(),
    buckets=st.sampled_from([0, 32]),
)
def test_models_and_texts_of_all_kinds(
    seed, way, lengths, widths, heads, windows, options, norm_first, rms, rotates, buckets
):
    d, head, d_ff = (32 * width for width in widths)
    options |= PRE_NORM if norm_first else {}
    options |= {"norm": RMSNorm} if rms else {}
    options |= {"rotary": [Rotary.of(500.0, head)] * 3} if rotates else {}
    options["poolings"] = tuple(options["poolings"])
    random = np.random.default_rng(seed)
    sizes = {"d": d, "head": head, "d_ff": d_ff, "heads": heads[0], "key_heads": heads[1], "windows": windows}
    model = model_of(random, buckets=buckets, **sizes, **options)
    texts = random.integers(0, 31, sum(lengths)), np.array(lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "choose_way", lambda *_: way)
        np.testing.assert_allclose(Compiled(model, threads=2)(*texts), defined(model, *texts), atol=2 * OFF_BY[way])


def changed(layer, **fields):
    return replace(layer, attention=replace(layer.attention, **fields))


def test_parts_that_it_does_not_know(random):
    model = model_of(random)
    first, *others = model.encoder.layers
    plain, other = first.attention_residual, initial.layer_norm(64)
    rms = RMSNorm(np.ones(32, np.float32))
    unsupported = {
        "LayerNorm and RMSNorm": replace(first, attention_residual=Residual(lambda x: x)),
        "either pre-norm or post-norm": replace(first, attention_residual=Residual(other, norm_first=True)),
        "RMSNorm for queries and keys": changed(first, query_norm=LayerNorm(rms.scale), key_norm=rms),
        "queries and keys, or neither": changed(first, query_norm=rms),
        "layers that are alike": changed(first, query_norm=rms, key_norm=rms),
    }
    assert compiles(replace(model, encoder=Encoder((replace(first, attention_residual=plain), *others))))
    for reason, layer in unsupported.items():
        with pytest.raises(ParameterError, match=reason):
            Compiled(replace(model, encoder=Encoder((layer, *others))))
    for layers in ((), None):
        encoder = Encoder(()) if layers == () else replace(model.encoder, norm=lambda x: x)
        assert not compiles(replace(model, encoder=encoder))
