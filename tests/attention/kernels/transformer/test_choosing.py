"""Tiles are chosen where the processor has them and the system lets them be used, and nowhere else."""

from __future__ import annotations

import pytest

from attention.kernels import tiles
from attention.kernels.transformer import lane_blocks, tile_blocks
from attention.kernels.transformer.choosing import columns_of, way_of
from attention.kernels.transformer.words import BFLOAT16, FLOAT32, PANEL, THREE, TILES


@pytest.mark.parametrize(
    ("unit", "precision", "way"),
    [(False, "float32", FLOAT32), (False, "bfloat16", BFLOAT16), (True, "float32", THREE), (True, "bfloat16", TILES)],
)
def test_the_way_of_a_precision(monkeypatch, unit, precision, way):
    monkeypatch.setattr(tile_blocks, "usable", lambda: unit)
    assert way_of(precision) == way


def test_the_columns_of_a_panel_are_those_that_registers_or_tiles_hold():
    assert {columns_of(way) for way in (TILES, THREE)} == {PANEL}
    assert {columns_of(way) for way in (FLOAT32, BFLOAT16)} == {lane_blocks.COLUMNS}
    registers = lane_blocks.COLUMNS // (16 if lane_blocks.WIDE else 8)
    assert lane_blocks.MOST * registers + registers + 1 <= (32 if lane_blocks.WIDE else 16)


def test_this_processor_has_what_is_chosen():
    assert tile_blocks.usable() == (tile_blocks.HAS_UNIT and tiles.allowed())
