"""Tiles are chosen where the processor has them and the system lets them be used, and nowhere else."""

from __future__ import annotations

import pytest

from attention.kernels import tiles
from attention.kernels.transformer import tile_blocks
from attention.kernels.transformer.choosing import way_of
from attention.kernels.transformer.words import BFLOAT16, FLOAT32, THREE, TILES


@pytest.mark.parametrize(
    ("unit", "precision", "way"),
    [(False, "float32", FLOAT32), (False, "bfloat16", BFLOAT16), (True, "float32", THREE), (True, "bfloat16", TILES)],
)
def test_the_way_of_a_precision(monkeypatch, unit, precision, way):
    monkeypatch.setattr(tile_blocks, "usable", lambda: unit)
    assert way_of(precision) == way


def test_this_processor_has_what_is_chosen():
    assert tile_blocks.usable() == (tile_blocks.HAS_UNIT and tiles.allowed())
