"""The same call has the same digits on every processor. They are recorded here, and each kind of the library is tried.

If a kernel changes on purpose, `python -m tests.attention.kernels.native.calling large KIND anywhere` prints new ones.
"""

from __future__ import annotations

import platform
import shutil
from importlib.util import find_spec

import pytest

from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.native.kinds import KINDS, machine
from softkv_attention.kernels.native.library import usable_kinds
from tests.attention.kernels.native import cases
from tests.attention.kernels.native.calling import call
from tests.attention.kernels.native.elsewhere import IMITATED, kind_of, library_for, program_for, shared
from tests.attention.kernels.native.placing import placed

RECORDED = {
    "scans of bytes": "6dbdba8ea545dc9d",
    "scans of bytes and many queries": "fd61cb84f226ba51",
    "scans of two bytes": "e44cafb7d279fe3c",
    "scans of two bytes and many queries": "d8e1ee09e5b6690d",
    "values by two bytes": "a5ffc6903b22e1e0",
    "originals": "4e41411e6d00dea5",
    "exact": "d121c67ee3772cea",
    "gradients": "214e0cd999d50889",
    "quadratic forms of one": "7552cadc53a4a4bf",
    "quadratic forms": "5a04a0330d5dcf39",
    "candidates": "50030a4fc2ced16c",
    "candidates of few": "6d5ce4622fd66492",
}
BY_BYTES = {True: "a5ffc6903b22e1e0", False: "c7e878af1573220a"}
"""Values are blended by levels of 8 bits, or of 16 bits on processors where those cost no more (`Kind.wide`)."""

SANITIZED = ("-fsanitize=undefined,float-cast-overflow", "-fsanitize-trap=all")
LINUX = pytest.mark.skipif(platform.system() != "Linux", reason="the program calls Linux")
COMPILED = pytest.mark.skipif(find_spec("ziglang") is None, reason="the compiler (ziglang) is not installed")
HERE = [kind for kind in usable_kinds() if kind.machine == machine()]
X86 = pytest.mark.skipif(machine() != "x86_64", reason="AVX2 imitates the others")


def recorded(kind: str) -> dict[str, str]:
    """Return the recorded digests, as a kind of processor has to give them."""
    return {**RECORDED, "values by bytes": BY_BYTES[kind_of(kind).wide]}


@pytest.mark.parametrize("kind", [kind.name for kind in HERE])
def test_a_call_has_the_recorded_digits(kind):
    assert call("large", kind) == (recorded(kind), "")


@COMPILED
@X86
@LINUX
@pytest.mark.thorough
@pytest.mark.parametrize("kind", IMITATED)
def test_the_code_for_other_instructions_has_the_recorded_digits_and_stays_within_arrays(kind, tmp_path):
    library = library_for(tmp_path, kind)
    for suite, place in (("large", "end"), ("odd", "end"), ("odd", "begin")):
        called = call(suite, kind, place, library)
        assert not called.fault
        if suite == "large":
            assert called.digests == recorded(kind)


@COMPILED
@LINUX
@pytest.mark.thorough
@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.machine == "aarch64"])
def test_an_arm_processor_has_the_recorded_digits(kind, tmp_path):
    if machine() != "aarch64" and shutil.which("qemu-aarch64") is None:
        pytest.skip("the emulator qemu-aarch64 is not installed")
    digests = {}
    with shared(program_for(tmp_path, kind), kind) as memory:
        running = KernelsInC(memory)
        for name, case in cases.large_cases().items():
            with placed(running, memory):
                digests[name] = cases.digest(case(running))
            memory.check()
    assert digests == recorded(kind)


@COMPILED
@LINUX
@pytest.mark.thorough
@pytest.mark.parametrize("kind", [HERE[-1].name, *(IMITATED if machine() == "x86_64" else ())])
def test_no_call_has_undefined_behaviour(kind, tmp_path):
    library = library_for(tmp_path, kind, *SANITIZED)
    for suite in ("odd", "large", "extreme"):
        assert not call(suite, kind, "anywhere", library).fault
