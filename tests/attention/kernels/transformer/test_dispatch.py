"""Tiles are chosen where the processor has them and the system lets them be used, and nowhere else."""

from __future__ import annotations

import sys

import pytest

from attention import ParameterError
from attention.kernels import amx
from attention.kernels.machine_code import TARGETS
from attention.kernels.native.kinds import KINDS
from attention.kernels.native.library import Library, load
from attention.kernels.transformer import products
from attention.kernels.transformer.by_numba import Numba
from attention.kernels.transformer.dispatch import (
    available,
    compiles_encoder,
    encoder_kernels,
    multiplies_bfloat16,
    use_encoder,
    way_of,
)
from attention.kernels.transformer.in_c import Encoder
from attention.kernels.transformer.parameters import BFLOAT16, FLOAT32, PANEL, THREE, TILES


@pytest.fixture
def choice():
    """Restore which kernels encode."""
    yield
    use_encoder(None)


def encoder_of(name):
    """Return the kernels in C for a kind of processor, of which this test calls no function for this machine."""
    library = load()
    if library is None:
        pytest.skip("the library of kernels is not built")
    kind = next(kind for kind in KINDS if kind.name == name)
    if kind.machine != library.kind.machine:
        pytest.skip(f"the library of this platform is not for {name}")
    return Encoder(Library(library._loaded, kind))


@pytest.mark.parametrize(
    ("unit", "precision", "way"),
    [(False, "float32", FLOAT32), (False, "bfloat16", BFLOAT16), (True, "float32", THREE), (True, "bfloat16", TILES)],
)
def test_the_way_of_a_precision(monkeypatch, unit, precision, way):
    monkeypatch.setattr(products, "usable", lambda: unit)
    assert Numba().way_of(precision) == way
    assert encoder_of("amx" if unit else "avx512-bf16").way_of(precision) == way


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_bfloat16_is_offered_where_one_instruction_multiplies_it(monkeypatch, pairs, unit):
    monkeypatch.setattr(products, "MULTIPLIES_PAIRS", pairs)
    monkeypatch.setattr(products, "usable", lambda: unit)
    assert Numba().multiplies_bfloat16 == (pairs or unit)
    assert encoder_of({(0, 0): "avx512", (1, 0): "avx512-bf16"}.get((pairs, unit), "amx")).multiplies_bfloat16 == (
        pairs or unit
    )


@pytest.mark.parametrize("name", TARGETS)
def test_before_the_compiler_is_there_the_processor_says_whether_it_is(monkeypatch, name):
    monkeypatch.delitem(sys.modules, "attention.kernels.cpu")
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: dict.fromkeys(TARGETS[name].features, True))
    assert Numba().multiplies_bfloat16 == (name in ("amx", "avx512-bf16"))


def test_the_columns_of_a_panel_fit_the_registers_or_tiles():
    columns_of = Numba().columns_of
    assert {columns_of(way) for way in (TILES, THREE)} == {PANEL}
    assert {columns_of(way) for way in (FLOAT32, BFLOAT16)} == {products.COLUMNS}
    assert [encoder_of("avx2").columns_of(way) for way in (FLOAT32, BFLOAT16, TILES, THREE)] == [16, 16, 32, 32]
    registers = products.COLUMNS // (16 if products.WIDE else 8)
    assert products.MAX_ROWS * registers + registers + 1 <= (32 if products.WIDE else 16)


def test_tiles_are_usable_if_the_processor_and_the_system_allow_them():
    assert products.usable() == (products.HAS_UNIT and amx.allowed())


def test_one_function_chooses_the_kernels(choice):
    if load() is None:
        pytest.skip("the library of kernels is not built")
    assert available() == ["native", "numba", "numpy"]
    for name, kind in (("native", Encoder), ("numba", Numba), (None, Encoder), ("numpy", type(None))):
        use_encoder(name)
        assert isinstance(encoder_kernels(), kind)
        assert compiles_encoder() == (name in ("numba", "numpy"))
    assert (way_of("float32"), multiplies_bfloat16()) == (FLOAT32, False)  # NumPy's


def test_kernels_that_are_not_installed_are_refused(choice, monkeypatch):
    monkeypatch.setattr("attention.kernels.transformer.dispatch.can_compile", lambda: False)
    assert "numba" not in available()
    with pytest.raises(ParameterError, match=r"must be .*numpy or None on this machine, got 'numba'"):
        use_encoder("numba")
    with pytest.raises(ParameterError, match="got 'cuda'"):
        use_encoder("cuda")
