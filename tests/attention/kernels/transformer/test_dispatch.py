"""Which kernels encode, and in which way they multiply on each kind of processor."""

from __future__ import annotations

import pytest

from softkv_attention import ParameterError
from softkv_attention.kernels.native.kinds import KINDS
from softkv_attention.kernels.native.library import Library, load
from softkv_attention.kernels.transformer import dispatch
from softkv_attention.kernels.transformer.dispatch import (
    available,
    encoder_kernels,
    multiplies_bfloat16,
    multiplies_int16,
    use_encoder,
    way_of,
)
from softkv_attention.kernels.transformer.in_c import Encoder
from softkv_attention.kernels.transformer.parameters import FLOAT32, INT16, THREE, TILES

needs_library = pytest.mark.skipif(load() is None, reason="the library of kernels is not built")


@pytest.fixture
def choice():
    """Restore which kernels encode."""
    yield
    use_encoder(None)


def encoder_of(name):
    """Return the kernels for a kind of processor, of which a test calls no function that needs this kind."""
    library = load()
    kind = next(kind for kind in KINDS if kind.name == name)
    if library is None or kind.machine != library.kind.machine:
        pytest.skip(f"there is no library of kernels for {name} here")
    return Encoder(Library(library._loaded, kind))


@pytest.mark.parametrize(
    ("kind", "float32", "fastest"),
    [("avx2", FLOAT32, INT16), ("avx512-vnni", FLOAT32, INT16), ("amx", THREE, TILES), ("i8mm", FLOAT32, FLOAT32)],
)
def test_the_ways_of_a_processor(kind, float32, fastest):
    encoder = encoder_of(kind)
    assert [encoder.way_of(precision) for precision in ("float32", "int16", "bfloat16")] == [float32, INT16, TILES]
    assert (encoder.multiplies_int16, encoder.multiplies_bfloat16) == (fastest == INT16, fastest == TILES)
    if kind in ("avx2", "i8mm"):  # elsewhere this processor may not know the instructions of the function
        assert [encoder.columns_of(way) for way in (FLOAT32, INT16, TILES, THREE)] == [16, 16, 32, 32]


@needs_library
def test_one_function_chooses_the_kernels(choice):
    assert available() == ["native", "numpy"]
    for name, kind in (("native", Encoder), (None, Encoder), ("numpy", type(None))):
        use_encoder(name)
        assert isinstance(encoder_kernels(), kind)
    assert (way_of("float32"), multiplies_int16(), multiplies_bfloat16()) == (FLOAT32, False, False)  # NumPy's


def test_kernels_that_are_not_installed_are_refused(choice, monkeypatch):
    monkeypatch.setattr(dispatch, "native", lambda: None)
    assert encoder_kernels() is None
    with pytest.raises(ParameterError, match=r"must be numpy or None on this machine, got 'native'"):
        use_encoder("native")
    with pytest.raises(ParameterError, match="got 'cuda'"):
        use_encoder("cuda")
