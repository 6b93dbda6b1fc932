"""The page's small language model: its size, words a second in a browser, and perplexity beside counts of words.

    python -m workshop.benchmarks.writing [--rounds 5]

Perplexity is of the texts of the small world that training did not see: e to the mean of −ln of the probability of
each word, given those before it. The counts are those of the texts that it was trained on: of single words, with one
added to each, and of pairs by Kneser and Ney's interpolation. Words are written on a page that is opened from a file,
in a browser without a network: it needs chromium on PATH.
"""

from __future__ import annotations

import argparse
import gzip
import math
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from tools.page import library
from workshop.tools import recorded
from workshop.tools.recorded import world
from workshop.tools.recorded.writing import BEGINNINGS, NAME, SPECIAL, log_probabilities, model_of, read

DISCOUNT = 0.75
TEXTS = ("", *(text for text, _ in BEGINNINGS))
N_WRITTEN, READ = 40, "the dogs near the king chase a cat . they are fast"
WRITE = """async ({beginnings, read, count}) => {
  const started = performance.now();
  const model = await Language.LanguageModel.load();
  const loaded = performance.now() - started;
  const texts = beginnings.map((text) => {
    const { ids } = model.tokens(text);
    do ids.push(model.next(model.logits(ids), 0, 1)[0].id);
    while (ids.length < model.shape.positions && model.words[ids.at(-1)] !== ".");
    return ids.slice(1).map((id) => model.words[id]).join(" ");
  });
  const begun = performance.now();
  model.trace(model.tokens(read).ids);
  const reading = performance.now() - begun;
  const ids = model.tokens("").ids;
  const writing = performance.now();
  while (ids.length <= count) {
    const { ids: last } = model.tokens(ids.slice(1).map((id) => model.words[id]).join(" "));
    ids.push(model.draw(model.logits(last), 1, (ids.length * 0.618) % 1));
  }
  return { loaded, reading, texts, writing: performance.now() - writing };
}"""


@dataclass(frozen=True)
class Counted:
    """Counts of words and of pairs of words.

    Attributes:
        words: how often each word stands in the texts.
        pairs: how often a word follows another.
        after_words: how many words follow each word, and how many different ones.
        before_words: how many different words stand before each word.
        n_words: the size of the vocabulary, with the words that are never written.
    """

    words: Counter[int]
    pairs: Counter[tuple[int, int]]
    after_words: dict[int, tuple[int, int]]
    before_words: Counter[int]
    n_words: int

    @classmethod
    def of(cls, ids: Iterable[NDArray[np.int64]], n_words: int) -> Counted:
        """Count the words of texts."""
        words: Counter[int] = Counter()
        pairs: Counter[tuple[int, int]] = Counter()
        for text in ids:
            for before, word in zip(text[:-1].tolist(), text[1:].tolist(), strict=True):
                if word >= len(SPECIAL):
                    words[word] += 1
                    pairs[before, word] += 1
        totals: Counter[int] = Counter()
        kinds: Counter[int] = Counter()
        for (before, _), count in pairs.items():
            totals[before] += count
            kinds[before] += 1
        after = {before: (totals[before], kinds[before]) for before in totals}
        return cls(words, pairs, after, Counter(word for _, word in pairs), n_words)

    def alone(self, word: int) -> float:
        """Return the probability of a word by its own count."""
        n = self.n_words - len(SPECIAL)
        return (self.words[word] + 1) / (self.words.total() + n)

    def after(self, before: int, word: int) -> float:
        """Return the probability of a word after another, by the counts of pairs."""
        total, kinds = self.after_words.get(before, (0, 0))
        if not total:
            return self._continuation(word)
        seen = max(self.pairs[before, word] - DISCOUNT, 0) / total
        return seen + DISCOUNT * kinds / total * self._continuation(word)

    def _continuation(self, word: int) -> float:
        """Return the share of the kinds of pairs that end in a word, with some for words that end none."""
        n, total = self.n_words - len(SPECIAL), len(self.pairs)
        return (max(self.before_words[word] - DISCOUNT, 0) + DISCOUNT * len(self.before_words) / n) / total


