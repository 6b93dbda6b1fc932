"""C reads and writes nothing beside the arrays that it is given, and mistakes in arguments are errors of Python."""

from __future__ import annotations

import platform

import pytest

from softkv_attention.kernels.native.library import usable_kinds
from tests.attention.kernels.native.calling import call
from tests.thorough import thorough

pytestmark = pytest.mark.skipif(platform.system() == "Windows", reason="it has no mprotect")

KINDS_HERE = pytest.mark.parametrize("kind", [kind.name for kind in usable_kinds()])


@KINDS_HERE
@pytest.mark.parametrize("place", ["end", "begin"])
@pytest.mark.parametrize("suite", ["odd", thorough("extreme"), thorough("encoder")])
def test_nothing_beside_an_array_is_read_or_written(kind, suite, place):
    called = call(suite, kind, place)
    assert not called.fault
    assert called.digests == call(suite, kind).digests


@KINDS_HERE
def test_a_mistake_in_an_argument_is_an_error_or_does_no_harm(kind):
    assert not call("mistakes", kind, "end").fault


def test_a_read_of_one_byte_too_many_is_reported_by_name():
    kind = usable_kinds()[0].name
    assert call("beyond", kind, "end").fault.startswith("a byte too far: exit -11")
    assert not call("beyond", kind).fault
