"""The sentence encoder beside whatever else runs it on a CPU from Python: texts a second, fidelity, first embedding.

    python -m benchmarks.encoder [--engines softkv,openvino] [--rounds 7] [--texts 500] [--starts 5]

All engines have the same model, texts and threads, and are asked in turns by one process: one query of some ten tokens
(another one each call), 64 of them, one passage of some 145 tokens, 64. Tokenising counts. Texts run in batches of like
length, of 32 as sentence-transformers has it; softkv packs them. sentence-transformers gets the model as it is, ONNX
Runtime what torch exports, fused by its optimiser, OpenVINO what torch exports, CTranslate2 what its converter makes;
both exports have the pooling in them. int8 is dynamic. How far an engine is off is told beside the definition in
float64.

`--engines` takes parts of names. Who is not installed (`pip install 'softkv[bench]'`) or refuses this processor is left
out with the reason. Where the machine multiplies matrices by a fifth faster or slower afterwards than before, somebody
else was at work, and there are no ratios.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.engines import contest, fidelity, products, starts, tables, texts
from benchmarks.engines.engine import Setting
from benchmarks.engines.reading import tokenizer
from benchmarks.results import machine
from service.encoding import installed_checkpoint

STANDING = {
    "softkv Packed float32": "softkv",
    contest.PEER: "sentence-transformers",
    "ONNX Runtime float32": "onnxruntime",
}
"""Who is started anew where this engine takes part."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", type=lambda words: words.split(","), default=list(contest.ENGINES), help="a,b,c")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--texts", type=int, default=500, help="to compare vectors of")
    parser.add_argument("--starts", type=int, default=5, help="of a process, to its first embedding; 0 for none")
    options = parser.parse_args()
    console = Console(width=220, markup=False, highlight=False)
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    columns = texts.columns()
    model = installed_checkpoint()
    console.print(f"{machine()}; {threads} threads each")
    for column in columns:
        lengths = [len(each.ids) for each in tokenizer(model).encode_batch(list(column.texts))]
        mean = sum(lengths) / len(lengths)
        console.print(f"{column.name}: {mean:.1f} tokens, from {min(lengths)} to {max(lengths)}, padding aside")

    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(model, Path(folder), threads)
        engines, left_out = contest.made(contest.chosen(options.engines), setting)
        before = products.rates()
        rates = contest.timed(engines, columns, options.rounds)
        after = products.rates()
        steady = products.steady(before, after)
        asked, written = texts.questions(), texts.mixture(options.texts)
        wanted = fidelity.definition(model, asked), fidelity.definition(model, written)
        fidelities = {
            name: fidelity.compared((engine.encode(asked), engine.encode(written)), wanted)
            for name, engine in engines.items()
        }
        console.print(tables.speed(engines, rates, ratios=steady))
        if steady:
            console.print(tables.against_best(rates, fidelities))
        console.print(tables.distances(fidelities, len(written), len(asked)))
        again = [name for engine, name in STANDING.items() if engine in engines]
        if options.starts and again:
            found = starts.seconds_to_first(again, model, Path(folder) / "fused.onnx", threads, options.starts)
            console.print(tables.starts(found, ratios=products.steady(after, products.rates())))
    console.print(tables.products(before, after))
    if not steady:
        console.print("no ratios: the machine was by more than a fifth faster or slower afterwards than before")
    for name, reason in left_out.items():
        console.print(f"left out: {name}: {reason}")


if __name__ == "__main__":
    main()
