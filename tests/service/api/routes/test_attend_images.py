"""A noisy picture is repaired by attention on its patches: non-local means, as the page's scene asks for it."""

from __future__ import annotations

import math

import numpy as np

SIDE = 32
LEVELS = 255
NOISE = 0.1
TEMPERATURE = 0.1
TILE = 128
LEAST_GAIN = 3.0


def picture():
    """A picture [SIDE, SIDE, 3] of a few things that repeat: stripes, a wall, a disc; 0 to 1."""
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.empty((SIDE, SIDE, 3))
    image[:] = (0.5, 0.7, 0.9)
    image[(y < 14) & (x >= 16) & (x // 4 % 2 == 0)] = (0.8, 0.2, 0.2)
    image[(y >= 16) & ((y % 8 < 2) | ((x + y // 8 % 2 * 4) % 8 < 2))] = (0.9, 0.85, 0.75)
    image[(x - 7) ** 2 + (y - 7) ** 2 < 20] = (0.95, 0.8, 0.2)
    return image


def psnr(image, clean):
    return 10 * math.log10(1 / np.mean((image - clean) ** 2))


def patches_of(levels):
    """Each pixel with its eight neighbours, three colours each: [SIDE², 27]; the border is mirrored."""
    around = np.pad(levels, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(0, 1))
    return windows.transpose(0, 1, 3, 4, 2).reshape(SIDE * SIDE, 27)


def non_local_means(levels):
    """Return the picture after non-local means, pixel by pixel by the formula of Buades, Coll and Morel, A non-local
    algorithm for image denoising, 2005.
    """
    repaired = np.zeros((SIDE * SIDE, 3))
    pixels = levels.reshape(-1, 3) / LEVELS
    patches = patches_of(levels) / LEVELS
    for i, patch in enumerate(patches):
        distances = ((patches - patch) ** 2).sum(axis=1)
        shares = np.exp(-distances / (2 * TEMPERATURE))
        repaired[i] = (shares[:, None] * pixels).sum(axis=0) / shares.sum()
    return repaired.reshape(SIDE, SIDE, 3)


def test_attention_on_patches_is_non_local_means_and_repairs_a_picture(client):
    clean = picture()
    noise = np.random.default_rng(20).normal(size=clean.shape)
    levels = np.clip(np.round((clean + NOISE * noise) * LEVELS), 0, LEVELS).astype(int)
    patches, pixels = patches_of(levels).tolist(), levels.reshape(-1, 3).tolist()
    repaired = []
    for begin in range(0, SIDE * SIDE, TILE):
        body = {
            "query": patches[begin : begin + TILE],
            "key": patches,
            "value": pixels,
            "similarity": "gaussian",
            "temperature": TEMPERATURE * LEVELS**2,
            "include": [],
        }
        answer = client.post("/v1/attend", json=body)
        assert answer.status_code == 200, answer.text
        assert "weights" not in answer.json()
        repaired += answer.json()["output"]
    repaired_pixels = np.array(repaired).reshape(clean.shape) / LEVELS
    np.testing.assert_allclose(repaired_pixels, non_local_means(levels), atol=1e-6)
    assert psnr(repaired_pixels, clean) - psnr(levels / LEVELS, clean) >= LEAST_GAIN
