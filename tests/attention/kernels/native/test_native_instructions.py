"""Each kind's code has the instructions that it is made for, and none that its processors may lack."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from softkv_attention.kernels.native.build import FLAGS, HERE, KERNELS, PLATFORMS
from softkv_attention.kernels.native.kinds import KINDS

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(find_spec("ziglang") is None, reason="the compiler (ziglang) is not installed"),
]

ZMM, YMM, ANY = "%zmm", "%ymm", ""
HAS = {
    "amx": [("vpdpbusd", ZMM), ("tdpbsud", ANY), ("tdpbf16ps", ANY), ("vpdpwssd", ZMM)],
    "avx512-vnni": [("vpdpbusd", ZMM), ("vpdpwssd", ZMM)],
    "avx512": [("vpmaddwd", ZMM)],
    "avxvnni": [("vpdpbusd", YMM), ("vpdpwssd", YMM)],
    "avx2": [("vpmaddwd", YMM)],
    "i8mm": [("usdot", ANY)],
    "dotprod": [("sdot", ANY)],
    "arm": [("smull", ANY), ("smlal", ANY)],
}
TILES, NARROW = r"^(t[a-z0-9]*tile|tile|tdp)", r"%zmm|%k[0-7]|%[xy]mm(1[6-9]|2\d|3[01])\b"
LACKS = {
    "amx": [],
    "avx512-vnni": [TILES, "^vdpbf16ps|^vcvtne"],
    "avx512": [TILES, "^vdpbf16ps|^vcvtne|^vpdp"],
    "avxvnni": [TILES, "^vdpbf16ps|^vcvtne", NARROW],
    "avx2": [TILES, "^vdpbf16ps|^vcvtne|vpdp", NARROW],
    "i8mm": [r"\bz\d+\."],
    "dotprod": [r"\bz\d+\.", "^usdot|^usmmla|^bfdot|^bfmm|^bfml"],
    "arm": [r"\bz\d+\.", "^usdot|^usmmla|^bfdot|^bfmm|^bfml|^sdot|^udot"],
}
"""Regular expressions of instructions, by kind: `NARROW` are the registers of AVX-512."""

UNASKED = (
    r"^(lzcnt|lahf|sahf|cmpxchg16b|gf2p8|vp2intersect|vpopcnt|vpermb|vpmultishift|vpmadd52|vpshld|vpshrd|vpcompressb)"
)
"""Instructions of x86 that belong to none of the features that library.c asks for."""


def instructions(kind, folder):
    """Return the instructions of all files for a kind, with their operands."""
    tool = "objdump" if kind.machine == "x86_64" else "aarch64-linux-gnu-objdump"
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    target = PLATFORMS[f"linux-{kind.machine}"].target
    about = [f"-mcpu={kind.processor}", f"-DKIND={kind.symbol}"]
    lines = []
    for name in KERNELS:
        into = folder / f"{name}.o"
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-c", *FLAGS, *about]
        subprocess.run([*zig, str(HERE / f"{name}.c"), "-o", str(into)], check=True)
        read = [tool, "-d", "--no-show-raw-insn", str(into)]
        shown = subprocess.run(read, capture_output=True, text=True, check=True).stdout
        lines += [line.split("\t", 1)[1].strip() for line in shown.splitlines() if "\t" in line]
    return [re.sub(r"^\{vex\}\s*", "", line) for line in lines]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_has_its_instructions_and_no_others(kind, tmp_path):
    lines = instructions(kind, tmp_path)
    assert len(lines) > 5_000
    for name, operand in HAS[kind.name]:
        assert any(line.startswith(name) and operand in line for line in lines), name
    for pattern in [*LACKS[kind.name], *([UNASKED] if kind.machine == "x86_64" else [])]:
        assert not [line for line in lines if re.search(pattern, line)][:5], pattern
