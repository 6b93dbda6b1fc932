"""Rows of the table of kernels: the structures that they pack have the fields of those in C, in the same order."""

from __future__ import annotations

import re

import pytest

from attention.kernels.binding import ROWS, row_of
from attention.kernels.native.build import HERE

SOURCE = re.sub(r"/\*.*?\*/", "", "".join(path.read_text() for path in HERE.glob("*.[ch]")), flags=re.DOTALL)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_fields_of_its_structure_in_c(name):
    (structure,) = re.findall(rf"KERNEL\({name}\)\(const (\w+) \*call\) {{", SOURCE)
    (declared,) = re.findall(rf"typedef struct {{([^}}]*)}} {structure};", SOURCE)
    kinds = [line.split()[0 if line.split()[0] != "const" else 1] for line in declared.split(";")[:-1]]
    assert re.findall(r"(\w+)[,;]", declared) == row_of(name).fields
    row, pointers = row_of(name), declared.count("*")
    assert (pointers, kinds[-1] == "double") == (len(row.addresses), bool(row.reals))
