"""Forward and backward passes through attention over a large memory, beside torch and pykeops.

    python -m extensions.torch.benchmarks.gradients [--rows 100000 1000000] [--queries 64] [--repeats 5] [--kind avx2]
                                                    [--many 8192] [--skip pykeops "torch SDPA" accuracy peak loss]

Each contender computes softmax(query · keys / T) · values and the gradient of the queries, in float32, in turns; the
medians are compared. Time is that of the processor, in all threads, so that others on the machine count less; torch's
threads sleep while they wait. torch keeps the matrix of queries by rows. pykeops keeps none; it is read up to 100,000
rows, because it takes minutes for more. `--kind avx2` compares the kernels for AVX2 with a torch that is held to it,
too. Memory is the peak of the process while both passes run, with values that are the keys.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from attention.kernels import kernels, use_kernels
from attention.kernels.in_c import KernelsInC
from attention.kernels.native.library import library_of, usable_kinds
from attention.lookup import Memory
from attention.torch import attend, corpus_cross_entropy
from benchmarks.keys import Array, gathered, near

COMMAND = [sys.executable, "-m", "extensions.torch.benchmarks.gradients"]
TEMPERATURE = 0.05
KEOPS_ROWS = 100_000
SLOW = ("pykeops", "torch SDPA")
"""Contenders that are measured only once after a warm-up, since they take many times as long."""
REST = 0.05
PASSIVE = {"OMP_WAIT_POLICY": "passive"}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""The environment that holds torch and its libraries to AVX2."""

Blend = Callable[[torch.Tensor], torch.Tensor]


def contenders(keys: Array, values: Array, memory: Memory) -> dict[str, Blend]:
    """The forward pass of each contender: queries [q, d] → output [q, d_v]."""
    k, v = torch.from_numpy(keys), torch.from_numpy(values)
    scaled_dot = torch.nn.functional.scaled_dot_product_attention
    blends: dict[str, Blend] = {
        "softkv": lambda q: attend(q, memory, TEMPERATURE).output,
        "torch": lambda q: torch.softmax(q @ k.T / TEMPERATURE, dim=1) @ v,
        "torch SDPA": lambda q: scaled_dot(q[None, None], k[None, None], v[None, None], scale=1 / TEMPERATURE)[0, 0],
    }
    if find_spec("pykeops") and len(keys) <= KEOPS_ROWS:
        from pykeops.torch import Vi, Vj

        blends["pykeops"] = lambda q: ((Vi(q) | Vj(k)) / TEMPERATURE).sumsoftmaxweight(Vj(v), dim=1)
    return blends


def passes(blend: Blend, queries: torch.Tensor, gradient: torch.Tensor) -> tuple[float, float, torch.Tensor]:
    """Processor seconds forwards and backwards, and the gradient of the queries."""
    leaf = queries.clone().requires_grad_()
    start = time.process_time()
    output = blend(leaf)
    between = time.process_time()
    output.backward(gradient)
    end = time.process_time()
    assert leaf.grad is not None
    return between - start, end - between, leaf.grad


def interleaved(
    blends: dict[str, Blend], queries: torch.Tensor, gradient: torch.Tensor, repeats: int
) -> dict[str, tuple[float, float]]:
    """The median processor seconds forwards and backwards of each contender, all called in turn."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in blends}
    for turn in range(repeats + 1):
        for name, blend in blends.items():
            if name in SLOW and turn > 1:
                continue
            time.sleep(REST)
            forward, backward, _ = passes(blend, queries, gradient)
            if turn:
                times[name].append((forward, backward))
    return {name: (median(f for f, _ in pairs), median(b for _, b in pairs)) for name, pairs in times.items()}


def speed(rows: int, count: int, repeats: int, skipped: list[str], console: Console) -> None:
    """A table of one size, and how far the gradients are from float64."""
    keys = gathered(rows)
    values = np.ascontiguousarray(keys[:, ::-1])
    memory = Memory.of(keys, values)
    queries = torch.from_numpy(near(keys, count, 7))
    gradient = torch.from_numpy(np.random.default_rng(8).standard_normal((count, keys.shape[1]), dtype=np.float32))
    blends = {name: blend for name, blend in contenders(keys, values, memory).items() if name not in skipped}
    times = interleaved(blends, queries, gradient, repeats)
    table = Table(
        title=f"{rows:,} rows, {count} queries, T = {TEMPERATURE}: processor milliseconds",
        box=box.MARKDOWN,
    )
    for name in ("", "forward", "backward", "backward / forward", "both", "both / softkv"):
        table.add_column(name, justify="right")
    ours = sum(times["softkv"])
    for name, (forward, backward) in times.items():
        both = forward + backward
        cells = (f"{1000 * forward:.0f}", f"{1000 * backward:.0f}", f"{backward / forward:.2f}", f"{1000 * both:.0f}")
        table.add_row(name, *cells, f"{both / ours:.2f}×")
    console.print(table)
    if "accuracy" not in skipped:
        accuracy(memory, blends, queries, gradient, console)


def accuracy(
    memory: Memory, blends: dict[str, Blend], queries: torch.Tensor, gradient: torch.Tensor, console: Console
) -> None:
    """The largest relative error of a query's gradient, and the bound that the certificate gives."""
    leaf = queries.double().requires_grad_()
    attend(leaf, memory, TEMPERATURE).output.backward(gradient.double())
    exact = leaf.grad
    assert exact is not None
    lengths = torch.linalg.vector_norm(exact, dim=1)
    for name in ("softkv", "torch"):
        pulled = passes(blends[name], queries, gradient)[2]
        if name == "torch":  # its queries have length 1 to seven digits, and softkv's gradient is that of the cosine
            pulled = pulled - (pulled * queries).sum(dim=1, keepdim=True) * queries
        error = float((torch.linalg.vector_norm(pulled.double() - exact, dim=1) / lengths).max())
        console.print(f"{name}: gradients within {error:.1e} of float64, relative")
    leaf = queries.clone().requires_grad_()
    result = attend(leaf, memory, TEMPERATURE)
    result.output.backward(gradient)
    bound = result.certificate.query_gradient_error
    assert bound is not None
    console.print(f"the certificate says within {float((bound / lengths).max()):.1e}")


