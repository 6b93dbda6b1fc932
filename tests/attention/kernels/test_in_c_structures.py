"""Structures that kernels pack have the fields of those in C, in the same order."""

from __future__ import annotations

import re

import pytest

from softkv_attention.kernels import candidates_in_c, in_c
from softkv_attention.kernels.native.build import HERE

SOURCE = re.sub(r"/\*.*?\*/", "", "".join(path.read_text() for path in HERE.glob("*.[ch]")), flags=re.DOTALL)
STRUCTURES = in_c.STRUCTURES | candidates_in_c.STRUCTURES


def kind_of(line: str) -> str:
    """Return the kind of a field that a line of C declares."""
    return "pointer" if "*" in line else "double" if line.split()[0] == "double" else "integer"


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_has_the_fields_of_that_in_c(name):
    (structure,) = re.findall(rf"KERNEL\({name}\)\(const (\w+) \*call\) {{", SOURCE)
    (declared,) = re.findall(rf"typedef struct {{([^}}]*)}} {structure};", SOURCE)
    kinds = [
        (field, kind_of(line)) for line in declared.split(";") for field in re.findall(r"(\w+)(?:,|$)", line.strip())
    ]
    addresses, integers, reals = (*STRUCTURES[name], "")[:3]
    assert kinds == [
        *((field, "pointer") for field in addresses.split()),
        *((field, "integer") for field in integers.split()),
        *((field, "double") for field in reals.split()),
    ]


def test_every_function_that_takes_one_structure_has_its_fields():
    assert set(re.findall(r"KERNEL\((\w+)\)\(const \w+ \*call\) {", SOURCE)) == set(STRUCTURES)
