"""Matrices in words: what is stored is what was given, to the digits that a way keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention.kernels.transformer.parameters import (
    FLOAT32,
    GROUP,
    INT16,
    LARGEST,
    THREE,
    TILES,
    pack_panels,
    round_columns,
    to_bfloat16,
)


def test_bfloat16_is_torch_s():
    numbers = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    halves = np.array([1.00390625, 1.01171875, -1.00390625, 0.0, -0.0, 3e38, 1e-30], np.float32)  # two are halfway
    numbers = np.concatenate([numbers, halves])
    np.testing.assert_array_equal(to_bfloat16(numbers), torch.tensor(numbers).bfloat16().float().numpy())


@pytest.mark.parametrize(("way", "off_by"), [(FLOAT32, 0), (TILES, 2**-8), (THREE, 2**-16)])
@pytest.mark.parametrize(("depth", "columns", "across"), [(34, 32, 32), (64, 96, 16), (64, 96, 32), (384, 1152, 16)])
def test_a_matrix_is_its_panels(way, off_by, depth, columns, across):
    random = np.random.default_rng(depth)
    matrices = [random.standard_normal((depth, columns)).astype(np.float32) for _ in range(2)]
    packed = pack_panels(matrices, len(matrices), way, across)
    group = 1 if way == FLOAT32 else 2
    assert packed.shape == (2, 2 if way == THREE else 1, columns // across, depth // group, across)
    assert packed.ctypes.data % 64 == 0
    for matrix, parts in zip(matrices, packed, strict=True):
        if way == FLOAT32:
            result = parts[0].view(np.float32).transpose(1, 0, 2).reshape(depth, columns)
        else:
            pairs = np.stack([parts << 16, parts & 0xFFFF0000], axis=3).view(np.float32).sum(axis=0)
            result = pairs.transpose(1, 2, 0, 3).reshape(depth, columns)
        np.testing.assert_allclose(result, matrix, rtol=off_by, atol=0)


COLUMNS = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "few large ones": lambda random, shape: random.standard_normal(shape) ** 9,
    "one": lambda random, shape: np.full(shape, 0.1),
    "tiny": lambda random, shape: np.full(shape, 1e-38),
    "zeros": lambda random, shape: np.zeros(shape),
}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("depth", [32, 128, 320])
def test_integers_never_overflow_a_sum(columns, depth):
    matrix = COLUMNS[columns](np.random.default_rng(depth), (depth, 96)).astype(np.float32)
    packed = round_columns(matrix, 32)
    groups = -(-depth // GROUP)
    assert packed.shape == (3, groups * (GROUP // 2 + 1), 32)
    assert (round_columns(np.asfortranarray(matrix), 32) == packed).all(), "in whichever order the numbers lie"
    assert pack_panels([matrix, matrix], 2, INT16, 32).shape == (2, 1, *packed.shape)
    words = packed.reshape(3, groups, -1, 32)
    units = words[:, :, -1].view(np.float32).astype(np.float64)
    integers = np.stack([words[:, :, :-1] & 0xFFFF, words[:, :, :-1] >> 16], axis=3).astype(np.uint16).view(np.int16)
    integers = integers.reshape(3, groups, GROUP, 32).astype(np.int64)
    assert np.abs(integers).sum(axis=2).max() * LARGEST < 2**31
    result = (integers * units[:, :, None]).reshape(3, -1, 32).transpose(1, 0, 2).reshape(-1, 96)
    assert not result[depth:].any()
    off = np.abs(result[:depth] - matrix).reshape(-1, 3, 32).max(axis=0)
    assert (off <= units.max(axis=1) * 0.505).all()
    if columns == "few large ones":  # of which the largest has all 16 bits
        assert np.abs(integers).max() > 2**14
