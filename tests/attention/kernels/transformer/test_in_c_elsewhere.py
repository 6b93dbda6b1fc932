"""The encoder in C computes the same bits for other processors, and with a sanitizer of undefined behaviour."""

from __future__ import annotations

import platform
import shutil
from importlib.util import find_spec

import numpy as np
import pytest

from attention.kernels.native.kinds import machine
from attention.kernels.native.library import library_of, usable_kinds
from attention.kernels.transformer.in_c import Encoder
from attention.kernels.transformer.parameters import POOLINGS
from attention.transformer import compiled as module
from tests.attention.kernels.transformer.running import built, image_of, is_emulated, run
from tests.attention.transformer.test_compiled import WAYS
from tests.attention.transformer.test_compiled_families import FAMILIES, MODELS, model_of

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not usable_kinds(), reason="the library of kernels is not built"),
    pytest.mark.skipif(find_spec("ziglang") is None, reason="the compiler (ziglang) is not installed"),
    pytest.mark.skipif(platform.system() != "Linux", reason="the program calls Linux"),
]

HERE = "arm" if machine() == "aarch64" else "avx2"
SANITIZED = ("-fsanitize=undefined", "-fsanitize-trap=undefined")
PROGRAMS = {
    "ARM": ("arm", 16, ()),
    "ARM with I8MM": ("i8mm", 16, ()),
    "wide panels": (HERE, 32, ("-DWIDE=1",)),
    "without optimisation": (HERE, 16, ("-O1",)),
    "sanitized": (HERE, 16, SANITIZED),
    "wide panels, sanitized": (HERE, 32, ("-DWIDE=1", *SANITIZED)),
}
"""The kind of processor, the columns of a panel, and flags of the compiler."""


SOME = (*FAMILIES, "relative bias", "ReGLU", "causal windows", "last token", "more hidden units than a pass")
"""Models that together run every line of the encoder."""


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request, tmp_path_factory):
    kind, columns, flags = PROGRAMS[request.param]
    if is_emulated(kind) and shutil.which("qemu-aarch64") is None:
        pytest.skip("the emulator qemu-aarch64 is not installed")
    return built(tmp_path_factory.mktemp("program"), kind, *flags), columns


def encoded_here(way, network, design, tokens, lengths, poolings):
    """Return the vectors by the library, for the least kind of processor that this machine can be."""
    prepared = Encoder(library_of(usable_kinds()[-1])).network(network, design, way)
    positions = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out = np.zeros((len(poolings), len(lengths), network.tokens.shape[1]), np.float32)
    room, scratch = prepared.room(len(tokens)), prepared.scratch(len(tokens))
    stages = len(network.output_bias) + 2
    prepared.encode(tokens, positions, lengths, poolings, room, scratch, 0, len(tokens), 0, stages, out)
    return out


@pytest.mark.parametrize("name", SOME)
def test_every_processor_computes_the_same_bits(program, name):
    (command, columns), random = program, np.random.default_rng(7)
    model = model_of(random, **MODELS[name])
    design = module.design(model)
    lengths = np.array([3, 1, 33, 70, 2])
    tokens, poolings = random.integers(0, 31, lengths.sum()), np.array(list(POOLINGS.values()))
    for way in WAYS.values():
        across = 32 if way >= 2 else columns
        here = encoded_here(way, module.network(model, way, 32 if way >= 2 else 16), design, tokens, lengths, poolings)
        image = image_of(way, module.network(model, way, across), design, tokens, lengths, poolings)
        np.testing.assert_array_equal(run(command, image).view(np.uint32), here.reshape(-1).view(np.uint32))