def peak(rows: int, count: int) -> None:
    """Print, in a process of its own, the peak memory of both passes in bytes."""
    memory = Memory.of(gathered(rows))
    keys = memory.view.segments[0].keys[:count].copy()
    queries = torch.from_numpy(keys).requires_grad_()
    Path("/proc/self/clear_refs").write_text("5")  # starts VmHWM, the peak, anew
    start = time.perf_counter()
    if count <= 64:
        attend(queries, memory, TEMPERATURE).output.sum().backward()
    else:
        corpus_cross_entropy(queries, memory, np.arange(count), TEMPERATURE).backward()
    seconds = time.perf_counter() - start
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) * 1024, seconds)


def measured_peak(rows: int, count: int) -> tuple[float, float]:
    """Bytes and seconds of `peak`."""
    command = [*COMMAND, "--peak", str(rows), str(count)]
    size, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(size), float(seconds)


def loss(rows: int, console: Console) -> None:
    """The contrastive loss and its gradient beside torch's cross entropy."""
    keys = gathered(rows)
    memory = Memory.of(keys)
    queries, positives = torch.from_numpy(near(keys, 64, 7)), np.random.default_rng(9).integers(0, rows, 64)
    results = []
    for ours in (True, False):
        leaf = queries.clone().requires_grad_()
        start = time.perf_counter()
        if ours:
            value = corpus_cross_entropy(leaf, memory, positives, TEMPERATURE)
        else:
            logits = leaf @ torch.from_numpy(keys).T / TEMPERATURE
            value = torch.nn.functional.cross_entropy(logits, torch.from_numpy(positives))
        value.backward()
        results.append((value.item(), time.perf_counter() - start))
    (one, seconds), (other, theirs) = results
    console.print(
        f"corpus_cross_entropy over {rows:,} rows: {one:.7f}, torch's {other:.7f}, relative "
        f"{abs(one / other - 1):.1e}; {seconds:.2f} s, torch {theirs:.2f} s"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kind", help="compute with the kernels of this kind of processor")
    parser.add_argument("--many", type=int, default=8192, help="queries of the contrastive loss; 0 leaves it out")
    parser.add_argument("--skip", nargs="*", default=[], help="contenders and figures to leave out")
    parser.add_argument("--peak", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        peak(*arguments.peak)
        return
    variables = PASSIVE | (AVX2 if arguments.kind == "avx2" else {})
    if not variables.items() <= os.environ.items():
        os.execve(
            sys.executable,
            [*COMMAND, *sys.argv[1:]],
            os.environ | variables,
        )
    if arguments.kind:
        use_kernels(KernelsInC(library_of(next(kind for kind in usable_kinds() if kind.name == arguments.kind))))
    console = Console(width=200)
    console.print(
        f"kernels {kernels().NAME}, torch {torch.__version__} with {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    for rows in arguments.rows:
        speed(rows, arguments.queries, arguments.repeats, arguments.skip, console)
    if arguments.kind:
        return
    rows = max(arguments.rows)
    if "peak" not in arguments.skip:
        size, _ = measured_peak(rows, arguments.queries)
        console.print(f"peak memory {size / 2**30:.2f} GiB, {size / (rows * 384 * 4):.2f} times that of the keys")
    if "loss" not in arguments.skip:
        loss(min(arguments.rows), console)
    if arguments.many:
        size, seconds = measured_peak(rows, arguments.many)
        console.print(
            f"corpus_cross_entropy of {arguments.many:,} queries over {rows:,} rows: {seconds:.0f} s, peak memory "
            f"{size / 2**30:.2f} GiB; the matrix alone would take {arguments.many * rows * 4 / 2**30:.0f} GiB"
        )


if __name__ == "__main__":
    main()
