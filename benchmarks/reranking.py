"""The gain of a cross-encoder inside the softmax, with a weight that is fitted to 50 and to 200 labels.

    apt-get install wordnet-base
    python -m benchmarks.reranking [--folder FOLDER] [--minutes 15] [--sets "held back"] [--draws 10]
    python -m benchmarks.reranking --cost

FOLDER has the cross-encoder of `benchmarks.glosses`; without it one is trained first. Its questions are definitions,
and its documents the words of a meaning. The set `held back` has the meanings whose words training did not see: 3,000
documents, `--questions` definitions of documents that are there, and as many of others that are not. The shapes are
those of `benchmarks.shapes`, of which training saw nothing either: questions that a document answers, and questions
about the subject whose answer is missing. `library` and `videos` have the questions of `benchmarks/questions.jsonl`.

Each draw takes labels at random, half of them without an answer, and fits as `calibrate` does; all figures are of the
other questions, means over the draws. `ΔMRR` is that of one fit to all questions' folds, paired by question, with its
standard error. `AUROC` is of the documents' weight against the null key: with an answer against without. `kept` is the
share of the questions with an answer that are not "none", and `answered` that of the questions without one.

With `--cost` it measures nothing but the cost of a cross-encoder of six layers of width 384 and 22.7 million random
parameters, the shape of `cross-encoder/ms-marco-MiniLM-L6-v2`: processor milliseconds for a question, medians.

The exit code is 1 if on the set `held back` the reranker does not raise MRR by more than its standard error, or with
200 labels the mean ECE is above 0.05; or if on another set the fit takes the reranker and MRR falls by more than its
standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import similarities_of
from benchmarks.asking import Array, Asking, Vectors
from benchmarks.glosses import LAYERS, Glosses, train
from benchmarks.labelled import Labels, order_of
from benchmarks.shapes import shapes
from benchmarks.shapes.shape import Shape
from service.datasets import DEMOS
from service.encoding import Reranker, load_encoder, load_reranker, write_pair
from service.retrieval.calibration import (
    RERANK_WEIGHTS,
    DocumentKeys,
    ProfileBuilder,
    Profiles,
    evaluate,
    evaluate_reranked,
)
from service.retrieval.calibration.evaluation import calibration_error
from service.retrieval.calibration.fit import (
    CrossValidation,
    Fit,
    Weighting,
    assign_folds,
    fit_temperature,
    standard_error,
)
from tests.checkpoints import edit_json, save_cross_encoder

DEPTH, DOCUMENTS, QUESTIONS, OF_SHAPE = 10, 3000, 1120, 100
LABELS = (50, 200)
MOST_ERROR = 0.05
TOGETHER = 16
FIGURES = {"ece": "ECE", "mrr": "MRR", "area": "AUROC", "kept": "kept", "answered": "answered"}
COST_WORDS, COST_DEPTHS, COST_ROUNDS = (10, 50, 200), (10, 50), 9
COST_VOCABULARY = ("permit", "office", "street", "water", "letter", "monday", "garden", "ticket", "the", "of")
SHAPE = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "max_position_embeddings": 512,
}
QUESTIONS_FILE = Path(__file__).with_name("questions.jsonl")


@dataclass(frozen=True)
class Questioned:
    """A collection and its questions.

    Attributes:
        name: of the set.
        keys: the documents' texts, by id.
        questions: each with the ids that answer it; empty if none does.
    """

    name: str
    keys: dict[str, str]
    questions: list[tuple[str, tuple[str, ...]]]


def take_held_back(labels: Labels, questions: int) -> Questioned:
    """Take the documents of half of the questions out of the meanings that were held back."""
    chosen = list(islice(labels.apart("second look"), 2 * questions))
    absent, present = chosen[:questions], chosen[questions:]
    gone = {identity for _, ids in absent for identity in ids}
    ids = dict.fromkeys(identity for _, answers in present for identity in answers)
    ids |= dict.fromkeys(identity for identity in sorted(labels.keys, key=order_of) if identity not in gone)
    keys = {identity: labels.keys[identity] for identity in islice(ids, max(DOCUMENTS, len(present)))}
    return Questioned("held back", keys, [*present, *((question, ()) for question, _ in absent)])


def demos() -> list[Questioned]:
    """Return the small demo collections with their labelled questions."""
    lines = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
    sets = list[Questioned]()
    for name in ("library", "videos"):
        keys = {document["id"]: document["key"] for document in DEMOS[name].documents()}
        of_set = [(line["question"], tuple(line["answers"])) for line in lines if line["collection"] == name]
        sets.append(Questioned(name, keys, of_set))
    return sets


def sample_shape(shape: Shape) -> Questioned:
    """Return a shape with some of its questions of either kind."""
    kinds = (shape.present, [(question, ()) for question in shape.near])
    chosen = [pair for kind in kinds for pair in sorted(kind, key=lambda pair: order_of(pair[0]))[:OF_SHAPE]]
    return Questioned(shape.name, shape.keys, chosen)


def profiles_of(questioned: Questioned, vectors: Vectors, reranker: Reranker) -> Profiles:
    """Return the profiles of all questions, with the reranker's weights in place of λ."""
    asking = Asking(questioned.keys, vectors)
    texts = [text for text, _ in questioned.questions]
    queries, row_of = vectors.of(texts, "query"), dict(zip(asking.ids, asking.numbers.tolist(), strict=True))
    documents = DocumentKeys.of(asking.numbers)
    profiling = ProfileBuilder(asking.record.settings.temperature, len(asking.ids), RERANK_WEIGHTS, scored=True)
    for start in range(0, len(queries), TOGETHER):
        result = similarities_of(asking.memory.view, queries[start : start + TOGETHER].astype(np.float64))
        order = np.argsort(result.numbers)
        batch = questioned.questions[start : start + TOGETHER]
        heads = [np.sort(np.argsort(-row[order])[:DEPTH]) for row in result.similarities]
        pairs = [
            write_pair(text, questioned.keys[asking.ids[i]])
            for (text, _), head in zip(batch, heads, strict=True)
            for i in head.tolist()
        ]
        logits = reranker.encode(pairs, "query").vectors[:, 0].astype(np.float64).reshape(len(batch), -1)
        for (_, ids), row, head, added in zip(batch, result.similarities, heads, logits, strict=True):
            right = np.array(sorted(row_of[identity] for identity in ids if identity in row_of), dtype=np.int64)
            by_id = documents.by_id(row[order], right, lambda rows: [asking.ids[number - 1] for number in rows])
            profiling.add(row[order], documents, (documents.rows[head], added), right, by_id)
    return profiling.build()


