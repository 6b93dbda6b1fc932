"""Whole encodings in C are those of numba to the last bit, in every way to multiply, for models of all families."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.kernels.native.library import usable_kinds
from attention.kernels.transformer import dispatch, use_encoder
from attention.kernels.transformer.in_c import Encoder
from attention.rotary import Rotary
from attention.transformer import Compiled, RMSNorm
from attention.transformer import compiled as module
from tests.attention.transformer.test_compiled import WAYS
from tests.attention.transformer.test_compiled_families import MODELS, OFF_BY, PRE_NORM, model_of
from tests.thorough import crossed

pytestmark = pytest.mark.skipif(not usable_kinds(), reason="the library of kernels is not built")


def assert_same(model, tokens, lengths, way):
    """Assert that numba and C encode texts alike, in a way to multiply."""
    encodings = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "choose_way", lambda *_: way)
        for name in ("numba", "native"):
            try:
                use_encoder(name)
                encodings.append(Compiled(model, threads=2)(tokens, lengths))
            finally:
                use_encoder(None)
    if as_numba(way):
        np.testing.assert_array_equal(*(array.view(np.uint32) for array in encodings))
    else:
        np.testing.assert_allclose(*encodings, atol=OFF_BY[way])


def as_numba(way):
    """Return whether numba's code for this processor has to compute the same bits."""
    from attention.kernels.transformer.products import HAS_UNIT, MULTIPLIES_PAIRS

    kernels = dispatch.kernels_of("native")
    assert isinstance(kernels, Encoder)
    kind = kernels.library.kind
    alike = ("avx512-bf16" in kind.features, kind.name == "amx") == (MULTIPLIES_PAIRS, HAS_UNIT)
    # Elsewhere LLVM adds lanes in another order, in the means of norms and the sums of exponentials.
    return platform.machine() in ("x86_64", "AMD64") and (alike or way == WAYS["float32"])


@crossed({"name": MODELS, "way": WAYS.values()}, meeting=1)
def test_models_of_every_family(random, name, way):
    lengths = np.array([3, 17, 1, 33, 8, 140, 64, 2])
    assert_same(model_of(random, **MODELS[name]), random.integers(0, 31, lengths.sum()), lengths, way)


@given(
    seed=st.integers(0, 2**32 - 1),
    way=st.sampled_from(list(WAYS.values())),
    lengths=st.lists(st.integers(1, 130), min_size=1, max_size=6),
    widths=st.tuples(*[st.integers(1, 3)] * 3),
    heads=st.sampled_from([(1, 1), (4, 2), (3, 1), (3, 3)]),
    windows=st.lists(st.sampled_from([None, 0, 4, 31, 32, 70]), min_size=1, max_size=3),
    options=st.fixed_dictionaries(
        {
            "activation": st.sampled_from(["relu", "gelu", "gelu_tanh", "silu"]),
            "poolings": st.lists(st.sampled_from(["mean", "cls", "max", "last"]), min_size=1, max_size=4, unique=True),
            **{name: st.booleans() for name in ("gate", "causal", "head_norms", "biases", "types")},
        },
    ),
    norm_first=st.booleans(),
    rms=st.booleans(),
    rotates=st.booleans(),
    buckets=st.sampled_from([0, 32]),
)
def test_models_and_texts_of_all_kinds(
    seed, way, lengths, widths, heads, windows, options, norm_first, rms, rotates, buckets
):
    d, head, d_ff = (32 * width for width in widths)
    options |= PRE_NORM if norm_first else {}
    options |= {"norm": RMSNorm} if rms else {}
    options |= {"rotary": [Rotary.of(500.0, head)] * 3} if rotates else {}
    options["poolings"] = tuple(options["poolings"])
    random = np.random.default_rng(seed)
    sizes = {"d": d, "head": head, "d_ff": d_ff, "heads": heads[0], "key_heads": heads[1], "windows": windows}
    model = model_of(random, buckets=buckets, **sizes, **options)
    assert_same(model, random.integers(0, 31, sum(lengths)), np.array(lengths), way)
