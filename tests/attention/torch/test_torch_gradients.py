"""Lookups that gradients flow through, beside the same sums as torch differentiates them over all rows."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize, prune

from softkv_attention.errors import AttentionError, ParameterError, ShapeError
from softkv_attention.kernels import kernels_in_numpy, use_kernels
from softkv_attention.lookup import Auto, Background, Memory, Rows, View
from softkv_attention.lookup import attend as look_up
from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.similarity import SIMILARITIES
from softkv_attention.torch import (
    TRAINABLE,
    MemoryAttention,
    attend,
    corpus_cross_entropy,
    lookup,
    mine_negatives,
    row_sums,
)
from softkv_attention.torch import tiles as torch_tiles
from softkv_attention.torch.row_sums import StoredSimilarities

N, D, D_V, Q = 211, 13, 7, 5
TEMPERATURES = {"cosine": 0.2, "dot": 0.9, "scaled_dot": 0.3, "gaussian": 1.7}


@pytest.fixture(scope="module")
def arrays():
    random = np.random.default_rng(0)
    return tuple(random.standard_normal(shape) for shape in ((N, D), (N, D_V), (Q, D)))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    # Set here: the sizes are constants of the module, and only one of several tiles and batches can go wrong.
    monkeypatch.setattr(torch_tiles, "CELLS", 5 * 64)
    monkeypatch.setattr(torch_tiles, "QUERIES", 3)


def stored(array):
    return torch.from_numpy(array.astype(np.float32).astype(np.float64))


def dense(similarity, queries, keys, values, temperature, null=None):
    """Return output, log-partition and null weight as torch differentiates them."""
    temperature = torch.as_tensor(temperature, dtype=torch.float64)
    logits = SIMILARITIES[similarity](queries, keys) / temperature[..., None]
    count = logits.shape[1]
    if null is not None:
        of_null = (torch.as_tensor(null, dtype=torch.float64) / temperature).expand(len(queries))
        logits = torch.cat([logits, of_null[:, None]], dim=1)
    weights = torch.softmax(logits, dim=1)
    return weights[:, :count] @ values, torch.logsumexp(logits, dim=1), weights[:, count:].sum(dim=1)


@pytest.mark.parametrize("null", [None, 0.1])
@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_gradients_are_those_of_the_sums_over_all_rows(arrays, similarity, null):
    keys, values, vectors = arrays
    memory = Memory.of(keys, values, similarity=similarity)
    weights = torch.linspace(-1, 1, Q * D_V, dtype=torch.float64).reshape(Q, D_V)

    def leaves():
        level = None if null is None else torch.tensor(null, dtype=torch.float64, requires_grad=True)
        temperature = torch.tensor(TEMPERATURES[similarity], dtype=torch.float64, requires_grad=True)
        return torch.tensor(vectors, requires_grad=True), temperature, level

    sums = []
    for look in (
        lambda q, t, s: attend(q, memory, t, null=s),
        lambda q, t, s: dense(similarity, q, stored(keys), stored(values), t, s),
    ):
        inputs = leaves()
        output, log_partition, null_weight, *_ = look(*inputs)
        total = (weights * output).sum() + log_partition.square().sum() + (null_weight * weights[:, 0]).sum()
        total.backward()
        sums.append((total.detach(), *(leaf.grad for leaf in inputs if leaf is not None)))
    for mine, theirs in zip(*sums, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_gradcheck_of_ten_thousand_rows(similarity):
    random = np.random.default_rng(1)
    memory = Memory.of(random.standard_normal((10_000, 8)), random.standard_normal((10_000, 3)), similarity=similarity)
    queries = torch.tensor(random.standard_normal((2, 8)), requires_grad=True)
    temperature = torch.tensor([0.4, 0.7], dtype=torch.float64, requires_grad=True)
    null = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)

    def look(queries, temperature, null):
        return attend(queries, memory, temperature, null=null)[:3]

    assert torch.autograd.gradcheck(look, (queries, temperature, null), eps=1e-6, atol=1e-6, rtol=1e-6)

    def loss(queries, temperature, null):
        return corpus_cross_entropy(queries, memory, [[3, 5], []], temperature, null=null)

    assert torch.autograd.gradcheck(loss, (queries, temperature, null), eps=1e-6, atol=1e-6, rtol=1e-6)


def test_the_forward_pass_is_the_certified_lookup(arrays):
    keys, values, vectors = arrays
    memory = Memory.of(keys, values)
    result = attend(torch.tensor(vectors), memory, 0.2, null=0.1)[:3]
    for answer, output, log_partition, null_weight in zip(
        look_up(vectors, memory, temperature=0.2, null=0.1), *result, strict=True
    ):
        np.testing.assert_allclose(output, answer.output, rtol=1e-11, atol=1e-13)
        assert float(log_partition) == pytest.approx(answer.evidence.log_partition, rel=1e-12)
        assert float(null_weight) == pytest.approx(answer.evidence.null_weight, rel=1e-10)


@pytest.mark.parametrize(("kind", "error"), [(torch.float32, 2e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)])
def test_narrow_types_have_the_gradients_of_wide_ones(arrays, kind, error):
    keys, values, vectors = arrays
    memory = Memory.of(keys, values)
    narrow = torch.tensor(vectors, dtype=kind, requires_grad=True)
    wide = narrow.detach().double().requires_grad_()
    outputs = [attend(queries, memory, 0.2).output for queries in (narrow, wide)]
    assert outputs[0].dtype == narrow.dtype
    for output in outputs:
        output.sum().backward()
    assert narrow.grad.dtype == kind
    torch.testing.assert_close(outputs[0].double(), outputs[1], rtol=error, atol=error)
    torch.testing.assert_close(narrow.grad.double(), wide.grad, rtol=error, atol=error * float(wide.grad.abs().max()))


def test_a_masked_row_is_as_a_missing_one(arrays):
    keys, values, vectors = arrays
    passes = np.arange(N) % 3 > 0
    queries = torch.tensor(vectors, requires_grad=True)
    masked = attend(queries, Memory.of(keys, values), 0.2, mask=torch.from_numpy(passes)).output
    (gradient,) = torch.autograd.grad(masked.square().sum(), queries)
    fewer = attend(queries, Memory.of(keys[passes], values[passes]), 0.2).output
    torch.testing.assert_close(masked, fewer, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(gradient, torch.autograd.grad(fewer.square().sum(), queries)[0], rtol=1e-11, atol=1e-12)


def test_removed_rows_and_several_memories(arrays):
    keys, values, vectors = arrays
    first, second = Memory("dot"), Memory("dot")
    first.publish(add=Rows(np.arange(100), keys[:100], values[:100]))
    first.publish(remove=np.arange(0, 100, 7))
    second.publish(add=Rows(np.arange(100, N), keys[100:], values[100:]))
    left = np.setdiff1d(np.arange(N), np.arange(0, 100, 7))
    parts = View.merged([first.view, second.view])
    whole = Memory.of(keys[left], values[left], similarity="dot")
    queries = torch.tensor(vectors)
    torch.testing.assert_close(attend(queries, parts, 0.9)[:3], attend(queries, whole, 0.9)[:3], rtol=1e-12, atol=1e-13)


def test_no_rows_and_no_queries(arrays):
    keys, values, vectors = arrays
    memory, none = Memory.of(keys, values), np.zeros(N, dtype=np.bool_)
    queries = torch.tensor(vectors, requires_grad=True)
    result = attend(queries, memory, 0.2, mask=none)
    assert not result.output.any()
    assert bool(result.log_partition.isneginf().all())
    assert not torch.autograd.grad(result.output.sum(), queries)[0].any()
    with_null = attend(queries, memory, 0.2, mask=none, null=0.5)
    torch.testing.assert_close(with_null.null_weight, torch.ones(Q, dtype=torch.float64))
    assert attend(queries[:0], memory, 0.2).output.shape == (0, D_V)


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_the_loss_is_cross_entropy_over_the_corpus(arrays, similarity):
    keys, _, vectors = arrays
    memory, positives = Memory.of(keys, similarity=similarity), [4, 0, 17, 210, 4]
    gradients = []
    for whole in (False, True):
        queries = torch.tensor(vectors, requires_grad=True)
        temperature = torch.tensor(TEMPERATURES[similarity], dtype=torch.float64, requires_grad=True)
        if whole:
            logits = SIMILARITIES[similarity](queries, stored(keys)) / temperature
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(positives))
        else:
            loss = corpus_cross_entropy(queries, memory, positives, temperature)
        loss.backward()
        gradients.append((loss.detach(), queries.grad, temperature.grad))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_the_loss_of_several_positives_and_of_none(arrays):
    keys, _, vectors = arrays
    owners = np.arange(N) // 2 * 2
    memory = Memory.of(keys, owners=owners)
    queries = torch.tensor(vectors)
    losses = corpus_cross_entropy(
        queries, memory, [[8, 4, 8], 0, [], torch.tensor(2), [210]], 0.2, null=0.3, reduction="none"
    )
    of_null = torch.full((Q, 1), 0.3, dtype=torch.float64)
    logits = torch.cat([SIMILARITIES["cosine"](queries, stored(keys)), of_null], dim=1) / 0.2
    weights = torch.softmax(logits, dim=1)
    right = [[4, 5, 8, 9], [0, 1], [N], [2, 3], [210]]
    expected = torch.stack([-weights[query, rows].sum().log() for query, rows in enumerate(right)])
    torch.testing.assert_close(losses, expected, rtol=1e-10, atol=1e-12)
    total = corpus_cross_entropy(queries, memory, [[4, 8], [0], [], [2], [210]], 0.2, null=0.3, reduction="sum")
    torch.testing.assert_close(total, expected.sum())


def test_negatives_outweigh_the_null_key_and_are_not_labelled(arrays):
    keys, _, vectors = arrays
    memory = Memory.of(keys)
    similarities = SIMILARITIES["cosine"](vectors, keys.astype(np.float32).astype(np.float64))
    best = np.argsort(-similarities, axis=1)
    positives = [[int(row[0]), int(row[2])] for row in best]
    for numbers, row, order in zip(
        mine_negatives(torch.tensor(vectors), memory, positives, 0.1, null=0.35), similarities, best, strict=True
    ):
        expected = [number for number in order if row[number] > 0.35 and number not in order[[0, 2]]]
        assert numbers.tolist() == expected[:10]
    numbers = mine_negatives(vectors, memory, best[:, 0], 0.1, count=3)
    assert [found.tolist() for found in numbers] == best[:, 1:4].tolist()
    assert not len(mine_negatives(vectors[:1], memory, [0], 0.1, null=Background(9.0, 0.1))[0])
    layer = MemoryAttention(memory, temperature=0.1, null=0.35)
    even = torch.arange(N) % 2 == 0
    (numbers,) = mine_negatives(vectors[:1], memory, [[]], layer.temperature, null=layer.null, mask=even)
    assert numbers.tolist() == [row for row in best[0] if row % 2 == 0 and similarities[0, row] > 0.35][:10]


def test_heads_have_temperatures_null_keys_and_projections(arrays):
    keys, values, vectors = arrays
    memory, queries = Memory.of(keys, values), torch.tensor(vectors, dtype=torch.float32)
    layer = MemoryAttention(memory, 2, temperature=(0.1, 0.5), null=(0.1, 0.4))
    assert layer(queries).shape == (Q, 2 * D_V)
    heads = [attend(queries, memory, t, null=s).output for t, s in ((0.1, 0.1), (0.5, 0.4))]
    torch.testing.assert_close(layer(queries), torch.cat(heads, dim=1))
    layer = MemoryAttention(memory, temperature=0.1, trainable=("query", "output"))
    torch.testing.assert_close(layer(queries), attend(queries, memory, 0.1).output)
    layer = MemoryAttention(memory, 3, temperature=0.1, null=0.2, trainable=TRAINABLE, d_model=11, d_output=4)
    x = torch.randn(2, 3, 11)
    assert layer(x).shape == (2, 3, 4)
    layer(x).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in layer.parameters())
    assert not MemoryAttention(memory, temperature=0.1, trainable=()).log_temperature.requires_grad


def test_a_layer_is_of_the_default_type_and_device(arrays):
    memory = Memory.of(*arrays[:2])
    torch.set_default_dtype(torch.float64)
    try:
        layer = MemoryAttention(memory, temperature=0.1, null=0.2, trainable=TRAINABLE)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float64}
    assert float(layer.temperature) == pytest.approx(0.1, rel=1e-15)
    with torch.device("meta"):  # as libraries do before they load a state
        empty = MemoryAttention(memory, temperature=0.5, null=0.5, trainable=TRAINABLE)
    assert all(parameter.is_meta for parameter in empty.parameters())
    empty.load_state_dict(layer.state_dict(), assign=True)
    queries = torch.tensor(arrays[2])
    assert torch.equal(empty(queries), layer(queries))


def test_a_saved_layer_is_the_same(arrays, tmp_path):
    keys, values, vectors = arrays
    memory, queries = Memory.of(keys, values), torch.tensor(vectors)
    layer = MemoryAttention(memory, 2, temperature=(0.1, 0.5), null=0.2, trainable=("null", "query", "output"))
    layer.save(tmp_path / "layer.safetensors")
    loaded = MemoryAttention.load(tmp_path / "layer.safetensors", memory)
    torch.testing.assert_close(loaded(queries), layer(queries), rtol=0, atol=0)
    assert loaded.trainable == layer.trainable
    assert not loaded.log_temperature.requires_grad
    layer.double().save(tmp_path / "layer.safetensors")
    assert MemoryAttention.load(tmp_path / "layer.safetensors", memory).W_Q.dtype == torch.float64
    with pytest.raises(ShapeError, match=r"W_O of .* is \(14, 7\), this memory needs \(26, 7\)"):
        MemoryAttention.load(tmp_path / "layer.safetensors", Memory.of(keys))
    prune.l1_unstructured(layer, "W_Q", 0.5)
    parametrize.register_parametrization(layer, "W_O", torch.nn.Tanh())
    layer.save(tmp_path / "layer.safetensors")
    loaded = MemoryAttention.load(tmp_path / "layer.safetensors", memory)
    torch.testing.assert_close(loaded(queries), layer(queries), rtol=0, atol=0)
    (tmp_path / "other").write_text("no layer")
    with pytest.raises(ParameterError, match=r"must be a file that MemoryAttention\.save wrote"):
        MemoryAttention.load(tmp_path / "other", memory)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, q: attend(q[:, :5], m, 0.1), r"queries must be \[..., 13\] as the keys or W_Q are, got \(5, 5\)"),
        (lambda m, q: attend(q.long(), m, 0.1), "queries must be a dense tensor of .* got torch.int64"),
        (lambda m, q: attend(q, m, 0.0), "temperature must be finite and at least 1e-30"),
        (lambda m, q: attend(q, m, torch.ones(4)), r"temperature must be a number or broadcast .* got \(4,\)"),
        (lambda m, q: attend(q * 0, m, 0.1), "a query is a zero vector"),
        (lambda m, q: attend(q * math.nan, m, 0.1), "queries must be finite: they hold NaN"),
        (lambda m, q: attend(q, m, Auto()), "temperature must be a number or a tensor, got Auto"),
        (
            lambda m, q: attend(q, m, 0.1, null=Background(0.0, 0.1)),
            "null must be a number or a tensor, got Background",
        ),
        (lambda m, q: attend(q, "memory", 0.1), "expected a Memory, a View"),
        (lambda m, q: attend(q, m, 0.1, mask=np.ones(3, dtype=bool)), "a mask of booleans has one for each of 211"),
        (lambda m, q: attend(q, m, 0.1, mask=np.ones(N)), "mask must be a Mask or booleans, got float64"),
        (lambda m, q: corpus_cross_entropy(q, m, [0], 0.1), "an item for each of 5 queries, got 1"),
        (lambda m, q: corpus_cross_entropy(q, m, [0, 1, 2, 3, 999], 0.1), "document 999 is not in the memory"),
        (lambda m, q: corpus_cross_entropy(q, m, [[0], [1], [2], [], [3]], 0.1), "query 3 has no positive"),
        (lambda m, q: corpus_cross_entropy(q[None], m, [0], 0.1), r"queries must be \[q, d\]"),
        (lambda m, q: corpus_cross_entropy(q, m, range(5), 0.1, reduction="max"), "reduction must be"),
        (lambda m, q: corpus_cross_entropy(q.tolist(), m, range(5), 0.1), "queries must be a tensor, got list"),
        (lambda m, q: corpus_cross_entropy(q, m, [1.5, 1, 2, 3, 4], 0.1), "positives must be .* got .1.5"),
        (lambda m, q: mine_negatives(q.to("meta"), m, range(5), 0.1), "attention over a memory reads numbers"),
        (lambda m, q: mine_negatives(q, m, range(5), 0.1, count=-1), "count must be at least 1, got -1"),
        (
            lambda m, q: mine_negatives(q, m, range(5), torch.ones(2)),
            r"temperature must be one number here, got \(2,\)",
        ),
        (lambda m, q: mine_negatives(q, m, [0], 0.1), r"expected queries \[q, d\] and q positives"),
        (lambda m, q: MemoryAttention(m, temperature=0.1)(q[0, 0]), r"queries must be \[..., 13\] .* got \(\)"),
        (lambda m, q: MemoryAttention(m, temperature=0.1)(q.numpy()), "queries must be a tensor, got ndarray"),
        (lambda m, q: MemoryAttention(m, 0, temperature=0.1), "n_heads must be an integer of at least 1, got 0"),
        (
            lambda m, q: MemoryAttention(m, temperature=0.1, d_model=-1, trainable=["query"]),
            "d_model must be an integer",
        ),
        (lambda m, q: MemoryAttention(m, temperature=-1), "temperature must be finite and above 0"),
        (lambda m, q: MemoryAttention(m, temperature=1.0, null=math.inf), "null must be finite, got inf"),
        (lambda m, q: MemoryAttention(m, 3, temperature=(1.0, 2.0)), r"broadcast to \(3,\), one .* head, got \(2,\)"),
        (lambda m, q: MemoryAttention(m, temperature=1.0, trainable=("keys",)), "trainable names .* got keys"),
        (lambda m, q: MemoryAttention(m, temperature=1.0, d_model=5), 'add "query" to trainable'),
        (lambda m, q: MemoryAttention(Memory("dot"), temperature=1.0), "the memory is empty"),
    ],
)
def test_errors_name_the_argument_and_the_remedy(arrays, call, message):
    keys, _, vectors = arrays
    with pytest.raises((ShapeError, ParameterError), match=message):
        call(Memory.of(keys), torch.tensor(vectors))


def exact_gradient(queries, keys, values, temperature, weights):
    wide = queries.detach().double().requires_grad_()
    output = dense("cosine", wide, stored(keys), stored(values), temperature)[0]
    return output.detach(), torch.autograd.grad((weights * output).sum(), wide)[0]


@pytest.mark.parametrize("temperature", [0.02, 0.2, 5.0])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_certificate_bounds_output_and_gradient(temperature, kind):
    random = np.random.default_rng(3)
    keys, values = random.standard_normal((9_000, 70)), random.standard_normal((9_000, 31))
    memory = Memory.of(keys, values)
    queries = torch.tensor(random.standard_normal((70, 70)), dtype=kind, requires_grad=True)
    weights = torch.tensor(random.standard_normal((70, 31)))
    result = attend(queries, memory, temperature)
    assert result.certificate.query_gradient_error is None
    (weights * result.output).sum().backward()
    output, gradient = exact_gradient(queries, keys, values, temperature, weights)
    rounded = torch.finfo(kind).eps
    errors = torch.linalg.vector_norm(result.output.detach() - output, dim=1)
    bounds = result.certificate.output_error
    assert bool((errors <= bounds + rounded * torch.linalg.vector_norm(output, dim=1)).all())
    lengths = torch.linalg.vector_norm(gradient, dim=1)
    gradient_errors = torch.linalg.vector_norm(queries.grad - gradient, dim=1)
    gradient_bounds = result.certificate.query_gradient_error
    assert bool((gradient_errors <= gradient_bounds + rounded * lengths).all())
    assert float((gradient_errors / lengths).max()) < (1e-4 if kind == torch.float32 else 1e-10)
    assert float((gradient_bounds / lengths).max()) < (0.1 if kind == torch.float32 else 1e-8)


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_tiles_of_torch_compute_the_sums_of_the_kernels(arrays, similarity):
    # Torch's tiles serve float64, and float32 on a GPU; here they compute float32 on the CPU.
    keys, values, vectors = arrays
    rows = torch_tiles.MaskedView.of(Memory.of(keys, values, similarity=similarity), np.arange(N) % 2 > 0)
    queries, inverse = torch.tensor(vectors) / 3, torch.linspace(1, 4, Q, dtype=torch.float64)
    gradients, levels = torch.randn(Q, D_V, dtype=torch.float64), torch.randn(Q, dtype=torch.float64)
    for of_keys in (False, True):
        sums = row_sums.blend(rows.view, rows.mask, queries.numpy(), inverse.numpy(), keys=of_keys)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # it does not narrow them
            blend = partial(torch_tiles.blend_in_tiles, rows=rows, keys=of_keys)
            tiles = torch_tiles.in_batches(blend, queries.float(), inverse)
        for one, other in zip(sums[:4], tiles, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=1e-5)
    peaks = tiles[0]
    numbers = (tensor.numpy() for tensor in (queries, inverse, peaks, gradients, levels))
    pulled = row_sums.pull(rows.view, rows.mask, *numbers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pull = partial(torch_tiles.pull_in_tiles, rows=rows)
        tiles = torch_tiles.in_batches(pull, queries.float(), inverse, peaks, gradients, levels)
    for one, other in zip(pulled, tiles, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=3e-5)


def test_similarities_are_kept_for_the_way_back_where_they_take_little_memory(arrays, monkeypatch):
    keys, values, vectors = arrays
    view, kept, pulled = Memory.of(keys, values).view, [], []
    read = lookup.pull
    monkeypatch.setattr(
        lookup, "pull", lambda *numbers, **more: kept.append(more["similarities"]) or read(*numbers, **more)
    )
    for most in (1 << 26, 0):
        monkeypatch.setattr(row_sums, "SIMILARITY_BYTES", most)
        queries = torch.tensor(vectors, dtype=torch.float32, requires_grad=True)
        attend(queries, view, 0.2).output.square().sum().backward()
        pulled.append(queries.grad)
    assert kept[0] is not None
    assert kept[1] is None
    assert torch.equal(*pulled)
    with torch.no_grad():
        made = []
        monkeypatch.setattr(row_sums, "StoredSimilarities", lambda *numbers: made.append(numbers))
        attend(queries, view, 0.2)
        assert not made


def test_memory_of_kept_similarities_serves_the_next_lookup_and_ends_with_the_view(arrays):
    keys, _, _ = arrays
    view = Memory.of(keys).view
    tile = PassingRows(view, None, N).tiles[0]
    first = StoredSimilarities(view, N, 20)
    second = StoredSimilarities(view, N, 20)
    address = first.of(tile).ctypes.data
    assert second.of(tile).ctypes.data != address
    del first
    smaller = StoredSimilarities(view, N - 1, 7)
    assert smaller.of(tile).ctypes.data == address
    assert smaller.of(tile).shape == (N - 1, 16)
    numbers = weakref.ref(smaller.of(tile).base)
    del smaller, second, tile, view
    gc.collect()
    assert numbers() is None


def test_gradients_without_kernels_in_c(arrays):
    keys, values, vectors = arrays
    results = []
    for running in (None, kernels_in_numpy()):
        use_kernels(running)
        try:
            queries = torch.tensor(vectors, dtype=torch.float32, requires_grad=True)
            result = attend(queries, Memory.of(keys, values), 0.2, null=0.1)
            result.output.square().sum().backward()
            results.append((result.output.detach(), queries.grad))
        finally:
            use_kernels(None)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradient", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_makes_others_that_are_not(arrays, gradient, kind):
    # A scaler of mixed precision finds an overflow by them.
    keys, values, vectors = arrays
    queries = torch.tensor(vectors[:1], dtype=kind, requires_grad=True)
    output = attend(queries, Memory.of(keys, values), 0.2).output
    (pulled,) = torch.autograd.grad(output, queries, torch.full_like(output, gradient))
    assert not pulled.isfinite().any()


@pytest.mark.parametrize(
    ("similarity", "keys", "vectors", "message"),
    [
        ("dot", 1e20, 1e12, "must be at most 1e.30 in torch.float32, these may be"),
        ("gaussian", 1e16, 1.0, "must be at most 1e.30 in torch.float32, these may be"),
        ("cosine", 1e-35, 1.0, "keys must be at least 1e-30 long for cosine in float32"),
    ],
)
def test_numbers_that_float32_cannot_hold_need_queries_of_float64(arrays, similarity, keys, vectors, message):
    memory = Memory.of(arrays[0] * keys, arrays[1], similarity=similarity)
    queries = torch.tensor(arrays[2] * vectors)
    with pytest.raises(ParameterError, match=message):
        attend(queries.float(), memory, 1e30)
    expected = dense(similarity, queries, stored(arrays[0] * keys), stored(arrays[1]), [1e30] * Q)[0]
    torch.testing.assert_close(attend(queries, memory, 1e30).output, expected)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_the_length_of_a_query_does_not_change_its_cosine(arrays, size):
    memory, queries = Memory.of(*arrays[:2]), torch.tensor(arrays[2])
    long = (queries * size).requires_grad_()
    output = attend(long, memory, 0.2).output
    torch.testing.assert_close(output, attend(queries, memory, 0.2).output, rtol=1e-12, atol=1e-14)
    queries.requires_grad_()
    (expected,) = torch.autograd.grad(attend(queries, memory, 0.2).output.sum() * 1e-5, queries)
    (gradient,) = torch.autograd.grad(output.sum() * 1e-5, long)
    torch.testing.assert_close(gradient * size, expected, rtol=1e-9, atol=1e-18)
    with pytest.raises(ParameterError, match=r"must be at most 1e.150 in torch.float64"):
        attend(queries * 1e160, Memory.of(*arrays[:2], similarity="gaussian"), 0.2)


@pytest.mark.parametrize("size", [1e-42, 1e-36, 1e37])
def test_gradients_near_the_ends_of_float32_keep_their_digits(arrays, size):
    keys, values, vectors = arrays
    temperature = torch.tensor([0.2] * Q, dtype=torch.float64, requires_grad=True)
    result = attend(torch.tensor(vectors).float(), Memory.of(keys, values), temperature)
    (result.output.double().sum() * size).backward()
    wide = temperature.detach().requires_grad_()
    output = dense("cosine", torch.tensor(vectors), stored(keys), stored(values), wide)[0]
    (expected,) = torch.autograd.grad(output.sum(), wide)
    torch.testing.assert_close(temperature.grad / float(np.float32(size)), expected, rtol=2e-4, atol=0)


def test_the_bound_of_a_gradient_is_infinite_where_none_is_known(arrays):
    memory = Memory.of(arrays[0], arrays[1], similarity="gaussian")
    queries = torch.tensor(arrays[2], dtype=torch.float32, requires_grad=True)
    result = attend(queries, memory, 1e-9, null=-0.3)
    result.output.sum().backward()
    assert bool(result.certificate.query_gradient_error.isposinf().all())


def test_no_loss_is_below_zero():
    random = np.random.default_rng(2)
    keys = random.standard_normal((500, 64))
    queries = torch.tensor(keys[:50], dtype=torch.float32, requires_grad=True)
    losses = corpus_cross_entropy(queries, Memory.of(keys), range(50), 1e-5, reduction="none")
    assert float(losses.detach().min()) == 0
    assert float(losses.detach().max()) < 0.1
    losses.sum().backward()
    assert bool(queries.grad.isfinite().all())


def test_a_layer_needs_no_compiler():
    program = """
import sys
import numpy as np, torch
from softkv_attention.lookup import Memory
from softkv_attention.torch import MemoryAttention
MemoryAttention(Memory.of(np.eye(4)), temperature=0.1)(torch.ones(2, 4)).sum().backward()
print("torch._dynamo" in sys.modules)
"""  # the compiler takes longer to import than torch
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize(
    "numbers",
    [np.full((3, 3), 1 + 2j), [[1 + 2j] * 3] * 3, np.array([["cats"] * 3] * 3), [["cats"], ["dogs", "bark"]]],
    ids=["complex", "list of complex", "texts", "ragged"],
)
def test_complex_and_ragged_queries_and_texts_are_refused_by_name(numbers):
    with pytest.raises(AttentionError, match=r"^queries"):
        mine_negatives(numbers, Memory.of(np.eye(3)), [0, 1, 2], temperature=1.0)
