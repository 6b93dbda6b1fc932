"""Outputs have the library, type, device and shape of the inputs."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import array_api_compat
import numpy as np
import pytest
import torch

from softkv_attention import attend, causal, merge, padding, partial
from softkv_attention.arrays import array_namespace, is_array, is_torch_array
from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Memory
from softkv_attention.transformer import Linear, arrays

BATCH, HEADS, M, N, D, D_V = 2, 11, 3, 7, 5, 13


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


with_standard = pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy lacks the standard")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy_keeps_its_type_and_works_in_float32_at_least(dtype):
    query, key, value = (random(*shape).astype(dtype) for shape in ((M, D), (N, D), (N, D_V)))
    attended = attend(query, key, value)
    assert attended.output.dtype == dtype
    assert attended.weights.dtype == np.result_type(dtype, np.float32)
    assert attended.logits.dtype == attended.log_partition.dtype == attended.weights.dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_keeps_its_type_and_works_in_float32_at_least(dtype):
    query, key, value = (torch.from_numpy(random(*shape)).to(dtype) for shape in ((M, D), (N, D), (N, D_V)))
    attended = attend(query, key, value)
    assert attended.output.dtype == dtype
    assert attended.weights.dtype == torch.promote_types(dtype, torch.float32)
    exact = attend(query.double(), key.double(), value.double())
    np.testing.assert_allclose(attended.weights, exact.weights, rtol=2e-6)


def test_half_precision_overflows_nowhere():
    query, key = np.full((M, D), 60000, np.float16), np.full((N, D), 60000, np.float16)
    attended = attend(query, key, np.ones((N, D_V), np.float16), similarity="dot")
    np.testing.assert_allclose(attended.weights, 1 / N, rtol=1e-6)


@pytest.mark.parametrize("similarity", ["cosine", "gaussian"])
@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15", "one_hot"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_torch_never_leaves_its_device(similarity, normaliser, temperature):
    # The meta device refuses to meet another, as a GPU does, and is on every machine.
    query, key, value = (torch.empty(shape, device="meta") for shape in ((M, D), (N, D), (N, D_V)))
    mask = padding(torch.empty(1, dtype=torch.int64, device="meta"), N) & causal(M, N, like=query)
    options = {"similarity": similarity, "temperature": temperature, "mask": mask, "null": 0.1}
    attended = attend(query, key, value, bias=query[:, :1], normaliser=normaliser, **options)
    part = partial(query, key, value, **options)
    merged = merge(part, partial(query, key[:0], value[:0], **options | {"mask": mask[..., :0]}))
    for array in (*attended, *part[:-1], *merged[:-1], merged.peak, merged.log_sum_exp):
        assert array is None or array.device == query.device


def test_hidden_numbers_of_a_masked_array_enter_no_answer():
    plain, hiding = np.eye(2), np.ma.array([[1.0, 9.0], [0.0, 1.0]], mask=[[False, True], [False, False]])
    arguments = {"query": plain, "key": plain, "value": plain, "bias": plain, "mask": plain > 0}
    expected = attend(**arguments)
    for name, argument in arguments.items():
        shown = attend(**{**arguments, name: np.ma.array(argument, mask=False)})
        assert type(shown.weights) is np.ndarray
        np.testing.assert_array_equal(shown.weights, expected.weights)
        for masked in (hiding, list(hiding)):
            with pytest.raises(ParameterError, match=f"{name} must show all its numbers"):
                attend(**{**arguments, name: masked})
    with pytest.raises(ParameterError, match="must show all its numbers"):
        Memory.of(hiding)


def test_leading_dimensions_broadcast():
    query, key, value = random(BATCH, 1, M, D), random(HEADS, N, D), random(BATCH, 1, N, D_V)
    mask = random(BATCH, 1, 1, N) > 0
    bias, null = random(HEADS, M, N), random(BATCH, 1, 1)
    attended = attend(query, key, value, mask=mask, bias=bias, null=null)
    assert attended.output.shape == (BATCH, HEADS, M, D_V)
    assert attended.weights.shape == attended.logits.shape == (BATCH, HEADS, M, N)
    assert attended.log_partition.shape == attended.null_weight.shape == (BATCH, HEADS, M)
    for b in range(BATCH):
        for h in range(HEADS):
            alone = attend(query[b, 0], key[h], value[b, 0], mask=mask[b, 0], bias=bias[h], null=float(null[b, 0, 0]))
            np.testing.assert_allclose(attended.output[b, h], alone.output, atol=1e-12)
            np.testing.assert_allclose(attended.log_partition[b, h], alone.log_partition, atol=1e-12)


def test_arguments_are_left_as_they_were():
    arrays = [random(M, D), random(N, D), random(N, D_V)]
    copies = [array.copy() for array in arrays]
    attend(*arrays, null=0.1, mask=np.ones(N, bool), bias=np.zeros(N))
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@with_standard
def test_numpy_is_its_own_namespace_and_agrees_with_array_api_compat():
    x = np.array([[3, 1, 2], [1.5, 1.5, -1]], np.float32)
    xp, compat = array_namespace(x, 2.0, None, np.float64(1)), array_api_compat.array_namespace(x)
    assert xp is array_namespace(np.float64(1)) is not compat
    for function in (
        lambda xp: xp.astype(x, xp.float64),
        lambda xp: xp.astype(xp.sum(x), xp.int64),
        lambda xp: xp.sort(x, axis=0),
        lambda xp: xp.sort(x, axis=-1, descending=True),
        lambda xp: xp.cumulative_sum(x, axis=-1),
        lambda xp: xp.clip(x, min=0),
    ):
        result, expected = function(xp), function(compat)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
    assert array_namespace(torch.ones(2)) is array_api_compat.array_namespace(torch.ones(2))
    for mixed in ((x, torch.ones(2)), (x, "a text"), (1.0,)):
        with pytest.raises(TypeError):
            array_namespace(*mixed)


@with_standard
def test_attention_over_numpy_imports_no_unused_part_of_numpy():
    code = (
        "import sys, numpy as np; from softkv_attention import attend; x = np.ones((2, 3)); attend(x, x, x); "
        "print([name for name in ('numpy.f2py', 'numpy.random', 'array_api_compat.numpy') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_arrays_are_recognised_while_another_thread_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((2, 3), np.float32)
    expected = attend(x, x, x).output
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # as the import begins
    assert is_array(x)
    assert is_array(np.float32(1))
    assert not is_torch_array(x)
    assert not is_array("a text")
    np.testing.assert_array_equal(attend(x, x, x).output, expected)
    assert [name for name, _ in arrays(Linear(x, None))] == ["weight"]
