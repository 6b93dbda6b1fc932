"""Tiles are chosen where the processor has them and the system lets them be used, and nowhere else."""

from __future__ import annotations

import sys

import pytest

from attention.kernels import amx
from attention.kernels.machine_code import TARGETS
from attention.kernels.transformer import products
from attention.kernels.transformer.dispatch import columns_of, multiplies_bfloat16, way_of
from attention.kernels.transformer.parameters import BFLOAT16, FLOAT32, PANEL, THREE, TILES


@pytest.mark.parametrize(
    ("unit", "precision", "way"),
    [(False, "float32", FLOAT32), (False, "bfloat16", BFLOAT16), (True, "float32", THREE), (True, "bfloat16", TILES)],
)
def test_the_way_of_a_precision(monkeypatch, unit, precision, way):
    monkeypatch.setattr(products, "usable", lambda: unit)
    assert way_of(precision) == way


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_bfloat16_is_offered_where_one_instruction_multiplies_it(monkeypatch, pairs, unit):
    monkeypatch.setattr(products, "MULTIPLIES_PAIRS", pairs)
    monkeypatch.setattr(products, "usable", lambda: unit)
    assert multiplies_bfloat16() == (pairs or unit)


@pytest.mark.parametrize("name", TARGETS)
def test_before_the_compiler_is_there_the_processor_says_whether_it_is(monkeypatch, name):
    monkeypatch.delitem(sys.modules, "attention.kernels.cpu")
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: dict.fromkeys(TARGETS[name].features, True))
    assert multiplies_bfloat16() == (name in ("amx", "avx512-bf16"))


def test_the_columns_of_a_panel_fit_the_registers_or_tiles():
    assert {columns_of(way) for way in (TILES, THREE)} == {PANEL}
    assert {columns_of(way) for way in (FLOAT32, BFLOAT16)} == {products.COLUMNS}
    registers = products.COLUMNS // (16 if products.WIDE else 8)
    assert products.MAX_ROWS * registers + registers + 1 <= (32 if products.WIDE else 16)


def test_tiles_are_usable_if_the_processor_and_the_system_allow_them():
    assert products.usable() == (products.HAS_UNIT and amx.allowed())
