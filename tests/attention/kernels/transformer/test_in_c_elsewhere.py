"""The encoder in C computes the same bits for other processors, and with a sanitizer of undefined behaviour."""

from __future__ import annotations

import platform
import shutil
from importlib.util import find_spec

import numpy as np
import pytest

from softkv_attention.kernels.native.kinds import machine
from softkv_attention.kernels.native.library import library_of, usable_kinds
from softkv_attention.kernels.transformer import FLOAT32, INT16, TILES, Encoder
from softkv_attention.transformer import compiled
from tests.attention.kernels.transformer.running import built, image_of, is_emulated, run
from tests.attention.transformer.conftest import WAYS
from tests.attention.transformer.test_compiled_bits import DIGESTS, digest, encoded, fixed, network_of, some_texts

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


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request, tmp_path_factory):
    kind, columns, flags = PROGRAMS[request.param]
    if is_emulated(kind) and shutil.which("qemu-aarch64") is None:
        pytest.skip("the emulator qemu-aarch64 is not installed")
    return built(tmp_path_factory.mktemp("program"), kind, *flags), columns


@pytest.mark.parametrize("name", DIGESTS)
def test_every_processor_computes_the_recorded_bits(program, name):
    command, columns = program
    model, texts = fixed(name), some_texts()
    for way in WAYS.values():
        network = network_of(model, way, 32 if way >= TILES else columns)
        actual = run(command, image_of(way, network, compiled.design(model), *texts))
        if way in (FLOAT32, INT16):
            assert digest(actual) == DIGESTS[name][(FLOAT32, INT16).index(way)]
        else:
            here = encoded(Encoder(library_of(usable_kinds()[-1])), model, way)
            np.testing.assert_array_equal(actual.view(np.uint32), here.reshape(-1).view(np.uint32))
