"""Products of bytes are exact with every processor's instruction: those of this one, and ARM's in an emulator."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from attention.kernels import amx
from attention.kernels.dot import (
    ANY,
    INSTRUCTION,
    INSTRUCTIONS,
    block_of,
    by_instruction,
    byte_products,
    groups_of,
    instruction_of,
)
from attention.kernels.layout import FINE_LEVELS, LANES, LEVELS, put_rows, rows_room
from attention.kernels.machine_code import targets_of, this_target
from tests.thorough import crossed

BLOCKS = (1, 2, 4)
FEATURES = llvm.get_host_cpu_features()
ARM = {"i8mm": ("+dotprod,+i8mm", "max"), "dotprod": ("+dotprod", "neoverse-n1"), "none": ("", "cortex-a72")}
"""The instructions that the compiler may use, and the emulated processor."""

has_emulator = pytest.mark.skipif(
    not (shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc")),
    reason="no emulator of ARM processors, or no linker for them: install qemu-user and gcc-aarch64-linux-gnu",
)


def module_of(instruction):
    """Return a module with a function for each size of block: products_1, products_2, products_4."""
    module = ir.Module("bodies")
    pointers = ir.IntType(8).as_pointer(), ir.IntType(32).as_pointer()
    kinds = [pointers[0], pointers[1], ir.IntType(64), pointers[1]]
    for queries in BLOCKS:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), f"products_{queries}")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        block_of(instruction, queries)(builder, *function.args)
        builder.ret_void()
    return module


def example(instruction, queries, width, fine):
    """Return (stored keys, packed queries, their exact products in 32 bits), with the largest numbers among them."""
    random = np.random.default_rng([queries, width, fine])
    rows = LANES * groups_of(instruction, queries)
    top = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * width)) if fine else LEVELS
    codes = random.integers(-LEVELS, LEVELS + 1, (rows, width)).astype(np.int8)
    codes[0], codes[1] = LEVELS, -LEVELS
    queries_of_codes = random.integers(-top, top + 1, (queries, width)).astype(np.int16)
    queries_of_codes[0] = random.choice(np.array([-top, top]), width)
    stored = rows_room(rows, width)
    put_rows(stored, 0, codes)
    products = queries_of_codes.astype(np.int64) @ (codes.astype(np.int64) + instruction.offset).T
    return stored, instruction.pack(queries_of_codes, fine=fine and instruction.wide), products.astype(np.int32)


def examples(instruction):
    """Examples of every size of block, at widths from one component on."""
    for queries in BLOCKS:
        for width in (1, 3, 4, 37, 384, 1023, 4096):
            yield queries, *example(instruction, queries, width, fine=instruction.wide)


def runnable():
    """The instructions that this processor has, by the compiler's names of features."""
    features = [feature for feature in INSTRUCTIONS if FEATURES.get(feature)]
    return {feature: INSTRUCTIONS[feature] for feature in features} | {"none": ANY}


@pytest.mark.parametrize("feature", runnable())
def test_a_body_that_this_processor_can_run_is_exact(feature):
    instruction = runnable()[feature]
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=FEATURES.flatten(), opt=3
    )
    with llvm.create_mcjit_compiler(llvm.parse_assembly(str(module_of(instruction))), target) as engine:
        engine.finalize_object()
        for queries, stored, packed, expected in examples(instruction):
            kinds = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p
            function = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(f"products_{queries}"))
            products = np.empty((queries, 64), dtype=np.int32)
            function(stored.ctypes.data, packed.ctypes.data, stored.shape[1], products.ctypes.data)
            np.testing.assert_array_equal(products[:, : expected.shape[1]], expected)


MAIN = """
#include <stdio.h>
#include <stdlib.h>
void products_1(char*, int*, long, int*);
void products_2(char*, int*, long, int*);
void products_4(char*, int*, long, int*);
int main(int count, char **arguments) {
  long header[4];
  static int products[4 * 64];
  while (fread(header, 8, 4, stdin) == 4) {
    char *rows = malloc(header[2]);
    int *factors = malloc(header[3]);
    if (fread(rows, 1, header[2], stdin) != header[2] || fread(factors, 1, header[3], stdin) != header[3]) return 1;
    (header[0] == 1 ? products_1 : header[0] == 2 ? products_2 : products_4)(rows, factors, header[1], products);
    fwrite(products, 4, 64 * header[0], stdout);
    free(rows);
    free(factors);
  }
  return 0;
}
"""
"""Reads queries, words and the sizes of rows and factors, then these, and writes products, again and again."""