def perplexities() -> Table:
    """Return the perplexities on what is held out."""
    model, vocabulary = model_of(recorded.read(NAME), np.float32)
    known = [(text.is_held_out, vocabulary.ids(text.words)) for text in world.texts()]
    held_out = [ids for is_held_out, ids in known if is_held_out]
    counted = Counted.of((ids for is_held_out, ids in known if not is_held_out), len(vocabulary.words))
    pairs = [
        (before, word)
        for text in held_out
        for before, word in zip(text[:-1].tolist(), text[1:].tolist(), strict=True)
        if word >= len(SPECIAL)
    ]
    logits = [read(model, ids[None, :-1])[2][0] for ids in held_out]
    by_model = np.concatenate([log_probabilities(*pair) for pair in zip(logits, held_out, strict=True)])
    rows = {
        "one word's count": [math.log(counted.alone(word)) for _, word in pairs],
        "counts of pairs": [math.log(counted.after(before, word)) for before, word in pairs],
        "the model, int8": by_model.tolist(),
    }
    commonest = max(counted.words, key=lambda word: counted.words[word])
    known_words = len(vocabulary.words) - len(SPECIAL)
    table = Table(title=f"{len(pairs):,} words of {len(held_out):,} texts; the model knows {known_words:,} words")
    for column in ("predicted by", "perplexity", "right at first, of 100"):
        table.add_column(column, justify="right")
    right = {
        "one word's count": [word == commonest for _, word in pairs],
        "counts of pairs": _right_after(counted, pairs),
        "the model, int8": np.concatenate(
            [one.argmax(-1) == ids[1:] for one, ids in zip(logits, held_out, strict=True)]
        ),
    }
    for name, logarithms in rows.items():
        table.add_row(name, f"{math.exp(-np.mean(logarithms)):.1f}", f"{100 * np.mean(right[name]):.0f}")
    return table


def _right_after(counted: Counted, pairs: list[tuple[int, int]]) -> list[bool]:
    """Return for each pair whether its second word is the most probable after the first."""
    followers: dict[int, list[int]] = {}
    for before, word in counted.pairs:
        followers.setdefault(before, []).append(word)
    best_of_all = max(counted.before_words, key=lambda word: counted.before_words[word])
    best = {
        before: max([best_of_all, *followers.get(before, [])], key=lambda word: counted.after(before, word))
        for before in {before for before, _ in pairs}
    }
    return [best[before] == word for before, word in pairs]


def speed(rounds: int) -> tuple[Table, list[str]]:
    """Return what a browser takes to load the model and to write with it, and the texts that it wrote."""
    file = recorded.FOLDER / f"{NAME}.js"
    browser_path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if browser_path is None:
        raise SystemExit("chromium is not on PATH: apt-get install chromium")
    answers = []
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made)
        (folder / "recorded").mkdir()
        shutil.copy(file, folder / "recorded")
        (folder / "index.html").write_text("<!doctype html><title>Words</title>", encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for _ in range(rounds):
            context = browser.new_context(offline=True)
            page = context.new_page()
            page.goto((folder / "index.html").as_uri())
            page.evaluate(library("language/index.js", "Language"))
            answers.append(page.evaluate(WRITE, {"beginnings": TEXTS, "read": READ, "count": N_WRITTEN}))
            context.close()
        name = f"Chromium {browser.version}"
        browser.close()
    content = file.read_bytes()
    table = Table(title=f"{NAME}.js in {name}, without a network, medians of {rounds}")
    for column in ("file", "gzip", "loaded", f"{len(READ.split())} words read", "words written a second"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{len(content) / 1e6:.2f} MB",
        f"{len(gzip.compress(content, mtime=0)) / 1e6:.2f} MB",
        f"{median(answer['loaded'] for answer in answers):.0f} ms",
        f"{median(answer['reading'] for answer in answers):.0f} ms",
        f"{1e3 * N_WRITTEN / median(answer['writing'] for answer in answers):.0f}",
    )
    return table, answers[0]["texts"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    console = Console(width=120)
    console.print(perplexities())
    in_a_browser, written = speed(options.rounds)
    console.print(in_a_browser)
    console.print("  written at temperature 0:")
    for beginning, text in zip(TEXTS, written, strict=True):
        console.print(f"    “{beginning}” → {text}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