def area_under_curve(present: Array, absent: Array) -> float:
    """Return the probability that a number of the first kind is above one of the second; a tie counts half."""
    ordered = np.sort(absent)
    below = np.searchsorted(ordered, present, "left") + np.searchsorted(ordered, present, "right")
    return float(below.mean() / (2 * len(ordered)))


@dataclass(frozen=True)
class Judged:
    """The figures of one fit on questions that it did not see."""

    weight: float
    ece: float
    mrr: float
    area: float
    kept: float
    answered: float

    @classmethod
    def of(cls, fit: Fit, held_out: Profiles) -> Judged:
        """Judge a fit."""
        outcomes, present = fit.predict(held_out), held_out.present
        leads = held_out.log_partition[:, *fit.cell] - fit.log_count
        return cls(
            RERANK_WEIGHTS[fit.cell[0]],
            calibration_error(outcomes.confidence, outcomes.right),
            float(outcomes.reciprocal[present].mean()),
            area_under_curve(leads[present], leads[~present]),
            float((~outcomes.none[present]).mean()),
            float((~outcomes.none[~present]).mean()),
        )


def judge(profiles: Profiles, labels: int, draw: int) -> tuple[Judged, Judged]:
    """Fit to labels of one draw → the figures without the reranker, and with it, on all other questions."""
    random = np.random.default_rng(draw)
    kinds = (np.flatnonzero(profiles.present), np.flatnonzero(~profiles.present))
    chosen = np.concatenate([random.choice(kind, min(labels // 2, len(kind) // 2), replace=False) for kind in kinds])
    rest = np.setdiff1d(np.arange(len(profiles.present)), chosen)
    order = random.permutation(len(chosen))
    plain = evaluate(profiles.of(chosen), order, np.full(len(chosen), -np.inf)).plain
    temperature = float(profiles.temperatures[plain.cell[1]])
    fit = evaluate_reranked(profiles.of(chosen).at(temperature), order).fit
    without = Judged.of(plain, profiles.of(rest))
    return without, without if fit is None else Judged.of(fit, profiles.of(rest).at(temperature))


def compare_ranks(profiles: Profiles) -> tuple[float, float, float, float, bool]:
    """Return MRR without and with the reranker, the difference and its standard error, by cross-validation.

    The last is whether the fit to all questions would take the reranker.
    """
    one = profiles.at(float(profiles.temperatures[fit_temperature(profiles)]))
    folds = assign_folds(np.random.default_rng(0).permutation(len(one.present)), one.present)
    validation = CrossValidation.run(one, folds, Weighting(None, None))
    without, with_it = (outcomes.reciprocal[one.present] for outcomes in (validation.plain, validation.words))
    gain = with_it - without
    return float(without.mean()), float(with_it.mean()), float(gain.mean()), standard_error(gain), validation.words_gain


def measure(questioned: Questioned, vectors: Vectors, reranker: Reranker, draws: int, table: Table) -> list[str]:
    """Add the lines of one set to the table → what is not as wanted."""
    profiles = profiles_of(questioned, vectors, reranker)
    enough = np.count_nonzero(profiles.present), np.count_nonzero(~profiles.present)
    flaws, main = list[str](), questioned.name == "held back"
    before, after, gain, error, takes = compare_ranks(profiles)
    if main and gain <= error:
        flaws.append(f"MRR rises by {gain:.3f} ± {error:.3f}")
    if takes and gain < -error:
        flaws.append(f"MRR falls by {-gain:.3f} ± {error:.3f}")
    for labels in LABELS:
        if min(enough) < labels:  # half of either kind, and at least as many to judge
            continue
        judged = [judge(profiles, labels, draw) for draw in range(draws)]
        for i, line in enumerate(("without", "reranked")):
            figures = [pair[i] for pair in judged]
            weights = [figure.weight for figure in figures]
            first = labels == LABELS[0]
            table.add_row(
                questioned.name if first and i == 0 else "",
                f"{len(questioned.keys):,}" if first and i == 0 else "",
                f"{sum(enough) - labels:,}" if i == 0 else "",
                f"{labels}" if i == 0 else "",
                line,
                f"{np.median(weights):g} ({np.mean(np.array(weights) > 0):.0%})" if i else "",
                *(f"{np.mean([getattr(figure, name) for figure in figures]):.3f}" for name in FIGURES),
                f"{gain:+.3f} ± {error:.3f}" if first and i else "",
            )
        worst = float(np.mean([pair[1].ece for pair in judged]))
        if main and labels == LABELS[-1] and worst > MOST_ERROR:
            flaws.append(f"an ECE of {worst:.3f} with {labels} labels")
    if min(enough) < LABELS[0]:
        table.add_row(
            questioned.name,
            f"{len(questioned.keys):,}",
            f"{sum(enough):,}",
            "folds",
            "without",
            "",
            "",
            f"{before:.3f}",
        )
        table.add_row(
            "",
            "",
            "",
            "",
            "reranked",
            "taken" if takes else "not taken",
            "",
            f"{after:.3f}",
            "",
            "",
            "",
            f"{gain:+.3f} ± {error:.3f}",
        )
    return [f"{questioned.name}: {flaw}" for flaw in flaws]


def print_cost(console: Console) -> None:
    """Measure the processor time of a reranker for one question, by its depth and by the words of a document."""
    table = Table(title="processor ms for a question, by the words of a document", box=box.SIMPLE)
    for heading in ("depth", *map(str, COST_WORDS)):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        model = save_cross_encoder(Path(folder) / "shape", **SHAPE)
        edit_json(model / "tokenizer_config.json", {"model_max_length": SHAPE["max_position_embeddings"]})
        reranker = load_reranker(str(model))
        random = np.random.default_rng(0)
        for depth in COST_DEPTHS:
            cells = []
            for words in COST_WORDS:
                seconds = []
                for _ in range(COST_ROUNDS):
                    documents = [" ".join(random.choice(COST_VOCABULARY, words)) for _ in range(depth)]
                    pairs = [write_pair("how do I get a new parking permit?", text) for text in documents]
                    before = time.process_time()
                    reranker.encode(pairs, "query")
                    seconds.append(time.process_time() - before)
                cells.append(f"{1e3 * np.median(seconds):.0f}")
            table.add_row(str(depth), *cells)
    console.print(table)


def main() -> int:
    """Train if needed, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="of the cross-encoder; trained if left out")
    parser.add_argument("--minutes", type=float, default=15, help="of the training")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of either kind to the set held back")
    parser.add_argument("--sets", nargs="+", help="the sets to ask; all if left out")
    parser.add_argument("--draws", type=int, default=10, help="of labels")
    parser.add_argument("--cost", action="store_true", help="measure the cost of a cross-encoder alone")
    options = parser.parse_args()
    if options.cost:
        print_cost(Console(width=100))
        return 0
    glosses = Glosses.read()
    if glosses is None:
        print("WordNet is not on this machine: apt-get install wordnet-base", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.folder is None:
            train(glosses.learned, folder, options.minutes, LAYERS)
        reranker = load_reranker(str(folder))
        vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
        sets = [take_held_back(glosses.held_back, options.questions), *demos()]
        sets += [sample_shape(shape) for shape in shapes()]
        sets = [one for one in sets if options.sets is None or one.name in options.sets]
        table = Table(title=f"a reranker that reads {DEPTH} documents; means of {options.draws} draws", box=box.SIMPLE)
        for heading in ("", "documents", "questions", "labels", "", "weight", *FIGURES.values(), "ΔMRR"):
            table.add_column(heading, no_wrap=True, justify="left" if heading == "" else "right")
        flaws = [flaw for one in sets for flaw in measure(one, vectors, reranker, options.draws, table)]
    console = Console(width=140)
    console.print(table)
    console.print("\n".join(["wanted, and not so:", *flaws] if flaws else ["all is as wanted"]), soft_wrap=True)
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main())