@has_emulator
@pytest.mark.parametrize("feature", ARM)
def test_a_body_for_arm_is_exact_in_an_emulator(feature, tmp_path):
    features, processor = ARM[feature]
    instruction = INSTRUCTIONS.get(feature, ANY)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    target = llvm.Target.from_triple(triple).create_target_machine(features=features, opt=3, reloc="static")
    module = llvm.parse_assembly(str(module_of(instruction)))
    module.triple, module.data_layout = triple, str(target.target_data)
    (tmp_path / "bodies.o").write_bytes(target.emit_object(module))
    (tmp_path / "main.c").write_text(MAIN)
    link = "aarch64-linux-gnu-gcc -static -O1 main.c bodies.o -o bodies"
    subprocess.run(link.split(), check=True, cwd=tmp_path)
    inputs, all_expected = b"", []
    for queries, stored, packed, expected in examples(instruction):
        header = np.array([queries, stored.shape[1], stored.nbytes, packed.nbytes], dtype=np.int64)
        inputs += header.tobytes() + stored.tobytes() + packed.tobytes()
        all_expected.append(expected)
    command = ["qemu-aarch64", "-cpu", processor, str(tmp_path / "bodies")]
    answer = subprocess.run(command, input=inputs, capture_output=True, check=True).stdout
    products = np.frombuffer(answer, dtype=np.int32).reshape(-1, 64)
    assert len(products) == sum(map(len, all_expected))
    for expected in all_expected:
        np.testing.assert_array_equal(products[: len(expected), : expected.shape[1]], expected)
        products = products[len(expected) :]


@crossed(
    {
        "fine": [True, False],
        "width": [1, 4, 37, 64],
        "queries": [1, 5, 17],
        "feature": [*INSTRUCTIONS, "none"],
    }
)
def test_packed_queries_are_their_codes(feature, queries, width, fine):
    instruction = INSTRUCTIONS.get(feature, ANY)
    top = FINE_LEVELS if fine else LEVELS
    codes = np.random.default_rng(queries).integers(-top, top + 1, (queries, width)).astype(np.int16)
    codes[0, 0] = -top
    packed = instruction.pack(codes, fine=fine)
    if instruction.wide:
        unpacked = packed.view(np.int16).reshape(queries, -1, 4)[:, :, [0, 2, 1, 3]].reshape(queries, -1)
    else:
        planes = packed.view(np.int8).reshape(queries, 2 if fine else 1, -1).astype(int)
        unpacked = 256 * planes[:, 0] + planes[:, 1] if fine else planes[:, 0]
    np.testing.assert_array_equal(unpacked[:, :width], codes)
    assert not unpacked[:, width:].any()


def test_the_fastest_instruction_that_a_processor_has_is_taken():
    assert instruction_of("avx2", "avx512bw", "avx512vnni").name == "VNNI"
    assert instruction_of("avx2", "avxvnni").name == "AVX-VNNI"
    assert instruction_of("avx2", "fma").name == "AVX2"
    assert instruction_of("dotprod", "i8mm").name == "I8MM"
    assert instruction_of("sse2") is ANY
    assert INSTRUCTION in (*INSTRUCTIONS.values(), ANY)


@pytest.mark.parametrize("width", [1, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 7, 16, 21, 32, 64])
def test_products_are_exact_with_leave_to_use_the_matrix_unit_and_without(panels, width, queries):
    stored, group, factors, expected = panels(width, queries)
    for unit in {False, amx.amx_usable()}:
        products = np.ones((queries, 64), dtype=np.int32)  # what is there is written over
        byte_products(stored, group, factors, products, unit)
        np.testing.assert_array_equal(products, expected)


@pytest.mark.parametrize("width", [1, 3, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 4, 5, 7, 16, 21])
def test_products_are_exact_from_the_query_on_that_is_named(panels, width, queries):
    stored, group, factors, expected = panels(width, queries)
    for first in {0, 1, queries - 1, queries}:
        products = np.full((queries, 64), 7, dtype=np.int32)  # what is there is written over
        by_instruction(stored, group, factors, first, products)
        np.testing.assert_array_equal(products[first:], expected[first:])
        assert (products[:first] == 7).all()


@pytest.mark.parametrize("width", [1, 2, 5, 384, 1023, 4096])
@pytest.mark.parametrize("fine", [True, False])
def test_the_largest_products_fit_once_the_offset_is_taken_off(width, fine):
    """Codes and queries at the ends of their ranges, as far as 32 bits hold a product of all components."""
    top = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * width)) if fine else LEVELS
    random = np.random.default_rng(width)
    codes = random.choice(np.array([-LEVELS, LEVELS], np.int8), (64, width))
    codes[0], codes[1] = LEVELS, -LEVELS
    queries = random.choice(np.array([-top, top], np.int16), (5, width))
    queries[0], queries[1] = top, -top
    stored = rows_room(64, width)
    put_rows(stored, 0, codes)
    factors = INSTRUCTION.pack(queries, fine=fine)
    products = np.empty((len(factors), 64), dtype=np.int32)
    by_instruction(stored, 0, factors, 0, products)
    if len(factors) > len(queries):  # two planes a query, the first of which counts 256 times
        products = (products[::2] << 8) + products[1::2]
    offsets = (INSTRUCTION.offset * queries.sum(axis=1, dtype=np.int64)).astype(np.int32)
    expected = queries.astype(np.int64) @ codes.T.astype(np.int64)
    np.testing.assert_array_equal(products - offsets[:, None], expected)


OTHERS = {"generic": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, "numba + plain")} | {
    target.name: (target.environment, f"numba + {instruction_of(*target.features).name}")
    for target in targets_of(platform.machine())
    if this_target() and set(target.features) < set(this_target().features)
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", OTHERS)
def test_code_for_every_lesser_kind_of_processor_gives_the_same_answers(answered, kind):
    environment, name = OTHERS[kind]
    products, engine = answered(**environment)
    np.testing.assert_allclose(products, answered()[0], rtol=1e-5, atol=1e-5)
    assert engine.removesuffix(" + AMX") == name
