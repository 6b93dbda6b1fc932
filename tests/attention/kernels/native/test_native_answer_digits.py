"""Which digits of an answer are the same on every processor, and which depend on the BLAS under NumPy.

OpenBLAS and NumPy compute for another x86 processor if the environment names it. AVX-512, whose `numpy.exp` may differ
in the last digit, can only be tried on a processor that has it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from softkv_attention.kernels.native.kinds import machine
from softkv_attention.lookup import Limits, Memory, Question, Rows, answers, limit_workers
from tests.attention.kernels.native.cases import Numbers

OTHERS = ({"OPENBLAS_CORETYPE": "Prescott"}, {"OPENBLAS_CORETYPE": "Nehalem"}, {"NPY_DISABLE_CPU_FEATURES": "X86_V3"})
SAME = ("numbers", "similarities", "logits", "weights", "evidence")
"""Fields with the same digits. The output of a scan is equal to 1e-12, and bounds to a millionth of themselves."""


def asked(scanned: bool) -> dict[str, list[float]]:
    """Return the fields of the answers of twenty small memories, by one thread."""
    fields: dict[str, list[float]] = {}
    for seed in range(20):
        numbers, width, rows = Numbers(100 + seed), (3, 16, 33, 64)[seed % 4], 40 + 13 * seed + 900 * scanned
        limits = Limits(exact_max_components=-1) if scanned else Limits()
        memory = Memory(("dot", "cosine")[seed // 4 % 2], limits=limits)
        view = memory.publish(add=Rows(np.arange(rows), numbers.reals(-1, 1, rows, width).astype(np.float32)))
        null = 0.2 if seed % 2 else None
        (answer,) = answers(view, [Question(numbers.reals(-1, 1, width), 0.1, null=null, top_k=5)])
        assert (answer.certificate.method != "exact") == scanned
        evidence = [answer.evidence.null_weight, answer.evidence.log_partition, answer.evidence.entropy]
        certificate = [answer.certificate.total_variation, answer.certificate.output_error]
        for name in SAME[:-1]:
            fields.setdefault(name, []).extend(getattr(answer, name).tolist())
        for name, several in {"evidence": evidence, "output": answer.output, "certificate": certificate}.items():
            fields.setdefault(name, []).extend(map(float, several))
    return fields


@pytest.fixture(scope="module")
def here():
    return answers_on({})


def answers_on(settings):
    """Return the fields by path, from a process for the processor that these settings name."""
    run = [sys.executable, "-m", __name__]
    done = subprocess.run(run, env={**os.environ, **settings}, capture_output=True, text=True, check=True)
    fields: dict[str, np.ndarray] = {}
    for line in done.stdout.splitlines():
        name, *digits = line.split("\t")
        fields[name] = np.array([float.fromhex(number) for number in digits])
    return fields


@pytest.mark.skipif(machine() != "x86_64", reason="the settings name x86 processors")
@pytest.mark.parametrize("settings", OTHERS, ids=lambda settings: "-".join(settings.values()))
def test_only_blends_and_bounds_of_a_scan_depend_on_the_blas(here, settings):
    there = answers_on(settings)
    assert here.keys() == there.keys()
    for name, digits in here.items():
        path, field = name.split()
        if path == "exact" or field in SAME:
            np.testing.assert_array_equal(there[name], digits)
        elif field == "output":
            np.testing.assert_allclose(there[name], digits, rtol=0, atol=1e-12)
        else:
            np.testing.assert_allclose(there[name], digits, rtol=1e-6)


if __name__ == "__main__":
    limit_workers(1)
    for path in ("exact", "scanned"):
        for field, values in asked(path == "scanned").items():
            sys.stdout.write("\t".join([f"{path} {field}", *map(float.hex, map(float, values))]) + "\n")
