"""The matrix unit's tiles: their shapes, and leave to use them."""

from __future__ import annotations

import platform

from attention.kernels.tiles import SHAPES, allowed


def test_eight_tiles_of_16_lines_of_64_bytes():
    assert SHAPES[0] == 1
    assert SHAPES[16:32].view("<u2").tolist() == [64] * 8
    assert SHAPES[48:56].tolist() == [16] * 8
    assert SHAPES.sum(dtype=int) == 1 + 8 * 64 + 8 * 16


def test_elsewhere_than_on_linux_nobody_asks_for_them(monkeypatch):
    assert allowed.__wrapped__() == allowed()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert not allowed.__wrapped__()
